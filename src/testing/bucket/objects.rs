//! The objects of the bucket, their versions, and when each came and went.

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
    pub lock: Option<Locked>,
}

/// A lock of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// `COMPLIANCE` or `GOVERNANCE`.
    pub mode: String,
    /// When it ends.
    pub until: UnixNanos,
}

#[derive(Debug, Clone)]
struct Entry {
    object: Object,
    came: UnixNanos,
    /// Listings that are stale show it for a while. In a bucket with versions: there is another, or a delete marker.
    went: Option<UnixNanos>,
    id: u64,
}

/// What came of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Done,
    /// There is one already.
    Exists,
    /// It may not go yet.
    Refused,
    /// There is none.
    Missing,
}

#[derive(Debug, Default)]
pub(super) struct Objects {
    entries: Mutex<BTreeMap<String, Vec<Entry>>>,
    /// How far the servers' clock is ahead, in nanoseconds.
    ahead: AtomicI64,
    /// Versions up to now.
    versions: AtomicI64,
    /// Whether versions are kept.
    has_versions: bool,
    /// How long an object can be neither replaced nor removed.
    worm: Duration,
}

fn nanos(time: Duration) -> UnixNanos {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

/// The current version.
fn current(versions: &[Entry]) -> Option<&Entry> {
    versions.iter().find(|entry| entry.went.is_none())
}

impl Objects {
    pub(super) fn new(has_versions: bool, worm: Duration) -> Self {
        Self { has_versions, worm, ..Self::default() }
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> UnixNanos {
        SystemClock.now() + self.ahead.load(Ordering::SeqCst)
    }

    pub(super) fn advance(&self, by: Duration) {
        self.ahead.fetch_add(nanos(by), Ordering::SeqCst);
    }

    fn may_not_go(&self, entry: &Entry) -> bool {
        self.now() < entry.object.modified.saturating_add(nanos(self.worm))
    }

    /// Stores an object.
    pub(super) fn put(&self, name: &str, bytes: Bytes, lock: Option<Locked>, may_replace: bool) -> Change {
        let mut objects = self.locked();
        let versions = objects.entry(name.to_owned()).or_default();
        if let Some(there) = current(versions) {
            if !may_replace {
                return Change::Exists;
            }
            if self.may_not_go(there) {
                return Change::Refused;
            }
        }
        let now = self.now();
        if self.has_versions {
            versions.iter_mut().for_each(|entry| _ = entry.went.get_or_insert(now));
        } else {
            versions.clear();
        }
        let id = self.versions.fetch_add(1, Ordering::SeqCst).unsigned_abs() + 1;
        versions.push(Entry { object: Object { bytes, modified: now, lock }, came: now, went: None, id });
        Change::Done
    }

    pub(super) fn get(&self, name: &str) -> Option<Object> {
        current(self.locked().get(name)?).map(|entry| entry.object.clone())
    }

    /// Takes the current version out of the way.
    pub(super) fn remove(&self, name: &str) -> Change {
        let mut objects = self.locked();
        let versions = objects.get_mut(name).map(|versions| versions.iter_mut());
        let Some(entry) = versions.and_then(|mut versions| versions.find(|entry| entry.went.is_none())) else {
            return Change::Missing;
        };
        if self.may_not_go(entry) {
            return Change::Refused;
        }
        entry.went = Some(self.now());
        Change::Done
    }

    /// Takes an object away as if it had never been.
    pub(super) fn lose(&self, name: &str) {
        let now = self.now();
        if let Some(versions) = self.locked().get_mut(name) {
            versions.iter_mut().for_each(|entry| _ = entry.went.get_or_insert(now));
        }
    }

    /// Removes a version for good.
    pub(super) fn remove_version(&self, name: &str, id: u64) -> Change {
        let mut objects = self.locked();
        let Some(versions) = objects.get_mut(name) else { return Change::Missing };
        let Some(place) = versions.iter().position(|entry| entry.id == id) else { return Change::Missing };
        if versions[place].object.lock.as_ref().is_some_and(|lock| lock.until > self.now()) {
            return Change::Refused;
        }
        versions.remove(place);
        Change::Done
    }

    /// Locks the current version; no lock ends sooner than before.
    pub(super) fn lock(&self, name: &str, lock: Locked) -> Change {
        let mut objects = self.locked();
        let versions = objects.get_mut(name).map(|versions| versions.iter_mut());
        let Some(entry) = versions.and_then(|mut versions| versions.find(|entry| entry.went.is_none())) else {
            return Change::Missing;
        };
        if entry.object.lock.as_ref().is_some_and(|old| old.until > self.now() && old.until > lock.until) {
            return Change::Refused;
        }
        entry.object.lock = Some(lock);
        Change::Done
    }

    /// The versions of an object, oldest first, with their locks; true for the current one.
    pub(super) fn versions(&self, name: &str) -> Vec<(u64, Option<Locked>, bool)> {
        let objects = self.locked();
        let versions = objects.get(name).into_iter().flatten();
        versions.map(|entry| (entry.id, entry.object.lock.clone(), entry.went.is_none())).collect()
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
        let then = self.now().saturating_sub(nanos(stale));
        let was_there = |entry: &&Entry| {
            let has_come = stale.is_zero() || entry.came <= then;
            has_come && entry.went.is_none_or(|went| !stale.is_zero() && went > then)
        };
        let from = prefix.max(after).to_owned();
        let objects = self.locked();
        let mut found = objects
            .range(from..)
            .take_while(|(name, _)| name.starts_with(prefix))
            .filter(|(name, _)| name.as_str() > after)
            .filter_map(|(name, versions)| Some((name.clone(), versions.iter().find(was_there)?.object.clone())));
        let page: Vec<_> = found.by_ref().take(most).collect();
        (page, found.next().is_some())
    }

    pub(super) fn all(&self) -> Vec<(String, usize)> {
        let objects = self.locked();
        let there = objects.iter().filter_map(|(name, versions)| Some((name, current(versions)?)));
        there.map(|(name, entry)| (name.clone(), entry.object.bytes.len())).collect()
    }
}
