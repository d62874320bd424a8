//! Into the repository: segments are scanned by workers, joined in order, and their new chunks stored.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::jobs::{Source, Work};
use super::lanes::{Lanes, Piece};
use crate::chunk::Chunker;
use crate::chunk::segment::{ChunkSink, Joiner, Scanned, Segment, scan};
use crate::crypto::stream_hash::StreamHash;
use crate::event::{Event, Task};
use crate::format::manifest::{ChunkSizes, Content};
use crate::format::pack::BlockKind;
use crate::ids::ChunkId;
use crate::limits;
use crate::repo::list::{ListBuilder, NodeStore};
use crate::repo::pool::Ticket;
use crate::repo::store::ChunkStore;
use crate::repo::{RepoError, Repository};
use crate::sync::{self, Receiver, Sender, bounded};

/// Chooses the chunk sizes of a stream from its first bytes.
pub type Sizing<'a> = Box<dyn Fn(&[u8]) -> ChunkSizes + 'a>;

/// One stream of the source.
#[derive(Debug, Clone)]
pub struct Ingested {
    /// What is stored.
    pub content: Content,
    /// Bytes of its chunks that were new.
    pub new_bytes: u64,
}

/// Why a stream did not get in.
#[derive(Debug, thiserror::Error)]
pub enum IngestError<E> {
    /// The source failed.
    #[error("a source failed")]
    Source {
        /// Which one, counted from 0.
        job: usize,
        /// Why.
        #[source]
        error: E,
    },
    /// The repository failed.
    #[error(transparent)]
    Repo(#[from] RepoError),
}

impl NodeStore for (&Repository, &mut ChunkStore) {
    fn store_node(&mut self, bytes: &[u8]) -> Result<ChunkId, RepoError> {
        let id = self.0.keys.list_hasher()?.id(bytes);
        self.1.store(BlockKind::List, id, bytes)?;
        Ok(id)
    }
}

/// One source, and the streams that it writes into its lanes.
pub struct Job<'a, T, E> {
    /// Its number among the steps of the work.
    pub task: Task,
    /// How each of its streams is cut.
    pub sizings: Vec<Sizing<'a>>,
    /// Writes the streams, and gives the verdict on them: if it fails, whatever arrived before is worth nothing.
    pub source: Source<'a, T, E>,
}

/// What a source said of its streams, and the streams.
pub type Done<T> = (T, Vec<Ingested>);

/// Runs sources, up to `side_by_side` at a time, and stores what they write. The first failure ends them all.
pub fn ingest<T: Send, E: From<io::Error> + Send>(
    repository: &Repository,
    store: &mut ChunkStore,
    jobs: Vec<Job<'_, T, E>>,
    side_by_side: usize,
) -> Result<Vec<Done<T>>, IngestError<E>> {
    let (sender, pieces) = bounded(limits::SEGMENTS_AHEAD / 2);
    let (spare, spares) = bounded(limits::SEGMENTS_AHEAD);
    let cancel = repository.env.cancel.child();
    let mut streams = Vec::new();
    let (mut counts, mut sources) = (Vec::new(), Vec::new());
    for job in jobs {
        let first = streams.len();
        counts.push(job.sizings.len());
        streams.extend(job.sizings.into_iter().map(|sizing| StreamState::new(repository, sizing, job.task)));
        let lanes = Lanes::new(first..streams.len(), sender.clone(), spares.clone(), cancel.clone());
        sources.push((job.source, lanes));
    }
    // Each source holds its own end of the channel, which closes with the last of them.
    drop((sender, spares));
    let runners = side_by_side.clamp(1, sources.len().max(1));
    let work = Work::new(sources, cancel);
    sync::scope(|scope| -> Result<(), IngestError<E>> {
        for _ in 0..runners {
            let started = scope.spawn("source", || work.run());
            started.map_err(|error| IngestError::Source { job: 0, error: error.into() })?;
        }
        // Whoever still writes is told to stop: by the closed channel, and before its next segment is full.
        let pieces = pieces;
        Ok(drain(&pieces, &spare, &mut streams, store).inspect_err(|_| work.cancel.cancel())?)
    })?;
    repository.check_cancel()?;
    let verdicts = work.verdicts().map_err(|(job, error)| IngestError::Source { job, error })?;
    let mut streams = streams.into_iter();
    let contents = |count| streams.by_ref().take(count).map(|stream| stream.finish(store)).collect::<Result<_, _>>();
    let contents: Vec<Vec<Ingested>> = counts.into_iter().map(contents).collect::<Result<_, RepoError>>()?;
    Ok(verdicts.into_iter().zip(contents).collect())
}

/// Keeps workers busy with segments and takes them back in order.
fn drain(
    pieces: &Receiver<Piece>,
    spare: &Sender<Vec<u8>>,
    streams: &mut [StreamState<'_>],
    store: &mut ChunkStore,
) -> Result<(), RepoError> {
    let mut under_way: VecDeque<UnderWay> = VecDeque::new();
    loop {
        while under_way.len() < limits::SEGMENTS_AHEAD {
            let next = if under_way.is_empty() { pieces.recv().ok() } else { pieces.try_recv().ok() };
            match next {
                Some(Piece::Segment(stream, segment)) => {
                    under_way.push_back(UnderWay::Scanning(stream, streams[stream].submit(segment, store)?));
                }
                Some(Piece::Restart(restarted)) => under_way.push_back(UnderWay::Restart(restarted)),
                None => break,
            }
        }
        match under_way.pop_front() {
            Some(UnderWay::Scanning(stream, ticket)) => {
                let scanned = ticket.wait();
                streams[stream].take(&scanned, store)?;
                let mut bytes = scanned.segment.bytes;
                bytes.clear();
                // Dropped where the sources have enough of them.
                let _ = spare.try_send(bytes);
            }
            Some(UnderWay::Restart(restarted)) => streams[restarted].iter_mut().for_each(StreamState::restart),
            None => return Ok(()),
        }
    }
}

enum UnderWay {
    Scanning(usize, Ticket<Scanned>),
    Restart(Range<usize>),
}

/// One stream on its way in.
struct StreamState<'a> {
    repository: &'a Repository,
    sizing: Sizing<'a>,
    task: Task,
    started: Option<Started>,
    list: ListBuilder,
    hash: StreamHash,
    len: u64,
    new_bytes: u64,
}

struct Started {
    sizes: ChunkSizes,
    chunker: Arc<Chunker>,
    joiner: Joiner,
}

impl<'a> StreamState<'a> {
    fn new(repository: &'a Repository, sizing: Sizing<'a>, task: Task) -> Self {
        Self {
            repository,
            sizing,
            task,
            started: None,
            list: ListBuilder::default(),
            hash: StreamHash::default(),
            len: 0,
            new_bytes: 0,
        }
    }

    /// Forgets what came. Its chunks stay: if the stream is the same the next time, nothing is stored twice.
    fn restart(&mut self) {
        (self.started, self.list, self.hash) = Default::default();
        (self.len, self.new_bytes) = (0, 0);
    }

    fn start(&mut self, first: &[u8]) -> Result<&mut Started, RepoError> {
        if self.started.is_none() {
            let (sizes, keys) = ((self.sizing)(first), &self.repository.keys);
            let chunker = self.repository.chunker(sizes)?;
            let joiner = Joiner::new(chunker.clone(), keys.chunk_hasher()?.clone());
            self.started = Some(Started { sizes, chunker: Arc::new(chunker), joiner });
        }
        Ok(self.started.as_mut().expect("set above"))
    }

    fn submit(&mut self, segment: Segment, store: &ChunkStore) -> Result<Ticket<Scanned>, RepoError> {
        let chunker = Arc::clone(&self.start(&segment.bytes)?.chunker);
        let hasher = self.repository.keys.chunk_hasher()?.clone();
        Ok(store.pool().submit(move || scan(segment, &chunker, &hasher)))
    }

    fn take(&mut self, scanned: &Scanned, store: &mut ChunkStore) -> Result<(), RepoError> {
        let bytes = &scanned.segment.bytes;
        self.hash.push(scanned.hash, bytes);
        self.len += bytes.len() as u64;
        let Some(started) = &mut self.started else {
            return Ok(());
        };
        let mut sink =
            Storing { repository: self.repository, store, list: &mut self.list, new_bytes: &mut self.new_bytes };
        started.joiner.join(scanned, &mut sink)?;
        self.repository.env.tell(&Event::Advance(self.task, bytes.len() as u64));
        self.repository.check_cancel()
    }

    fn finish(mut self, store: &mut ChunkStore) -> Result<Ingested, RepoError> {
        self.start(&[])?;
        let started = self.started.take().expect("started above");
        let mut sink =
            Storing { repository: self.repository, store, list: &mut self.list, new_bytes: &mut self.new_bytes };
        started.joiner.finish(&mut sink)?;
        let root = self.list.finish(&mut (self.repository, &mut *store))?;
        let content = Content { len: self.len, hash: self.hash.finish(), sizes: started.sizes, root };
        Ok(Ingested { content, new_bytes: self.new_bytes })
    }
}

/// Stores the chunks of a stream and lists them.
struct Storing<'a> {
    repository: &'a Repository,
    store: &'a mut ChunkStore,
    list: &'a mut ListBuilder,
    new_bytes: &'a mut u64,
}

impl ChunkSink for Storing<'_> {
    type Error = RepoError;

    fn chunk(&mut self, id: ChunkId, bytes: &[u8]) -> Result<(), RepoError> {
        if self.store.store(BlockKind::Data, id, bytes)? {
            *self.new_bytes += bytes.len() as u64;
        }
        self.list.push(id, bytes.len() as u64, &mut (self.repository, &mut *self.store))
    }
}
