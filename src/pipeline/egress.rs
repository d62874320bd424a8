//! Out of the repository: chunks are located in order, their blocks opened by workers, and written in order.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;

use super::blocks::SharedBlock;
use super::finder::Finder;
use super::hashed::HashedPieces;
use super::leaves::{Leaves, Walk};
use super::scout::Scout;
use crate::event::{Event, Task};
use crate::format::list::ListRow;
use crate::format::manifest::Content;
use crate::format::pack::BlockKind;
use crate::ids::ChunkId;
use crate::limits;
use crate::repo::index::Index;
use crate::repo::list::{ListWalker, NodeSource};
use crate::repo::pool::Pool;
use crate::repo::snapshots::Snapshot;
use crate::repo::{RepoError, Repository};
use crate::sync;

/// Reads streams of one repository.
pub struct Egress<'a> {
    pub(super) finder: Finder<'a>,
    /// Whether a stream is proven as a whole before any of it is given.
    proves: Proves,
    /// What was proven: hashes and the lists of chunks that lead to them.
    proven: Vec<Content>,
}

/// When a stream is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proves {
    /// While it is given.
    Meanwhile,
    /// Before.
    First,
    /// Now: nothing of it is given.
    Now,
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

impl EgressError<Infallible> {
    /// The same of whoever takes the bytes.
    fn without_sink<E>(self) -> EgressError<E> {
        match self {
            Self::Repo { offset, source } => EgressError::Repo { offset, source },
            Self::WrongHash => EgressError::WrongHash,
            Self::WrongFile { path } => EgressError::WrongFile { path },
        }
    }
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
        self.finder.repository.backend.expect_no_more();
    }
}

impl<'a> Egress<'a> {
    /// Reads a snapshot. A writer knows the names of others' chunks and can make a snapshot of them, but not their hash as a
    /// stream: of what a writer made nothing is given before the whole is proven, however little of it is wanted.
    pub fn of(repository: &'a Repository, snapshot: &Snapshot) -> Result<Self, RepoError> {
        let mut egress = Self::open(repository)?;
        if snapshot.is_by_writer() {
            egress.proves = Proves::First;
        }
        Ok(egress)
    }

    /// Reads from a repository. Damaged index runs are passed over: other copies may do.
    pub fn open(repository: &'a Repository) -> Result<Self, RepoError> {
        let log = repository.gc_log_for_reading_lately()?;
        let index = Index::open_to_read(repository, &log)?;
        // Workers that read from a bucket mostly wait.
        let workers = if repository.backend.is_remote() { limits::READS_AT_A_TIME } else { repository.env.workers };
        let finder = Finder::new(repository, index, Pool::new(workers)?);
        Ok(Self { finder, proves: Proves::Meanwhile, proven: Vec::new() })
    }

    /// Like [`write_all`](Self::write_all), for a sink that shows nobody what it took before this has succeeded: it is not
    /// proven first.
    pub fn write_aside<E>(
        &mut self,
        content: &Content,
        sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), EgressError<E>> {
        let before = std::mem::replace(&mut self.proves, Proves::Meanwhile);
        let written = self.write_all(content, sink);
        self.proves = before;
        written
    }

    /// Proves a stream, if none of it is given before that.
    pub fn prepare<E>(&mut self, content: &Content) -> Result<(), EgressError<E>> {
        if self.proves == Proves::First { self.prove(content) } else { Ok(()) }
    }

    /// Reads a whole stream and proves it, unless that was done.
    fn prove<E>(&mut self, content: &Content) -> Result<(), EgressError<E>> {
        if self.proven.contains(content) {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.proves, Proves::Now);
        let read = self.write_all(content, |_| Ok::<(), Infallible>(()));
        self.proves = before;
        read.map_err(EgressError::without_sink)?;
        self.proven.push(content.clone());
        Ok(())
    }

    /// Writes a whole stream in large pieces and checks its hash, which workers compute beside the writing.
    pub fn write_all<E>(
        &mut self,
        content: &Content,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), EgressError<E>> {
        let mut hashing = HashedPieces::new(Arc::clone(&self.finder.pool));
        self.write_range(content, 0, content.len, |bytes| hashing.push(bytes, &mut sink))?;
        let hash = hashing.finish(&mut sink).map_err(EgressError::Sink)?;
        if hash == Some(content.hash) { Ok(()) } else { Err(EgressError::WrongHash) }
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
        self.prepare(content)?;
        let walker = ListWalker::new(content.root, content.len);
        let walker = walker.map_err(|source| EgressError::Repo { offset: range.start, source })?;
        let walk = Walk::new(walker, range.clone());
        if !self.finder.repository.backend.is_remote() {
            return self.pass(Scout::new(Leaves::Here(Box::new(walk)), false), range, taker);
        }
        if range.is_empty() {
            return Ok(());
        }
        let ahead = self.finder.fork(range.end - range.start);
        sync::scope(|scope| {
            let leaves = Leaves::ahead(walk, ahead, scope);
            let leaves = leaves.map_err(|source| EgressError::Repo { offset: range.start, source })?;
            self.pass(Scout::new(leaves, true), range, taker)
        })
    }

    fn pass<T: Taker>(
        &mut self,
        mut scout: Scout,
        range: Range<u64>,
        taker: &mut T,
    ) -> Result<(), EgressError<T::Error>> {
        let at = |offset| move |source| EgressError::Repo { offset, source };
        let mut under_way: VecDeque<Pending> = VecDeque::new();
        let mut opening = 0;
        loop {
            while opening < limits::RESTORE_AHEAD && under_way.len() < CHUNKS_AHEAD {
                let Some(next) = scout.next(self, taker, under_way.is_empty())? else {
                    break;
                };
                let pending = self.fetch(next.row, next.offset, next.is_needed).map_err(at(next.offset))?;
                opening += usize::from(pending.opened);
                under_way.push_back(pending);
            }
            let Some(pending) = under_way.pop_front() else {
                return scout.end();
            };
            let (row, offset) = (pending.row, pending.offset);
            self.finder.repository.check_cancel().map_err(at(offset))?;
            opening -= usize::from(pending.opened);
            let taken = self.arrive(&pending, |chunk| taker.take(offset, &row, chunk)).map_err(at(offset))?;
            taken.map_err(EgressError::Sink)?;
            let inside = (offset + row.len).min(range.end) - offset.max(range.start);
            if self.proves != Proves::Now {
                self.finder.repository.env.tell(&Event::Advance(Task::ONLY, inside));
            }
        }
    }

    /// Finds a chunk, if it is needed, and sees to it that its block is being opened.
    fn fetch(&mut self, row: ListRow, offset: u64, is_needed: bool) -> Result<Pending, RepoError> {
        if !is_needed {
            return Ok(Pending { row, offset, place: 0, block: None, opened: false });
        }
        match self.finder.begin(&row.id) {
            Ok((place, block, opened)) => Ok(Pending { row, offset, place, block: Some(block), opened }),
            // Told when the chunk's turn comes, if it lies nowhere else.
            Err(error) if error.is_damage() => {
                let block = Some(SharedBlock::kept(Err(Arc::new(error))));
                Ok(Pending { row, offset, place: 0, block, opened: false })
            }
            Err(error) => Err(error),
        }
    }

    /// Waits for a chunk and gives it to `take`; if its block is damaged, tries the other places where it lies.
    fn arrive<T>(&mut self, pending: &Pending, take: impl FnOnce(Option<&[u8]>) -> T) -> Result<T, RepoError> {
        let right = |chunk: &[u8]| chunk.len() as u64 == pending.row.len;
        let Some(block) = &pending.block else { return Ok(take(None)) };
        match block.wait() {
            Some(Ok(block)) if right(block.chunk(pending.place)) => Ok(take(Some(block.chunk(pending.place)))),
            Some(Ok(_)) => Err(wrong_length(pending.row.id)),
            Some(Err(_)) | None => {
                let chunk = self.finder.load(BlockKind::Data, &pending.row.id)?;
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
        self.finder.load_node(id)
    }
}
