//! The objects of the bucket, and when each came and went.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::env::{Clock, SystemClock, UnixNanos};

#[derive(Debug, Clone)]
pub(super) struct Object {
    pub bytes: Bytes,
    pub modified: UnixNanos,
}

#[derive(Debug, Clone)]
struct Entry {
    object: Object,
    came: UnixNanos,
    /// Listings that are stale show it for a while.
    went: Option<UnixNanos>,
}

#[derive(Debug, Default)]
pub(super) struct Objects {
    entries: Mutex<BTreeMap<String, Entry>>,
    /// How far the servers' clock is ahead, in nanoseconds.
    ahead: AtomicI64,
}

impl Objects {
    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> UnixNanos {
        SystemClock.now() + self.ahead.load(Ordering::SeqCst)
    }

    pub(super) fn advance(&self, by: Duration) {
        self.ahead.fetch_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Stores an object; false if it exists and must not be replaced.
    pub(super) fn put(&self, name: &str, bytes: Bytes, may_replace: bool) -> bool {
        let mut objects = self.locked();
        if !may_replace && objects.get(name).is_some_and(|entry| entry.went.is_none()) {
            return false;
        }
        let now = self.now();
        let object = Object { bytes, modified: now };
        objects.insert(name.to_owned(), Entry { object, came: now, went: None });
        true
    }

    pub(super) fn get(&self, name: &str) -> Option<Object> {
        self.locked().get(name).filter(|entry| entry.went.is_none()).map(|entry| entry.object.clone())
    }

    pub(super) fn remove(&self, name: &str) {
        if let Some(entry) = self.locked().get_mut(name) {
            entry.went.get_or_insert_with(|| self.now());
        }
    }

    /// At most `most` objects whose names begin with `prefix` and come behind `after`, as it was some time ago; true if
    /// there are more.
    pub(super) fn list(
        &self,
        prefix: &str,
        after: &str,
        most: usize,
        stale: Duration,
    ) -> (Vec<(String, Object)>, bool) {
        let then = self.now().saturating_sub(i64::try_from(stale.as_nanos()).unwrap_or(i64::MAX));
        let was_there = |entry: &Entry| {
            let has_come = stale.is_zero() || entry.came <= then;
            has_come && entry.went.is_none_or(|went| !stale.is_zero() && went > then)
        };
        let from = prefix.max(after).to_owned();
        let objects = self.locked();
        let mut found = objects
            .range(from..)
            .take_while(|(name, _)| name.starts_with(prefix))
            .filter(|(name, entry)| name.as_str() > after && was_there(entry))
            .map(|(name, entry)| (name.clone(), entry.object.clone()));
        let page: Vec<_> = found.by_ref().take(most).collect();
        (page, found.next().is_some())
    }

    pub(super) fn all(&self) -> Vec<(String, usize)> {
        let objects = self.locked();
        let there = objects.iter().filter(|(_, entry)| entry.went.is_none());
        there.map(|(name, entry)| (name.clone(), entry.object.bytes.len())).collect()
    }
}
