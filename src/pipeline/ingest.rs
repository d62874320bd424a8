//! Into the repository: segments are scanned by workers, joined in order, and their new chunks stored.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::lanes::Lanes;
use crate::chunk::Chunker;
use crate::chunk::segment::{ChunkSink, Joiner, Scanned, Segment, scan};
use crate::crypto::stream_hash::StreamHash;
use crate::event::Event;
use crate::format::manifest::{ChunkSizes, Content};
use crate::format::pack::BlockKind;
use crate::ids::ChunkId;
use crate::limits;
use crate::repo::list::{ListBuilder, NodeStore};
use crate::repo::pool::Ticket;
use crate::repo::store::ChunkStore;
use crate::repo::{RepoError, Repository};

/// Chooses the chunk sizes of a stream from its first bytes.
pub type Sizing<'a> = &'a dyn Fn(&[u8]) -> ChunkSizes;

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
    #[error(transparent)]
    Source(E),
    /// The repository failed.
    #[error(transparent)]
    Repo(#[from] RepoError),
}

impl NodeStore for (&Repository, &mut ChunkStore) {
    fn store_node(&mut self, bytes: &[u8]) -> Result<ChunkId, RepoError> {
        let id = self.0.keys.list_hasher.id(bytes);
        self.1.store(BlockKind::List, id, bytes)?;
        Ok(id)
    }
}

/// Runs a source and stores the streams that it writes into its lanes, one for each sizing.
///
/// The source's own verdict decides: if it fails, so does this, whatever arrived before.
pub fn ingest<T: Send, E: From<io::Error> + Send>(
    repository: &Repository,
    store: &mut ChunkStore,
    sizings: &[Sizing<'_>],
    source: impl FnOnce(&mut Lanes) -> Result<T, E> + Send,
) -> Result<(T, Vec<Ingested>), IngestError<E>> {
    let (sender, segments) = bounded(limits::SEGMENTS_AHEAD / 2);
    let (spare, spares) = bounded(limits::SEGMENTS_AHEAD);
    let mut lanes = Lanes::new(sizings.len(), sender, spares, repository.env.cancel.clone());
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new().name("source".to_owned());
        let reader = reader.spawn_scoped(scope, move || {
            let verdict = source(&mut lanes)?;
            lanes.finish()?;
            Ok(verdict)
        });
        let reader = reader.map_err(|error| IngestError::Source(error.into()))?;
        let mut streams: Vec<StreamState<'_>> =
            sizings.iter().map(|sizing| StreamState::new(repository, *sizing)).collect();
        let drained = drain(&segments, &spare, &mut streams, store);
        drop(segments);
        let verdict = reader.join().expect("sources do not panic");
        // A failure of the repository makes the source fail too; the cause is the one to report.
        drained?;
        repository.check_cancel()?;
        let verdict = verdict.map_err(IngestError::Source)?;
        let contents = streams.into_iter().map(|stream| stream.finish(store)).collect::<Result<_, _>>()?;
        Ok((verdict, contents))
    })
}

/// Keeps workers busy with segments and takes them back in order.
fn drain(
    segments: &Receiver<(usize, Segment)>,
    spare: &Sender<Vec<u8>>,
    streams: &mut [StreamState<'_>],
    store: &mut ChunkStore,
) -> Result<(), RepoError> {
    let mut scanning: VecDeque<(usize, Ticket<Scanned>)> = VecDeque::new();
    loop {
        while scanning.len() < limits::SEGMENTS_AHEAD {
            let next = if scanning.is_empty() { segments.recv().ok() } else { segments.try_recv().ok() };
            let Some((lane, segment)) = next else { break };
            scanning.push_back((lane, streams[lane].submit(segment, store)?));
        }
        let Some((lane, ticket)) = scanning.pop_front() else {
            return Ok(());
        };
        let scanned = ticket.wait();
        streams[lane].take(&scanned, store)?;
        let mut bytes = scanned.segment.bytes;
        bytes.clear();
        // Dropped where the source has enough of them.
        let _ = spare.try_send(bytes);
    }
}

/// One stream on its way in.
struct StreamState<'a> {
    repository: &'a Repository,
    sizing: Sizing<'a>,
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
    fn new(repository: &'a Repository, sizing: Sizing<'a>) -> Self {
        Self {
            repository,
            sizing,
            started: None,
            list: ListBuilder::default(),
            hash: StreamHash::default(),
            len: 0,
            new_bytes: 0,
        }
    }

    fn start(&mut self, first: &[u8]) -> Result<&mut Started, RepoError> {
        if self.started.is_none() {
            let (sizes, keys) = ((self.sizing)(first), &self.repository.keys);
            let chunker = Chunker::new(sizes, &keys.gear)
                .map_err(|source| RepoError::Format { object: "the chunk sizes".to_owned(), source })?;
            let joiner = Joiner::new(chunker.clone(), keys.chunk_hasher.clone());
            self.started = Some(Started { sizes, chunker: Arc::new(chunker), joiner });
        }
        Ok(self.started.as_mut().expect("set above"))
    }

    fn submit(&mut self, segment: Segment, store: &ChunkStore) -> Result<Ticket<Scanned>, RepoError> {
        let chunker = Arc::clone(&self.start(&segment.bytes)?.chunker);
        let keys = Arc::clone(&self.repository.keys);
        Ok(store.pool().submit(move || scan(segment, &chunker, &keys.chunk_hasher)))
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
        self.repository.env.tell(&Event::Advance(bytes.len() as u64));
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
