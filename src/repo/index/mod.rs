//! The index: which pack holds a chunk. It is never read into memory as a whole.

pub mod build;
pub mod merge;
pub mod run;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use self::run::{PackTable, PageCache, Run};
use super::gc_log::GcLog;
use super::{RepoError, Repository};
use crate::backend::{BackendError, Key, Kind, Listed};
use crate::format::index::{PackEntry, id_prefix};
use crate::ids::{ChunkId, ObjectId};
use crate::limits;

/// How often the index is opened anew while others merge its runs.
const ATTEMPTS: usize = 8;

/// How often runs are listed while others merge them. What is open stays open, so each time there is less to open, and
/// less time for others to be quicker.
const LISTINGS: usize = 64;

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
    /// True if damaged runs are passed over: other runs, or the packs themselves, may do.
    forgiving: bool,
    /// Runs that proved damaged while they were read.
    broken: HashSet<usize>,
    /// True if some run could not be opened.
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

/// Index runs with their lengths in bytes.
type Runs = BTreeMap<ObjectId, u64>;

/// The runs among what was listed.
fn runs_of(listed: Vec<Listed>) -> Runs {
    let run = |listed: Listed| match listed.key {
        Key::Index(id) => Some((id, listed.len)),
        _ => None,
    };
    listed.into_iter().filter_map(run).collect()
}

/// The runs in the store.
fn list_runs(repository: &Repository) -> Result<Runs, RepoError> {
    Ok(runs_of(repository.list(Kind::Indexes)?))
}

/// Opens the listed runs that are not open yet, and closes those that are not listed any more. Says if one is gone.
fn open_missing(
    repository: &Repository,
    listed: &Runs,
    runs: &mut BTreeMap<ObjectId, Run>,
    packs: &mut PackTable,
) -> Result<Option<BackendError>, RepoError> {
    runs.retain(|id, _| listed.contains_key(id));
    packs.tidy();
    let mut gone = None;
    for (&id, &len) in listed {
        if runs.contains_key(&id) {
            continue;
        }
        match Run::open(&*repository.backend, &repository.keys, id, len, packs) {
            Ok(run) => drop(runs.insert(id, run)),
            Err(RepoError::Backend(error)) if error.is_not_found() => gone = Some(error),
            Err(error) => return Err(error),
        }
    }
    Ok(load_filters(repository, runs)?.or(gone))
}

/// Reads filters into memory, smallest first, as far as the bound on their size allows. Says if a run is gone, and closes
/// it.
fn load_filters(
    repository: &Repository,
    runs: &mut BTreeMap<ObjectId, Run>,
) -> Result<Option<BackendError>, RepoError> {
    let mut order: Vec<(usize, ObjectId)> = runs.values().map(|run| (run.filter_len(), run.id)).collect();
    order.sort_unstable();
    let (mut filters, mut gone) = (0usize, None);
    for (len, id) in order.into_iter().filter(|(len, _)| *len > 0) {
        let Some(run) = runs.get_mut(&id).filter(|_| filters.saturating_add(len) <= limits::FILTER_BYTES) else {
            break;
        };
        filters += len;
        match run.load_filter(&*repository.backend) {
            Ok(()) => {}
            Err(RepoError::Backend(error)) if error.is_not_found() => {
                runs.remove(&id);
                gone = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(gone)
}

impl Index {
    /// Opens all runs. With `log`, chunks of condemned packs are known as such.
    pub fn open(repository: &Repository, log: &GcLog) -> Result<Self, RepoError> {
        Self::open_listed(repository, log, list_runs(repository)?)
    }

    /// Opens the runs that were there when the store was opened, or later.
    pub fn open_lately(repository: &Repository, log: &GcLog) -> Result<Self, RepoError> {
        Self::open_listed(repository, log, runs_of(repository.list_lately(Kind::Indexes)?))
    }

    fn open_listed(repository: &Repository, log: &GcLog, mut listed: Runs) -> Result<Self, RepoError> {
        let (mut runs, mut packs) = (BTreeMap::new(), PackTable::default());
        let mut listings = 1;
        // A run that vanished since it was listed was merged into another: look again.
        while let Some(gone) = open_missing(repository, &listed, &mut runs, &mut packs)? {
            if listings == LISTINGS {
                return Err(gone.into());
            }
            listings += 1;
            listed = list_runs(repository)?;
        }
        let mut index = Self { packs, listed: runs.keys().copied().collect(), ..Self::default() };
        runs.into_values().for_each(|run| index.add(run));
        index.condemn(log);
        index.bound_ranges(repository);
        Ok(index)
    }

    /// Opens the runs that open and reports the others; for `check` and for reading what damage left.
    pub fn open_what_opens(
        repository: &Repository,
        log: &GcLog,
        report: impl FnMut(ObjectId, RepoError),
    ) -> Result<Self, RepoError> {
        Self::open_of(repository, log, list_runs(repository)?, report)
    }

    /// Opens those of the runs that were there when the store was opened, or later, that open. What they do not know is
    /// looked for in runs that are listed then.
    pub fn open_to_read(repository: &Repository, log: &GcLog) -> Result<Self, RepoError> {
        let listed = runs_of(repository.list_lately(Kind::Indexes)?);
        Ok(Self { dated: true, ..Self::open_of(repository, log, listed, |_, _| {})? })
    }

    fn open_of(
        repository: &Repository,
        log: &GcLog,
        listed: Runs,
        mut report: impl FnMut(ObjectId, RepoError),
    ) -> Result<Self, RepoError> {
        let mut index = Self { forgiving: true, ..Self::default() };
        for (id, len) in listed {
            index.listed.insert(id);
            match Run::open(&*repository.backend, &repository.keys, id, len, &mut index.packs) {
                Ok(run) => index.add(run),
                // Merged into another since it was listed: whoever misses a chunk opens the index anew.
                Err(RepoError::Backend(error)) if error.is_not_found() => {}
                Err(error) if error.is_damage() => {
                    index.incomplete = true;
                    report(id, error);
                }
                Err(error) => return Err(error),
            }
        }
        index.condemn(log);
        index.bound_ranges(repository);
        Ok(index)
    }

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

    /// Opens the index anew, in the way in which it was opened.
    pub fn reopen(&mut self, repository: &Repository) -> Result<(), RepoError> {
        let index = if self.forgiving {
            Self::open_what_opens(repository, &repository.gc_log_for_reading()?, |_, _| {})?
        } else {
            Self::open(repository, &repository.gc_log()?)?
        };
        let before = std::mem::replace(self, index);
        self.condemned.extend(before.condemned);
        self.generation = before.generation + 1;
        Ok(())
    }

    /// Opens the index anew if others added or removed runs since it was opened.
    pub fn refresh(&mut self, repository: &Repository) -> Result<(), RepoError> {
        if list_runs(repository)?.into_keys().eq(self.listed.iter().copied()) {
            Ok(())
        } else {
            self.reopen(repository)
        }
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
                Err(error) if self.forgiving && error.is_damage() => {
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
        if !found.is_empty() {
            return Ok(found);
        }
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
