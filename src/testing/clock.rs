//! A clock that stands still until it is told to go on.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::env::{Clock, UnixNanos};

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
