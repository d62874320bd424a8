//! A clock that stands still until it is told to go on.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::env::{Clock, UnixNanos};
use crate::sync::simulation;

/// One second in the unit of the clock.
pub const SECOND: UnixNanos = 1_000_000_000;

/// A clock that only moves when it is advanced.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// A clock that shows this moment.
    pub const fn new(now: UnixNanos) -> Self {
        Self(AtomicI64::new(now))
    }

    /// Moves the clock on.
    pub fn advance(&self, by: UnixNanos) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }
}

impl Default for FixedClock {
    /// The first second of 2026.
    fn default() -> Self {
        Self::new(1_767_225_600 * SECOND)
    }
}

impl Clock for FixedClock {
    fn now(&self) -> UnixNanos {
        self.0.load(Ordering::Relaxed)
    }
}

/// The clock of a simulation: pauses move it on.
#[derive(Debug, Default)]
pub struct SimulatedClock;

impl Clock for SimulatedClock {
    fn now(&self) -> UnixNanos {
        let since = simulation::now().unwrap_or_default();
        FixedClock::default().now() + UnixNanos::try_from(since.as_nanos()).unwrap_or(UnixNanos::MAX / 2)
    }
}
