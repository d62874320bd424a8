//! The stores of a history: where the repository is, and how it is harmed.

use std::sync::Arc;
use std::time::Duration;

use sfarc::backend::folder::FolderBackend;
use sfarc::backend::{Backend, Key, Kind};
use sfarc::testing::bucket::{Options, Server};
use sfarc::testing::memory::MemoryBackend;

use crate::buckets;

/// What kind of repository it is, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    Plain,
    HiddenSizes,
    Roles,
    Folder,
    Bucket,
    /// A bucket that lets nothing be removed that was put less than some days ago.
    LockedBucket,
}

/// The prefix of the repository in its bucket.
const PREFIX: &str = "repo";

/// A store with its means to harm it.
pub(super) struct Store {
    pub(super) backend: Arc<dyn Backend>,
    memory: Option<Arc<MemoryBackend>>,
    /// What keeps it: a folder, or a server.
    keeper: Option<Keeper>,
}

enum Keeper {
    Folder(#[allow(dead_code, reason = "removed when it is dropped")] tempfile::TempDir),
    Server(Server),
}

impl Store {
    pub(super) fn new(setting: Setting) -> Self {
        match setting {
            Setting::Folder => {
                let folder = tempfile::tempdir().expect("a folder");
                let backend = FolderBackend::create(&folder.path().join("repo")).expect("made");
                Self { backend: Arc::new(backend), memory: None, keeper: Some(Keeper::Folder(folder)) }
            }
            Setting::Bucket => Self::in_bucket(Options::default()),
            Setting::LockedBucket => {
                let default_lock = Duration::from_secs(3 * 24 * 3600);
                Self::in_bucket(Options { object_lock: true, default_lock, ..Options::default() })
            }
            Setting::Plain | Setting::HiddenSizes | Setting::Roles => {
                let memory = Arc::new(MemoryBackend::default());
                Self { backend: Arc::clone(&memory) as _, memory: Some(memory), keeper: None }
            }
        }
    }

    fn in_bucket(options: Options) -> Self {
        let server = Server::start(options).expect("a server");
        let backend = buckets::bucket(&server, PREFIX);
        Self { backend: Arc::new(backend), memory: None, keeper: Some(Keeper::Server(server)) }
    }

    /// The names of all objects of a kind, in order.
    pub(super) fn keys(&self, kind: Kind) -> Vec<Key> {
        let mut keys: Vec<Key> = self.backend.list(kind).expect("listed").iter().map(|listed| listed.key).collect();
        keys.sort_unstable();
        keys
    }

    pub(super) fn bytes(&self, key: &Key) -> Option<Vec<u8>> {
        self.backend.get(key, None).ok()
    }

    /// Puts bytes under a name, whatever it says.
    pub(super) fn tamper(&self, key: &Key, bytes: &[u8]) {
        match (&self.memory, &self.keeper) {
            (Some(memory), _) => memory.tamper(key, bytes),
            (None, Some(Keeper::Server(server))) => server.overwrite(&name(key), bytes),
            (None, _) => self.backend.replace(key, bytes).expect("replaced"),
        }
    }

    /// Lets reads of an object fail; where that cannot be done, takes it away.
    pub(super) fn hide(&self, key: &Key) {
        match &self.memory {
            Some(memory) => memory.make_unreadable(key),
            None => self.lose(key),
        }
    }

    pub(super) fn lose(&self, key: &Key) {
        match &self.keeper {
            Some(Keeper::Server(server)) => server.lose(&name(key)),
            _ => self.backend.delete(key).expect("removed"),
        }
    }

    /// Whoever was at work is dead, and so long that everybody can tell. Locks of files end with their holders.
    pub(super) fn end_sessions(&self) {
        if let Some(memory) = &self.memory {
            memory.kill_sessions();
        }
        if let Some(Keeper::Server(server)) = &self.keeper {
            server.advance(Duration::from_secs(8 * 3600));
        }
    }
}

/// What an object is called in the bucket.
fn name(key: &Key) -> String {
    format!("{PREFIX}/{key}")
}
