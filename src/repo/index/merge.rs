//! Merging groups of runs, so that their number stays logarithmic in the number of rows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};

use super::build::{FreeRow, GroupWriter};
use super::run::{PackTable, Run};
use crate::backend::{Key, Kind};
use crate::format::index::IndexRow;
use crate::ids::{ChunkId, ObjectId};
use crate::limits;
use crate::repo::{RepoError, Repository};

/// Reads the rows of a run in order, one page at a time.
struct Cursor<'a> {
    run: &'a Run,
    page: Vec<u8>,
    next_page: u64,
    place: usize,
    left: u64,
}

impl<'a> Cursor<'a> {
    fn new(run: &'a Run) -> Self {
        Self { run, page: Vec::new(), next_page: 0, place: 0, left: run.footer.rows }
    }

    fn next(&mut self, repository: &Repository) -> Result<Option<FreeRow>, RepoError> {
        if self.left == 0 {
            return Ok(None);
        }
        if self.place == crate::format::index::PAGE_ROWS || self.next_page == 0 {
            self.page = self.run.read_page(&*repository.backend, self.next_page)?;
            (self.next_page, self.place) = (self.next_page + 1, 0);
        }
        let damaged =
            |why: &str| RepoError::Damaged { object: Key::Index(self.run.id).to_string(), why: why.to_owned() };
        let row = IndexRow::at(&self.page, self.place).ok_or_else(|| damaged("a page is too short"))?;
        let pack = self.run.pack_of(&row).copied();
        let pack = pack.ok_or_else(|| damaged("a row names a pack that its table does not have"))?;
        self.place += 1;
        self.left -= 1;
        Ok(Some(FreeRow { id: row.id, pack, ordinal: row.ordinal }))
    }
}

/// Calls `row` with the rows of all runs, sorted by id and pack.
pub fn for_each_row(
    repository: &Repository,
    runs: &[&Run],
    mut row: impl FnMut(FreeRow) -> Result<(), RepoError>,
) -> Result<(), RepoError> {
    let mut cursors: Vec<Cursor<'_>> = runs.iter().map(|run| Cursor::new(run)).collect();
    let mut heads: BinaryHeap<Reverse<(ChunkId, ObjectId, usize)>> = BinaryHeap::new();
    let mut rows: Vec<Option<FreeRow>> = Vec::new();
    for (number, cursor) in cursors.iter_mut().enumerate() {
        let head = cursor.next(repository)?;
        heads.extend(head.map(|head| Reverse((head.id, head.pack.id, number))));
        rows.push(head);
    }
    while let Some(Reverse((_, _, number))) = heads.pop() {
        if let Some(head) = rows[number].take() {
            row(head)?;
        }
        rows[number] = cursors[number].next(repository)?;
        heads.extend(rows[number].map(|head| Reverse((head.id, head.pack.id, number))));
    }
    Ok(())
}

/// True if a level of these runs has so many groups that they are to be merged.
pub fn has_full_level<'a>(runs: impl IntoIterator<Item = &'a Run>) -> bool {
    let mut levels: BTreeMap<u8, HashSet<[u8; 16]>> = BTreeMap::new();
    for run in runs {
        levels.entry(run.footer.level).or_default().insert(run.footer.group);
    }
    levels.iter().any(|(&level, groups)| is_full(level, groups.len()))
}

fn is_full(level: u8, groups: usize) -> bool {
    groups >= limits::INDEX_FAN_IN && level < u8::MAX
}

/// Merges the groups of each level that has too many; a merged run replaces those it was made of.
///
/// Safe beside everything: it adds the merged runs before it removes the old ones, and rows of deleted packs that
/// come back this way are recognised by the gc log. If somebody else merges the same runs, this merge gives way. Runs
/// that do not open stay as they are.
pub fn merge_full_levels(repository: &Repository) -> Result<(), RepoError> {
    match try_merge_full_levels(repository) {
        Err(error) if is_gone(&error) => Ok(()),
        other => other,
    }
}

fn is_gone(error: &RepoError) -> bool {
    matches!(error, RepoError::Backend(error) if error.is_not_found())
}

fn try_merge_full_levels(repository: &Repository) -> Result<(), RepoError> {
    let (mut runs, mut table) = (Vec::new(), PackTable::default());
    for listed in repository.list(Kind::Indexes)? {
        let Key::Index(id) = listed.key else { continue };
        match Run::open(&*repository.backend, &repository.keys, id, listed.len, &mut table) {
            // `repair` replaces it.
            Err(error) if error.is_damage() && !is_gone(&error) => {}
            opened => runs.push(opened?),
        }
    }
    let mut levels: BTreeMap<u8, Vec<Run>> = BTreeMap::new();
    runs.into_iter().for_each(|run| levels.entry(run.footer.level).or_default().push(run));
    while let Some((level, runs)) = levels.pop_first() {
        let groups: HashSet<_> = runs.iter().map(|run| run.footer.group).collect();
        if !is_full(level, groups.len()) {
            continue;
        }
        let upper = levels.entry(level + 1).or_default();
        for (id, len) in merge(repository, &runs, level + 1)? {
            upper.push(Run::open(&*repository.backend, &repository.keys, id, len, &mut table)?);
        }
    }
    Ok(())
}

/// Bytes of a run that are read at once.
const READ_AT_ONCE: u64 = 4 << 20;

/// Fails unless each run hashes to its name. A run that is served under another's name opens, and its rows are in the
/// place of those that are missed: whoever removes or replaces something by what runs say must look.
pub fn require_names<'a>(repository: &Repository, runs: impl IntoIterator<Item = &'a Run>) -> Result<(), RepoError> {
    for run in runs {
        repository.check_cancel()?;
        let (key, mut hasher, mut from) = (Key::Index(run.id), blake3::Hasher::new(), 0);
        while from < run.stored_len {
            let to = run.stored_len.min(from + READ_AT_ONCE);
            hasher.update(&repository.backend.get(&key, Some(from..to))?);
            from = to;
        }
        if ObjectId::new(*hasher.finalize().as_bytes()) != run.id {
            let why = "its bytes do not hash to its name".to_owned();
            return Err(RepoError::Damaged { object: key.to_string(), why });
        }
    }
    Ok(())
}

fn merge(repository: &Repository, runs: &[Run], level: u8) -> Result<Vec<(ObjectId, u64)>, RepoError> {
    require_names(repository, runs)?;
    let mut writer = GroupWriter::new(repository, level);
    for_each_row(repository, &runs.iter().collect::<Vec<_>>(), |row| writer.push(row))?;
    let written = writer.finish()?;
    for run in runs {
        repository.backend.delete(&Key::Index(run.id))?;
    }
    Ok(written)
}
