//! Whether the index says of each pack just what its directory says: rows are counted and their fingerprints added up, so
//! that neither the rows nor the directories of a large repository need be in memory.

use std::collections::HashMap;

use super::Runs;
use crate::engine::check::is_gone;
use crate::format::index::PackEntry;
use crate::format::pack::Directory;
use crate::ids::{ChunkId, ObjectId};
use crate::repo::index::build::FreeRow;
use crate::repo::index::merge::for_each_row;
use crate::repo::index::run::Run;
use crate::repo::{RepoError, Repository};

/// What the rows of a pack add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    /// The stored length that rows say.
    len: u32,
    rows: u32,
    fingerprints: u64,
}

impl Sum {
    fn add(&mut self, fingerprint: u64) {
        self.rows = self.rows.saturating_add(1);
        self.fingerprints = self.fingerprints.wrapping_add(fingerprint);
    }
}

/// What the rows of each pack add up to.
pub(super) struct Tally {
    /// Nobody knows it before: whoever writes rows that lie cannot make their fingerprints add up.
    key: [u8; 32],
    sums: HashMap<ObjectId, Sum>,
}

/// How the rows of a pack compare with its directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// They are the same.
    Right,
    /// There are none.
    None,
    /// Some are missing, or lead nowhere.
    Wrong,
}

fn fingerprint(key: &[u8; 32], id: &ChunkId, ordinal: u16) -> u64 {
    let mut row = [0; ChunkId::LEN + 2];
    row[..ChunkId::LEN].copy_from_slice(id.as_bytes());
    row[ChunkId::LEN..].copy_from_slice(&ordinal.to_le_bytes());
    let hash = blake3::keyed_hash(key, &row);
    u64::from_le_bytes(*hash.as_bytes().first_chunk().expect("hashes have 32 bytes"))
}

impl Tally {
    /// Counts the rows of the runs. A run that proves damaged is moved to the damaged ones, and it is begun anew.
    pub(super) fn of(repository: &Repository, runs: &mut Runs) -> Result<Self, RepoError> {
        let key = repository.env.random();
        loop {
            let mut tally = Self { key, sums: HashMap::new() };
            let all: Vec<&Run> = runs.whole.iter().collect();
            let error = match tally.count(repository, &all) {
                Ok(()) => return Ok(tally),
                Err(error) if error.is_damage() && !is_gone(&error) => error,
                Err(error) => return Err(error),
            };
            let is_broken = |run: &Run| Self { key, sums: HashMap::new() }.count(repository, &[run]).is_err();
            let broken = runs.whole.iter().position(is_broken).ok_or(error)?;
            runs.damaged.insert(runs.whole.remove(broken).id);
        }
    }

    fn count(&mut self, repository: &Repository, runs: &[&Run]) -> Result<(), RepoError> {
        let mut last: Option<FreeRow> = None;
        for_each_row(repository, runs, |row| {
            // Runs may repeat rows while they are merged.
            if last.replace(row) != Some(row) {
                let sum = self.sums.entry(row.pack.id).or_insert_with(|| Sum { len: row.pack.len, ..Sum::default() });
                // Rows that disagree about the length are not all right.
                sum.rows = if sum.len == row.pack.len { sum.rows } else { u32::MAX };
                sum.add(fingerprint(&self.key, &row.id, row.ordinal));
            }
            Ok(())
        })
    }

    /// The packs that rows name.
    pub(super) fn packs(&self) -> impl Iterator<Item = &ObjectId> {
        self.sums.keys()
    }

    /// True if rows name a pack.
    pub(super) fn has(&self, pack: &ObjectId) -> bool {
        self.sums.contains_key(pack)
    }

    /// Compares the rows of a pack with its directory.
    pub(super) fn compare(&self, pack: &PackEntry, directory: &Directory) -> Rows {
        let Some(rows) = self.sums.get(&pack.id) else {
            return if directory.chunks().is_empty() { Rows::Right } else { Rows::None };
        };
        let mut sum = Sum { len: pack.len, ..Sum::default() };
        for (chunk, ordinal) in directory.chunks().iter().zip(0u16..) {
            sum.add(fingerprint(&self.key, &chunk.id, ordinal));
        }
        if sum == *rows { Rows::Right } else { Rows::Wrong }
    }
}
