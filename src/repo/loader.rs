//! Loading single chunks, one after the other: for walking lists and for moving chunks between packs.

use std::collections::VecDeque;
use std::sync::Arc;

use super::index::{Index, Location};
use super::list::NodeSource;
use super::pack_reader::{Block, PackCache};
use super::{RepoError, Repository};
use crate::format::pack::BlockKind;
use crate::ids::{ChunkId, ObjectId};
use crate::limits;

/// Loads chunks by way of an index.
pub struct ChunkLoader<'a> {
    repository: &'a Repository,
    /// The index that says where chunks lie.
    pub index: &'a mut Index,
    cache: &'a mut LoaderCache,
}

/// What loaders keep from one chunk to the next.
#[derive(Debug, Default)]
pub struct LoaderCache {
    packs: PackCache,
    blocks: VecDeque<((ObjectId, usize), Arc<Block>)>,
}

impl<'a> ChunkLoader<'a> {
    /// A loader on an index.
    pub fn new(repository: &'a Repository, index: &'a mut Index, cache: &'a mut LoaderCache) -> Self {
        Self { repository, index, cache }
    }

    /// A chunk and its kind, from the first of its places that is not damaged.
    pub fn load(&mut self, id: &ChunkId) -> Result<(BlockKind, Vec<u8>), RepoError> {
        let found = self.index.find_to_read(self.repository, id)?;
        let failure = match self.load_from(&found, id) {
            Err(error) if error.is_damage() => error,
            other => return other,
        };
        let unnamed = self.index.find_unnamed(self.repository, id)?;
        match self.load_from(&unnamed, id) {
            Err(error) if error.is_damage() => Err(failure),
            other => other,
        }
    }

    fn load_from(&mut self, found: &[Location], id: &ChunkId) -> Result<(BlockKind, Vec<u8>), RepoError> {
        let mut failure = RepoError::MissingChunk { chunk: *id };
        for location in found {
            match self.cache.load_at(self.repository, location, id) {
                Ok(chunk) => return Ok(chunk),
                Err(error) if error.is_damage() => failure = error,
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }
}

impl NodeSource for ChunkLoader<'_> {
    fn load_node(&mut self, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        match self.load(id)? {
            (BlockKind::List, bytes) => Ok(bytes),
            (BlockKind::Data, _) => Err(RepoError::MissingChunk { chunk: *id }),
        }
    }
}

impl LoaderCache {
    /// The chunk at a place, where it must be this one.
    pub fn load_at(
        &mut self,
        repository: &Repository,
        location: &Location,
        id: &ChunkId,
    ) -> Result<(BlockKind, Vec<u8>), RepoError> {
        let reader = self.packs.open(repository, location.pack)?;
        let span = reader.block_of(location.ordinal, id)?;
        let key = (location.pack.id, span.ordinal);
        let place = usize::from(location.ordinal) - span.first_chunk;
        if let Some((_, block)) = self.blocks.iter().find(|(of, _)| *of == key) {
            return Ok((span.row.kind, block.chunk(place).to_vec()));
        }
        let block = Arc::new(reader.read_block(repository, &span)?);
        if self.blocks.len() >= limits::BLOCK_CACHE {
            self.blocks.pop_front();
        }
        self.blocks.push_back((key, Arc::clone(&block)));
        Ok((span.row.kind, block.chunk(place).to_vec()))
    }
}
