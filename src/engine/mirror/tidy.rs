//! Removing from a mirror what the repository has given up.
//!
//! What is missing in the repository was collected, forgotten, or lost; the gc log, which its keys open, tells which. A
//! pack goes from the mirror once the log condemns it and everything that snapshots of the mirror need of it has been
//! read there in other packs; an index run, once the runs that stay have its rows. Everything else stays.

use std::collections::HashSet;
use std::sync::Arc;

use super::needs::{Needs, Packs, Rows, Source, Stand};
use super::{Objects, Options, Report, failed, list, there};
use crate::backend::{Backend, Key, Kind};
use crate::crypto::CryptoError;
use crate::crypto::role::Role;
use crate::engine::collect::Marked;
use crate::error::Error;
use crate::format::index::PackEntry;
use crate::ids::ObjectId;
use crate::repo::gc_log::GcLog;
use crate::repo::objects::check_name;
use crate::repo::{RepoError, Repository};

/// Objects that are removed with one request, where the store can do that.
const AT_ONCE: usize = 1000;

/// Fails unless this credential can tell what was collected from what was lost, and read what is to stay.
pub(super) fn require(from: &Repository) -> Result<(), Error> {
    if from.keys.role() != Role::Reader {
        return Err(
            RepoError::from(CryptoError::CannotDo("remove from a mirror what the repository has given up")).into()
        );
    }
    Ok(from.require_collect()?)
}

/// Removes what the repository has given up; what it has lost is named in the report.
pub(super) fn tidy(
    from: &Repository,
    to: &Arc<dyn Backend>,
    options: Options,
    report: &mut Report,
) -> Result<(), Error> {
    let kinds = [Kind::Snapshots, Kind::Packs, Kind::Indexes, Kind::Keys];
    // Listed before the log is read: whatever is gone by then the log has given up before.
    let listed = kinds.iter().map(|&kind| list(&*from.backend, kind)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let log = match from.gc_log() {
        Err(error) if error.is_damage() => {
            report.unknown = Some(error);
            return Ok(());
        }
        log => log?,
    };
    log.features().require_collect()?;
    report.kept = 0;
    let mirror = from.on(Arc::clone(to));
    let mut tidying = Tidying { from, to: &**to, mirror, log, options, report, removed: HashSet::new() };
    for (kind, here) in kinds.into_iter().zip(listed) {
        from.check_cancel()?;
        let known = list(&**to, kind).map_err(there)?;
        let missing: Vec<Key> = known.keys().filter(|key| !here.contains_key(key)).copied().collect();
        if missing.is_empty() {
            continue;
        }
        match kind {
            Kind::Snapshots => tidying.snapshots(&missing)?,
            Kind::Packs => tidying.packs(&missing, &known, &here)?,
            Kind::Indexes => tidying.runs(&missing, &known, &here)?,
            _ => tidying.slots(&missing, &here)?,
        }
    }
    Ok(())
}

/// Objects that the repository does not have, by what becomes of them.
#[derive(Debug, Default)]
struct Found {
    needless: Vec<Key>,
    come: Vec<Key>,
    lost: Vec<Key>,
    /// What they hold nobody can tell.
    unreadable: Vec<Key>,
}

impl Found {
    fn add(&mut self, key: Key, stand: Result<Stand, RepoError>) -> Result<(), Error> {
        match stand {
            Ok(Stand::Needless) => self.needless.push(key),
            Ok(Stand::Comes) => self.come.push(key),
            Ok(Stand::Lost) => self.lost.push(key),
            Err(error) if error.is_damage() => self.unreadable.push(key),
            Err(error) => return Err(there(error)),
        }
        Ok(())
    }
}

struct Tidying<'a> {
    from: &'a Repository,
    to: &'a dyn Backend,
    /// The mirror as a repository.
    mirror: Repository,
    log: GcLog,
    options: Options,
    report: &'a mut Report,
    /// What was removed, or would be.
    removed: HashSet<Key>,
}

impl Tidying<'_> {
    fn remove(&mut self, keys: &[Key]) -> Result<(), Error> {
        for some in keys.chunks(AT_ONCE) {
            let retained = if self.options.dry_run { Vec::new() } else { self.to.delete_all(some).map_err(there)? };
            let gone = some.iter().filter(|key| !retained.contains(key));
            self.report.deleted += (some.len() - retained.len()) as u64;
            self.report.kept += retained.len() as u64;
            self.removed.extend(gone);
        }
        Ok(())
    }

    fn keep(&mut self, keys: usize) {
        self.report.kept += keys as u64;
    }

    fn lose(&mut self, keys: impl IntoIterator<Item = Key>) {
        let before = self.report.lost.len();
        self.report.lost.extend(keys);
        self.keep(self.report.lost.len() - before);
    }

    /// Snapshots go once they are dead: forgotten, or never committed.
    fn snapshots(&mut self, missing: &[Key]) -> Result<(), Error> {
        let is_dead = |key: &Key| matches!(key, Key::Snapshot(id) if self.log.is_dead(id));
        let (dead, lost): (Vec<Key>, Vec<Key>) = missing.iter().copied().partition(is_dead);
        self.lose(lost);
        self.remove(&dead)
    }

    fn packs(&mut self, missing: &[Key], known: &Objects, here: &Objects) -> Result<(), Error> {
        let is_condemned = |key: &Key| matches!(key, Key::Pack(id) if self.log.is_condemned(id));
        let (condemned, lost): (Vec<Key>, Vec<Key>) = missing.iter().copied().partition(is_condemned);
        self.lose(lost);
        if condemned.is_empty() {
            return Ok(());
        }
        let marked = match Marked::of_snapshots(&self.mirror, &self.log) {
            Ok(marked) => marked,
            Err(error) if error.is_damage() || matches!(error, RepoError::WillNotCollect { .. }) => {
                self.report.unknown = Some(error);
                self.keep(condemned.len());
                return Ok(());
            }
            Err(error) => return Err(there(error)),
        };
        let ids = |keys: &[Key]| keys.iter().filter_map(pack_id).collect::<HashSet<_>>();
        let doomed = ids(&condemned);
        let known_ids = known.keys().filter_map(pack_id).collect::<HashSet<_>>();
        let damaged = ids(&self.report.damaged);
        let comes = |id: &ObjectId| !known_ids.contains(id) && !damaged.contains(id);
        let packs = Packs {
            stay: known_ids.difference(&doomed).copied().collect(),
            come: here.keys().filter_map(pack_id).filter(comes).collect(),
        };
        let mut needs = Needs::new(&self.mirror, marked, packs, Source::new(self.from, &self.log));
        let mut found = Found::default();
        for key in &condemned {
            self.from.check_cancel()?;
            let Some(id) = pack_id(key) else { continue };
            let len = known.get(key).and_then(|&len| u32::try_from(len).ok()).unwrap_or(u32::MAX);
            found.add(*key, needs.stand_of(PackEntry { id, len }))?;
        }
        // Snapshots that were forgotten since the log was copied still need what was collected for it: next time they go.
        if self.mirror.gc_log_for_reading().map_err(there)?.epoch() < self.log.epoch() {
            found.come.append(&mut found.lost);
        }
        self.report.withheld += found.come.len() as u64;
        self.settle(found)
    }

    /// Index runs go once those that stay have each row of theirs that leads to a pack of the mirror.
    fn runs(&mut self, missing: &[Key], known: &Objects, here: &Objects) -> Result<(), Error> {
        let packs = list(self.to, Kind::Packs).map_err(there)?;
        let packs = packs.keys().filter(|key| !self.removed.contains(*key)).filter_map(pack_id).collect();
        let mut rows = Rows::new(&self.mirror, packs, Source::new(self.from, &self.log));
        let mut found = Found::default();
        for (key, len) in known.iter().filter(|(key, _)| here.contains_key(key)) {
            match rows.keep(key, *len) {
                Err(error) if error.is_damage() => self.report.spoilt.push(*key),
                other => other.map_err(there)?,
            }
        }
        for key in missing {
            self.from.check_cancel()?;
            found.add(*key, rows.stand_of(key, known.get(key).copied().unwrap_or_default()))?;
        }
        self.settle(found)
    }

    /// Key slots go once they were removed, if those that stay are whole: one of them has just opened the repository.
    fn slots(&mut self, missing: &[Key], here: &Objects) -> Result<(), Error> {
        let was_removed = |key: &Key| matches!(key, Key::Slot(id) if self.log.is_dead(id));
        let (removed, lost): (Vec<Key>, Vec<Key>) = missing.iter().copied().partition(was_removed);
        self.keep(lost.len());
        self.report.slots.extend(lost);
        for key in here.keys() {
            let read = self.to.get(key, None).map_err(RepoError::from).and_then(|bytes| check_name(key, &bytes));
            match read {
                Ok(()) => {}
                Err(error) if error.is_damage() => {
                    self.report.spoilt.push(*key);
                    self.keep(removed.len());
                    return Ok(());
                }
                Err(error) => return Err(there(error)),
            }
        }
        self.remove(&removed)
    }

    /// Removes what is needless, and names what is lost.
    fn settle(&mut self, found: Found) -> Result<(), Error> {
        self.keep(found.come.len() + found.unreadable.len());
        self.report.spoilt.extend(found.unreadable);
        self.lose(found.lost);
        self.remove(&found.needless)
    }
}

fn pack_id(key: &Key) -> Option<ObjectId> {
    if let Key::Pack(id) = key { Some(*id) } else { None }
}
