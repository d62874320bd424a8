//! A store that writes down what is asked of another.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::backend::{Backend, BackendError, Hold, Key, Kind, Listed};
use crate::ids::SessionId;

/// What can be asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// `put`
    Put,
    /// `replace`
    Replace,
    /// `get`
    Get,
    /// `len`
    Len,
    /// `list`
    List,
    /// `delete`
    Delete,
    /// `announce`
    Announce,
    /// `is_held`
    IsHeld,
    /// `sweep`
    Sweep,
}

/// One call: what was asked, and of which object. `list` has a kind only, `sweep` neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// What was asked.
    pub operation: Operation,
    /// The kind of the object.
    pub kind: Option<Kind>,
    /// The object.
    pub key: Option<Key>,
}

impl Call {
    pub(super) fn on(operation: Operation, key: &Key) -> Self {
        Self { operation, kind: Some(key.kind()), key: Some(*key) }
    }

    pub(super) const fn list(kind: Kind) -> Self {
        Self { operation: Operation::List, kind: Some(kind), key: None }
    }

    pub(super) const fn sweep() -> Self {
        Self { operation: Operation::Sweep, kind: None, key: None }
    }
}

/// Passes everything on and remembers it.
#[derive(Debug)]
pub struct RecordingBackend {
    inner: Arc<dyn Backend>,
    calls: Mutex<Vec<Call>>,
}

impl RecordingBackend {
    /// Records the calls to `inner`.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self { inner, calls: Mutex::new(Vec::new()) }
    }

    /// The calls since the last time this was asked.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, call: Call) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

/// How many calls ask this of objects of that kind.
pub fn count(calls: &[Call], operation: Operation, kind: Kind) -> usize {
    calls.iter().filter(|call| call.operation == operation && call.kind == Some(kind)).count()
}

impl Backend for RecordingBackend {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        self.note(Call::on(Operation::Put, key));
        self.inner.put(key, bytes)
    }

    fn replace(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        self.note(Call::on(Operation::Replace, key));
        self.inner.replace(key, bytes)
    }

    fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Vec<u8>, BackendError> {
        self.note(Call::on(Operation::Get, key));
        self.inner.get(key, range)
    }

    fn len(&self, key: &Key) -> Result<u64, BackendError> {
        self.note(Call::on(Operation::Len, key));
        self.inner.len(key)
    }

    fn list(&self, kind: Kind) -> Result<Vec<Listed>, BackendError> {
        self.note(Call::list(kind));
        self.inner.list(kind)
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.note(Call::on(Operation::Delete, key));
        self.inner.delete(key)
    }

    fn announce(&self, session: &SessionId, bytes: &[u8]) -> Result<Box<dyn Hold>, BackendError> {
        self.note(Call::on(Operation::Announce, &Key::Session(*session)));
        self.inner.announce(session, bytes)
    }

    fn is_held(&self, session: &SessionId) -> Result<bool, BackendError> {
        self.note(Call::on(Operation::IsHeld, &Key::Session(*session)));
        self.inner.is_held(session)
    }

    fn sweep(&self) -> Result<usize, BackendError> {
        self.note(Call::sweep());
        self.inner.sweep()
    }
}
