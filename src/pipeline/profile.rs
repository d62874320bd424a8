//! How streams are cut.

use crate::format::manifest::ChunkSizes;

/// How a stream's chunks are sized.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Profile {
    /// Small chunks: for dumps and everything of which small parts change.
    Dump,
    /// Large chunks: for data that is compressed or encrypted already, and for media.
    Bulk,
    /// `Bulk` if the first MiB looks compressed or encrypted, `Dump` otherwise.
    #[default]
    Auto,
}

/// Chunk sizes of the `dump` profile; docs/decisions/0002 has the measurements.
pub const DUMP_SIZES: ChunkSizes = ChunkSizes { min: 1 << 10, avg: 4 << 10, max: 32 << 10 };

/// Chunk sizes of the `bulk` profile.
pub const BULK_SIZES: ChunkSizes = ChunkSizes { min: 16 << 10, avg: 64 << 10, max: 512 << 10 };

impl Profile {
    /// The sizes for a stream that begins with these bytes.
    pub fn sizes(self, first: &[u8]) -> ChunkSizes {
        match self {
            Self::Dump => DUMP_SIZES,
            Self::Bulk => BULK_SIZES,
            Self::Auto if looks_compressed(first) => BULK_SIZES,
            Self::Auto => DUMP_SIZES,
        }
    }
}

/// True if the bytes are spread so evenly that compression would win nothing.
fn looks_compressed(bytes: &[u8]) -> bool {
    const ENOUGH: usize = 64 << 10;
    if bytes.len() < ENOUGH {
        return false;
    }
    let mut counts = [0u32; 256];
    bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    let total = bytes.len() as f64;
    let entropy: f64 = counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| f64::from(count) / total)
        .map(|share| -share * share.log2())
        .sum();
    entropy > 7.9
}
