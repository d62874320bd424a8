//! Renewing locks, so that what is needed stays locked for as long as it is needed.
//!
//! What was put is locked for a period. A pass locks everything that is needed anew; the next one is due a third of the
//! period later. Objects that were put within that third are left out, so after a pass two thirds are left of every lock,
//! and upkeep may be late by a third before any ends. When the last pass was, a record in the repository says: it is
//! sealed, so whoever can write to the bucket cannot make locks run out by writing one (docs/decisions/0016).

use std::collections::HashSet;

use super::record::{self, Record};
use crate::backend::{Key, Kind, Listed};
use crate::env::UnixNanos;
use crate::error::Error;
use crate::event::{Event, Task, Unit};
use crate::format::manifest::{FenceRecord, OWN_LABEL};
use crate::ids::ObjectId;
use crate::repo::gc_log::GcLog;
use crate::repo::session::host_name;
use crate::repo::{RepoError, Repository};

/// The tag of records of passes.
const TAG: &str = "renewal";

const STREAM: &str = "locks";

/// Kinds that are locked; who is at work is not.
const KINDS: [Kind; 7] =
    [Kind::Config, Kind::Keys, Kind::Writers, Kind::Packs, Kind::Indexes, Kind::Snapshots, Kind::Gc];

/// Objects between two looks at whether somebody wants to stop.
const AT_ONCE: usize = 1000;

/// A pass that was finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pass {
    at: UnixNanos,
    /// For how long it locked, in nanoseconds.
    period: UnixNanos,
}

/// What came of asking for a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// Locks of so many objects were extended, or would be by a pass that is none.
    Done(u64),
    /// The last pass is not long ago: the next one is due at this moment.
    NotBefore(UnixNanos),
}

/// How to renew.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Whether a pass is due or not.
    pub now: bool,
    /// Packs that are garbage, besides those that the gc log knows.
    pub garbage: &'a [ObjectId],
    /// Says what would be done, and does nothing.
    pub dry_run: bool,
}

fn label() -> String {
    format!("{OWN_LABEL}locked-for")
}

impl Pass {
    /// When the next one is due, for locks of this period.
    fn next(self, period: UnixNanos) -> UnixNanos {
        if period > self.period { self.at } else { self.at.saturating_add(period / 3) }
    }
}

/// The last pass, and the records of all.
fn passes(repository: &Repository) -> Result<(Option<Pass>, Vec<ObjectId>), RepoError> {
    let (now, label) = (repository.env.clock.now(), label());
    let (mut last, mut records) = (None, Vec::new());
    for snapshot in repository.snapshots()?.snapshots {
        let Some(seconds) = snapshot.manifest.label(&label).and_then(|text| text.parse::<UnixNanos>().ok()) else {
            continue;
        };
        records.push(snapshot.id);
        // They come oldest first. One from the future was written by a clock that was wrong.
        if snapshot.manifest.time <= now {
            last = Some(Pass { at: snapshot.manifest.time, period: seconds.saturating_mul(1_000_000_000) });
        }
    }
    Ok((last, records))
}

/// Renews the locks of what is needed, if that is due. Where nothing is locked, there is nothing to do.
pub fn renew(repository: &Repository, log: &GcLog, options: Options<'_>) -> Result<Renewal, Error> {
    let Some(period) = repository.backend.lock_period() else { return Ok(Renewal::Done(0)) };
    let seconds = period.as_secs();
    let period = UnixNanos::try_from(period.as_nanos()).unwrap_or(UnixNanos::MAX);
    let (last, records) = passes(repository)?;
    let now = repository.env.clock.now();
    if let Some(next) = last.map(|last| last.next(period)).filter(|next| *next > now && !options.now) {
        return Ok(Renewal::NotBefore(next));
    }
    // What was there before the first pass may not be locked, or not for so long.
    let is_first = last.is_none_or(|last| period > last.period);
    let stored_before = if is_first { UnixNanos::MAX } else { now.saturating_sub(period / 3) };
    let keys = needed(repository, log, options.garbage, stored_before)?;
    if options.dry_run {
        return Ok(Renewal::Done(keys.len() as u64));
    }
    let renewed = extend(repository, &keys)?;
    let labels = vec![(label(), seconds.to_string())];
    let record = Record { name: STREAM, bytes: b"renewed\n".to_vec(), tag: TAG, labels, host: &host_name() };
    record::write(repository, record)?;
    if !records.is_empty() {
        repository.forget(&records)?;
    }
    Ok(Renewal::Done(renewed))
}

/// What the repository needs and was stored before this moment: everything but packs and snapshots of which the gc log says
/// that nobody may use them any more. A condemned pack that still holds what is needed is emptied before it goes.
fn needed(
    repository: &Repository,
    log: &GcLog,
    garbage: &[ObjectId],
    stored_before: UnixNanos,
) -> Result<Vec<Key>, RepoError> {
    let garbage: HashSet<&ObjectId> = garbage.iter().collect();
    let is_needed = |listed: &Listed| match listed.key {
        Key::Pack(id) => !log.is_condemned(&id) && !garbage.contains(&id),
        Key::Snapshot(id) => !log.is_dead(&id) && listed.len != FenceRecord::STORED_LEN,
        _ => true,
    };
    let mut keys = Vec::new();
    for kind in KINDS {
        let listed = repository.list(kind)?.into_iter();
        keys.extend(listed.filter(|one| one.modified < stored_before && is_needed(one)).map(|one| one.key));
    }
    Ok(keys)
}

fn extend(repository: &Repository, keys: &[Key]) -> Result<u64, RepoError> {
    let task = Task::ONLY;
    let total = Some(keys.len() as u64);
    repository.env.tell(&Event::Begin { task, what: "renewing locks", total, unit: Unit::Items });
    let mut renewed = 0;
    for some in keys.chunks(AT_ONCE) {
        repository.check_cancel()?;
        renewed += repository.backend.extend_locks(some)?;
    }
    repository.env.tell(&Event::End(task));
    Ok(renewed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: UnixNanos = 86_400_000_000_000;

    #[test]
    fn the_next_pass_is_a_third_of_the_shorter_period_later() {
        let pass = Pass { at: 100 * DAY, period: 30 * DAY };
        assert_eq!(pass.next(30 * DAY), 110 * DAY);
        assert_eq!(pass.next(15 * DAY), 105 * DAY);
        assert_eq!(pass.next(60 * DAY), 100 * DAY, "longer locks are wanted at once");
    }
}
