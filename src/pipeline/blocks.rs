//! Blocks that workers open, shared by all that want chunks of them.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::ids::ObjectId;
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
        shared.put(Err(Arc::new(error)));
        shared
    }

    /// Hands the block to all that wait for it.
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

/// Whoever has promised a block and goes without it says so: nobody waits for ever.
pub(super) struct Promise(SharedBlock);

impl Promise {
    pub(super) fn keep(self, opened: Result<Block, RepoError>) {
        self.0.put(opened.map(Arc::new).map_err(Arc::new));
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let (slot, ready) = &*self.0.0;
        locked(slot).get_or_insert_with(|| Err(Arc::new(RepoError::Cancelled)));
        ready.notify_all();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub(super) fn find_or_promise(&self, key: BlockKey) -> (SharedBlock, Option<Promise>) {
        let mut blocks = locked(&self.blocks);
        if let Some(block) = find(&mut blocks, key) {
            return (block, None);
        }
        let block = SharedBlock::default();
        self.insert(&mut blocks, key, block.clone());
        (block.clone(), Some(Promise(block)))
    }

    /// Keeps a block that was read, also where another failed before.
    pub(super) fn keep(&self, key: BlockKey, block: Block) -> Arc<Block> {
        let (shared, block) = (SharedBlock::default(), Arc::new(block));
        shared.put(Ok(Arc::clone(&block)));
        let mut blocks = locked(&self.blocks);
        blocks.retain(|(of, _)| *of != key);
        self.insert(&mut blocks, key, shared);
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
