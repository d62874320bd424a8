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

/// A stream that is in the repository from its first byte to its last.
///
/// There is no other way to make one than [`ingest`]: its source ended without an error and said how many segments it had
/// sent, none of them is missing, its chunks are as long together as its segments were, and its hash is that of the bytes
/// that were cut.
#[derive(Debug, Clone)]
pub struct StoredStream {
    content: Content,
    new_bytes: u64,
}

impl StoredStream {
    /// What is stored.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Bytes of its chunks that were new.
    pub fn new_bytes(&self) -> u64 {
        self.new_bytes
    }
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
pub type Done<T> = (T, Vec<StoredStream>);

/// Runs sources, up to `side_by_side` at a time, and stores what they write. The first failure ends them all.
pub fn ingest<T: Send, E: From<io::Error> + Send>(
    repository: &Repository,
    store: &mut ChunkStore,
    jobs: Vec<Job<'_, T, E>>,
    side_by_side: usize,
) -> Result<Vec<Done<T>>, IngestError<E>> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
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
    let contents: Vec<Vec<StoredStream>> = counts.into_iter().map(contents).collect::<Result<_, RepoError>>()?;
    Ok(verdicts.into_iter().zip(contents).collect())
}

/// Keeps workers busy with segments and takes them back in order.
fn drain(
    pieces: &Receiver<Piece>,
    spare: &Sender<Vec<u8>>,
    streams: &mut [StreamState<'_>],
    store: &mut ChunkStore,
) -> Result<(), RepoError> {
    let mut in_flight: VecDeque<InFlight> = VecDeque::new();
    // Nothing of a new attempt is taken while segments of the one before are in flight.
    let mut restart: Option<Range<usize>> = None;
    loop {
        while restart.is_none() && in_flight.len() < limits::SEGMENTS_AHEAD {
            let next = if in_flight.is_empty() { pieces.recv().ok() } else { pieces.try_recv().ok() };
            match next {
                Some(Piece::Segment(stream, segment)) => {
                    in_flight.push_back(InFlight::Segment(stream, streams[stream].submit(segment, store)?));
                }
                Some(Piece::End(stream, segments)) => in_flight.push_back(InFlight::End(stream, segments)),
                Some(Piece::Restart(streams)) => restart = Some(streams),
                None => break,
            }
        }
        match in_flight.pop_front() {
            Some(InFlight::Segment(stream, ticket)) => {
                let scanned = ticket.wait()?;
                streams[stream].take(&scanned, store)?;
                let mut bytes = scanned.segment.bytes;
                bytes.clear();
                // Dropped where the sources have enough of them.
                let _ = spare.try_send(bytes);
            }
            Some(InFlight::End(stream, segments)) => streams[stream].end(segments)?,
            None => match restart.take() {
                Some(restarted) => streams[restarted].iter_mut().for_each(StreamState::restart),
                None => return Ok(()),
            },
        }
    }
}

enum InFlight {
    Segment(usize, Ticket<Scanned>),
    End(usize, u64),
}

/// One stream on its way in.
struct StreamState<'a> {
    repository: &'a Repository,
    sizing: Sizing<'a>,
    task: Task,
    attempt: Attempt,
}

/// What has come of a stream since its source began, or began anew.
#[derive(Default)]
struct Attempt {
    started: Option<Started>,
    list: ListBuilder,
    hash: StreamHash,
    /// Segments that were joined.
    segments: u64,
    /// Bytes of these segments.
    len: u64,
    /// Bytes of the chunks in the list.
    listed: u64,
    new_bytes: u64,
    /// True once the source has said that this is all.
    is_ended: bool,
}

struct Started {
    sizes: ChunkSizes,
    chunker: Arc<Chunker>,
    joiner: Joiner,
}

impl<'a> StreamState<'a> {
    fn new(repository: &'a Repository, sizing: Sizing<'a>, task: Task) -> Self {
        Self { repository, sizing, task, attempt: Attempt::default() }
    }

    /// Forgets what came. Its chunks stay: if the stream is the same the next time, nothing is stored twice.
    fn restart(&mut self) {
        self.attempt = Attempt::default();
    }

    fn start(&mut self, first: &[u8]) -> Result<&mut Started, RepoError> {
        if self.attempt.started.is_none() {
            let (sizes, keys) = ((self.sizing)(first), &self.repository.keys);
            let chunker = self.repository.chunker(sizes)?;
            let joiner = Joiner::new(chunker.clone(), keys.chunk_hasher()?.clone());
            self.attempt.started = Some(Started { sizes, chunker: Arc::new(chunker), joiner });
        }
        Ok(self.attempt.started.as_mut().expect("set above"))
    }

    fn submit(&mut self, segment: Segment, store: &ChunkStore) -> Result<Ticket<Scanned>, RepoError> {
        let chunker = Arc::clone(&self.start(&segment.bytes)?.chunker);
        let hasher = self.repository.keys.chunk_hasher()?.clone();
        Ok(store.pool().submit(move || scan(segment, &chunker, &hasher)))
    }

    fn take(&mut self, scanned: &Scanned, store: &mut ChunkStore) -> Result<(), RepoError> {
        let Attempt { started, list, hash, segments, len, listed, new_bytes, is_ended } = &mut self.attempt;
        let started = started.as_mut().filter(|_| !*is_ended && scanned.segment.number == *segments);
        let started = started.ok_or(RepoError::NotWhole("a segment of a stream is missing or out of its turn"))?;
        let bytes = &scanned.segment.bytes;
        let mut writer = ChunkWriter { repository: self.repository, store, list, listed, new_bytes };
        started.joiner.join(scanned, &mut writer)?;
        hash.push(scanned.hash, bytes);
        *segments += 1;
        *len += bytes.len() as u64;
        self.repository.env.tell(&Event::Advance(self.task, bytes.len() as u64));
        self.repository.check_cancel()
    }

    fn end(&mut self, segments: u64) -> Result<(), RepoError> {
        if self.attempt.segments != segments {
            return Err(RepoError::NotWhole("a stream has ended before its last segment came"));
        }
        self.attempt.is_ended = true;
        Ok(())
    }

    fn finish(mut self, store: &mut ChunkStore) -> Result<StoredStream, RepoError> {
        self.start(&[])?;
        let repository = self.repository;
        let Attempt { started, mut list, hash, len, mut listed, mut new_bytes, is_ended, .. } = self.attempt;
        let Started { sizes, joiner, .. } = started.expect("started above");
        if !is_ended {
            return Err(RepoError::NotWhole("the end of a stream did not come"));
        }
        let mut writer =
            ChunkWriter { repository, store, list: &mut list, listed: &mut listed, new_bytes: &mut new_bytes };
        joiner.finish(&mut writer)?;
        if listed != len {
            return Err(RepoError::NotWhole("the chunks of a stream are not as long together as the stream"));
        }
        let root = list.finish(&mut (repository, &mut *store))?;
        Ok(StoredStream { content: Content { len, hash: hash.finish(), sizes, root }, new_bytes })
    }
}

/// Stores the chunks of a stream and lists them.
struct ChunkWriter<'a> {
    repository: &'a Repository,
    store: &'a mut ChunkStore,
    list: &'a mut ListBuilder,
    listed: &'a mut u64,
    new_bytes: &'a mut u64,
}

impl ChunkSink for ChunkWriter<'_> {
    type Error = RepoError;

    fn chunk(&mut self, id: ChunkId, bytes: &[u8]) -> Result<(), RepoError> {
        if self.store.store(BlockKind::Data, id, bytes)? {
            *self.new_bytes += bytes.len() as u64;
        }
        *self.listed += bytes.len() as u64;
        self.list.push(id, bytes.len() as u64, &mut (self.repository, &mut *self.store))
    }
}
