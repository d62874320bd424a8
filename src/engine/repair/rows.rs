//! Writing the rows of packs, as their directories say, some at a time.

use crate::format::index::PackEntry;
use crate::format::pack::Directory;
use crate::ids::ChunkId;
use crate::limits;
use crate::repo::index::build::{FreeRow, GroupWriter};
use crate::repo::{RepoError, Repository};

/// Collects rows and writes them as runs: those of one pack are never divided, so a pack that a run of this names has all
/// its rows.
pub(super) struct RowWriter {
    repository: Repository,
    /// Each with the number of its pack.
    rows: Vec<(ChunkId, u32, u16)>,
    packs: Vec<PackEntry>,
    added: (u64, u64),
}

impl RowWriter {
    pub(super) fn new(repository: &Repository) -> Self {
        Self { repository: repository.clone(), rows: Vec::new(), packs: Vec::new(), added: (0, 0) }
    }

    /// How many packs and rows were added.
    pub(super) fn added(&self) -> (u64, u64) {
        self.added
    }

    /// Adds the rows of a pack.
    pub(super) fn add(&mut self, pack: PackEntry, directory: &Directory) -> Result<(), RepoError> {
        let number = self.packs.len() as u32;
        self.packs.push(pack);
        let chunks = directory.chunks();
        self.rows.extend(chunks.iter().zip(0u16..).map(|(chunk, ordinal)| (chunk.id, number, ordinal)));
        self.added = (self.added.0 + 1, self.added.1 + chunks.len() as u64);
        if self.rows.len() >= limits::PENDING_ROWS { self.flush() } else { Ok(()) }
    }

    /// Makes the rows durable.
    pub(super) fn flush(&mut self) -> Result<(), RepoError> {
        self.rows.sort_unstable();
        let mut group = GroupWriter::new(&self.repository, 0);
        for (id, number, ordinal) in self.rows.drain(..) {
            group.push(FreeRow { id, pack: self.packs[number as usize], ordinal })?;
        }
        self.packs.clear();
        group.finish().map(drop)
    }
}

const _: () = assert!(limits::PENDING_ROWS + limits::PACK_MAX_CHUNKS <= limits::RUN_MAX_ROWS, "one run for each batch");
