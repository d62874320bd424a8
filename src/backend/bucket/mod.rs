//! A repository in a bucket: any store that the crate `object_store` speaks to.
//!
//! What a bucket must have is docs/gc-protocol.md's list: an acknowledged put is there and in every later listing, and a
//! put that may not replace is atomic. A request whose answer is lost is sent again; a put that finds its own bytes has
//! succeeded before. So that a put can be told from another's, all objects are sealed with fresh randomness or named by
//! their content.

mod ahead;
mod alive;
mod amend;
pub mod connect;
mod fresh;
mod gathers;
pub mod lock;
mod profile;
mod remove;
mod retry;
mod write;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::runtime::{Handle, Runtime};

use self::ahead::Ahead;
use self::alive::{Alive, Moment, SESSION_LIMIT};
use self::lock::Locks;
use self::retry::Retry;
use super::{Backend, BackendError, Cause, Hold, Key, Kind, Listed, layout};
use crate::ids::{ObjectId, SessionId};
use crate::limits;

type Outcome<T> = Result<T, object_store::Error>;

/// Objects that most stores list with one request.
const LISTED_AT_ONCE: usize = 1000;

/// What a bucket holds of what everybody asks for first.
pub(super) struct Survey {
    /// The configuration, the gc log, index runs and key slots.
    pub(super) listed: Vec<Listed>,
    /// All packs, if they came with it.
    pub(super) packs: Option<Vec<Listed>>,
}

/// Objects below a prefix of a bucket.
pub struct BucketBackend {
    bucket: Bucket,
    ahead: Ahead,
    session_limit: Duration,
    /// Drives the requests; the last thing that goes.
    runtime: Arc<Runtime>,
}

/// What requests need to know. Copies are of the same bucket.
#[derive(Clone)]
struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    retry: Retry,
    handle: Handle,
    /// How objects are locked, if they are.
    locks: Option<Locks>,
    /// How often the store has refused to remove an object.
    retained: Arc<AtomicU64>,
    moment: Arc<Moment>,
}

impl fmt::Debug for BucketBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketBackend").field("prefix", &self.bucket.prefix).finish_non_exhaustive()
    }
}

fn nanos(found: &ObjectMeta) -> i64 {
    found.last_modified.timestamp_nanos_opt().unwrap_or(i64::MAX)
}

fn failed(action: &'static str, object: impl ToString, error: object_store::Error) -> BackendError {
    let cause = match error {
        object_store::Error::NotFound { .. } => Cause::NotFound,
        object_store::Error::AlreadyExists { .. } => Cause::Exists,
        error => Cause::Store(Box::new(error)),
    };
    BackendError::new(action, object, cause)
}

impl Bucket {
    fn path(&self, key: &Key) -> Path {
        self.below(&layout::path(key))
    }

    fn below(&self, path: &str) -> Path {
        path.split('/').fold(self.prefix.clone(), |whole, part| whole.join(part))
    }

    /// The object at a path; nothing for names that no object has.
    fn listed(&self, found: &ObjectMeta) -> Option<Listed> {
        let parts: Vec<_> = found.location.prefix_match(&self.prefix)?.map(|part| part.as_ref().to_owned()).collect();
        let key = match &parts[..] {
            [name] => layout::parse(Kind::Config, name),
            [folder, name] => layout::parse(layout::kind_of(folder)?, name),
            _ => None,
        };
        Some(Listed { key: key?, len: found.size, modified: nanos(found) })
    }

    /// Does something that may be repeated until it is clear what came of it.
    fn run<T, F: Future<Output = Outcome<T>>>(&self, attempt: impl Fn() -> F) -> Outcome<T> {
        self.handle.block_on(self.retry.run(attempt))
    }

    /// Reads an object or a part of it; nothing of one that is larger than any may be.
    async fn read(&self, path: &Path, range: Option<GetRange>) -> Outcome<Option<Bytes>> {
        let found = self.store.get_opts(path, GetOptions { range, ..GetOptions::default() }).await?;
        if found.range.end - found.range.start > limits::OBJECT_MAX_BYTES {
            return Ok(None);
        }
        found.bytes().await.map(Some)
    }

    fn head(&self, key: &Key) -> Result<ObjectMeta, BackendError> {
        let path = self.path(key);
        self.run(|| self.store.head(&path)).map_err(|error| failed("look at", key, error))
    }

    /// Objects from behind a path on, in the order of their paths, while they are wanted: their paths and how many came
    /// before decide. Gives the path of the first that is not wanted, too.
    fn list_while(
        &self,
        folder: &Path,
        after: Option<&Path>,
        is_wanted: impl Fn(&Path, usize) -> bool,
    ) -> Outcome<(Vec<Listed>, Option<Path>)> {
        self.run(|| async {
            let mut found = match after {
                Some(after) => self.store.list_with_offset(Some(folder), after),
                None => self.store.list(Some(folder)),
            };
            let (mut listed, mut count) = (Vec::new(), 0);
            while let Some(found) = found.try_next().await? {
                if !is_wanted(&found.location, count) {
                    return Ok((listed, Some(found.location)));
                }
                listed.extend(self.listed(&found));
                count += 1;
            }
            Ok((listed, None))
        })
    }
}

impl BucketBackend {
    /// A repository below this prefix. Fails if no threads can be started.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path) -> std::io::Result<Self> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = Arc::new(runtime.worker_threads(1).thread_name("bucket").enable_all().build()?);
        let handle = runtime.handle().clone();
        let (retry, retained, moment) = (Retry::default(), Arc::default(), Arc::default());
        let bucket = Bucket { store, prefix, retry, handle, locks: None, retained, moment };
        Ok(Self { ahead: Ahead::new(bucket.clone()), bucket, session_limit: SESSION_LIMIT, runtime })
    }

    /// The same, with another idea of how long a live session may be silent.
    #[must_use]
    pub fn with_session_limit(self, session_limit: Duration) -> Self {
        Self { session_limit, ..self }
    }

    /// The same, locking what it puts.
    #[must_use]
    pub fn with_locks(mut self, locks: Option<Locks>) -> Self {
        self.bucket.locks = locks;
        self
    }

    /// The configuration, the gc log behind `after`, index runs, key slots and packs: one request, where there are not too
    /// many. Their folders come first in the order of names. Packs that would need a request more are left out.
    pub(super) fn survey(&self, after: Option<u64>) -> Result<Survey, BackendError> {
        let bucket = &self.bucket;
        let after = after.map(|epoch| bucket.path(&Key::Gc(epoch)));
        let packs = bucket.below(layout::folder(Kind::Packs));
        let is_wanted = |path: &Path, count| *path < packs || (count < LISTED_AT_ONCE && path.prefix_matches(&packs));
        let survey = bucket.list_while(&bucket.prefix, after.as_ref(), is_wanted);
        let (listed, next) = survey.map_err(|error| failed("list", &bucket.prefix, error))?;
        let (packs, others) = listed.into_iter().partition(|listed| listed.key.kind() == Kind::Packs);
        let has_all = next.is_none_or(|next| next >= bucket.below(layout::folder(Kind::Sessions)));
        Ok(Survey { listed: others, packs: has_all.then_some(packs) })
    }

    /// Records of the gc log behind an epoch.
    pub(super) fn list_gc_after(&self, epoch: u64) -> Result<Vec<Listed>, BackendError> {
        self.list_folder(Kind::Gc, Some(&self.bucket.path(&Key::Gc(epoch))))
    }

    fn list_folder(&self, kind: Kind, after: Option<&Path>) -> Result<Vec<Listed>, BackendError> {
        let folder = self.bucket.below(layout::folder(kind));
        let listed = self.bucket.list_while(&folder, after, |_, _| true);
        listed.map(|(listed, _)| listed).map_err(|error| failed("list", &folder, error))
    }

    fn read_range(&self, key: &Key, range: Range<u64>) -> Result<Vec<u8>, BackendError> {
        let wrong = |cause| Err(BackendError::new("read", key, cause));
        let wanted = range.end.saturating_sub(range.start);
        if wanted > limits::OBJECT_MAX_BYTES {
            return wrong(Cause::TooLong);
        }
        // No store gives an empty range, and each refuses one behind the end in its own way.
        let is_within = || Ok::<_, BackendError>(range.end <= self.bucket.head(key)?.size);
        if wanted == 0 {
            return if is_within()? { Ok(Vec::new()) } else { wrong(Cause::TooShort) };
        }
        let path = self.bucket.path(key);
        match self.bucket.run(|| self.bucket.read(&path, Some(GetRange::Bounded(range.clone())))) {
            Ok(Some(bytes)) if bytes.len() as u64 == wanted => Ok(bytes.into()),
            Ok(_) => wrong(Cause::TooShort),
            Err(error) if !matches!(error, object_store::Error::NotFound { .. }) && !is_within()? => {
                wrong(Cause::TooShort)
            }
            Err(error) => Err(failed("read", key, error)),
        }
    }
}

impl Backend for BucketBackend {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        self.bucket.put(key, &Bytes::copy_from_slice(bytes))
    }

    fn put_buffer(&self, key: &Key, bytes: Vec<u8>) -> Result<Vec<u8>, BackendError> {
        let bytes = Bytes::from(bytes);
        self.bucket.put(key, &bytes)?;
        Ok(bytes.into())
    }

    fn replace(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        self.bucket.replace(key, &Bytes::copy_from_slice(bytes))?;
        if let Key::Pack(pack) = key {
            self.ahead.forget(pack);
        }
        Ok(())
    }

    fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Vec<u8>, BackendError> {
        let Some(range) = range else {
            let path = self.bucket.path(key);
            let read = self.bucket.run(|| self.bucket.read(&path, None)).map_err(|error| failed("read", key, error))?;
            let too_long = || BackendError::new("read", key, Cause::TooLong);
            return read.map(Vec::from).ok_or_else(too_long);
        };
        if let Key::Pack(pack) = key
            && let Some(bytes) = self.ahead.get(pack, &range)
        {
            return Ok(bytes);
        }
        self.read_range(key, range)
    }

    fn get_parts(&self, key: &Key, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>, BackendError> {
        // Requests wait for their answers, not for each other.
        std::thread::scope(|scope| {
            let read = |range: &Range<u64>| self.get(key, Some(range.clone()));
            let threads: Vec<_> = ranges.iter().skip(1).map(|range| scope.spawn(move || read(range))).collect();
            let first = ranges.first().map(read);
            let rest = threads.into_iter().map(|thread| thread.join().expect("reading does not panic"));
            first.into_iter().chain(rest).collect()
        })
    }

    fn len(&self, key: &Key) -> Result<u64, BackendError> {
        Ok(self.bucket.head(key)?.size)
    }

    fn list(&self, kind: Kind) -> Result<Vec<Listed>, BackendError> {
        if kind == Kind::Sessions {
            // Whoever asks which of them are alive asks about now.
            self.bucket.moment.forget();
        }
        if kind != Kind::Config {
            return self.list_folder(kind, None);
        }
        match self.bucket.head(&Key::Config) {
            Ok(found) => Ok(vec![Listed { key: Key::Config, len: found.size, modified: nanos(&found) }]),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.delete_all(&[*key]).map(drop)
    }

    fn delete_all(&self, keys: &[Key]) -> Result<Vec<Key>, BackendError> {
        let signal = |key: &Key| match key {
            Key::Session(session) => Some(alive::signal(&self.bucket, session)),
            _ => None,
        };
        let paths: Vec<Path> =
            keys.iter().flat_map(|key| [Some(self.bucket.path(key)), signal(key)]).flatten().collect();
        let what = || match keys {
            [key] => key.to_string(),
            _ => format!("{} objects, {} and others", keys.len(), keys.first().map(Key::to_string).unwrap_or_default()),
        };
        let failed = |error| failed("remove", what(), error);
        let refused = self.bucket.delete(&paths).map_err(failed)?;
        let mut retained = Vec::new();
        let named: HashMap<Path, &Key> = keys.iter().map(|key| (self.bucket.path(key), key)).collect();
        for (path, error) in refused {
            // That somebody was alive is no object.
            let Some(&key) = named.get(&path) else { continue };
            if key.kind() == Kind::Keys {
                return Err(failed(error));
            }
            retained.push(*key);
        }
        self.bucket.retained.fetch_add(retained.len() as u64, Ordering::Relaxed);
        Ok(retained)
    }

    fn retained(&self) -> u64 {
        self.bucket.retained.load(Ordering::Relaxed)
    }

    fn lock_period(&self) -> Option<Duration> {
        Some(self.bucket.locks.as_ref()?.period())
    }

    fn extend_locks(&self, keys: &[Key]) -> Result<u64, BackendError> {
        let Some(locks) = &self.bucket.locks else { return Ok(0) };
        let paths: Vec<Path> = keys.iter().map(|key| self.bucket.path(key)).collect();
        let what =
            || format!("{} objects, {} and others", keys.len(), keys.first().map_or(String::new(), Key::to_string));
        self.bucket.extend(locks, &paths).map_err(|error| failed("lock anew", what(), error))
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn expect(&self, pack: &ObjectId) {
        self.ahead.expect(pack);
    }

    fn expect_no_more(&self) {
        self.ahead.clear();
    }

    fn announce(&self, session: &SessionId, bytes: &[u8]) -> Result<Box<dyn Hold>, BackendError> {
        self.put(&Key::Session(*session), bytes)?;
        Ok(Box::new(Alive::begin(&self.bucket, Arc::clone(&self.runtime), session)))
    }

    fn is_held(&self, session: &SessionId) -> Result<bool, BackendError> {
        let held = alive::is_held(&self.bucket, session, self.session_limit);
        held.map_err(|error| failed("look at", Key::Session(*session), error))
    }

    fn sweep(&self) -> Result<usize, BackendError> {
        // A put is whole or not there.
        alive::sweep(&self.bucket).map_err(|error| failed("clear", layout::folder(Kind::Sessions), error))
    }
}
