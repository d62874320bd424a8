//! The index: which pack holds a chunk. It is never read into memory as a whole.

pub mod build;
pub mod merge;
mod open;
pub mod run;

use std::collections::{BTreeSet, HashMap, HashSet};

use self::open::OnDamage;
use self::run::{PackTable, PageCache, Run};
use super::gc_log::GcLog;
use super::{RepoError, Repository};
use crate::backend::{Key, Kind};
use crate::format::index::{PackEntry, id_prefix};
use crate::ids::{ChunkId, ObjectId};

/// How often the index is opened anew while others merge its runs.
const ATTEMPTS: usize = 8;

/// Where a chunk lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// Its pack.
    pub pack: PackEntry,
    /// Its place among the chunks of the pack.
    pub ordinal: u16,
    /// A number of the row, unique in this opened index and below `Index::rows`.
    pub row: u64,
}

/// All index runs of a repository, opened for look-ups.
#[derive(Debug, Default)]
pub struct Index {
    runs: Vec<Run>,
    /// For each run the number of rows before it.
    bases: Vec<u64>,
    /// For each run the beginnings of the ids that it may have, both inclusive.
    ranges: Vec<(u64, u64)>,
    packs: PackTable,
    rows: u64,
    cache: PageCache,
    condemned: HashSet<ObjectId>,
    /// True if the rows must keep their numbers, so that the index is never opened anew.
    pinned: bool,
    on_damage: OnDamage,
    /// Runs that proved damaged while they were read.
    broken: HashSet<usize>,
    /// True if some run, or its filter, could not be opened.
    incomplete: bool,
    /// True if others may have added runs before it was opened.
    dated: bool,
    /// The runs that were listed when the index was opened, those that did not open included.
    listed: BTreeSet<ObjectId>,
    /// How often it was opened anew.
    generation: u64,
    /// Rows of packs that no run names; filled only when a look-up would fail without them.
    adopted: Option<HashMap<ChunkId, (PackEntry, u16)>>,
}

impl Index {
    /// The same index with rows that keep their numbers: where a run is gone, look-ups fail.
    pub fn pinned(self) -> Self {
        Self { pinned: true, ..self }
    }

    /// True if some run proved damaged.
    pub fn is_incomplete(&self) -> bool {
        self.incomplete || !self.broken.is_empty()
    }

    fn add(&mut self, run: Run) {
        self.bases.push(self.rows);
        self.ranges.push((run.first_prefix().unwrap_or_default(), u64::MAX));
        self.rows += run.footer.rows;
        self.runs.push(run);
    }

    /// Learns from the runs of each group, whose ranges of ids do not overlap, where each of them ends at the latest.
    /// Not where writers are not trusted: a run that says it is of another's group would hide rows of that.
    fn bound_ranges(&mut self, repository: &Repository) {
        if repository.keys.has_roles() {
            return;
        }
        let mut order: Vec<usize> = (0..self.runs.len()).collect();
        order.sort_by_key(|&run| (self.runs[run].footer.group, self.ranges[run].0));
        for pair in order.windows(2) {
            if self.runs[pair[0]].footer.group == self.runs[pair[1]].footer.group {
                self.ranges[pair[0]].1 = self.ranges[pair[1]].0;
            }
        }
    }

    /// Adds a run that was written after the index was opened.
    pub fn add_written(&mut self, repository: &Repository, id: ObjectId, len: u64) -> Result<(), RepoError> {
        match Run::open(&*repository.backend, &repository.keys, id, len, &mut self.packs) {
            Ok(run) => {
                self.listed.insert(id);
                self.add(run);
                Ok(())
            }
            // Merged into another already.
            Err(RepoError::Backend(error)) if error.is_not_found() => self.reopen(repository),
            Err(error) => Err(error),
        }
    }

    /// Passes over these packs from now on as if they were condemned: what they hold is stored again where it comes.
    pub fn distrust(&mut self, packs: impl IntoIterator<Item = ObjectId>) {
        self.condemned.extend(packs);
    }

    /// Learns what was condemned since the index was opened.
    pub fn condemn(&mut self, log: &GcLog) {
        self.condemned.extend(self.packs.iter().map(|pack| pack.id).filter(|pack| log.is_condemned(pack)));
    }

    /// The opened runs.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Number of rows in all runs.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// True if a pack is condemned, or distrusted.
    pub fn is_condemned(&self, pack: &ObjectId) -> bool {
        self.condemned.contains(pack)
    }

    /// All packs that rows point to, each once.
    pub fn packs(&self) -> HashMap<ObjectId, PackEntry> {
        self.packs.iter().map(|pack| (pack.id, *pack)).collect()
    }

    /// Where a chunk lies in a pack that writers may use.
    pub fn find_usable(&mut self, repository: &Repository, id: &ChunkId) -> Result<Option<Location>, RepoError> {
        let found = self.find_reopening(repository, id)?;
        Ok(found.into_iter().find(|location| !self.is_condemned(&location.pack.id)))
    }

    /// Like `find_all`, but opens the index anew where a run was merged into another since it was opened.
    pub fn find_reopening(&mut self, repository: &Repository, id: &ChunkId) -> Result<Vec<Location>, RepoError> {
        for _ in 0..ATTEMPTS {
            match self.find_all(repository, id) {
                Err(RepoError::Backend(error)) if error.is_not_found() && !self.pinned => self.reopen(repository)?,
                other => return other,
            }
        }
        self.find_all(repository, id)
    }

    /// A number that changes whenever the index is opened anew, so that rows have other numbers.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Where a chunk lies, in the order in which the places are to be tried: condemned packs last.
    pub fn find_all(&mut self, repository: &Repository, id: &ChunkId) -> Result<Vec<Location>, RepoError> {
        let mut found = Vec::new();
        for number in 0..self.runs.len() {
            match self.find_in_run(repository, number, id, &mut found) {
                Err(RepoError::Backend(error)) if error.is_not_found() => return Err(error.into()),
                Err(error) if self.on_damage != OnDamage::Refuse && error.is_damage() => {
                    self.broken.insert(number);
                    self.adopted = None;
                }
                other => other?,
            }
        }
        found.sort_by_key(|location| self.condemned.contains(&location.pack.id));
        Ok(found)
    }

    fn find_in_run(
        &mut self,
        repository: &Repository,
        number: usize,
        id: &ChunkId,
        found: &mut Vec<Location>,
    ) -> Result<(), RepoError> {
        let (run, base) = (&self.runs[number], self.bases[number]);
        let (first, last) = self.ranges[number];
        if !(first..=last).contains(&id_prefix(id)) || self.broken.contains(&number) || !run.may_hold(id) {
            return Ok(());
        }
        let mut stray = false;
        run.find(&*repository.backend, &mut self.cache, number as u32, id, |place, row| match run.pack_of(&row) {
            Some(&pack) => found.push(Location { pack, ordinal: row.ordinal, row: base + place }),
            None => stray = true,
        })?;
        if stray {
            let why = "a row names a pack that its table does not have".to_owned();
            return Err(RepoError::Damaged { object: Key::Index(run.id).to_string(), why });
        }
        Ok(())
    }

    /// Where a chunk lies, for reading. If no run knows it, looks into packs that no run names.
    pub fn find_to_read(&mut self, repository: &Repository, id: &ChunkId) -> Result<Vec<Location>, RepoError> {
        let mut found = self.find_reopening(repository, id)?;
        if found.is_empty() && self.dated {
            self.reopen(repository)?;
            found = self.find_reopening(repository, id)?;
        }
        if found.is_empty() { self.find_unnamed(repository, id) } else { Ok(found) }
    }

    /// Where a chunk lies in packs that no run names: the last resort, also where rows lead to damage only. Opens all of
    /// them the first time.
    pub fn find_unnamed(&mut self, repository: &Repository, id: &ChunkId) -> Result<Vec<Location>, RepoError> {
        if self.adopted.is_none() {
            self.adopted = Some(self.adopt_unnamed_packs(repository)?);
        }
        let adopted = self.adopted.as_ref().and_then(|adopted| adopted.get(id));
        Ok(adopted.map(|&(pack, ordinal)| Location { pack, ordinal, row: self.rows }).into_iter().collect())
    }

    fn adopt_unnamed_packs(&self, repository: &Repository) -> Result<HashMap<ChunkId, (PackEntry, u16)>, RepoError> {
        let whole = self.runs.iter().enumerate().filter(|(number, _)| !self.broken.contains(number));
        let named: HashSet<ObjectId> = whole.flat_map(|(_, run)| run.packs()).map(|pack| pack.id).collect();
        let mut adopted = HashMap::new();
        for listed in repository.list(Kind::Packs)? {
            let Key::Pack(id) = listed.key else { continue };
            if named.contains(&id) {
                continue;
            }
            let pack = PackEntry { id, len: u32::try_from(listed.len).unwrap_or(u32::MAX) };
            // A pack that does not open cannot help; `check` reports it.
            if let Ok(reader) = super::pack_reader::PackReader::open(&*repository.backend, &repository.keys, pack) {
                let chunks = reader.directory.chunks().iter().zip(0u16..);
                adopted.extend(chunks.map(|(chunk, ordinal)| (chunk.id, (pack, ordinal))));
            }
        }
        Ok(adopted)
    }
}
