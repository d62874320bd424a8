//! A store that fails as it is told to.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::recording::{Call, Operation};
use crate::backend::{Backend, BackendError, Cause, Hold, Key, Kind, Listed};
use crate::ids::SessionId;

/// What goes wrong. Operations are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing; operations are only counted.
    None,
    /// One operation fails. If it `lands`, it is done all the same and only its answer is lost.
    Once {
        /// Which.
        at: u64,
        /// Whether it is done.
        lands: bool,
    },
    /// This operation and all later ones fail, as if the power went off; the first may still be done.
    Crash {
        /// Which is the first.
        at: u64,
        /// Whether the first is done.
        lands: bool,
    },
    /// Every read of this kind of object gives one bit wrong.
    Flip {
        /// The kind.
        kind: Kind,
        /// The bit, counted from the first byte read and taken modulo the length.
        bit: usize,
    },
}

/// What happens to one operation.
enum Fate {
    Done,
    Lost,
    AnswerLost,
}

type Hook = Box<dyn FnOnce() + Send>;

/// Something that happens just before the first call that a test waits for.
struct Ambush {
    waits_for: Box<dyn Fn(&Call) -> bool + Send>,
    hook: Hook,
}

/// Passes everything on, but for what its fault says.
pub struct FaultyBackend {
    inner: Arc<dyn Backend>,
    fault: Fault,
    operations: AtomicU64,
    ambush: Mutex<Option<Ambush>>,
}

impl fmt::Debug for FaultyBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyBackend").field("fault", &self.fault).finish_non_exhaustive()
    }
}

impl FaultyBackend {
    /// Lets operations on `inner` fail.
    pub fn new(inner: Arc<dyn Backend>, fault: Fault) -> Self {
        Self { inner, fault, operations: AtomicU64::new(0), ambush: Mutex::new(None) }
    }

    /// How many operations were asked for.
    pub fn operations(&self) -> u64 {
        self.operations.load(Ordering::SeqCst)
    }

    /// Runs `hook` once, just before the first call that `waits_for` accepts: another actor that is that quick.
    pub fn ambush(&self, waits_for: impl Fn(&Call) -> bool + Send + 'static, hook: impl FnOnce() + Send + 'static) {
        let ambush = Ambush { waits_for: Box::new(waits_for), hook: Box::new(hook) };
        *self.ambush.lock().unwrap_or_else(PoisonError::into_inner) = Some(ambush);
    }

    fn spring(&self, call: &Call) {
        let mut slot = self.ambush.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = slot.take_if(|ambush| (ambush.waits_for)(call));
        drop(slot);
        if let Some(ambush) = taken {
            (ambush.hook)();
        }
    }

    fn fate(&self) -> Fate {
        let number = self.operations.fetch_add(1, Ordering::SeqCst) + 1;
        match self.fault {
            Fault::Once { at, lands } | Fault::Crash { at, lands } if number == at => {
                if lands {
                    Fate::AnswerLost
                } else {
                    Fate::Lost
                }
            }
            Fault::Crash { at, .. } if number > at => Fate::Lost,
            _ => Fate::Done,
        }
    }

    fn run<T>(
        &self,
        call: &Call,
        object: impl ToString,
        operation: impl FnOnce() -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        self.spring(call);
        let broken = || BackendError::new("reach", object.to_string(), Cause::Io(io::Error::other("injected fault")));
        match self.fate() {
            Fate::Done => operation(),
            Fate::Lost => Err(broken()),
            Fate::AnswerLost => operation().and_then(|_| Err(broken())),
        }
    }

    fn flip(&self, key: &Key, mut bytes: Vec<u8>) -> Vec<u8> {
        if let Fault::Flip { kind, bit } = self.fault
            && kind == key.kind()
            && !bytes.is_empty()
        {
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        bytes
    }
}

impl Backend for FaultyBackend {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        self.run(&Call::on(Operation::Put, key), key, || self.inner.put(key, bytes))
    }

    fn replace(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        self.run(&Call::on(Operation::Replace, key), key, || self.inner.replace(key, bytes))
    }

    fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Vec<u8>, BackendError> {
        let bytes = self.run(&Call::on(Operation::Get, key), key, || self.inner.get(key, range))?;
        Ok(self.flip(key, bytes))
    }

    fn len(&self, key: &Key) -> Result<u64, BackendError> {
        self.run(&Call::on(Operation::Len, key), key, || self.inner.len(key))
    }

    fn list(&self, kind: Kind) -> Result<Vec<Listed>, BackendError> {
        self.run(&Call::list(kind), format!("{kind:?}"), || self.inner.list(kind))
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.run(&Call::on(Operation::Delete, key), key, || self.inner.delete(key))
    }

    fn announce(&self, session: &SessionId, bytes: &[u8]) -> Result<Box<dyn Hold>, BackendError> {
        let key = Key::Session(*session);
        self.run(&Call::on(Operation::Announce, &key), key, || self.inner.announce(session, bytes))
    }

    fn is_held(&self, session: &SessionId) -> Result<bool, BackendError> {
        let key = Key::Session(*session);
        self.run(&Call::on(Operation::IsHeld, &key), key, || self.inner.is_held(session))
    }

    fn sweep(&self) -> Result<usize, BackendError> {
        self.run(&Call::sweep(), "the store", || self.inner.sweep())
    }
}
