//! An index run: rows sorted by chunk id in sealed pages of a fixed size, filter pages, and a footer.
//!
//! Rows are searched where they lie in the decrypted page; nothing is parsed.

use super::codec::Fields;
use super::sealed::{HEADER_LEN, TAG_LEN};
use super::{FormatError, padding};
use crate::ids::{ChunkId, ObjectId};
use crate::limits;

const WHAT: &str = "index footer";

/// Stored length of a row page in bytes (the last one may be shorter).
pub const PAGE_LEN: usize = 4096;

/// Length of a row in bytes: chunk id, pack number in the run's table, ordinal of the chunk in the pack.
pub const ROW_LEN: usize = ChunkId::LEN + 4 + 2;

/// Rows in a full page.
pub const PAGE_ROWS: usize = (PAGE_LEN - TAG_LEN) / ROW_LEN;

/// Length of a filter block in bytes.
pub const FILTER_BLOCK: usize = 64;

/// Filter blocks in a full filter page.
pub const FILTER_PAGE_BLOCKS: usize = 63;

/// Rows that share a filter block, on average.
pub const FILTER_BLOCK_ROWS: u64 = 51;

/// Runs with fewer rows have no filter.
pub const FILTER_MIN_ROWS: u64 = 4096;

/// The bit beside the level that says that a run is padded.
const PADDED: u32 = 1 << 8;

/// Where a chunk lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexRow {
    /// The chunk.
    pub id: ChunkId,
    /// Number of its pack in the table of the run.
    pub pack: u32,
    /// Its place among the chunks of the pack.
    pub ordinal: u16,
}

impl IndexRow {
    /// The stored bytes.
    pub fn encode(&self) -> [u8; ROW_LEN] {
        let mut bytes = [0; ROW_LEN];
        bytes[..16].copy_from_slice(self.id.as_bytes());
        bytes[16..20].copy_from_slice(&self.pack.to_le_bytes());
        bytes[20..].copy_from_slice(&self.ordinal.to_le_bytes());
        bytes
    }

    /// Reads the row at `place` of a page; nothing if the page has no such row.
    pub fn at(page: &[u8], place: usize) -> Option<Self> {
        let start = place.checked_mul(ROW_LEN)?;
        let mut fields = Fields::new(WHAT, page.get(start..start.checked_add(ROW_LEN)?)?);
        Some(Self { id: ChunkId::new(fields.array().ok()?), pack: fields.u32().ok()?, ordinal: fields.u16().ok()? })
    }
}

/// The place in a page of the first row whose id is not below `id`.
pub fn lower_bound(page: &[u8], id: &ChunkId) -> usize {
    let rows = page.len() / ROW_LEN;
    let (mut low, mut high) = (0, rows);
    while low < high {
        let middle = low + (high - low) / 2;
        if page[middle * ROW_LEN..middle * ROW_LEN + ChunkId::LEN] < id.as_bytes()[..] {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// The first eight bytes of an id as a number that sorts like the id.
pub fn id_prefix(id: &ChunkId) -> u64 {
    u64::from_be_bytes(*id.as_bytes().first_chunk().expect("ids have 16 bytes"))
}

/// A pack that rows of a run point to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PackEntry {
    /// Its name.
    pub id: ObjectId,
    /// Its stored length in bytes.
    pub len: u32,
}

/// The footer of an index run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexFooter {
    /// Number of rows.
    pub rows: u64,
    /// Number of filter blocks; 0 for a run without a filter.
    pub filter_blocks: u64,
    /// The packs that rows point to.
    pub packs: Vec<PackEntry>,
    /// For each page the prefix of its first id.
    pub page_starts: Vec<u64>,
    /// Names the runs that one merge wrote together; their id ranges do not overlap.
    pub group: [u8; 16],
    /// How often the rows were merged.
    pub level: u8,
    /// True if a section of zeros stands before the footer, and zeros may follow the footer itself.
    pub padded: bool,
}

impl IndexFooter {
    /// Number of row pages.
    pub fn pages(&self) -> u64 {
        self.rows.div_ceil(PAGE_ROWS as u64)
    }

    /// Where a row page lies in the run: offset and sealed length in bytes.
    pub fn page_span(&self, page: u64) -> Option<(u64, usize)> {
        let before = page.checked_mul(PAGE_ROWS as u64)?;
        let rows = self.rows.checked_sub(before).filter(|&rows| rows > 0)?.min(PAGE_ROWS as u64) as usize;
        let len = if rows == PAGE_ROWS { PAGE_LEN } else { rows * ROW_LEN + TAG_LEN };
        Some((HEADER_LEN as u64 + page * PAGE_LEN as u64, len))
    }

    /// Where a filter page lies in the run: offset and sealed length in bytes.
    pub fn filter_span(&self, page: u64) -> Option<(u64, usize)> {
        let before = page.checked_mul(FILTER_PAGE_BLOCKS as u64)?;
        let left = self.filter_blocks.checked_sub(before).filter(|&left| left > 0)?;
        let blocks = left.min(FILTER_PAGE_BLOCKS as u64) as usize;
        let (last, last_len) = match self.pages() {
            0 => (HEADER_LEN as u64, 0),
            pages => self.page_span(pages - 1)?,
        };
        let start = last + last_len as u64;
        let full = (FILTER_PAGE_BLOCKS * FILTER_BLOCK + TAG_LEN) as u64;
        Some((start + page * full, blocks * FILTER_BLOCK + TAG_LEN))
    }

    /// Where the last page ends, in bytes from the start of the run; nothing if the counts overflow.
    pub fn end(&self) -> Option<u64> {
        let span = match self.filter_blocks.div_ceil(FILTER_PAGE_BLOCKS as u64).checked_sub(1) {
            Some(last) => self.filter_span(last)?,
            None => self.page_span(self.pages().checked_sub(1)?)?,
        };
        span.0.checked_add(span.1 as u64)
    }

    /// True if what lies from `offset` on may be the footer: the pages end there, or filler stands between.
    pub fn may_lie_at(&self, offset: u64) -> bool {
        self.end().is_some_and(|end| match self.padded {
            true => end.checked_add(TAG_LEN as u64).is_some_and(|least| least <= offset),
            false => end == offset,
        })
    }

    /// The plaintext of the stored footer, without padding.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(40 + self.packs.len() * 36 + self.page_starts.len() * 8);
        bytes.extend(self.rows.to_le_bytes());
        bytes.extend(self.filter_blocks.to_le_bytes());
        bytes.extend((self.packs.len() as u32).to_le_bytes());
        let padded = if self.padded { PADDED } else { 0 };
        bytes.extend((u32::from(self.level) | padded).to_le_bytes());
        bytes.extend(self.group);
        for pack in &self.packs {
            bytes.extend(pack.id.as_bytes());
            bytes.extend(pack.len.to_le_bytes());
        }
        self.page_starts.iter().for_each(|start| bytes.extend(start.to_le_bytes()));
        bytes
    }

    /// Reads a footer whose counts must agree with its length.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(WHAT, bytes);
        let (rows, filter_blocks) = (fields.u64()?, fields.u64()?);
        let (packs, level, group) = (fields.u32()? as usize, fields.u32()?, fields.array()?);
        let (level, padded) = (level & !PADDED, level & PADDED != 0);
        let pages = rows.div_ceil(PAGE_ROWS as u64);
        let expected = (packs as u64).checked_mul(36).and_then(|sum| sum.checked_add(pages.checked_mul(8)?));
        let remaining = fields.remaining() as u64;
        let fits = expected.is_some_and(|expected| expected == remaining || (padded && expected < remaining));
        if !fits || filter_blocks > rows || level > 255 {
            return Err(FormatError::malformed(WHAT, "its length does not fit its counts"));
        }
        let packs = (0..packs).map(|_| decode_pack(&mut fields)).collect::<Result<_, _>>()?;
        let page_starts = (0..pages).map(|_| fields.u64()).collect::<Result<Vec<_>, _>>()?;
        if !page_starts.is_sorted() {
            return Err(FormatError::malformed(WHAT, "its pages are not in order"));
        }
        padding::require_zeros(WHAT, fields.bytes(fields.remaining())?)?;
        Ok(Self { rows, filter_blocks, packs, page_starts, group, level: level as u8, padded })
    }
}

fn decode_pack(fields: &mut Fields<'_>) -> Result<PackEntry, FormatError> {
    let pack = PackEntry { id: ObjectId::new(fields.array()?), len: fields.u32()? };
    if pack.len as usize > limits::PACK_MAX_BYTES {
        return Err(FormatError::malformed(WHAT, "a pack is too large"));
    }
    Ok(pack)
}

/// The filter block of an id among `blocks`: monotone in the id, so that filters are written as rows are sorted.
pub fn filter_block(id: &ChunkId, blocks: u64) -> u64 {
    ((u128::from(id_prefix(id)) * u128::from(blocks)) >> 64) as u64
}

/// The six bits of a filter block that stand for an id.
pub fn filter_bits(id: &ChunkId) -> [u16; 6] {
    let tail = u64::from_le_bytes(*id.as_bytes().last_chunk().expect("ids have 16 bytes"));
    std::array::from_fn(|k| ((tail >> (9 * k)) & 511) as u16)
}
