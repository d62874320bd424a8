//! A store that takes its time, stops for a while, or fails once.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::backend::{Backend, BackendError, Cause, Hold, Key, Kind, Listed};
use crate::ids::SessionId;

/// How a store takes packs. They are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// At once.
    Fast,
    /// Each takes this long.
    Slow(Duration),
    /// One takes this long.
    Stalls {
        /// Which.
        pack: u64,
        /// How long.
        time: Duration,
    },
    /// One is not taken.
    FailsOnce {
        /// Which.
        pack: u64,
    },
}

/// Passes everything on, packs as its mood is.
#[derive(Debug)]
pub struct UnsteadyBackend {
    inner: Arc<dyn Backend>,
    mood: Mood,
    packs: AtomicU64,
}

impl UnsteadyBackend {
    /// A store like `inner`, in this mood.
    pub fn new(inner: Arc<dyn Backend>, mood: Mood) -> Self {
        Self { inner, mood, packs: AtomicU64::new(0) }
    }

    fn take_pack(&self, key: &Key) -> Result<(), BackendError> {
        let number = self.packs.fetch_add(1, Ordering::SeqCst) + 1;
        match self.mood {
            Mood::Slow(time) => std::thread::sleep(time),
            Mood::Stalls { pack, time } if pack == number => std::thread::sleep(time),
            Mood::FailsOnce { pack } if pack == number => {
                return Err(BackendError::new("write", key, Cause::Io(io::Error::other("injected fault"))));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Backend for UnsteadyBackend {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        if key.kind() == Kind::Packs {
            self.take_pack(key)?;
        }
        self.inner.put(key, bytes)
    }

    fn replace(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        self.inner.replace(key, bytes)
    }

    fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Vec<u8>, BackendError> {
        self.inner.get(key, range)
    }

    fn len(&self, key: &Key) -> Result<u64, BackendError> {
        self.inner.len(key)
    }

    fn list(&self, kind: Kind) -> Result<Vec<Listed>, BackendError> {
        self.inner.list(kind)
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.inner.delete(key)
    }

    fn announce(&self, session: &SessionId, bytes: &[u8]) -> Result<Box<dyn Hold>, BackendError> {
        self.inner.announce(session, bytes)
    }

    fn is_held(&self, session: &SessionId) -> Result<bool, BackendError> {
        self.inner.is_held(session)
    }

    fn sweep(&self) -> Result<usize, BackendError> {
        self.inner.sweep()
    }
}
