//! What the engine needs from the world outside: time, randomness, an observer, a way to be stopped.
//!
//! Passing these in makes every run repeatable in tests; nothing below `main` asks the system directly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::event::{Event, NullObserver, Observer};

/// A moment: nanoseconds since 1970-01-01T00:00:00Z, without leap seconds.
pub type UnixNanos = i64;

/// Wall-clock time.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> UnixNanos;
}

/// A source of unpredictable bytes.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` with random bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// The system's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place where the world outside is asked for the time")]
    fn now(&self) -> UnixNanos {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// The random generator of the operating system.
#[derive(Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system's random generator works");
    }
}

/// A request to stop, shared by everything that runs for one command.
#[derive(Clone, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    parent: Option<Arc<Cancel>>,
    deadline: Option<(Arc<dyn Clock>, UnixNanos)>,
}

impl std::fmt::Debug for Cancel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cancel").field("is_cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

impl Cancel {
    /// A request of its own for a part of the work, which also stops with the whole.
    pub fn child(&self) -> Self {
        Self { parent: Some(Arc::new(self.clone())), ..Self::default() }
    }

    /// A request of its own, which also stops with the whole, and once the clock shows this moment.
    pub fn until(&self, clock: &Arc<dyn Clock>, moment: UnixNanos) -> Self {
        Self { deadline: Some((Arc::clone(clock), moment)), ..self.child() }
    }

    /// Asks everything that holds this token, or a child of it, to stop soon.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    /// True once a stop was asked for.
    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
            || self.deadline.as_ref().is_some_and(|(clock, moment)| clock.now() >= *moment)
            || self.parent.as_ref().is_some_and(|parent| parent.is_cancelled())
    }
}

/// The world as the engine sees it.
#[derive(Clone)]
pub struct Env {
    /// Wall-clock time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Receives facts about the work as it happens.
    pub observer: Arc<dyn Observer>,
    /// Stops the work.
    pub cancel: Cancel,
    /// Worker threads for hashing and compression.
    pub workers: usize,
}

impl Env {
    /// The real world, observed by nobody.
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            observer: Arc::new(NullObserver),
            cancel: Cancel::default(),
            workers: std::thread::available_parallelism().map_or(2, usize::from).min(8),
        }
    }

    /// Random bytes of a fixed number.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// Tells the observer a fact.
    pub fn tell(&self, event: &Event<'_>) {
        self.observer.event(event);
    }
}
