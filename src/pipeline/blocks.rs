//! Blocks that workers open, shared by all that want chunks of them.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::ids::ObjectId;
use crate::limits;
use crate::repo::RepoError;
use crate::repo::pack_reader::Block;

type Opened = Result<Arc<Block>, Arc<RepoError>>;

/// A block that somebody opens. Copies are of the same block.
#[derive(Clone, Default)]
pub(super) struct SharedBlock(Arc<(Mutex<Option<Opened>>, Condvar)>);

impl SharedBlock {
    /// The reason why there is no block.
    pub(super) fn failed(error: RepoError) -> Self {
        let shared = Self::default();
        shared.fill(Err(error));
        shared
    }

    /// Hands the block to all that wait for it.
    pub(super) fn fill(&self, opened: Result<Block, RepoError>) {
        self.put(opened.map(Arc::new).map_err(Arc::new));
    }

    fn put(&self, opened: Opened) {
        let (slot, ready) = &*self.0;
        *locked(slot) = Some(opened);
        ready.notify_all();
    }

    /// Waits for the block.
    pub(super) fn wait(&self) -> Opened {
        let (slot, ready) = &*self.0;
        let slot = ready.wait_while(locked(slot), |slot| slot.is_none()).unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().expect("waited for it").clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pack, and which of its blocks.
pub(super) type BlockKey = (ObjectId, usize);

/// Blocks opened lately or under way, the one that was used longest ago dropped first.
#[derive(Default)]
pub(super) struct BlockCache {
    blocks: Mutex<VecDeque<(BlockKey, SharedBlock)>>,
}

impl BlockCache {
    pub(super) fn has(&self, key: BlockKey) -> bool {
        locked(&self.blocks).iter().any(|(of, _)| *of == key)
    }

    pub(super) fn find(&self, key: BlockKey) -> Option<SharedBlock> {
        let mut blocks = locked(&self.blocks);
        let place = blocks.iter().rposition(|(of, _)| *of == key)?;
        let found = blocks.remove(place)?;
        let block = found.1.clone();
        blocks.push_back(found);
        Some(block)
    }

    /// The block; true if it is new, and the caller is to fill it.
    pub(super) fn find_or_insert(&self, key: BlockKey) -> (SharedBlock, bool) {
        if let Some(block) = self.find(key) {
            return (block, false);
        }
        let block = SharedBlock::default();
        self.insert(key, block.clone());
        (block, true)
    }

    /// Keeps a block that was read, also where another failed before.
    pub(super) fn keep(&self, key: BlockKey, block: Block) -> Arc<Block> {
        let (shared, block) = (SharedBlock::default(), Arc::new(block));
        shared.put(Ok(Arc::clone(&block)));
        locked(&self.blocks).retain(|(of, _)| *of != key);
        self.insert(key, shared);
        block
    }

    fn insert(&self, key: BlockKey, block: SharedBlock) {
        let mut blocks = locked(&self.blocks);
        if blocks.len() >= limits::BLOCK_CACHE {
            blocks.pop_front();
        }
        blocks.push_back((key, block));
    }
}
