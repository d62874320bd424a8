//! What a store would be if things were put and removed: for saying what would be done without doing it.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::folder::FolderBackend;
use super::{Backend, BackendError, Cause, Hold, Key, Kind, Listed};
use crate::ids::SessionId;
use crate::sync::{Mutex, locked};

/// A store that is only read, and what was changed since.
#[derive(Debug)]
pub struct Overlay {
    below: Arc<dyn Backend>,
    /// Where what is put is kept until the end: sealed objects in a folder for temporary files.
    scratch: FolderBackend,
    _folder: tempfile::TempDir,
    changes: Mutex<Changes>,
}

#[derive(Debug, Default)]
struct Changes {
    /// What is in the folder, with its length.
    put: BTreeMap<Key, u64>,
    /// What another store has, with its length there.
    lent: BTreeMap<Key, (Arc<dyn Backend>, u64)>,
    removed: HashSet<Key>,
}

/// Where an object is.
enum Place {
    Below,
    Scratch,
    Lent(Arc<dyn Backend>),
    Nowhere,
}

impl Overlay {
    /// Nothing is changed yet.
    pub fn new(below: Arc<dyn Backend>) -> Result<Self, BackendError> {
        let failed = |error| BackendError::new("make", "a folder for temporary files", Cause::Io(error));
        let folder = tempfile::tempdir().map_err(failed)?;
        let scratch = FolderBackend::create(&folder.path().join("scratch"))?;
        Ok(Self { below, scratch, _folder: folder, changes: Mutex::default() })
    }

    /// Lets the store have an object of another one, which stays there.
    pub fn lend(&self, key: &Key, of: &Arc<dyn Backend>) -> Result<(), BackendError> {
        let len = of.len(key)?;
        let mut changes = locked(&self.changes);
        changes.put.remove(key);
        changes.removed.remove(key);
        changes.lent.insert(*key, (Arc::clone(of), len));
        Ok(())
    }

    fn place(&self, key: &Key) -> Place {
        let changes = locked(&self.changes);
        if let Some((of, _)) = changes.lent.get(key) {
            Place::Lent(Arc::clone(of))
        } else if changes.put.contains_key(key) {
            Place::Scratch
        } else if changes.removed.contains(key) {
            Place::Nowhere
        } else {
            Place::Below
        }
    }

    fn with<T>(
        &self,
        action: &'static str,
        key: &Key,
        call: impl FnOnce(&dyn Backend) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        match self.place(key) {
            Place::Below => call(&*self.below),
            Place::Scratch => call(&self.scratch),
            Place::Lent(of) => call(&*of),
            Place::Nowhere => Err(BackendError::new(action, key, Cause::NotFound)),
        }
    }
}

impl Backend for Overlay {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        match self.len(key) {
            Ok(_) => Err(BackendError::new("write", key, Cause::Exists)),
            Err(error) if error.is_not_found() => self.replace(key, bytes),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        self.scratch.delete(key)?;
        self.scratch.put(key, bytes)?;
        let mut changes = locked(&self.changes);
        changes.lent.remove(key);
        changes.removed.remove(key);
        changes.put.insert(*key, bytes.len() as u64);
        Ok(())
    }

    fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Vec<u8>, BackendError> {
        self.with("read", key, |store| store.get(key, range))
    }

    fn get_parts(&self, key: &Key, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>, BackendError> {
        self.with("read", key, |store| store.get_parts(key, ranges))
    }

    fn len(&self, key: &Key) -> Result<u64, BackendError> {
        self.with("look at", key, |store| store.len(key))
    }

    fn list(&self, kind: Kind) -> Result<Vec<Listed>, BackendError> {
        let mut listed = self.below.list(kind)?;
        let changes = locked(&self.changes);
        let lent = changes.lent.iter().map(|(key, (_, len))| (key, len));
        let added: BTreeMap<Key, u64> = changes.put.iter().chain(lent).map(|(key, len)| (*key, *len)).collect();
        listed.retain(|listed| !changes.removed.contains(&listed.key) && !added.contains_key(&listed.key));
        let added = added.into_iter().filter(|(key, _)| key.kind() == kind);
        listed.extend(added.map(|(key, len)| Listed { key, len, modified: i64::MAX }));
        Ok(listed)
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        let mut changes = locked(&self.changes);
        changes.lent.remove(key);
        if changes.put.remove(key).is_some() {
            self.scratch.delete(key)?;
        }
        changes.removed.insert(*key);
        Ok(())
    }

    fn is_remote(&self) -> bool {
        self.below.is_remote()
    }

    fn announce(&self, session: &SessionId, _: &[u8]) -> Result<Box<dyn Hold>, BackendError> {
        let why = io::Error::new(io::ErrorKind::PermissionDenied, "nothing is done, only said");
        Err(BackendError::new("write", Key::Session(*session), Cause::Io(why)))
    }

    fn is_held(&self, session: &SessionId) -> Result<bool, BackendError> {
        self.below.is_held(session)
    }

    fn sweep(&self) -> Result<usize, BackendError> {
        Ok(0)
    }
}
