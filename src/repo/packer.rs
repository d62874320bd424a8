//! From blocks to stored packs: compressed by workers, sealed in order, put by threads of their own.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use zstd::zstd_safe::{CParameter, ParamSwitch};

use super::hiding::{Waiting, pad_block, pad_directory};
use super::pool::{Pool, Ticket};
use super::{RepoError, Repository};
use crate::backend::Key;
use crate::crypto::seal::Sealer;
use crate::env::Entropy;
use crate::format::divided::ForeignEnvelope;
use crate::format::index::PackEntry;
use crate::format::pack::{BlockKind, BlockRow, ChunkRow, Codec, Directory};
use crate::format::sealed::{SealedKind, Section, TAG_LEN, Trailer};
use crate::ids::{ChunkId, ObjectId};
use crate::limits;

/// zstd level of new blocks and what is changed of it; docs/decisions/0003 has the measurements.
pub const ZSTD_LEVEL: i32 = 1;
const MIN_MATCH: u32 = 7;
/// Where nothing matches, the search goes on three bytes later.
const SEARCH_STEP: u32 = 2;

/// A block that is being filled.
#[derive(Debug)]
pub struct OpenBlock {
    kind: BlockKind,
    bytes: Vec<u8>,
    chunks: Vec<ChunkRow>,
}

impl OpenBlock {
    /// An empty block.
    pub fn new(kind: BlockKind) -> Self {
        Self { kind, bytes: Vec::with_capacity(limits::BLOCK_TARGET_BYTES + (64 << 10)), chunks: Vec::new() }
    }

    /// Adds a chunk; true if the block is full now.
    pub fn push(&mut self, id: ChunkId, bytes: &[u8]) -> bool {
        self.bytes.extend_from_slice(bytes);
        self.chunks.push(ChunkRow { id, len: bytes.len() as u32 });
        self.bytes.len() >= limits::BLOCK_TARGET_BYTES || self.chunks.len() >= limits::BLOCK_MAX_CHUNKS
    }

    /// True if it has no chunk.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }
}

/// A block as it is stored, before its seal.
#[derive(Debug)]
pub(super) struct ClosedBlock {
    codec: Codec,
    plain_len: usize,
    kind: BlockKind,
    pub(super) chunks: Vec<ChunkRow>,
    pub(super) bytes: Vec<u8>,
}

fn close(block: OpenBlock, pads: bool) -> ClosedBlock {
    let plain_len = block.bytes.len();
    let (codec, bytes) = match compress(&block.bytes) {
        Some(frame) if frame.len() < plain_len => (Codec::Zstd, frame),
        _ => (Codec::Raw, block.bytes),
    };
    let (codec, bytes) = if pads { (codec.padded(), pad_block(&bytes)) } else { (codec, bytes) };
    ClosedBlock { codec, plain_len, kind: block.kind, chunks: block.chunks, bytes }
}

thread_local! {
    /// A worker keeps its tables: making them anew for each block would cost as much as small blocks do.
    static COMPRESSOR: std::cell::RefCell<Option<zstd::bulk::Compressor<'static>>> = const { std::cell::RefCell::new(None) };
}

fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = new_compressor();
        }
        slot.as_mut()?.compress(bytes).ok()
    })
}

fn new_compressor() -> Option<zstd::bulk::Compressor<'static>> {
    let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok()?;
    compressor.include_checksum(false).ok()?;
    compressor.set_parameter(CParameter::MinMatch(MIN_MATCH)).ok()?;
    compressor.set_parameter(CParameter::TargetLength(SEARCH_STEP)).ok()?;
    // Otherwise zstd takes a target length for a negative level, and leaves literals as they are.
    compressor.set_parameter(CParameter::LiteralCompressionMode(ParamSwitch::Enable)).ok()?;
    Some(compressor)
}

/// A block that is moved out of another pack as it is stored there.
#[derive(Debug)]
pub struct MovedBlock {
    /// What it is.
    pub row: BlockRow,
    /// Its chunks.
    pub chunks: Vec<ChunkRow>,
    /// Its sealed bytes.
    pub bytes: Vec<u8>,
    /// What it is sealed under.
    pub envelope: ForeignEnvelope,
    /// Its number in the pack that it was sealed in.
    pub ordinal: u32,
}

enum Order {
    Block(Ticket<ClosedBlock>),
    Moved(Box<MovedBlock>),
    /// Store what there is as a pack, then answer.
    Flush(Sender<()>),
}

/// A pack that is stored, with the names of its chunks in their order.
#[derive(Debug)]
pub struct StoredPack {
    /// The pack.
    pub entry: PackEntry,
    /// Its chunks.
    pub chunks: Vec<ChunkId>,
}

/// Takes blocks and stores packs.
#[derive(Debug)]
pub struct Packer {
    pads: bool,
    orders: Option<Sender<Order>>,
    stored: Receiver<Result<StoredPack, RepoError>>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Order")
    }
}

impl Packer {
    /// Starts the threads: one that seals, and those that put.
    pub fn new(repository: &Repository) -> Self {
        let uploads = if repository.backend.is_remote() { limits::UPLOADS } else { 1 };
        let (orders, incoming) = bounded(limits::BLOCKS_AHEAD);
        let (packs, finished) = bounded(0);
        let pads = repository.pads();
        // Blocks that wait to be shuffled are the memory of the buffer that is being filled elsewhere: none is kept.
        let (spare, spares) = bounded(if pads { 0 } else { uploads });
        let (report, stored) = crossbeam_channel::unbounded();
        let sealing = repository.clone();
        let packer = spawn("packer", move || pack_blocks(&sealing, &incoming, &packs, &spares));
        let uploader = || {
            let (putting, finished) = (repository.clone(), finished.clone());
            let (report, spare) = (report.clone(), spare.clone());
            spawn("uploader", move || put_packs(&putting, &finished, &report, &spare))
        };
        let threads = std::iter::once(packer).chain((0..uploads).map(|_| uploader())).collect();
        Self { pads, orders: Some(orders), stored, threads }
    }

    /// Hands a block over. Waits while too many are under way.
    pub fn add(&self, pool: &Pool, block: OpenBlock) {
        let pads = self.pads;
        let order = Order::Block(pool.submit(move || close(block, pads)));
        // The threads only end early after an error, which `flush` reports.
        let _ = self.orders.as_ref().expect("open until dropped").send(order);
    }

    /// Hands over a block that stays sealed as it is.
    pub fn add_moved(&self, block: MovedBlock) {
        let _ = self.orders.as_ref().expect("open until dropped").send(Order::Moved(Box::new(block)));
    }

    /// Packs that were stored since the last call.
    pub fn stored(&self) -> Result<Vec<StoredPack>, RepoError> {
        self.stored.try_iter().collect()
    }

    /// Stores everything that was handed over and says which packs that made.
    pub fn flush(&self) -> Result<Vec<StoredPack>, RepoError> {
        let (sender, answer) = bounded(1);
        let _ = self.orders.as_ref().expect("open until dropped").send(Order::Flush(sender));
        let answered = answer.recv();
        let stored = self.stored()?;
        match answered {
            Ok(()) => Ok(stored),
            Err(_) => Err(RepoError::Cancelled),
        }
    }
}

impl Drop for Packer {
    fn drop(&mut self) {
        self.orders = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).expect("the system has room for a thread")
}

/// Packs that are sealed and not put yet.
#[derive(Debug, Clone, Default)]
struct UnderWay(Arc<(Mutex<usize>, Condvar)>);

impl UnderWay {
    fn add(&self) -> OnePack {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        OnePack(self.clone())
    }

    fn wait(&self) {
        let count = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _none = self.0.1.wait_while(count, |count| *count > 0).unwrap_or_else(PoisonError::into_inner);
    }
}

/// One of them, until it is dropped.
#[derive(Debug)]
struct OnePack(UnderWay);

impl Drop for OnePack {
    fn drop(&mut self) {
        let (count, changed) = &*self.0.0;
        *count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        changed.notify_all();
    }
}

/// A pack as it is put.
struct SealedPack {
    id: ObjectId,
    bytes: Vec<u8>,
    chunks: Vec<ChunkId>,
}

/// Buffers take turns: one is filled while others are put. `spares` gives them back.
fn pack_blocks(
    repository: &Repository,
    orders: &Receiver<Order>,
    packs: &Sender<(SealedPack, OnePack)>,
    spares: &Receiver<Vec<u8>>,
) {
    let under_way = UnderWay::default();
    let mut open: Option<OpenPack> = None;
    let new_pack = || OpenPack::new(repository, spares.try_recv().unwrap_or_default());
    let entropy = &*repository.env.entropy;
    let close = |pack: OpenPack| pack.close(entropy);
    let put = |pack: Option<OpenPack>| pack.map(close).map_or(Ok(()), |pack| packs.send((pack, under_way.add())));
    for order in orders {
        let sent = match order {
            Order::Block(ticket) => {
                let block = ticket.wait();
                let sent = put(open.take_if(|pack| !pack.has_room_for(block.chunks.len())));
                open.get_or_insert_with(new_pack).push(block);
                sent
            }
            Order::Moved(block) => {
                let sent = put(open.take_if(|pack| !pack.has_room_for_moved(&block)));
                open.get_or_insert_with(new_pack).push_moved(*block);
                sent
            }
            Order::Flush(answer) => {
                let sent = put(open.take());
                under_way.wait();
                // Whoever does not wait any more has failed already.
                let _ = answer.send(());
                sent
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

fn put_packs(
    repository: &Repository,
    finished: &Receiver<(SealedPack, OnePack)>,
    report: &Sender<Result<StoredPack, RepoError>>,
    spare: &Sender<Vec<u8>>,
) {
    for (SealedPack { id, bytes, chunks }, _under_way) in finished {
        let entry = PackEntry { id, len: bytes.len() as u32 };
        match repository.backend.put_buffer(&Key::Pack(id), bytes) {
            Ok(mut bytes) => {
                let _ = report.send(Ok(StoredPack { entry, chunks }));
                bytes.clear();
                let _ = spare.try_send(bytes);
            }
            Err(error) => {
                let _ = report.send(Err(error.into()));
                return;
            }
        }
    }
}

struct OpenPack {
    sealer: Sealer,
    bytes: Vec<u8>,
    directory: Directory,
    /// Where blocks are shuffled: those that are not sealed yet.
    waiting: Option<Waiting>,
}

impl OpenPack {
    /// An empty pack in this empty buffer.
    fn new(repository: &Repository, mut bytes: Vec<u8>) -> Self {
        let sealer = repository.keys.sealer(SealedKind::Pack, &*repository.env.entropy);
        let sealer = sealer.expect("whoever stores chunks has shown before that it may");
        let waiting = repository.pads().then(Waiting::default);
        if waiting.is_none() {
            bytes.reserve(limits::PACK_TARGET_BYTES + (2 << 20));
        }
        bytes.extend(sealer.header());
        Self { sealer, bytes, directory: Directory::default(), waiting }
    }

    fn has_room_for(&self, chunks: usize) -> bool {
        let waiting = self.waiting.as_ref();
        let bytes = self.bytes.len() + waiting.map_or(0, |waiting| waiting.bytes);
        let held = self.directory.chunks().len() + waiting.map_or(0, |waiting| waiting.chunks);
        bytes < limits::PACK_TARGET_BYTES && held + chunks <= limits::PACK_MAX_CHUNKS
    }

    fn has_room_for_moved(&self, block: &MovedBlock) -> bool {
        let foreign = self.directory.foreign();
        let has_key = foreign.len() < limits::FOREIGN_ENVELOPES || foreign.contains(&block.envelope);
        has_key && self.has_room_for(block.chunks.len())
    }

    fn push(&mut self, block: ClosedBlock) {
        match &mut self.waiting {
            Some(waiting) => waiting.push(block),
            None => self.seal(block),
        }
    }

    fn seal(&mut self, block: ClosedBlock) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(&block.bytes);
        let ordinal = self.directory.blocks().len() as u64;
        self.sealer.seal(Section::Block(block.kind), ordinal, &mut self.bytes, from);
        let row = BlockRow {
            kind: block.kind,
            codec: block.codec,
            chunks: block.chunks.len() as u16,
            stored_len: (block.bytes.len() + TAG_LEN) as u32,
            plain_len: block.plain_len as u32,
        };
        self.directory.push(row, block.chunks);
    }

    fn push_moved(&mut self, block: MovedBlock) {
        let MovedBlock { row, chunks, bytes, envelope, ordinal } = block;
        self.bytes.extend_from_slice(&bytes);
        self.directory.push_moved(row, chunks, &envelope, ordinal).expect("there was room for its key");
    }

    fn close(mut self, entropy: &dyn Entropy) -> SealedPack {
        if let Some(waiting) = self.waiting.take() {
            self.bytes.reserve(waiting.bytes + (2 << 20));
            waiting.shuffled(self.bytes.len(), entropy).into_iter().for_each(|block| self.seal(block));
        }
        let offset = self.bytes.len();
        self.bytes.extend(self.directory.encode());
        pad_directory(&self.directory, &mut self.bytes, offset);
        self.sealer.seal(Section::Footer, 0, &mut self.bytes, offset);
        let trailer = Trailer { offset: offset as u64, len: (self.bytes.len() - offset) as u32 };
        self.bytes.extend(trailer.encode());
        let chunks = self.directory.chunks().iter().map(|chunk| chunk.id).collect();
        SealedPack { id: ObjectId::of(&self.bytes), chunks, bytes: self.bytes }
    }
}
