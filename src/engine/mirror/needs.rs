//! What a mirror needs of objects that its repository does not have any more.

use std::collections::{HashMap, HashSet};

use crate::backend::Key;
use crate::engine::collect::Marked;
use crate::format::index::PackEntry;
use crate::ids::{ChunkId, ObjectId};
use crate::repo::gc_log::GcLog;
use crate::repo::index::build::FreeRow;
use crate::repo::index::merge::for_each_row;
use crate::repo::index::run::{PackTable, PageCache, Run};
use crate::repo::index::{Index, Location};
use crate::repo::loader::LoaderCache;
use crate::repo::pack_reader::PackReader;
use crate::repo::{RepoError, Repository};

/// What becomes of an object that the repository does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stand {
    /// All that is needed of it was read in objects that stay.
    Needless,
    /// What takes its place is in the repository, and in the mirror the next time.
    Comes,
    /// What is needed of it is in the mirror alone.
    Lost,
}

/// Where the repository says that chunks lie. Its index is opened when it is asked for the first time.
pub(super) struct Source<'a> {
    from: &'a Repository,
    pub(super) log: &'a GcLog,
    index: Option<Index>,
}

impl<'a> Source<'a> {
    pub(super) fn new(from: &'a Repository, log: &'a GcLog) -> Self {
        Self { from, log, index: None }
    }

    fn find(&mut self, id: &ChunkId) -> Result<Vec<Location>, RepoError> {
        let index = match &mut self.index {
            Some(index) => index,
            // Damaged runs say nothing; a check names them.
            none => none.insert(Index::open_what_opens(self.from, self.log, |_, _| {})?),
        };
        index.find_reopening(self.from, id)
    }
}

/// Packs, by where they are.
pub(super) struct Packs {
    /// In the mirror, and not to go.
    pub(super) stay: HashSet<ObjectId>,
    /// In the repository, and not in the mirror yet.
    pub(super) come: HashSet<ObjectId>,
}

/// What snapshots of the mirror need, and the packs in which it may be found once others are gone.
pub(super) struct Needs<'a> {
    mirror: &'a Repository,
    marked: Marked,
    packs: Packs,
    source: Source<'a>,
    cache: LoaderCache,
}

impl<'a> Needs<'a> {
    pub(super) fn new(mirror: &'a Repository, marked: Marked, packs: Packs, source: Source<'a>) -> Self {
        Self { mirror, marked, packs, source, cache: LoaderCache::default() }
    }

    /// What becomes of a pack.
    pub(super) fn stand_of(&mut self, pack: PackEntry) -> Result<Stand, RepoError> {
        let id = pack.id;
        let pack = match PackReader::open(&*self.mirror.backend, &self.mirror.keys, pack) {
            Err(error) if error.is_damage() && self.is_needless_by_index(&id)? => return Ok(Stand::Needless),
            other => other?,
        };
        let mut stand = Stand::Needless;
        for chunk in pack.directory.chunks() {
            stand = stand.max(self.stand_of_chunk(&chunk.id)?);
            if stand == Stand::Lost {
                break;
            }
        }
        Ok(stand)
    }

    /// True if the index leads nobody who needs anything to a pack, or only to what was read elsewhere: for packs that do
    /// not open.
    fn is_needless_by_index(&mut self, pack: &ObjectId) -> Result<bool, RepoError> {
        let mut chunks = self.marked.held_twice(self.mirror, &HashMap::from([(*pack, 0)]))?;
        chunks.extend(self.marked.condemned_only());
        for (id, _) in chunks {
            let found = self.marked.index.find_all(self.mirror, &id)?;
            let is_held = found.iter().any(|location| location.pack.id == *pack);
            if is_held && self.stand_of_chunk(&id)? != Stand::Needless {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Needless if nothing needs a chunk, or if it was read where it stays.
    fn stand_of_chunk(&mut self, id: &ChunkId) -> Result<Stand, RepoError> {
        let found = self.marked.index.find_all(self.mirror, id)?;
        if !self.marked.is_needed(id, &found) {
            return Ok(Stand::Needless);
        }
        for location in found.iter().filter(|location| self.packs.stay.contains(&location.pack.id)) {
            match self.cache.load_at(self.mirror, location, id) {
                Ok(_) => return Ok(Stand::Needless),
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        let comes = self.source.find(id)?.iter().any(|location| self.packs.come.contains(&location.pack.id));
        Ok(if comes { Stand::Comes } else { Stand::Lost })
    }
}

/// The rows of the index runs that stay.
pub(super) struct Rows<'a> {
    mirror: &'a Repository,
    /// The packs that are in the mirror.
    packs: HashSet<ObjectId>,
    source: Source<'a>,
    stay: Vec<Run>,
    table: PackTable,
    cache: PageCache,
}

impl<'a> Rows<'a> {
    pub(super) fn new(mirror: &'a Repository, packs: HashSet<ObjectId>, source: Source<'a>) -> Self {
        let (stay, table, cache) = <_>::default();
        Self { mirror, packs, source, stay, table, cache }
    }

    fn open(&mut self, key: &Key, len: u64) -> Result<Option<Run>, RepoError> {
        let Key::Index(id) = key else { return Ok(None) };
        Run::open(&*self.mirror.backend, &self.mirror.keys, *id, len, &mut self.table).map(Some)
    }

    /// Notes a run that stays.
    pub(super) fn keep(&mut self, key: &Key, len: u64) -> Result<(), RepoError> {
        let run = self.open(key, len)?;
        self.stay.extend(run);
        Ok(())
    }

    /// What becomes of a run: needless if those that stay have each row of it that leads to a pack of the mirror.
    pub(super) fn stand_of(&mut self, key: &Key, len: u64) -> Result<Stand, RepoError> {
        let Some(run) = self.open(key, len)? else { return Ok(Stand::Comes) };
        let (mut stand, mirror) = (Stand::Needless, self.mirror);
        for_each_row(mirror, &[&run], |row| {
            if stand != Stand::Lost && self.packs.contains(&row.pack.id) {
                stand = stand.max(self.stand_of_row(&row)?);
            }
            Ok(())
        })?;
        Ok(stand)
    }

    fn stand_of_row(&mut self, row: &FreeRow) -> Result<Stand, RepoError> {
        if self.have(row)? {
            return Ok(Stand::Needless);
        }
        // Rows of packs that were given up are dropped; the mirror may still need them.
        let is_given_up = self.source.log.is_condemned(&row.pack.id);
        let comes = is_given_up || self.source.find(&row.id)?.iter().any(|location| location.pack.id == row.pack.id);
        Ok(if comes { Stand::Comes } else { Stand::Lost })
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
