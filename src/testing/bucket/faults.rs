//! What goes wrong with requests.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is refused with this code, undone: 500, 503, ...
    Code(u16),
    /// The connection is reset before anything is done.
    Reset,
    /// It is done, and the connection is reset instead of an answer.
    LoseAnswer,
    /// The connection is reset in the middle of the answer's body.
    CutBody,
    /// A put is acknowledged, and nothing is stored.
    LoseObject,
    /// The answer takes this long.
    Slow(Duration),
}

type Rule = Box<dyn FnMut(&str, &str) -> Option<Fault> + Send>;

/// Decides what goes wrong.
#[derive(Default)]
pub struct Faults {
    rule: Mutex<Option<Rule>>,
    is_gone: AtomicBool,
    requests: AtomicU64,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faults")
    }
}

impl Faults {
    fn rule(&self) -> MutexGuard<'_, Option<Rule>> {
        self.rule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks `rule` about each request from now on: by its method (`GET`, `LIST`, `PUT`, ...) and its path.
    pub fn set(&self, rule: impl FnMut(&str, &str) -> Option<Fault> + Send + 'static) {
        *self.rule() = Some(Box::new(rule));
    }

    /// Nothing goes wrong from now on.
    pub fn clear(&self) {
        *self.rule() = None;
        self.partition(false);
    }

    /// Resets every connection, or no longer.
    pub fn partition(&self, is_gone: bool) {
        self.is_gone.store(is_gone, Ordering::SeqCst);
    }

    /// Requests up to now.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    pub(super) fn of(&self, method: &str, path: &str) -> Option<Fault> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        if self.is_gone.load(Ordering::SeqCst) {
            return Some(Fault::Reset);
        }
        self.rule().as_mut().and_then(|rule| rule(method, path))
    }
}
