//! Blocks that workers open, shared by all that want chunks of them.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::ids::ObjectId;
use crate::repo::RepoError;
use crate::repo::pack_reader::Block;
use crate::sync::{Mutex, Promise, Promised, locked, promise};

/// A block, or the reason why it did not open.
pub(super) type Opened = Result<Arc<Block>, Arc<RepoError>>;

/// A block that somebody opens.
pub(super) type SharedBlock = Promised<Opened>;

/// What came of opening a block, for all that want it.
pub(super) fn shared(opened: Result<Block, RepoError>) -> Opened {
    opened.map(Arc::new).map_err(Arc::new)
}

/// A pack, and which of its blocks.
pub(super) type BlockKey = (ObjectId, usize);

/// Blocks opened lately or under way, the one that was used longest ago dropped first.
pub(super) struct BlockCache {
    capacity: usize,
    blocks: Mutex<Blocks>,
}

impl BlockCache {
    /// A cache of at most so many blocks.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, blocks: Mutex::default() }
    }

    /// The block, if it is known.
    pub(super) fn find(&self, key: BlockKey) -> Option<SharedBlock> {
        find(&mut locked(&self.blocks), key)
    }

    /// The block; if it was not known, with the promise to open it.
    pub(super) fn find_or_promise(&self, key: BlockKey) -> (SharedBlock, Option<Promise<Opened>>) {
        let mut blocks = locked(&self.blocks);
        if let Some(block) = find(&mut blocks, key) {
            return (block, None);
        }
        let (promise, block) = promise();
        self.insert(&mut blocks, key, block.clone());
        (block, Some(promise))
    }

    /// Keeps a block that was read, also where another failed before.
    pub(super) fn keep(&self, key: BlockKey, block: Block) -> Arc<Block> {
        let block = Arc::new(block);
        let mut blocks = locked(&self.blocks);
        blocks.retain(|(of, _)| *of != key);
        self.insert(&mut blocks, key, SharedBlock::kept(Ok(Arc::clone(&block))));
        block
    }

    fn insert(&self, blocks: &mut Blocks, key: BlockKey, block: SharedBlock) {
        if blocks.len() >= self.capacity {
            blocks.pop_front();
        }
        blocks.push_back((key, block));
    }
}

type Blocks = VecDeque<(BlockKey, SharedBlock)>;

fn find(blocks: &mut Blocks, key: BlockKey) -> Option<SharedBlock> {
    let place = blocks.iter().rposition(|(of, _)| *of == key)?;
    let found = blocks.remove(place)?;
    let block = found.1.clone();
    blocks.push_back(found);
    Some(block)
}
