//! Reading packs: directories, and blocks proven chunk by chunk.

use std::collections::VecDeque;
use std::sync::Arc;

use super::objects::{crypto_error, format_error, open_header};
use super::{RepoError, Repository};
use crate::backend::{Backend, Key};
use crate::crypto::keys::KeyRing;
use crate::crypto::seal::Opener;
use crate::format::divided::ForeignEnvelope;
use crate::format::frame;
use crate::format::index::PackEntry;
use crate::format::pack::{BlockKind, BlockSpan, Codec, Directory};
use crate::format::sealed::{SealedKind, Section, Trailer};
use crate::ids::{ChunkId, ObjectId};
use crate::limits;
use crate::sync::{Mutex, locked};

/// A pack whose directory is open.
#[derive(Debug)]
pub struct PackReader {
    /// The pack.
    pub entry: PackEntry,
    /// Its directory.
    pub directory: Directory,
    spans: Vec<BlockSpan>,
    opener: Opener,
    /// Of blocks that were moved here, in the order of their envelopes.
    foreign: Vec<Opener>,
}

fn damaged(key: &Key, why: &str) -> RepoError {
    RepoError::Damaged { object: key.to_string(), why: why.to_owned() }
}

impl PackReader {
    /// Opens the header and the directory of a pack.
    pub fn open(backend: &dyn Backend, keys: &KeyRing, entry: PackEntry) -> Result<Self, RepoError> {
        let (key, len) = (Key::Pack(entry.id), u64::from(entry.len));
        if entry.len as usize > limits::PACK_MAX_BYTES {
            return Err(damaged(&key, "it is too long"));
        }
        let trailer_at = len.checked_sub(Trailer::LEN as u64).ok_or_else(|| damaged(&key, "it is too short"))?;
        // Where requests are dear, the directory mostly comes with the trailer behind it.
        let end_at = if backend.is_remote() { len.saturating_sub(limits::DIRECTORY_GUESS) } else { trailer_at };
        let wrapping = keys.wrapping(SealedKind::Pack);
        let header_len = wrapping.header_len() as u64;
        let parts: [Vec<u8>; 2] = backend
            .get_parts(&key, &[0..header_len, end_at..len])?
            .try_into()
            .map_err(|_| damaged(&key, "it has fewer parts than were asked for"))?;
        let [header, end] = parts;
        let opener = open_header(keys, SealedKind::Pack, &key, &header)?;
        let trailer = end.split_at((trailer_at - end_at) as usize).1;
        let trailer = Trailer::decode(trailer, len).map_err(format_error(key))?;
        let sealed = match trailer.offset.checked_sub(end_at) {
            Some(offset) => end[offset as usize..(trailer_at - end_at) as usize].to_vec(),
            None => backend.get(&key, Some(trailer.offset..trailer_at))?,
        };
        let plain = opener.open_vec(Section::Footer, 0, sealed).map_err(crypto_error(key))?;
        let directory = Directory::decode(&plain, wrapping).map_err(format_error(key))?;
        let spans: Vec<BlockSpan> = directory.spans(wrapping).collect();
        let end = spans.last().map_or(header_len, |span| span.offset + u64::from(span.row.stored_len));
        if end != trailer.offset {
            return Err(damaged(&key, "its blocks do not end where its directory begins"));
        }
        let foreign = directory.foreign().iter().filter_map(|foreign| keys.foreign_opener(foreign)).collect();
        Ok(Self { entry, directory, spans, opener, foreign })
    }

    /// What opens a block, and under which number it was sealed.
    fn opener_of(&self, span: &BlockSpan) -> Option<(&Opener, u64)> {
        match span.moved {
            None => Some((&self.opener, span.ordinal as u64)),
            Some(moved) => Some((self.foreign.get(usize::from(moved.envelope))?, u64::from(moved.ordinal))),
        }
    }

    /// True if this credential opens a block.
    pub fn opens(&self, span: &BlockSpan) -> bool {
        let opener = self.opener_of(span);
        !opener.is_some_and(|(opener, _)| opener.is_closed(Section::Block(span.row.kind)))
    }

    /// Where a block was sealed, so that it can be moved as it is; nothing in a pack that is not divided.
    pub fn sealed_in(&self, span: &BlockSpan) -> Option<(ForeignEnvelope, u32)> {
        let (opener, ordinal) = self.opener_of(span)?;
        let (cipher, envelope) = opener.envelope(Section::Block(span.row.kind))?;
        Some((ForeignEnvelope { cipher, envelope: envelope.clone() }, u32::try_from(ordinal).ok()?))
    }

    /// The blocks with their places.
    pub fn spans(&self) -> &[BlockSpan] {
        &self.spans
    }

    /// The block that holds this chunk under this ordinal. Fails if the pack holds another chunk there: it is not the
    /// pack that the index means.
    pub fn block_of(&self, ordinal: u16, id: &ChunkId) -> Result<BlockSpan, RepoError> {
        if self.directory.chunks().get(usize::from(ordinal)).is_some_and(|chunk| chunk.id != *id) {
            return Err(damaged(&Key::Pack(self.entry.id), "it holds another chunk than the index says"));
        }
        let place = self.spans.partition_point(|span| span.first_chunk <= usize::from(ordinal));
        let span = place.checked_sub(1).map(|place| self.spans[place]);
        let inside = |span: &BlockSpan| usize::from(ordinal) < span.first_chunk + usize::from(span.row.chunks);
        span.filter(inside).ok_or_else(|| damaged(&Key::Pack(self.entry.id), "it has no chunk of that number"))
    }

    /// The length of a chunk in bytes as the directory has it; nothing if another chunk, or none, is under this ordinal.
    pub fn len_of(&self, ordinal: u16, id: &ChunkId) -> Option<u32> {
        let chunk = self.directory.chunks().get(usize::from(ordinal))?;
        (chunk.id == *id).then_some(chunk.len)
    }

    /// Reads a block and proves every chunk in it.
    pub fn read_block(&self, repository: &Repository, span: &BlockSpan) -> Result<Block, RepoError> {
        let key = Key::Pack(self.entry.id);
        let end = span.offset + u64::from(span.row.stored_len);
        let sealed = repository.backend.get(&key, Some(span.offset..end))?;
        self.open_block(&repository.keys, span, sealed)
    }

    /// Reads blocks, those that lie side by side with one request, and proves every chunk in them; one result for each.
    pub fn read_blocks(
        &self,
        repository: &Repository,
        spans: &[BlockSpan],
    ) -> Result<Vec<Result<Block, RepoError>>, RepoError> {
        let end_of = |span: &BlockSpan| span.offset + u64::from(span.row.stored_len);
        let runs: Vec<&[BlockSpan]> = spans.chunk_by(|one, next| end_of(one) == next.offset).collect();
        let ranges: Vec<_> = runs.iter().map(|run| run[0].offset..end_of(&run[run.len() - 1])).collect();
        let parts = repository.backend.get_parts(&Key::Pack(self.entry.id), &ranges)?;
        let mut blocks = Vec::new();
        for (run, mut part) in runs.into_iter().zip(parts) {
            for span in run {
                let rest = part.split_off((span.row.stored_len as usize).min(part.len()));
                blocks.push(self.open_block(&repository.keys, span, std::mem::replace(&mut part, rest)));
            }
        }
        Ok(blocks)
    }

    /// Opens the stored bytes of a block and proves every chunk in it.
    pub fn open_block(&self, keys: &KeyRing, span: &BlockSpan, sealed: Vec<u8>) -> Result<Block, RepoError> {
        let key = Key::Pack(self.entry.id);
        let missing = || damaged(&key, "a block names no key");
        let (opener, ordinal) = self.opener_of(span).ok_or_else(missing)?;
        let stored = opener
            .open_vec(Section::Block(span.row.kind), ordinal, sealed)
            .map_err(crypto_error(format!("block {} of {key}", span.ordinal)))?;
        let plain_len = span.row.plain_len as usize;
        let payload = span.row.codec.payload(&stored).map_err(format_error(key))?;
        let plain = match span.row.codec {
            Codec::Raw => stored,
            Codec::PaddedRaw => payload.to_vec(),
            Codec::Zstd | Codec::PaddedZstd => {
                frame::check(payload).map_err(format_error(key))?;
                decompress(payload, plain_len).ok_or_else(|| damaged(&key, "a block does not decompress"))?
            }
        };
        if plain.len() != plain_len || plain_len > limits::BLOCK_MAX_BYTES {
            return Err(damaged(&key, "a block is not as long as its directory says"));
        }
        let block = Block::new(plain, self.directory.chunks_of(span).iter().map(|chunk| chunk.len as usize));
        let hasher = match span.row.kind {
            BlockKind::Data => keys.chunk_hasher()?,
            BlockKind::List => keys.list_hasher()?,
        };
        let ids = hasher.ids(&block.chunks().collect::<Vec<_>>());
        if ids.iter().ne(self.directory.chunks_of(span).iter().map(|chunk| &chunk.id)) {
            return Err(damaged(&key, "a chunk does not hash to its name"));
        }
        Ok(block)
    }
}

thread_local! {
    /// A worker keeps its tables: making them anew for each block costs a tenth of decompressing it.
    static DECOMPRESSOR: std::cell::RefCell<Option<zstd::bulk::Decompressor<'static>>> =
        const { std::cell::RefCell::new(None) };
}

/// Decompresses a frame to exactly the announced length; never more, whatever the frame says.
fn decompress(frame: &[u8], len: usize) -> Option<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Decompressor::new().ok();
        }
        slot.as_mut()?.decompress(frame, len).ok().filter(|plain| plain.len() == len)
    })
}

/// The proven plaintext of a block.
#[derive(Debug)]
pub struct Block {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Block {
    fn new(bytes: Vec<u8>, lens: impl Iterator<Item = usize>) -> Self {
        let ends = lens.scan(0, |end, len| {
            *end += len;
            Some(*end)
        });
        Self { ends: ends.collect(), bytes }
    }

    /// The chunk with this place in the block.
    pub fn chunk(&self, place: usize) -> &[u8] {
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        &self.bytes[start..self.ends[place]]
    }

    /// All chunks in order.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|place| self.chunk(place))
    }
}

/// A pack that is open, or that somebody is opening.
type Slot = Arc<Mutex<Option<Arc<PackReader>>>>;

/// Packs opened lately; the one that was used longest ago is dropped first. Threads that want the same pack wait for one
/// of them to open it; those that want others do not.
#[derive(Debug, Default)]
pub struct PackCache {
    packs: Mutex<VecDeque<(ObjectId, Slot)>>,
}

impl PackCache {
    /// The opened pack.
    pub fn open(&self, repository: &Repository, entry: PackEntry) -> Result<Arc<PackReader>, RepoError> {
        let slot = self.slot(entry.id);
        let mut pack = locked(&slot);
        if let Some(pack) = &*pack {
            return Ok(Arc::clone(pack));
        }
        let opened = Arc::new(PackReader::open(&*repository.backend, &repository.keys, entry)?);
        *pack = Some(Arc::clone(&opened));
        Ok(opened)
    }

    fn slot(&self, id: ObjectId) -> Slot {
        let mut packs = locked(&self.packs);
        let place = packs.iter().position(|(of, _)| *of == id);
        let known = place.and_then(|place| packs.remove(place)).map(|(_, slot)| slot);
        if known.is_none() && packs.len() >= limits::DIRECTORY_CACHE {
            packs.pop_front();
        }
        let slot = known.unwrap_or_default();
        packs.push_back((id, Arc::clone(&slot)));
        slot
    }

    /// True if the chunk that follows `ordinal` in an opened pack is this one.
    pub fn follows(&self, entry: &PackEntry, ordinal: u16, id: &ChunkId) -> bool {
        let slot = locked(&self.packs).iter().find(|(of, _)| *of == entry.id).map(|(_, slot)| Arc::clone(slot));
        let Some(slot) = slot else { return false };
        let pack = locked(&slot);
        let next = pack.as_ref().and_then(|pack| pack.directory.chunks().get(usize::from(ordinal) + 1));
        next.is_some_and(|chunk| chunk.id == *id)
    }
}
