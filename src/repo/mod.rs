//! An opened repository: objects with meaning.

mod credential;
mod distrust;
mod error;
pub mod gc_log;
pub mod hiding;
pub mod index;
pub mod keyslots;
pub mod list;
pub mod loader;
pub mod objects;
mod open_pack;
pub mod pack_reader;
pub mod packer;
pub mod pool;
pub mod roles;
pub mod session;
pub mod signed;
pub mod snapshots;
pub mod store;

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::backend::{Backend, Key, Kind};
use crate::crypto::aead::preferred_cipher;
use crate::crypto::keys::{KeyRing, Secret};
use crate::crypto::role::Secrets;
use crate::env::Env;
use crate::format::config::{ConfigHead, ConfigRecord, Features};
use crate::format::keyslot::Binding;
use crate::format::rolekey::WriterRecord;
use crate::format::sealed::SealedKind;
use crate::ids::{ObjectId, RepoId};
use crate::sync::Mutex;
pub use credential::{Credential, Meant};
pub use error::RepoError;
use gc_log::GcLog;

impl Features {
    fn require(allowed: bool, action: &'static str) -> Result<(), RepoError> {
        if allowed { Ok(()) } else { Err(RepoError::UnknownFeature { action }) }
    }

    fn require_read(&self) -> Result<(), RepoError> {
        Self::require(self.can_read(), "read")
    }

    fn require_write(&self) -> Result<(), RepoError> {
        Self::require(self.can_write(), "write to")
    }

    pub(crate) fn require_collect(&self) -> Result<(), RepoError> {
        Self::require(self.can_collect(), "collect garbage in")
    }
}

/// An opened repository.
#[derive(Clone)]
pub struct Repository {
    /// Where its objects are.
    pub backend: Arc<dyn Backend>,
    /// Its keys.
    pub keys: Arc<KeyRing>,
    /// Its name.
    pub id: RepoId,
    /// When it was made, in nanoseconds since 1970.
    pub created: i64,
    /// Features in use.
    features: Features,
    /// True if nobody can have altered the features: the key was made for these.
    are_features_bound: bool,
    known_log: Arc<Mutex<GcLog>>,
    /// The snapshot that this process made last.
    made_last: Arc<Mutex<Option<ObjectId>>>,
    writers: Arc<Mutex<Option<Vec<WriterRecord>>>>,
    /// The world outside.
    pub env: Env,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Repository {
    /// Makes a repository in an empty store: one key slot, then the configuration, which makes it one.
    pub fn init(backend: Arc<dyn Backend>, credential: &Credential, env: Env) -> Result<Self, RepoError> {
        Self::init_with(backend, credential, Features::default(), env)
    }

    /// The same with these features.
    pub fn init_with(
        backend: Arc<dyn Backend>,
        credential: &Credential,
        features: Features,
        env: Env,
    ) -> Result<Self, RepoError> {
        let root: Secret = Zeroizing::new(env.random());
        let keys = Arc::new(ring(root, features));
        let head = ConfigHead { features, repo: RepoId::new(env.random()) };
        let record = ConfigRecord {
            features: head.features,
            repo: *head.repo.as_bytes(),
            created: env.clock.now(),
            program: crate::PROGRAM.to_owned(),
        };
        let repository = Self {
            backend,
            keys,
            id: head.repo,
            created: record.created,
            features: head.features,
            are_features_bound: true,
            known_log: Arc::default(),
            made_last: Arc::default(),
            writers: Arc::default(),
            env,
        };
        // Left by an attempt that was cut off, or of somebody who does the same at this moment and will be refused.
        let others = if repository.backend.is_remote() { Vec::new() } else { repository.list(Kind::Keys)? };
        let slot = repository.put_slot(credential, "initial")?;
        let mut object = head.encode().to_vec();
        object.extend(repository.seal_record(SealedKind::Config, &record)?);
        if let Err(error) = repository.backend.put(&Key::Config, &object) {
            if error.is_exists() {
                repository.backend.delete(&Key::Slot(slot))?;
            }
            return Err(error.into());
        }
        let others: Vec<Key> = others.into_iter().map(|listed| listed.key).collect();
        repository.backend.delete_all(&others)?;
        Ok(repository)
    }

    /// Why there is no configuration: there is no repository, or it has lost it.
    fn without_config(backend: &dyn Backend, place: &str) -> RepoError {
        let has = |kind| backend.list(kind).is_ok_and(|listed| !listed.is_empty());
        if !has(Kind::Snapshots) && !has(Kind::Packs) {
            return RepoError::NoRepository { place: place.to_owned() };
        }
        let why = "it is missing, though there are packs or snapshots; `sfarc repair --from MIRROR` brings it back";
        RepoError::Damaged { object: Key::Config.to_string(), why: why.to_owned() }
    }

    /// Opens a repository. Refuses one whose format or features it does not know.
    pub fn open(
        backend: Arc<dyn Backend>,
        place: &str,
        credential: impl FnOnce() -> Result<Credential, RepoError>,
        env: Env,
    ) -> Result<Self, RepoError> {
        let object = backend.get(&Key::Config, None).map_err(|error| match error.is_not_found() {
            true => Self::without_config(&*backend, place),
            false => error.into(),
        })?;
        let head = ConfigHead::decode(&object).map_err(objects::format_error(Key::Config))?;
        head.features.unknown().require_read()?;
        let sealed = &object[ConfigHead::LEN..];
        let open_config = |keys: &KeyRing| objects::open_record(keys, SealedKind::Config, &Key::Config, sealed);
        let is_right = |keys: &KeyRing| open_config(keys).is_ok();
        let credential = credential()?;
        let (keys, are_features_bound) = match &credential {
            Credential::Role(key) => roles::ring(key, &head)?,
            credential => {
                let unlocked = keyslots::unlock(&*backend, &head, credential, is_right)?;
                (unlocked.keys, unlocked.binding == Binding::Features)
            }
        };
        let record: ConfigRecord = open_config(&keys)?;
        if record.features != head.features || record.repo != *head.repo.as_bytes() {
            let why = "its head was altered".to_owned();
            return Err(RepoError::Damaged { object: Key::Config.to_string(), why });
        }
        let repository = Self {
            backend,
            keys: Arc::new(keys),
            id: head.repo,
            created: record.created,
            features: head.features,
            are_features_bound,
            known_log: Arc::default(),
            made_last: Arc::default(),
            writers: Arc::default(),
            env,
        };
        repository.require_no_trace_of_roles()?;
        if let Credential::Identity { meant, .. } = credential {
            repository.require_meant(meant)?;
        }
        Ok(repository)
    }

    /// The same repository as another store shows it.
    #[must_use]
    pub fn on(&self, backend: Arc<dyn Backend>) -> Self {
        let (known_log, made_last, writers) = (Arc::default(), Arc::default(), Arc::default());
        Self { backend, known_log, made_last, writers, ..self.clone() }
    }

    /// The same repository as its store shows it, and no copy of what is in it.
    #[must_use]
    pub fn without_copies(&self) -> Self {
        self.backend.without_copies().map_or_else(|| self.clone(), |store| self.on(store))
    }

    /// Fails if this program may not add to the repository.
    pub fn require_write(&self) -> Result<(), RepoError> {
        self.features.unknown().require_write()
    }

    /// Fails if this program may not collect garbage in the repository.
    pub fn require_collect(&self) -> Result<(), RepoError> {
        self.features.unknown().require_collect()
    }

    /// Fails once a stop was asked for.
    pub fn check_cancel(&self) -> Result<(), RepoError> {
        if self.env.cancel.is_cancelled() { Err(RepoError::Cancelled) } else { Ok(()) }
    }

    /// Like `list`, but it may be as old as the opened store.
    pub fn list_lately(&self, kind: Kind) -> Result<Vec<crate::backend::Listed>, RepoError> {
        let mut listed = self.backend.list_lately(kind)?;
        listed.sort_by_key(|listed| listed.key);
        Ok(listed)
    }

    /// All objects of a kind with their lengths, in the order of their names.
    pub fn list(&self, kind: Kind) -> Result<Vec<crate::backend::Listed>, RepoError> {
        let mut listed = self.backend.list(kind)?;
        listed.sort_by_key(|listed| listed.key);
        Ok(listed)
    }
}

/// The keys of a repository with these features.
fn ring(root: Secret, features: Features) -> KeyRing {
    let cipher = preferred_cipher();
    if features.has_roles() { KeyRing::with_roles(Secrets::Root(root), cipher) } else { KeyRing::new(root, cipher) }
}
