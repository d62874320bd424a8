//! Out of the repository: chunks are located in order, their blocks opened by workers, and written in order.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::event::{Event, Task};
use crate::format::index::PackEntry;
use crate::format::list::ListRow;
use crate::format::manifest::Content;
use crate::format::pack::{BlockKind, BlockSpan};
use crate::ids::{ChunkId, ObjectId};
use crate::limits;
use crate::repo::index::{Index, Location};
use crate::repo::list::{ListWalker, NodeSource};
use crate::repo::pack_reader::{Block, PackCache, PackReader};
use crate::repo::pool::Pool;
use crate::repo::{RepoError, Repository};

use super::hashed::HashedPieces;
use super::scout::Scout;

/// Reads streams of one repository.
pub struct Egress<'a> {
    repository: &'a Repository,
    index: Index,
    pool: Arc<Pool>,
    packs: PackCache,
    blocks: BlockCache,
    last: Option<(PackEntry, u16)>,
}

/// Why a stream did not get out.
#[derive(Debug, thiserror::Error)]
pub enum EgressError<E> {
    /// The repository cannot give it.
    #[error("at offset {offset} of the stream")]
    Repo {
        /// Where in the stream, in bytes.
        offset: u64,
        /// Why.
        #[source]
        source: RepoError,
    },
    /// Every chunk is right, but the whole is not what was hashed when it was stored.
    #[error("the stream does not hash to what its snapshot says")]
    WrongHash,
    /// Every chunk is right, but a file of a folder stream is not what was hashed when it was stored.
    #[error("`{path}` does not hash to what the folder's catalog says")]
    WrongFile {
        /// The file.
        path: String,
    },
    /// Whoever takes the bytes failed.
    #[error(transparent)]
    Sink(E),
}

/// Takes the chunks of a stream in their order.
pub trait Taker {
    /// Why it takes no more.
    type Error;

    /// True if it needs the bytes of this chunk; asked some time before the chunk's turn comes, in the same order.
    fn needs(&mut self, reader: &mut Egress<'_>, row: &ListRow) -> Result<bool, Self::Error>;

    /// Takes the chunk that begins at `offset` of the stream, with its bytes if it needs them.
    fn take(&mut self, offset: u64, row: &ListRow, bytes: Option<&[u8]>) -> Result<(), Self::Error>;
}

/// Takes the bytes of a stretch of a stream.
struct Stretch<S> {
    range: Range<u64>,
    sink: S,
}

impl<E, S: FnMut(&[u8]) -> Result<(), E>> Taker for Stretch<S> {
    type Error = E;

    fn needs(&mut self, _: &mut Egress<'_>, _: &ListRow) -> Result<bool, E> {
        Ok(true)
    }

    fn take(&mut self, offset: u64, row: &ListRow, bytes: Option<&[u8]>) -> Result<(), E> {
        let from = self.range.start.saturating_sub(offset).min(row.len) as usize;
        let to = (self.range.end - offset).min(row.len) as usize;
        bytes.map_or(Ok(()), |chunk| (self.sink)(&chunk[from..to]))
    }
}

/// A block that some worker opens, shared by all that want chunks of it.
type SharedBlock = Arc<(Mutex<Option<Result<Arc<Block>, Arc<RepoError>>>>, Condvar)>;

/// Blocks opened lately or under way, the oldest dropped first.
#[derive(Default)]
struct BlockCache {
    blocks: VecDeque<((ObjectId, usize), SharedBlock)>,
}

impl BlockCache {
    fn find(&mut self, key: (ObjectId, usize)) -> Option<SharedBlock> {
        let place = self.blocks.iter().rposition(|(of, _)| *of == key)?;
        let found = self.blocks.remove(place)?;
        let block = Arc::clone(&found.1);
        self.blocks.push_back(found);
        Some(block)
    }

    fn insert(&mut self, key: (ObjectId, usize), block: SharedBlock) {
        if self.blocks.len() >= limits::BLOCK_CACHE {
            self.blocks.pop_front();
        }
        self.blocks.push_back((key, block));
    }
}

fn shared(result: Result<Arc<Block>, Arc<RepoError>>) -> SharedBlock {
    Arc::new((Mutex::new(Some(result)), Condvar::new()))
}

fn wait(block: &SharedBlock) -> Result<Arc<Block>, Arc<RepoError>> {
    let (slot, ready) = &**block;
    let guard = slot.lock().unwrap_or_else(PoisonError::into_inner);
    let guard = ready.wait_while(guard, |slot| slot.is_none()).unwrap_or_else(PoisonError::into_inner);
    guard.as_ref().expect("waited for it").clone()
}

/// A chunk on its way out.
struct Pending {
    row: ListRow,
    offset: u64,
    place: usize,
    /// Nothing if its bytes are not needed.
    block: Option<SharedBlock>,
    /// True if the block was not there or under way before.
    opened: bool,
}

impl Drop for Egress<'_> {
    fn drop(&mut self) {
        self.repository.backend.expect_no_more();
    }
}

impl<'a> Egress<'a> {
    /// Reads from a repository. Damaged index runs are passed over: other copies may do.
    pub fn open(repository: &'a Repository) -> Result<Self, RepoError> {
        let log = repository.gc_log_for_reading()?;
        let index = Index::open_what_opens(repository, &log, |_, _| {})?;
        // Workers that read from a bucket mostly wait.
        let workers = if repository.backend.is_remote() { limits::READS_AT_A_TIME } else { repository.env.workers };
        Ok(Self {
            repository,
            index,
            pool: Arc::new(Pool::new(workers)),
            packs: PackCache::default(),
            blocks: BlockCache::default(),
            last: None,
        })
    }

    /// Writes a whole stream in large pieces and checks its hash, which workers compute beside the writing.
    pub fn write_all<E>(
        &mut self,
        content: &Content,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), EgressError<E>> {
        let mut hashing = HashedPieces::new(Arc::clone(&self.pool));
        self.write_range(content, 0, content.len, |bytes| hashing.push(bytes, &mut sink))?;
        let hash = hashing.finish(&mut sink).map_err(EgressError::Sink)?;
        if hash == content.hash { Ok(()) } else { Err(EgressError::WrongHash) }
    }

    /// Writes `len` bytes of a stream from `start` on; every chunk is checked, the hash of the stream cannot be.
    pub fn write_range<E>(
        &mut self,
        content: &Content,
        start: u64,
        len: u64,
        sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), EgressError<E>> {
        let range = start..start.saturating_add(len).min(content.len);
        self.walk(content, range.clone(), &mut Stretch { range, sink })
    }

    /// Gives the chunks that hold a stretch of a stream to whoever takes them, in their order.
    pub fn walk<T: Taker>(
        &mut self,
        content: &Content,
        range: Range<u64>,
        taker: &mut T,
    ) -> Result<(), EgressError<T::Error>> {
        let at = |offset| move |source| EgressError::Repo { offset, source };
        let mut walker = ListWalker::new(content.root, content.len).map_err(at(range.start))?;
        walker.seek(range.start, self).map_err(at(range.start))?;
        let mut under_way: VecDeque<Pending> = VecDeque::new();
        let mut opening = 0;
        let mut scout = Scout::new(self.repository.backend.is_remote());
        loop {
            while opening < limits::RESTORE_AHEAD && under_way.len() < CHUNKS_AHEAD {
                scout.go_ahead(self, &mut walker, range.end, taker)?;
                let Some(next) = scout.next() else {
                    break;
                };
                let pending = self.fetch(next.row, next.offset, next.is_needed).map_err(at(next.offset))?;
                opening += usize::from(pending.opened);
                under_way.push_back(pending);
            }
            let Some(pending) = under_way.pop_front() else {
                return Ok(());
            };
            let (row, offset) = (pending.row, pending.offset);
            self.repository.check_cancel().map_err(at(offset))?;
            opening -= usize::from(pending.opened);
            let taken = self.arrive(&pending, |chunk| taker.take(offset, &row, chunk)).map_err(at(offset))?;
            taken.map_err(EgressError::Sink)?;
            let inside = (offset + row.len).min(range.end) - offset.max(range.start);
            self.repository.env.tell(&Event::Advance(Task::ONLY, inside));
        }
    }

    /// Finds a chunk, if it is needed, and sees to it that its block is being opened.
    fn fetch(&mut self, row: ListRow, offset: u64, is_needed: bool) -> Result<Pending, RepoError> {
        if !is_needed {
            return Ok(Pending { row, offset, place: 0, block: None, opened: false });
        }
        match self.begin(&row.id) {
            Ok((place, block, opened)) => Ok(Pending { row, offset, place, block: Some(block), opened }),
            // Told when the chunk's turn comes, if it lies nowhere else.
            Err(error) if error.is_damage() => {
                let block = Some(shared(Err(Arc::new(error))));
                Ok(Pending { row, offset, place: 0, block, opened: false })
            }
            Err(error) => Err(error),
        }
    }

    fn begin(&mut self, id: &ChunkId) -> Result<(usize, SharedBlock, bool), RepoError> {
        let (pack, ordinal) = self.locate(id)?;
        let reader = self.packs.open(self.repository, pack)?;
        let span = reader.block_of(ordinal, id)?;
        if span.row.kind != BlockKind::Data {
            return Err(RepoError::MissingChunk { chunk: *id });
        }
        let (block, opened) = self.open_block(&reader, span);
        Ok((usize::from(ordinal) - span.first_chunk, block, opened))
    }

    /// The pack that a chunk lies in, as far as the index knows.
    pub(super) fn pack_of(&mut self, id: &ChunkId) -> Result<Option<PackEntry>, RepoError> {
        Ok(self.index.find_reopening(self.repository, id)?.first().map(|location| location.pack))
    }

    /// Says that a pack will be read soon.
    pub(super) fn expect(&self, pack: &ObjectId) {
        self.repository.backend.expect(pack);
    }

    fn locate(&mut self, id: &ChunkId) -> Result<(PackEntry, u16), RepoError> {
        if let Some((pack, ordinal)) = self.last
            && self.packs.follows(&pack, ordinal, id)
        {
            self.last = Some((pack, ordinal + 1));
            return Ok((pack, ordinal + 1));
        }
        let found = self.index.find_to_read(self.repository, id)?;
        let first = found.first().ok_or(RepoError::MissingChunk { chunk: *id })?;
        self.last = Some((first.pack, first.ordinal));
        Ok((first.pack, first.ordinal))
    }

    fn open_block(&mut self, reader: &Arc<PackReader>, span: BlockSpan) -> (SharedBlock, bool) {
        let key = (reader.entry.id, span.ordinal);
        if let Some(block) = self.blocks.find(key) {
            return (block, false);
        }
        let shared = SharedBlock::default();
        let (slot, reader, repository) = (Arc::clone(&shared), Arc::clone(reader), self.repository.clone());
        // Nobody waits for the ticket: the result is handed over through the slot.
        drop(self.pool.submit(move || {
            let block = reader.read_block(&repository, &span).map(Arc::new).map_err(Arc::new);
            *slot.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(block);
            slot.1.notify_all();
        }));
        self.blocks.insert(key, Arc::clone(&shared));
        (shared, true)
    }

    /// Waits for a chunk and gives it to `take`; if its block is damaged, tries the other places where it lies.
    fn arrive<T>(&mut self, pending: &Pending, take: impl FnOnce(Option<&[u8]>) -> T) -> Result<T, RepoError> {
        let right = |chunk: &[u8]| chunk.len() as u64 == pending.row.len;
        let Some(block) = &pending.block else { return Ok(take(None)) };
        match wait(block) {
            Ok(block) if right(block.chunk(pending.place)) => Ok(take(Some(block.chunk(pending.place)))),
            Ok(_) => Err(wrong_length(pending.row.id)),
            Err(_) => {
                let chunk = self.load(BlockKind::Data, &pending.row.id)?;
                if right(&chunk) { Ok(take(Some(&chunk))) } else { Err(wrong_length(pending.row.id)) }
            }
        }
    }
}

fn wrong_length(id: ChunkId) -> RepoError {
    RepoError::Damaged { object: format!("chunk {id}"), why: "it is not as long as its list says".to_owned() }
}

/// Chunks under way ahead of the output, however few blocks they lie in.
const CHUNKS_AHEAD: usize = 4096;

impl NodeSource for Egress<'_> {
    fn load_node(&mut self, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        self.load(BlockKind::List, id)
    }
}

impl Egress<'_> {
    /// A chunk of a kind from the first of its places that is not damaged.
    fn load(&mut self, kind: BlockKind, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        match self.load_as_indexed(kind, id) {
            // A collector may have moved it since the index was opened.
            Err(error) if error.is_damage() => {
                self.index.reopen(self.repository)?;
                self.load_as_indexed(kind, id)
            }
            other => other,
        }
    }

    fn load_as_indexed(&mut self, kind: BlockKind, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        let found: Vec<Location> = self.index.find_to_read(self.repository, id)?;
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
}

impl Egress<'_> {
    /// Begins to read the lists of a pack from this block on, together: one after the other they would cost a round trip
    /// each, with nothing else to do.
    fn open_lists(&mut self, reader: &Arc<PackReader>, from: usize) {
        let lists = reader.spans()[from..].iter().filter(|span| span.row.kind == BlockKind::List);
        lists.take(limits::LISTS_AHEAD).for_each(|span| drop(self.open_block(reader, *span)));
    }

    fn load_chunk(&mut self, kind: BlockKind, location: &Location, id: &ChunkId) -> Result<Vec<u8>, RepoError> {
        let reader = self.packs.open(self.repository, location.pack)?;
        let span = reader.block_of(location.ordinal, id)?;
        if span.row.kind != kind {
            return Err(RepoError::MissingChunk { chunk: *id });
        }
        let key = (reader.entry.id, span.ordinal);
        if kind == BlockKind::List && self.repository.backend.is_remote() && self.blocks.find(key).is_none() {
            self.open_lists(&reader, span.ordinal);
        }
        let cached = self.blocks.find(key).map(|block| wait(&block));
        let block = match cached {
            Some(Ok(block)) => block,
            _ => {
                let block = Arc::new(reader.read_block(self.repository, &span)?);
                self.blocks.insert(key, shared(Ok(Arc::clone(&block))));
                block
            }
        };
        Ok(block.chunk(usize::from(location.ordinal) - span.first_chunk).to_vec())
    }
}
