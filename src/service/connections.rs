//! Connections to the pages: each has a deadline, and idle ones never keep others out.
//!
//! Whoever only connects, or asks a byte at a time, must not keep a probe from its answer. So a connection is taken at
//! once, always; if there are too many, the oldest one that has not asked yet is closed for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::AbortHandle;

/// In this time a request must be there.
pub(super) const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// In this time it must be answered, and the answer be taken.
pub(super) const WHOLE_LIMIT: Duration = Duration::from_secs(15);
/// The longest head of a request in bytes.
pub(super) const HEAD_MOST: usize = 16 << 10;
/// Connections at once.
const CONNECTIONS: usize = 128;

/// Takes note that a connection has asked.
#[derive(Clone, Default)]
pub(super) struct Asked(Arc<AtomicBool>);

impl Asked {
    pub(super) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn has(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The connections that are open, oldest first.
#[derive(Default)]
pub(super) struct Connections {
    open: VecDeque<(AbortHandle, Asked)>,
}

impl Connections {
    /// Adds the newest one, and makes room for it.
    pub(super) fn add(&mut self, task: AbortHandle, asked: Asked) {
        self.open.retain(|(task, _)| !task.is_finished());
        if self.open.len() >= CONNECTIONS {
            self.close_oldest();
        }
        self.open.push_back((task, asked));
    }

    /// Closes the oldest one that has not asked yet; if all have, the oldest.
    pub(super) fn close_oldest(&mut self) {
        let idle = self.open.iter().position(|(_, asked)| !asked.has()).unwrap_or(0);
        if let Some((task, _)) = self.open.remove(idle) {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_made_by_the_oldest_that_has_not_asked() {
        let mut connections = Connections::default();
        let never = || tokio::spawn(std::future::pending::<()>());
        let tasks: Vec<_> = (0..CONNECTIONS).map(|_| never()).collect();
        for (number, task) in tasks.iter().enumerate() {
            let asked = Asked::default();
            if number < 3 {
                asked.note();
            }
            connections.add(task.abort_handle(), asked);
        }
        let newest = never();
        connections.add(newest.abort_handle(), Asked::default());
        assert_eq!(connections.open.len(), CONNECTIONS);
        let mut closed = Vec::new();
        for (number, task) in tasks.into_iter().enumerate() {
            tokio::task::yield_now().await;
            if task.is_finished() {
                closed.push(number);
            }
        }
        assert_eq!(closed, [3]);
        assert!(!newest.is_finished());
    }
}
