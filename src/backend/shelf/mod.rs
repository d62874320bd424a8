//! A shelf: copies of what a bucket holds that is small, asked for again and again, and never changes. Objects are
//! copied as they are, sealed; whoever finds the shelf learns what whoever finds the bucket learns, and less.
//!
//! What is *there* only the bucket says: whether a snapshot exists, which index runs, how far the gc log goes. All of
//! that is learnt with one request when the shelf is opened (the survey). A bucket whose history is another than that of
//! the shelf (another repository at the same place, or an older copy of it put back) is noticed by the last gc record,
//! or the configuration, having another time; then the shelf is emptied.

mod copies;
mod files;
mod gather;
mod gathers;

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use self::copies::Copies;
use self::files::Files;
use super::bucket::BucketBackend;
use super::{Backend, BackendError, Cause, Hold, Key, Kind, Listed};
use crate::ids::{ObjectId, SessionId};

/// A bucket with copies of some of its objects.
#[derive(Debug)]
pub struct Shelf {
    bucket: Arc<BucketBackend>,
    files: Files,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The gc log as far as there are copies.
    log: Vec<Listed>,
    /// What else there was when it was last looked at: at first all that the survey told, but for packs.
    lately: Vec<Listed>,
    /// The packs that the survey told of, if it told of all, until somebody asks: later they are listed.
    packs: Option<Vec<Listed>>,
    /// When the store has stored what was listed.
    times: HashMap<Key, i64>,
}

/// Why there is no shelf.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// The bucket cannot be read.
    #[error(transparent)]
    Bucket(#[from] BackendError),
    /// The folder cannot be used; the bucket is given back.
    #[error("{folder} cannot be used")]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
        /// What would have been kept there.
        bucket: Box<BucketBackend>,
    },
}

impl Shelf {
    /// A shelf for the repository at `place`, in a folder of its own below `root`. Keeps about `limit` bytes.
    pub fn open(bucket: BucketBackend, root: &Path, place: &str, limit: u64) -> Result<Self, ShelfError> {
        let folder = folder_of(root, place);
        let files = match Files::open(folder.clone(), limit) {
            Ok(files) => files,
            Err(error) => return Err(ShelfError::Folder { folder, error, bucket: Box::new(bucket) }),
        };
        let mut log = files.gc_log();
        let mut survey = bucket.survey(log.last().map(epoch_before))?;
        if !is_of(&files, &log, &survey.listed) {
            files.clear();
            if !log.is_empty() {
                survey = bucket.survey(None)?;
            }
            log.clear();
        }
        let times = survey.listed.iter().map(|listed| (listed.key, listed.modified)).collect();
        let state = State { log, lately: survey.listed, packs: survey.packs, times };
        Ok(Self { bucket: Arc::new(bucket), files, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads an object and keeps a copy, if its bytes are what its name says.
    fn fetch(&self, key: &Key) -> Result<Vec<u8>, BackendError> {
        let bytes = self.bucket.get(key, None)?;
        self.keep(key, &bytes);
        Ok(bytes)
    }

    fn keep(&self, key: &Key, bytes: &[u8]) {
        if key.content_id().is_some_and(|id| ObjectId::of(bytes) != *id) {
            return;
        }
        let mut state = self.state();
        let modified = state.times.get(key).copied();
        // What has no content to go by must have a time.
        let Some(modified) = modified.or_else(|| key.content_id().map(|_| 0)) else { return };
        self.files.keep(key, bytes, modified);
        if *key == Key::Gc(state.log.len() as u64 + 1) {
            state.log.push(Listed { key: *key, len: bytes.len() as u64, modified });
        }
    }

    /// Forgets all that is known of an object: its copy, its length and its time.
    fn forget(&self, key: &Key) {
        let mut state = self.state();
        self.files.remove(key);
        state.times.remove(key);
        state.lately.retain(|known| known.key != *key);
        if let Some(place) = state.log.iter().position(|known| known.key == *key) {
            // Copies of the gc log have no gap.
            state.log.truncate(place);
        }
    }

    /// The gc log: what there are copies of, and what has come since. The last copy must be there still, as it was:
    /// otherwise this is another log, and no copy counts.
    fn list_gc(&self) -> Result<Vec<Listed>, BackendError> {
        let mut log = self.state().log.clone();
        let Some(last) = log.pop() else { return self.bucket.list(Kind::Gc) };
        let since = self.bucket.list_gc_after(epoch_before(&last))?;
        if !since.contains(&last) {
            return self.bucket.list(Kind::Gc);
        }
        log.extend(since);
        Ok(log)
    }

    /// Removes copies of what is not there any more.
    fn tidy(&self, kind: Kind, listed: &[Listed]) {
        let there: HashSet<Key> = listed.iter().map(|listed| listed.key).collect();
        let gone = self.files.list(kind).into_iter().filter(|key| !there.contains(key));
        gone.for_each(|key| self.files.remove(&key));
    }
}

/// The folder for copies of the repository at `place`.
fn folder_of(root: &Path, place: &str) -> PathBuf {
    root.join(&blake3::hash(place.as_bytes()).to_hex()[..16])
}

/// The epoch before that of a gc record.
fn epoch_before(record: &Listed) -> u64 {
    match record.key {
        Key::Gc(epoch) => epoch - 1,
        _ => 0,
    }
}

/// True if the copies are of the repository that was surveyed.
fn is_of(files: &Files, log: &[Listed], survey: &[Listed]) -> bool {
    let config = || {
        let copy = files.read(&Key::Config, None)?;
        Some(Listed { key: Key::Config, len: copy.bytes.len() as u64, modified: copy.modified })
    };
    log.last().copied().or_else(config).is_some_and(|known| survey.contains(&known))
}

impl Backend for Shelf {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        self.bucket.put(key, bytes)?;
        if matches!(key.kind(), Kind::Indexes | Kind::Snapshots) {
            self.keep(key, bytes);
        }
        if matches!(key.kind(), Kind::Indexes | Kind::Keys) {
            self.state().lately.push(Listed { key: *key, len: bytes.len() as u64, modified: 0 });
        }
        Ok(())
    }

    fn put_buffer(&self, key: &Key, bytes: Vec<u8>) -> Result<Vec<u8>, BackendError> {
        self.bucket.put_buffer(key, bytes)
    }

    fn replace(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        self.bucket.replace(key, bytes)?;
        self.forget(key);
        if matches!(key.kind(), Kind::Indexes | Kind::Keys) {
            self.state().lately.push(Listed { key: *key, len: bytes.len() as u64, modified: 0 });
        }
        Ok(())
    }

    fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Vec<u8>, BackendError> {
        if !Files::keeps(key.kind()) {
            return self.bucket.get(key, range);
        }
        if let Some(copy) = self.files.read(key, range.clone()) {
            return Ok(copy.bytes);
        }
        let bytes = self.fetch(key)?;
        let Some(range) = range else { return Ok(bytes) };
        let part = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let part = part.and_then(|(start, end)| bytes.get(start..end));
        part.map(<[u8]>::to_vec).ok_or_else(|| BackendError::new("read", key, Cause::TooShort))
    }

    fn get_parts(&self, key: &Key, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>, BackendError> {
        if !Files::keeps(key.kind()) {
            return self.bucket.get_parts(key, ranges);
        }
        ranges.iter().map(|range| self.get(key, Some(range.clone()))).collect()
    }

    fn drop_copy(&self, key: &Key) -> bool {
        let has = self.files.has(key);
        self.files.remove(key);
        has
    }

    fn len(&self, key: &Key) -> Result<u64, BackendError> {
        self.bucket.len(key)
    }

    fn list(&self, kind: Kind) -> Result<Vec<Listed>, BackendError> {
        let listed = if kind == Kind::Gc { self.list_gc()? } else { self.bucket.list(kind)? };
        let mut state = self.state();
        state.lately.retain(|known| known.key.kind() != kind);
        if matches!(kind, Kind::Gc | Kind::Indexes | Kind::Keys) {
            state.lately.extend(&listed);
        }
        drop(state);
        match kind {
            Kind::Gc => self.state().times.extend(listed.iter().map(|listed| (listed.key, listed.modified))),
            Kind::Indexes | Kind::Snapshots | Kind::Keys => self.tidy(kind, &listed),
            Kind::Config | Kind::Packs | Kind::Sessions | Kind::Writers => {}
        }
        Ok(listed)
    }

    fn list_lately(&self, kind: Kind) -> Result<Vec<Listed>, BackendError> {
        let surveyed = if kind == Kind::Packs { self.state().packs.take() } else { None };
        if let Some(packs) = surveyed {
            return Ok(packs);
        }
        if !matches!(kind, Kind::Config | Kind::Gc | Kind::Indexes | Kind::Keys) {
            return self.list(kind);
        }
        let state = self.state();
        let copied = if kind == Kind::Gc { &state.log[..] } else { &[] };
        let is_copied: HashSet<Key> = copied.iter().map(|listed| listed.key).collect();
        let others = state.lately.iter().filter(|known| known.key.kind() == kind && !is_copied.contains(&known.key));
        Ok(copied.iter().chain(others).copied().collect())
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.delete_all(&[*key]).map(drop)
    }

    fn delete_all(&self, keys: &[Key]) -> Result<Vec<Key>, BackendError> {
        let retained = self.bucket.delete_all(keys)?;
        let gone: HashSet<Key> = keys.iter().filter(|key| !retained.contains(key)).copied().collect();
        gone.iter().for_each(|key| self.files.remove(key));
        self.state().lately.retain(|known| !gone.contains(&known.key));
        Ok(retained)
    }

    fn retained(&self) -> u64 {
        self.bucket.retained()
    }

    fn lock_period(&self) -> Option<Duration> {
        self.bucket.lock_period()
    }

    fn extend_locks(&self, keys: &[Key]) -> Result<u64, BackendError> {
        self.bucket.extend_locks(keys)
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn without_copies(&self) -> Option<Arc<dyn Backend>> {
        Some(Arc::clone(&self.bucket) as _)
    }

    fn expect(&self, pack: &ObjectId) {
        self.bucket.expect(pack);
    }

    fn expect_no_more(&self) {
        self.bucket.expect_no_more();
    }

    fn expect_all(&self, keys: &[Key]) {
        self.take_from_gathers(keys);
    }

    fn gather(&self, keys: &[Key]) -> Result<(), BackendError> {
        self.make_gathers(keys)
    }

    fn announce(&self, session: &SessionId, bytes: &[u8]) -> Result<Box<dyn Hold>, BackendError> {
        self.bucket.announce(session, bytes)
    }

    fn is_held(&self, session: &SessionId) -> Result<bool, BackendError> {
        self.bucket.is_held(session)
    }

    fn sweep(&self) -> Result<usize, BackendError> {
        self.bucket.sweep()
    }
}
