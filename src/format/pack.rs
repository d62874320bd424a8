//! The directory of a pack: which blocks it holds, and which chunks lie in each.

use super::FormatError;
use super::codec::{Fields, put_u24};
use super::divided::ForeignEnvelope;
use super::padding;
use super::sealed::{Compartment, TAG_LEN, Wrapping};
use crate::ids::ChunkId;
use crate::limits;

const WHAT: &str = "pack directory";
const BLOCK_ROW: usize = 12;
const CHUNK_ROW: usize = ChunkId::LEN + 3;

/// What the chunks of a block are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BlockKind {
    /// Pieces of streams.
    Data = 1,
    /// Nodes of chunk lists.
    List = 2,
}

impl BlockKind {
    /// The compartment of a divided pack whose key seals such blocks.
    pub const fn compartment(self) -> Compartment {
        match self {
            Self::Data => Compartment::Data,
            Self::List => Compartment::Lists,
        }
    }
}

/// How a block's plaintext is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Codec {
    /// As it is.
    Raw = 0,
    /// One zstd frame.
    Zstd = 1,
    /// One zstd frame with its length before it and zeros behind it.
    PaddedZstd = 2,
    /// As it is, with its length before it and zeros behind it.
    PaddedRaw = 3,
}

impl Codec {
    /// True if zeros may follow what is stored.
    pub const fn is_padded(self) -> bool {
        matches!(self, Self::PaddedZstd | Self::PaddedRaw)
    }

    /// The same with padding.
    #[must_use]
    pub const fn padded(self) -> Self {
        match self {
            Self::Raw | Self::PaddedRaw => Self::PaddedRaw,
            Self::Zstd | Self::PaddedZstd => Self::PaddedZstd,
        }
    }

    /// What is stored, without its padding. Fails if that is not what it should be.
    pub fn payload(self, section: &[u8]) -> Result<&[u8], FormatError> {
        if self.is_padded() { padding::unwrap("padded block", section) } else { Ok(section) }
    }
}

/// One block of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRow {
    /// What its chunks are.
    pub kind: BlockKind,
    /// How it is stored.
    pub codec: Codec,
    /// Number of its chunks.
    pub chunks: u16,
    /// Sealed length in bytes, tag included.
    pub stored_len: u32,
    /// Plaintext length in bytes: the sum of its chunks' lengths.
    pub plain_len: u32,
}

/// One chunk of a pack, in the order of the pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkRow {
    /// Its name.
    pub id: ChunkId,
    /// Its length in bytes.
    pub len: u32,
}

/// A block that was moved out of another pack as it was, by somebody who could not open it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Whose key it is sealed under: the place among the foreign envelopes.
    pub envelope: u16,
    /// Its number in the pack that it was sealed in.
    pub ordinal: u32,
}

/// Where a block lies in its pack, and which chunks are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSpan {
    /// Number of the block in the pack.
    pub ordinal: usize,
    /// Offset of the sealed block in bytes from the start of the pack.
    pub offset: u64,
    /// Ordinal of its first chunk.
    pub first_chunk: usize,
    /// The block itself.
    pub row: BlockRow,
    /// Where it was sealed, if that was not in this pack.
    pub moved: Option<Moved>,
}

/// The directory of a pack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    blocks: Vec<BlockRow>,
    chunks: Vec<ChunkRow>,
    /// Of divided packs, as long as `blocks` if any block was moved.
    moved: Vec<Option<Moved>>,
    foreign: Vec<ForeignEnvelope>,
}

const MOVED_ROW: usize = 6;

impl Directory {
    /// The blocks in the order of the pack.
    pub fn blocks(&self) -> &[BlockRow] {
        &self.blocks
    }

    /// The chunks of all blocks in the order of the pack.
    pub fn chunks(&self) -> &[ChunkRow] {
        &self.chunks
    }

    /// Adds a block with its chunks.
    pub fn push(&mut self, block: BlockRow, chunks: impl IntoIterator<Item = ChunkRow>) {
        self.blocks.push(block);
        self.chunks.extend(chunks);
        self.moved.push(None);
    }

    /// Adds a block that was sealed in another pack. Fails if the pack holds blocks of too many others.
    pub fn push_moved(
        &mut self,
        block: BlockRow,
        chunks: impl IntoIterator<Item = ChunkRow>,
        from: &ForeignEnvelope,
        ordinal: u32,
    ) -> Result<(), FormatError> {
        let place = self.foreign.iter().position(|known| known == from).unwrap_or(self.foreign.len());
        if place >= limits::FOREIGN_ENVELOPES {
            return Err(FormatError::malformed(WHAT, "it holds blocks of too many other packs"));
        }
        if place == self.foreign.len() {
            self.foreign.push(from.clone());
        }
        self.push(block, chunks);
        *self.moved.last_mut().expect("it was just pushed") = Some(Moved { envelope: place as u16, ordinal });
        Ok(())
    }

    /// The keys of blocks that were moved here.
    pub fn foreign(&self) -> &[ForeignEnvelope] {
        &self.foreign
    }

    /// The blocks with their places in a pack that is wrapped like that.
    pub fn spans(&self, wrapping: Wrapping) -> impl Iterator<Item = BlockSpan> + '_ {
        let mut offset = wrapping.header_len() as u64;
        let mut first_chunk = 0;
        self.blocks.iter().zip(&self.moved).enumerate().map(move |(ordinal, (&row, &moved))| {
            let span = BlockSpan { ordinal, offset, first_chunk, row, moved };
            offset += u64::from(row.stored_len);
            first_chunk += usize::from(row.chunks);
            span
        })
    }

    /// The chunks of a block.
    pub fn chunks_of(&self, span: &BlockSpan) -> &[ChunkRow] {
        &self.chunks[span.first_chunk..span.first_chunk + usize::from(span.row.chunks)]
    }

    /// True if its blocks are padded. Then zeros may follow the directory itself.
    pub fn is_padded(&self) -> bool {
        self.blocks.first().is_some_and(|block| block.codec.is_padded())
    }

    /// The plaintext of the stored directory, without padding.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + self.blocks.len() * BLOCK_ROW + self.chunks.len() * CHUNK_ROW);
        bytes.extend((self.blocks.len() as u32).to_le_bytes());
        bytes.extend((self.chunks.len() as u32).to_le_bytes());
        for block in &self.blocks {
            bytes.extend([block.kind as u8, block.codec as u8]);
            bytes.extend(block.chunks.to_le_bytes());
            bytes.extend(block.stored_len.to_le_bytes());
            bytes.extend(block.plain_len.to_le_bytes());
        }
        self.chunks.iter().for_each(|chunk| bytes.extend(chunk.id.as_bytes()));
        self.chunks.iter().for_each(|chunk| bytes.extend(put_u24(chunk.len)));
        if !self.foreign.is_empty() {
            self.encode_moved(&mut bytes);
        }
        bytes
    }

    /// Where moved blocks were sealed: the number of other packs' envelopes and these, then for each block the number of
    /// its envelope, counted from 1, and its ordinal there; zeros for blocks of this pack.
    fn encode_moved(&self, bytes: &mut Vec<u8>) {
        bytes.extend((self.foreign.len() as u32).to_le_bytes());
        self.foreign.iter().for_each(|foreign| bytes.extend(foreign.encode()));
        for moved in &self.moved {
            let (envelope, ordinal) = moved.map_or((0, 0), |moved| (moved.envelope + 1, moved.ordinal));
            bytes.extend(envelope.to_le_bytes());
            bytes.extend(ordinal.to_le_bytes());
        }
    }

    fn decode_moved(&mut self, fields: &mut Fields<'_>) -> Result<(), FormatError> {
        let wrong = |why| FormatError::malformed(WHAT, why);
        let count = fields.u32()? as usize;
        if count > limits::FOREIGN_ENVELOPES {
            return Err(wrong("it names keys of too many other packs"));
        }
        if fields.remaining() < count * ForeignEnvelope::LEN + self.blocks.len() * MOVED_ROW {
            return Err(wrong("its length does not fit its counts"));
        }
        self.foreign = (0..count).map(|_| ForeignEnvelope::decode(fields)).collect::<Result<_, _>>()?;
        for (block, moved) in self.blocks.iter().zip(&mut self.moved) {
            let (envelope, ordinal) = (fields.u16()?, fields.u32()?);
            *moved = match envelope.checked_sub(1) {
                Some(envelope) => Some(Moved { envelope, ordinal }),
                None if ordinal == 0 => None,
                None => return Err(wrong("a block of this pack has another number")),
            };
            let foreign = moved.map(|moved| self.foreign.get(usize::from(moved.envelope)));
            let fits = |foreign: &ForeignEnvelope| foreign.envelope.compartment == block.kind.compartment();
            if foreign.is_some_and(|foreign| !foreign.is_some_and(fits)) {
                return Err(wrong("a moved block has no key of its kind"));
            }
        }
        Ok(())
    }

    /// Reads the directory of a pack that is wrapped like that, and checks that its numbers agree with each other and
    /// with the limits.
    pub fn decode(bytes: &[u8], wrapping: Wrapping) -> Result<Self, FormatError> {
        let mut fields = Fields::new(WHAT, bytes);
        let (blocks, chunks) = (fields.u32()? as usize, fields.u32()? as usize);
        if chunks > limits::PACK_MAX_CHUNKS || blocks > chunks || blocks == 0 {
            return Err(FormatError::malformed(WHAT, "it counts too many blocks or chunks, or none"));
        }
        if fields.remaining() < blocks * BLOCK_ROW + chunks * CHUNK_ROW {
            return Err(FormatError::malformed(WHAT, "its length does not fit its counts"));
        }
        let blocks = (0..blocks).map(|_| decode_block(&mut fields)).collect::<Result<Vec<_>, _>>()?;
        let mut ids = Fields::new(WHAT, fields.bytes(chunks * ChunkId::LEN)?);
        let chunks = (0..chunks)
            .map(|_| Ok(ChunkRow { id: ChunkId::new(ids.array()?), len: fields.u24()? }))
            .collect::<Result<Vec<_>, FormatError>>()?;
        let moved = vec![None; blocks.len()];
        let mut directory = Self { blocks, chunks, moved, foreign: Vec::new() };
        if wrapping == Wrapping::Divided && fields.clone().u32().is_ok_and(|count| count > 0) {
            directory.decode_moved(&mut fields)?;
        }
        directory.check_padding(fields.bytes(fields.remaining())?)?;
        directory.check_sums()?;
        Ok(directory)
    }

    /// Zeros may follow a directory all of whose blocks are padded, nothing may follow another.
    fn check_padding(&self, rest: &[u8]) -> Result<(), FormatError> {
        if self.blocks.iter().any(|block| block.codec.is_padded() != self.is_padded()) {
            return Err(FormatError::malformed(WHAT, "some blocks are padded, and some are not"));
        }
        match self.is_padded() {
            false if !rest.is_empty() => Err(FormatError::malformed(WHAT, "its length does not fit its counts")),
            _ => padding::require_zeros(WHAT, rest),
        }
    }

    fn check_sums(&self) -> Result<(), FormatError> {
        let mut first = 0;
        for block in &self.blocks {
            let chunks = self.chunks.get(first..first + usize::from(block.chunks));
            let chunks = chunks.ok_or(FormatError::malformed(WHAT, "its blocks count too many chunks"))?;
            if chunks.iter().any(|chunk| chunk.len == 0 || chunk.len as usize > limits::CHUNK_MAX_BYTES) {
                return Err(FormatError::malformed(WHAT, "a chunk has an impossible length"));
            }
            if chunks.iter().map(|chunk| u64::from(chunk.len)).sum::<u64>() != u64::from(block.plain_len) {
                return Err(FormatError::malformed(WHAT, "a block is not as long as its chunks"));
            }
            first += chunks.len();
        }
        if first == self.chunks.len() { Ok(()) } else { Err(FormatError::malformed(WHAT, "chunks lie in no block")) }
    }
}

fn decode_block(fields: &mut Fields<'_>) -> Result<BlockRow, FormatError> {
    let kind = match fields.u8()? {
        1 => BlockKind::Data,
        2 => BlockKind::List,
        _ => return Err(FormatError::malformed(WHAT, "a block is of an unknown kind")),
    };
    let codec = match fields.u8()? {
        0 => Codec::Raw,
        1 => Codec::Zstd,
        2 => Codec::PaddedZstd,
        3 => Codec::PaddedRaw,
        _ => return Err(FormatError::malformed(WHAT, "a block is stored in an unknown way")),
    };
    let row = BlockRow { kind, codec, chunks: fields.u16()?, stored_len: fields.u32()?, plain_len: fields.u32()? };
    let sane = row.chunks > 0
        && row.plain_len as usize <= limits::BLOCK_MAX_BYTES
        && (TAG_LEN..=limits::PACK_MAX_BYTES).contains(&(row.stored_len as usize));
    if sane { Ok(row) } else { Err(FormatError::malformed(WHAT, "a block has an impossible length")) }
}
