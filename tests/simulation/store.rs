//! A store that is slow, stalls, fails, dies, or lets the thread panic that asks it.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sfarc::backend::{Backend, BackendError, Cause, Hold, Key, Kind, Listed};
use sfarc::ids::SessionId;
use sfarc::sync;
use sfarc::sync::simulation::{self, Dice};
use sfarc::testing::memory::MemoryBackend;

/// How long operations take.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// No time.
    Instant,
    /// Up to so many milliseconds.
    Slow(u64),
    /// Up to so many milliseconds, and for seconds once in so many times.
    Stalls(u64, u64),
}

/// What fails. Operations are counted from 1.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    None,
    /// One operation; if it lands, only its answer is lost.
    Once {
        at: u64,
        lands: bool,
    },
    /// So many operations.
    Outage {
        from: u64,
        count: u64,
    },
    /// This operation, which may land, and all that follow.
    Death {
        at: u64,
        lands: bool,
    },
    /// Whoever asks for this operation panics.
    Panic {
        at: u64,
    },
    /// All sessions look dead from this operation on, though their writers go on.
    Forgetful {
        at: u64,
    },
}

/// How a store behaves towards one user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Behaviour {
    pub(crate) pace: Pace,
    pub(crate) fault: Fault,
    /// Each request counts.
    pub(crate) is_remote: bool,
}

impl Behaviour {
    /// Everything works at once.
    pub(crate) fn healthy(is_remote: bool) -> Self {
        Self { pace: Pace::Instant, fault: Fault::None, is_remote }
    }

    /// Something by chance; of the faults only those that do no harm if `may_fail` is false.
    pub(crate) fn random(dice: &mut Dice, is_remote: bool, may_fail: bool) -> Self {
        let pace = match dice.below(4) {
            0 => Pace::Instant,
            1 => Pace::Slow(1 + dice.below(200)),
            2 => Pace::Stalls(1 + dice.below(50), 2 + dice.below(10)),
            _ => Pace::Stalls(1 + dice.below(50), 10 + dice.below(50)),
        };
        let latest = if dice.once_in(2) { 12 } else { 60 };
        let at = 1 + dice.below(latest);
        let lands = dice.once_in(2);
        let fault = match dice.below(12) {
            0 | 1 => Fault::Once { at, lands },
            2 => Fault::Outage { from: at, count: 1 + dice.below(5) },
            3 => Fault::Death { at, lands },
            4 => Fault::Panic { at },
            5 => Fault::Forgetful { at },
            _ => Fault::None,
        };
        Self { pace, fault: if may_fail { fault } else { Fault::None }, is_remote }
    }
}

/// A store as one user sees it.
#[derive(Debug)]
pub(crate) struct Store {
    inner: Arc<MemoryBackend>,
    behaviour: Behaviour,
    operations: AtomicU64,
    dice: Mutex<Dice>,
}

enum Fate {
    Done,
    Lost,
    AnswerLost,
}

impl Store {
    pub(crate) fn new(inner: &Arc<MemoryBackend>, behaviour: Behaviour, seed: u64) -> Arc<Self> {
        let dice = Mutex::new(Dice::new(seed));
        Arc::new(Self { inner: Arc::clone(inner), behaviour, operations: AtomicU64::new(0), dice })
    }

    fn pause(&self) {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        let millis = match self.behaviour.pace {
            Pace::Instant => 0,
            Pace::Slow(most) => dice.below(most + 1),
            Pace::Stalls(_, once_in) if dice.once_in(once_in) => 2_000 + dice.below(40_000),
            Pace::Stalls(most, _) => dice.below(most + 1),
        };
        drop(dice);
        match millis {
            0 => simulation::point(),
            millis => sync::sleep(Duration::from_millis(millis)),
        }
    }

    fn fate(&self) -> Fate {
        let number = self.operations.fetch_add(1, Ordering::Relaxed) + 1;
        match self.behaviour.fault {
            Fault::Once { at, lands } | Fault::Death { at, lands } if number == at => {
                if lands {
                    Fate::AnswerLost
                } else {
                    Fate::Lost
                }
            }
            Fault::Death { at, .. } if number > at => Fate::Lost,
            Fault::Outage { from, count } if (from..from + count).contains(&number) => Fate::Lost,
            Fault::Panic { at } if number == at && !std::thread::panicking() => {
                std::panic::panic_any(simulation::INJECTED)
            }
            Fault::Forgetful { at } if number == at => {
                self.inner.kill_sessions();
                Fate::Done
            }
            _ => Fate::Done,
        }
    }

    fn run<T>(
        &self,
        object: impl ToString,
        operation: impl FnOnce() -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let broken = || BackendError::new("reach", object.to_string(), Cause::Io(io::Error::other("injected fault")));
        self.pause();
        let done = match self.fate() {
            Fate::Done => operation(),
            Fate::Lost => Err(broken()),
            Fate::AnswerLost => operation().and_then(|_| Err(broken())),
        };
        self.pause();
        done
    }
}

impl Backend for Store {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        self.run(key, || self.inner.put(key, bytes))
    }

    fn replace(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        self.run(key, || self.inner.replace(key, bytes))
    }

    fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Vec<u8>, BackendError> {
        self.run(key, || self.inner.get(key, range))
    }

    fn len(&self, key: &Key) -> Result<u64, BackendError> {
        self.run(key, || self.inner.len(key))
    }

    fn list(&self, kind: Kind) -> Result<Vec<Listed>, BackendError> {
        self.run(format!("{kind:?}"), || self.inner.list(kind))
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.run(key, || self.inner.delete(key))
    }

    fn is_remote(&self) -> bool {
        self.behaviour.is_remote
    }

    fn announce(&self, session: &SessionId, bytes: &[u8]) -> Result<Box<dyn Hold>, BackendError> {
        self.run(Key::Session(*session), || self.inner.announce(session, bytes))
    }

    fn is_held(&self, session: &SessionId) -> Result<bool, BackendError> {
        self.run(Key::Session(*session), || self.inner.is_held(session))
    }

    fn sweep(&self) -> Result<usize, BackendError> {
        self.run("the store", || self.inner.sweep())
    }
}
