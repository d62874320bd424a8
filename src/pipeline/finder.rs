//! Finding chunks: where they lie as far as the index knows, and the blocks that hold them.

use std::collections::VecDeque;
use std::sync::Arc;

use super::blocks::{BlockCache, Opened, SharedBlock, shared};
use crate::format::index::PackEntry;
use crate::format::pack::{BlockKind, BlockSpan};
use crate::ids::{ChunkId, ObjectId};
use crate::limits;
use crate::repo::index::{Index, Location};
use crate::repo::list::NodeSource;
use crate::repo::pack_reader::{PackCache, PackReader};
use crate::repo::pool::Pool;
use crate::repo::{RepoError, Repository};
use crate::sync::{Mutex, MutexGuard, Promise, locked};

/// Bytes of a stream of small chunks that one block of lists covers, or more.
const BLOCK_COVERS: u64 = 16 << 20;

/// Finds chunks of a repository for one thread.
pub(super) struct Finder<'a> {
    pub(super) repository: &'a Repository,
    pub(super) pool: Arc<Pool>,
    index: Arc<Mutex<Index>>,
    packs: Arc<PackCache>,
    /// Blocks of lists.
    lists: Arc<BlockCache>,
    /// Blocks of data, of this one only: it looks up what comes in its own order.
    blocks: BlockCache,
    last: Option<(PackEntry, u16)>,
    /// Blocks of lists that are read together.
    lists_ahead: usize,
    /// Packs whose lists were foreseen lately.
    foreseen: VecDeque<ObjectId>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(repository: &'a Repository, index: Index, pool: Pool) -> Self {
        let (pool, index) = (Arc::new(pool), Arc::new(Mutex::new(index)));
        let (packs, last, foreseen) = <_>::default();
        let (lists, blocks) = (Arc::new(BlockCache::new(limits::LIST_CACHE)), BlockCache::new(limits::BLOCK_CACHE));
        let lists_ahead = if repository.backend.is_remote() { limits::LISTS_AHEAD } else { 1 };
        Self { repository, pool, index, packs, lists, blocks, last, lists_ahead, foreseen }
    }

    /// Another one for another thread, which walks the lists of so many bytes of a stream.
    pub(super) fn fork(&self, stretch: u64) -> Self {
        let (index, packs, pool) = (Arc::clone(&self.index), Arc::clone(&self.packs), Arc::clone(&self.pool));
        let (blocks, last, foreseen) = (BlockCache::new(limits::BLOCK_CACHE), None, VecDeque::new());
        // For a file out of a large stream, not all lists that lie beside those of its own.
        let lists_ahead = usize::try_from(stretch / BLOCK_COVERS).unwrap_or(usize::MAX).clamp(1, self.lists_ahead);
        let lists = Arc::clone(&self.lists);
        Self { repository: self.repository, pool, index, packs, lists, blocks, last, lists_ahead, foreseen }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        locked(&self.index)
    }

    /// The pack that a chunk lies in, as far as the index knows.
    pub(super) fn pack_of(&self, id: &ChunkId) -> Result<Option<PackEntry>, RepoError> {
        Ok(self.index().find_reopening(self.repository, id)?.first().map(|location| location.pack))
    }

    /// Begins to open the block that holds a chunk of data, unless it is known. Says where in the block the chunk is,
    /// and whether the block was not known.
    pub(super) fn begin(&mut self, id: &ChunkId) -> Result<(usize, SharedBlock, bool), RepoError> {
        let (pack, ordinal) = self.locate(id)?;
        let reader = self.packs.open(self.repository, pack)?;
        let span = reader.block_of(ordinal, id)?;
        if span.row.kind != BlockKind::Data {
            return Err(RepoError::MissingChunk { chunk: *id });
        }
        let (block, opened) = self.open_block(&reader, span);
        Ok((usize::from(ordinal) - span.first_chunk, block, opened))
    }

    fn locate(&mut self, id: &ChunkId) -> Result<(PackEntry, u16), RepoError> {
        if let Some((pack, ordinal)) = self.last
            && self.packs.follows(&pack, ordinal, id)
        {
            self.last = Some((pack, ordinal + 1));
            return Ok((pack, ordinal + 1));
        }
        let found = self.index().find_to_read(self.repository, id)?;
        let first = found.first().ok_or(RepoError::MissingChunk { chunk: *id })?;
        self.last = Some((first.pack, first.ordinal));
        Ok((first.pack, first.ordinal))
    }

    fn open_block(&self, reader: &Arc<PackReader>, span: BlockSpan) -> (SharedBlock, bool) {
        let (block, promise) = self.blocks.find_or_promise((reader.entry.id, span.ordinal));
        let is_new = promise.is_some();
        if let Some(promise) = promise {
            let (reader, repository) = (Arc::clone(reader), self.repository.clone());
            // Nobody waits for the ticket: the block is handed over by the promise.
            drop(self.pool.submit(move || promise.keep(shared(reader.read_block(&repository, &span)))));
        }
        (block, is_new)
    }

    /// A chunk of a kind from the first of its places that is not damaged.
    pub(super) fn load(&mut self, kind: BlockKind, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        match self.load_as_indexed(kind, id) {
            // A collector may have moved it since the index was opened.
            Err(error) if error.is_damage() => {
                self.index().reopen(self.repository)?;
                self.load_after_reopening(kind, id)
            }
            other => other,
        }
    }

    fn load_after_reopening(&mut self, kind: BlockKind, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        let failure = match self.load_as_indexed(kind, id) {
            Err(error) if error.is_damage() => error,
            other => return other,
        };
        let unnamed = self.index().find_unnamed(self.repository, id)?;
        match self.load_from(kind, unnamed, id) {
            Err(error) if error.is_damage() => Err(failure),
            other => other,
        }
    }

    fn load_as_indexed(&mut self, kind: BlockKind, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        let found = self.index().find_to_read(self.repository, id)?;
        self.load_from(kind, found, id)
    }

    fn load_from(&mut self, kind: BlockKind, found: Vec<Location>, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        let mut failure = RepoError::MissingChunk { chunk: *id };
        for location in found {
            match self.load_chunk(kind, &location, id) {
                Ok(bytes) => return Ok(bytes),
                Err(error) if error.is_damage() => failure = error,
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }

    fn load_chunk(&mut self, kind: BlockKind, location: &Location, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        let reader = self.packs.open(self.repository, location.pack)?;
        let span = reader.block_of(location.ordinal, id)?;
        if span.row.kind != kind {
            return Err(RepoError::MissingChunk { chunk: *id });
        }
        let key = (reader.entry.id, span.ordinal);
        let cache = match kind {
            BlockKind::Data => &self.blocks,
            BlockKind::List => {
                read_lists(self.repository, &reader, span.ordinal, self.lists_ahead, &self.lists);
                &self.lists
            }
        };
        let cached = cache.find(key).and_then(|block| block.wait());
        let block = match cached {
            Some(Ok(block)) => block,
            // Not there, or whoever read it failed: then with the reason.
            _ => cache.keep(key, reader.read_block(self.repository, &span)?),
        };
        Ok(block.chunk(usize::from(location.ordinal) - span.first_chunk).to_vec())
    }

    /// Begins to open the pack that holds a node of a list, and to read the lists in it, unless that was done lately:
    /// then false. What fails here fails again where it is needed, and is told there.
    pub(super) fn foresee(&mut self, node: &ChunkId) -> bool {
        let found = self.index().find_reopening(self.repository, node).unwrap_or_default();
        let Some(&location) = found.first() else { return false };
        if self.foreseen.contains(&location.pack.id) {
            return false;
        }
        if self.foreseen.len() >= limits::DIRECTORY_CACHE {
            self.foreseen.pop_front();
        }
        self.foreseen.push_back(location.pack.id);
        let (packs, lists, repository) = (Arc::clone(&self.packs), Arc::clone(&self.lists), self.repository.clone());
        let (node, ahead) = (*node, self.lists_ahead);
        drop(self.pool.submit(move || {
            let Ok(reader) = packs.open(&repository, location.pack) else { return };
            let Ok(first) = reader.block_of(location.ordinal, &node) else { return };
            read_lists(&repository, &reader, first.ordinal, ahead, &lists);
        }));
        true
    }
}

/// Reads a block of lists of a pack, unless it is known, and together with it those that come next, or if there are not so
/// many, those before it: one after the other they would cost a round trip each, with nothing else to do. Those that cannot
/// be read are not known then.
fn read_lists(repository: &Repository, reader: &PackReader, wanted: usize, together: usize, cache: &BlockCache) {
    if cache.find((reader.entry.id, wanted)).is_some() {
        return;
    }
    let lists: Vec<&BlockSpan> = reader.spans().iter().filter(|span| span.row.kind == BlockKind::List).collect();
    let place = lists.partition_point(|span| span.ordinal < wanted);
    let lists = lists.iter().skip(place.min(lists.len().saturating_sub(together))).take(together);
    let promised = lists.filter_map(|span| Some((**span, cache.find_or_promise((reader.entry.id, span.ordinal)).1?)));
    let (spans, promises): (Vec<BlockSpan>, Vec<Promise<Opened>>) = promised.unzip();
    let Ok(read) = reader.read_blocks(repository, &spans) else { return };
    promises.into_iter().zip(read).for_each(|(promise, block)| promise.keep(shared(block)));
}

impl NodeSource for Finder<'_> {
    fn load_node(&mut self, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        self.load(BlockKind::List, id)
    }
}
