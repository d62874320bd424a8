//! Removing from a mirror what the repository has given up.
//!
//! What is missing in the repository was collected, forgotten, or lost; the gc log, which its keys open, tells which. A
//! pack goes from the mirror once the log condemns it and everything that snapshots of the mirror need of it has been
//! read there in other packs; an index run, once the runs that stay have its rows. Everything else stays.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::{Objects, Options, Report, failed, list, there};
use crate::backend::{Backend, Key, Kind};
use crate::crypto::CryptoError;
use crate::crypto::role::Role;
use crate::engine::collect::Marked;
use crate::error::Error;
use crate::format::index::PackEntry;
use crate::ids::{ChunkId, ObjectId};
use crate::repo::gc_log::GcLog;
use crate::repo::index::build::FreeRow;
use crate::repo::index::merge::for_each_row;
use crate::repo::index::run::{PackTable, PageCache, Run};
use crate::repo::loader::LoaderCache;
use crate::repo::objects::check_name;
use crate::repo::pack_reader::PackReader;
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
    let mirror = from.over(Arc::clone(to));
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
            Kind::Packs => tidying.packs(&missing, &known)?,
            Kind::Indexes => tidying.runs(&missing, &known, &here)?,
            _ => tidying.slots(&missing, &here)?,
        }
    }
    Ok(())
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

    fn packs(&mut self, missing: &[Key], known: &Objects) -> Result<(), Error> {
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
        let doomed: HashSet<&Key> = condemned.iter().collect();
        let stay = known.keys().filter(|key| !doomed.contains(key)).filter_map(pack_id).collect();
        let mut needs = Needs { mirror: &self.mirror, marked, stay, cache: LoaderCache::default() };
        let (mut needless, mut needed, mut unreadable) = (Vec::new(), 0, 0);
        for key in &condemned {
            self.from.check_cancel()?;
            let Some(id) = pack_id(key) else { continue };
            let pack =
                PackEntry { id, len: known.get(key).map_or(u32::MAX, |&len| u32::try_from(len).unwrap_or(u32::MAX)) };
            match needs.is_needless(pack) {
                Ok(true) => needless.push(*key),
                Ok(false) => needed += 1,
                // What it holds nobody can tell.
                Err(error) if error.is_damage() => {
                    self.report.spoilt.push(*key);
                    unreadable += 1;
                }
                Err(error) => return Err(there(error)),
            }
        }
        self.report.withheld += needed;
        self.report.kept += needed + unreadable;
        self.remove(&needless)
    }

    /// Index runs go once those that stay have each row of theirs that leads to a pack of the mirror.
    fn runs(&mut self, missing: &[Key], known: &Objects, here: &Objects) -> Result<(), Error> {
        let packs = list(self.to, Kind::Packs).map_err(there)?;
        let packs = packs.keys().filter(|key| !self.removed.contains(*key)).filter_map(pack_id).collect();
        let mut rows = Rows { mirror: &self.mirror, packs, stay: Vec::new(), cache: PageCache::default() };
        let mut table = PackTable::default();
        for (key, len) in known.iter().filter(|(key, _)| here.contains_key(key)) {
            match rows.open(key, *len, &mut table) {
                Ok(run) => rows.stay.extend(run),
                Err(error) if error.is_damage() => self.report.spoilt.push(*key),
                Err(error) => return Err(there(error)),
            }
        }
        // Merged since this mirror was brought up to date: the next time what they became is here.
        let is_behind = here.keys().any(|key| !known.contains_key(key));
        let (mut needless, mut needed, mut lost) = (Vec::new(), 0, Vec::new());
        for key in missing {
            self.from.check_cancel()?;
            let len = known.get(key).copied().unwrap_or_default();
            let stand = rows.open(key, len, &mut table).and_then(|run| match run {
                Some(run) => rows.stand_of(&run, &self.log),
                None => Ok(Stand::Needed),
            });
            match stand {
                Ok(Stand::Needless) => needless.push(*key),
                Ok(Stand::Lost) if !is_behind => lost.push(*key),
                Ok(Stand::Lost | Stand::Needed) => needed += 1,
                Err(error) if error.is_damage() => {
                    self.report.spoilt.push(*key);
                    needed += 1;
                }
                Err(error) => return Err(there(error)),
            }
        }
        self.keep(needed);
        self.lose(lost);
        self.remove(&needless)
    }

    /// Key slots go if those that stay are whole: one of them has just opened the repository.
    fn slots(&mut self, missing: &[Key], here: &Objects) -> Result<(), Error> {
        for key in here.keys() {
            let read = self.to.get(key, None).map_err(RepoError::from).and_then(|bytes| check_name(key, &bytes));
            match read {
                Ok(()) => {}
                Err(error) if error.is_damage() => {
                    self.report.spoilt.push(*key);
                    self.keep(missing.len());
                    return Ok(());
                }
                Err(error) => return Err(there(error)),
            }
        }
        self.remove(missing)
    }
}

fn pack_id(key: &Key) -> Option<ObjectId> {
    if let Key::Pack(id) = key { Some(*id) } else { None }
}

/// What snapshots of the mirror need, and the packs in which it may be found once others are gone.
struct Needs<'a> {
    mirror: &'a Repository,
    marked: Marked,
    stay: HashSet<ObjectId>,
    cache: LoaderCache,
}

impl Needs<'_> {
    /// True if everything of a pack that is needed was read in one that stays.
    fn is_needless(&mut self, pack: PackEntry) -> Result<bool, RepoError> {
        let pack = PackReader::open(&*self.mirror.backend, &self.mirror.keys, pack)?;
        for chunk in pack.directory.chunks() {
            if !self.is_found(&chunk.id)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// True if nothing needs a chunk, or if it was read where it stays.
    fn is_found(&mut self, id: &ChunkId) -> Result<bool, RepoError> {
        let found = self.marked.index.find_all(self.mirror, id)?;
        if !self.marked.is_needed(id, &found) {
            return Ok(true);
        }
        for location in found.iter().filter(|location| self.stay.contains(&location.pack.id)) {
            match self.cache.load_at(self.mirror, location, id) {
                Ok(_) => return Ok(true),
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

/// What becomes of an index run that the repository does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// Those that stay have each of its rows that leads to a pack of the mirror.
    Needless,
    /// Only it leads to packs that the repository has given up, and the mirror still needs.
    Needed,
    /// Only it leads to packs that the repository has not given up.
    Lost,
}

/// The rows of the index runs that stay.
struct Rows<'a> {
    mirror: &'a Repository,
    /// The packs that are in the mirror.
    packs: BTreeSet<ObjectId>,
    stay: Vec<Run>,
    cache: PageCache,
}

impl Rows<'_> {
    fn open(&self, key: &Key, len: u64, table: &mut PackTable) -> Result<Option<Run>, RepoError> {
        let Key::Index(id) = key else { return Ok(None) };
        Run::open(&*self.mirror.backend, &self.mirror.keys, *id, len, table).map(Some)
    }

    /// What the runs that stay lack of this one.
    fn stand_of(&mut self, run: &Run, log: &GcLog) -> Result<Stand, RepoError> {
        let mut stand = Stand::Needless;
        let mirror = self.mirror;
        for_each_row(mirror, &[run], |row| {
            if stand != Stand::Lost && self.packs.contains(&row.pack.id) && !self.have(&row)? {
                stand = if log.is_condemned(&row.pack.id) { Stand::Needed } else { Stand::Lost };
            }
            Ok(())
        })?;
        Ok(stand)
    }

    fn have(&mut self, row: &FreeRow) -> Result<bool, RepoError> {
        let mut is_there = false;
        for (number, run) in (0u32..).zip(&self.stay) {
            let found = run.find(&*self.mirror.backend, &mut self.cache, number, &row.id, |_, found| {
                let pack = run.pack_of(&found).map(|pack| pack.id);
                is_there |= found.ordinal == row.ordinal && pack == Some(row.pack.id);
            });
            match found {
                // Others may have it.
                Err(error) if error.is_damage() => {}
                other => other?,
            }
            if is_there {
                break;
            }
        }
        Ok(is_there)
    }
}
