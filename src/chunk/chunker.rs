//! The two ways to cut a stream, behind one face.

use super::fastcdc::FastCdc;
use super::lockstep;
use super::prf::PrfCdc;
use crate::format::FormatError;
use crate::format::manifest::ChunkSizes;
use crate::limits;

/// Where a chunk ends in a piece of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// After this many bytes, whatever follows.
    At(usize),
    /// Nowhere in this piece: more bytes decide.
    Open,
}

/// Finds where chunks end. Where one ends depends on the bytes since it began, and on nothing before.
#[derive(Debug, Clone)]
pub enum Chunker {
    /// By the gear hash alone: fast, and sizes of known chunks give the table away.
    Gear(FastCdc),
    /// By a pseudo-random function of the gear hash, for repositories that hide sizes.
    Prf(PrfCdc),
}

impl Chunker {
    /// A chunker that cuts by the gear hash.
    ///
    /// Fails if the sizes are not even, not ordered, or outside the limits of the format.
    pub fn by_gear(sizes: ChunkSizes, gear: &[u64; 256]) -> Result<Self, FormatError> {
        FastCdc::new(sizes, gear).map(Self::Gear)
    }

    /// A chunker that cuts by a pseudo-random function of the gear hash.
    ///
    /// Fails as [`Self::by_gear`] does.
    pub fn by_prf(sizes: ChunkSizes, gear: &[u64; 256], key: &[u8; 16]) -> Result<Self, FormatError> {
        PrfCdc::new(sizes, gear, key).map(Self::Prf)
    }

    /// Largest chunk in bytes.
    pub fn max(&self) -> usize {
        match self {
            Self::Gear(chunker) => chunker.max,
            Self::Prf(chunker) => chunker.max,
        }
    }

    /// Where the chunk that begins at the start of `bytes` ends.
    pub fn cut(&self, bytes: &[u8]) -> Cut {
        match self {
            Self::Gear(chunker) => chunker.cut(bytes),
            Self::Prf(chunker) => chunker.cut(bytes),
        }
    }

    /// Where chunks end if one begins at the first of these bytes, ascending. What follows the last is open.
    pub fn ends(&self, bytes: &[u8]) -> Vec<usize> {
        match self {
            Self::Gear(chunker) => lockstep::ends(chunker, bytes),
            Self::Prf(chunker) => chunker.ends(bytes),
        }
    }
}

/// The sizes as numbers of bytes: least, average, largest.
///
/// Fails if they are not even, not ordered, or outside the limits of the format.
pub(super) fn check_sizes(sizes: ChunkSizes) -> Result<[usize; 3], FormatError> {
    let [min, avg, max] = [sizes.min, sizes.avg, sizes.max].map(|size| size as usize);
    let even = [min, avg, max].iter().all(|size| size % 2 == 0);
    let ordered = 64 <= min && min < avg && avg < max && max <= limits::CHUNK_MAX_BYTES;
    if !even || !ordered || !avg.is_power_of_two() || !(256..=1 << 19).contains(&avg) {
        return Err(FormatError::malformed("chunk sizes", "they are odd, unordered or out of range"));
    }
    Ok([min, avg, max])
}
