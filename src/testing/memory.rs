//! A store in memory, stricter than real ones.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::backend::{Backend, BackendError, Cause, Hold, Key, Kind, Listed};
use crate::format::manifest::FenceRecord;
use crate::ids::{ObjectId, SessionId};

/// Objects in memory.
///
/// It refuses what no caller may do: bytes under a name that they do not hash to (but for fences), and session
/// objects that are put without being announced. It lists newest first, so that nobody relies on an order.
#[derive(Debug, Default)]
pub struct MemoryBackend {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Clone, Default)]
struct State {
    objects: BTreeMap<Key, Stored>,
    /// Counts what was stored; the time of this store.
    stored: i64,
    held: HashSet<SessionId>,
    /// Objects on bad sectors.
    unreadable: HashSet<Key>,
}

#[derive(Debug, Clone)]
struct Stored {
    bytes: Arc<[u8]>,
    modified: i64,
}

#[derive(Debug)]
struct MemoryHold {
    state: Arc<Mutex<State>>,
    session: SessionId,
}

impl Hold for MemoryHold {}

impl Drop for MemoryHold {
    fn drop(&mut self) {
        lock(&self.state).held.remove(&self.session);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(why: &str) -> Cause {
    Cause::Io(io::Error::new(io::ErrorKind::InvalidInput, why))
}

fn require_name(key: &Key, bytes: &[u8]) -> Result<(), Cause> {
    let is_fence = matches!(key, Key::Snapshot(_)) && bytes.len() as u64 == FenceRecord::STORED_LEN;
    if !is_fence && key.content_id().is_some_and(|id| ObjectId::of(bytes) != *id) {
        return Err(refused("the bytes do not hash to the name"));
    }
    Ok(())
}

impl State {
    fn put(&mut self, key: &Key, bytes: &[u8]) -> Result<(), Cause> {
        require_name(key, bytes)?;
        if self.objects.contains_key(key) {
            return Err(Cause::Exists);
        }
        self.set(key, bytes);
        Ok(())
    }

    fn set(&mut self, key: &Key, bytes: &[u8]) {
        self.stored += 1;
        self.unreadable.remove(key);
        self.objects.insert(*key, Stored { bytes: bytes.into(), modified: self.stored });
    }
}

impl MemoryBackend {
    /// A store of its own with the same objects, in which every session is dead: what a crash leaves.
    pub fn after_crash(&self) -> Self {
        let state = State { held: HashSet::new(), ..lock(&self.state).clone() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Lets every session look dead, though its writer may go on.
    pub fn kill_sessions(&self) {
        lock(&self.state).held.clear();
    }

    /// The names of all objects of a kind, in order.
    pub fn keys(&self, kind: Kind) -> Vec<Key> {
        lock(&self.state).objects.keys().filter(|key| key.kind() == kind).copied().collect()
    }

    /// The bytes of an object.
    pub fn bytes(&self, key: &Key) -> Option<Vec<u8>> {
        lock(&self.state).objects.get(key).map(|stored| stored.bytes.to_vec())
    }

    /// Lets every read of an object fail from now on, until it is put again: a bad sector.
    pub fn make_unreadable(&self, key: &Key) {
        lock(&self.state).unreadable.insert(*key);
    }

    /// Replaces the bytes of an object behind everybody's back, whatever its name says.
    pub fn tamper(&self, key: &Key, bytes: &[u8]) {
        lock(&self.state).set(key, bytes);
    }
}

fn slice(bytes: &[u8], range: Option<Range<u64>>) -> Result<Vec<u8>, Cause> {
    let Some(range) = range else {
        return Ok(bytes.to_vec());
    };
    let (Ok(start), Ok(end)) = (usize::try_from(range.start), usize::try_from(range.end)) else {
        return Err(Cause::TooShort);
    };
    bytes.get(start..end).map(<[u8]>::to_vec).ok_or(Cause::TooShort)
}

impl Backend for MemoryBackend {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        let put = match key {
            Key::Session(_) => Err(refused("a session is to be announced")),
            _ => lock(&self.state).put(key, bytes),
        };
        put.map_err(|cause| BackendError::new("write", key, cause))
    }

    fn replace(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        let allowed = match key {
            Key::Session(_) => Err(refused("a session is never replaced")),
            _ => require_name(key, bytes),
        };
        allowed.map_err(|cause| BackendError::new("replace", key, cause))?;
        lock(&self.state).set(key, bytes);
        Ok(())
    }

    fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Vec<u8>, BackendError> {
        let state = lock(&self.state);
        let stored = match state.objects.get(key) {
            Some(_) if state.unreadable.contains(key) => Err(Cause::Unreadable(io::Error::other("a bad sector"))),
            Some(stored) => Ok(Arc::clone(&stored.bytes)),
            None => Err(Cause::NotFound),
        };
        drop(state);
        let bytes = stored.and_then(|bytes| slice(&bytes, range));
        bytes.map_err(|cause| BackendError::new("read", key, cause))
    }

    fn len(&self, key: &Key) -> Result<u64, BackendError> {
        let len = lock(&self.state).objects.get(key).map(|stored| stored.bytes.len() as u64);
        len.ok_or_else(|| BackendError::new("look at", key, Cause::NotFound))
    }

    fn list(&self, kind: Kind) -> Result<Vec<Listed>, BackendError> {
        let state = lock(&self.state);
        let of_kind = state.objects.iter().filter(|(key, _)| key.kind() == kind);
        let listed = |(key, stored): (&Key, &Stored)| Listed {
            key: *key,
            len: stored.bytes.len() as u64,
            modified: stored.modified,
        };
        let mut listed: Vec<Listed> = of_kind.map(listed).collect();
        listed.sort_by_key(|listed| std::cmp::Reverse(listed.modified));
        Ok(listed)
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        let mut state = lock(&self.state);
        state.objects.remove(key);
        state.unreadable.remove(key);
        Ok(())
    }

    fn announce(&self, session: &SessionId, bytes: &[u8]) -> Result<Box<dyn Hold>, BackendError> {
        let key = Key::Session(*session);
        let mut state = lock(&self.state);
        state.put(&key, bytes).map_err(|cause| BackendError::new("write", key, cause))?;
        state.held.insert(*session);
        Ok(Box::new(MemoryHold { state: Arc::clone(&self.state), session: *session }))
    }

    fn is_held(&self, session: &SessionId) -> Result<bool, BackendError> {
        let state = lock(&self.state);
        Ok(state.held.contains(session) && state.objects.contains_key(&Key::Session(*session)))
    }

    fn sweep(&self) -> Result<usize, BackendError> {
        Ok(0)
    }
}
