//! From blocks to stored packs: compressed by workers, sealed in order, put by threads of their own.

use std::sync::Arc;

use zstd::zstd_safe::{CParameter, ParamSwitch};

use super::hiding::pad_block;
use super::open_pack::{OpenPack, SealedPack};
use super::pool::{Pool, Ticket};
use super::{RepoError, Repository};
use crate::backend::Key;
use crate::format::divided::ForeignEnvelope;
use crate::format::index::PackEntry;
use crate::format::pack::{BlockKind, BlockRow, ChunkRow, Codec};
use crate::ids::ChunkId;
use crate::limits;
use crate::sync::{self, Condvar, JoinHandle, Mutex, Receiver, Sender, bounded, locked};

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
    pub(super) codec: Codec,
    pub(super) plain_len: usize,
    pub(super) kind: BlockKind,
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
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Order")
    }
}

impl Packer {
    /// Starts the threads: one that seals, and those that put. Fails if there is no room for them.
    pub fn new(repository: &Repository) -> Result<Self, RepoError> {
        let uploads = if repository.backend.is_remote() { limits::UPLOADS } else { 1 };
        let (orders, incoming) = bounded(limits::BLOCKS_AHEAD);
        let (packs, finished) = bounded(0);
        let pads = repository.pads();
        // Blocks that wait to be shuffled are the memory of the buffer that is being filled elsewhere: none is kept.
        let (spare, spares) = bounded(if pads { 0 } else { uploads });
        let (report, stored) = sync::unbounded();
        let sealing = repository.clone();
        let packer = spawn("packer", move || pack_blocks(&sealing, &incoming, &packs, &spares))?;
        let uploader = || {
            let (putting, finished) = (repository.clone(), finished.clone());
            let (report, spare) = (report.clone(), spare.clone());
            spawn("uploader", move || put_packs(&putting, &finished, &report, &spare))
        };
        let mut threads = vec![packer, uploader()?];
        // Fewer put as well, one after the other.
        threads.extend((1..uploads).map_while(|_| uploader().ok()));
        Ok(Self { pads, orders: Some(orders), stored, threads })
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

    /// Stores everything that was handed over and says which packs that made. Whoever knows what was handed over compares.
    pub fn flush(&self) -> Result<Vec<StoredPack>, RepoError> {
        let (sender, answer) = bounded(1);
        let _ = self.orders.as_ref().expect("open until dropped").send(Order::Flush(sender));
        let answered = answer.recv();
        let stored = self.stored()?;
        match answered {
            Ok(()) => Ok(stored),
            Err(_) => Err(RepoError::NotWhole("the thread that makes packs has ended")),
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

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, RepoError> {
    sync::spawn(name, work).map_err(RepoError::no_thread)
}

/// Packs that are sealed and not put yet.
#[derive(Debug, Clone, Default)]
struct UnderWay(Arc<(Mutex<usize>, Condvar)>);

impl UnderWay {
    fn add(&self) -> OnePack {
        *locked(&self.0.0) += 1;
        OnePack(self.clone())
    }

    fn wait(&self) {
        let count = locked(&self.0.0);
        let _none = self.0.1.wait_while(count, |count| *count > 0);
    }
}

/// One of them, until it is dropped.
#[derive(Debug)]
struct OnePack(UnderWay);

impl Drop for OnePack {
    fn drop(&mut self) {
        let (count, changed) = &*self.0.0;
        *locked(count) -= 1;
        changed.notify_all();
    }
}

/// Puts blocks into packs, in the order in which they come, but that lists wait for each other: whoever walks them later
/// finds many in one place.
struct Packing<'a> {
    repository: &'a Repository,
    open: Option<OpenPack>,
    lists: Vec<ClosedBlock>,
    lists_bytes: usize,
    packs: &'a Sender<(SealedPack, OnePack)>,
    /// Buffers take turns: one is filled while others are put. This gives them back.
    spares: &'a Receiver<Vec<u8>>,
    under_way: UnderWay,
}

/// Nobody puts packs any more: something has failed, and whoever failed says so.
struct NobodyPuts;

impl Packing<'_> {
    fn carry_out(&mut self, order: Order) -> Result<(), NobodyPuts> {
        match order {
            // Without its worker a block is lost, and with it everything: whoever flushes gets no answer.
            Order::Block(ticket) => self.add(ticket.wait().map_err(|_| NobodyPuts)?),
            Order::Moved(block) => {
                if self.open.as_ref().is_some_and(|pack| !pack.has_room_for_moved(&block)) {
                    self.put()?;
                }
                self.open().push_moved(*block);
                Ok(())
            }
            Order::Flush(answer) => {
                self.add_lists()?;
                self.put()?;
                self.under_way.wait();
                // Whoever does not wait any more has failed already.
                let _ = answer.send(());
                Ok(())
            }
        }
    }

    fn add(&mut self, block: ClosedBlock) -> Result<(), NobodyPuts> {
        if block.kind == BlockKind::Data {
            return self.push(block);
        }
        self.lists_bytes += block.bytes.len();
        self.lists.push(block);
        if self.lists_bytes < limits::LISTS_TOGETHER { Ok(()) } else { self.add_lists() }
    }

    fn add_lists(&mut self) -> Result<(), NobodyPuts> {
        self.lists_bytes = 0;
        std::mem::take(&mut self.lists).into_iter().try_for_each(|block| self.push(block))
    }

    fn push(&mut self, block: ClosedBlock) -> Result<(), NobodyPuts> {
        if self.open.as_ref().is_some_and(|pack| !pack.has_room_for(block.chunks.len())) {
            self.put()?;
        }
        self.open().push(block);
        Ok(())
    }

    fn open(&mut self) -> &mut OpenPack {
        self.open.get_or_insert_with(|| OpenPack::new(self.repository, self.spares.try_recv().unwrap_or_default()))
    }

    fn put(&mut self) -> Result<(), NobodyPuts> {
        let Some(pack) = self.open.take() else { return Ok(()) };
        let pack = pack.close(&*self.repository.env.entropy);
        self.packs.send((pack, self.under_way.add())).map_err(|_| NobodyPuts)
    }
}

fn pack_blocks(
    repository: &Repository,
    orders: &Receiver<Order>,
    packs: &Sender<(SealedPack, OnePack)>,
    spares: &Receiver<Vec<u8>>,
) {
    let (open, lists, lists_bytes, under_way) = <_>::default();
    let mut packing = Packing { repository, open, lists, lists_bytes, packs, spares, under_way };
    for order in orders.iter() {
        if packing.carry_out(order).is_err() {
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
    for (SealedPack { id, bytes, chunks }, _under_way) in finished.iter() {
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
