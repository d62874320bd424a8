//! FastCDC 2020 (Xia et al., IEEE TPDS 31(9), 2020) with normalised chunking of level 1 and a secret gear table.
//!
//! Cut points are part of the format. They are those of the crate `fastcdc` (v2020) given the same table, which
//! tests hold this file to; golden vectors pin them.

use super::chunker::{Cut, check_sizes};
use crate::format::FormatError;
use crate::format::manifest::ChunkSizes;

/// Masks for powers of two, of the reference implementations (index: bits of the size that they aim at).
const MASKS: [u64; 21] = [
    0,
    0,
    0,
    0,
    0,
    0x0000_0000_0180_4110,
    0x0000_0000_0180_3110,
    0x0000_0000_1803_5100,
    0x0000_0018_0003_5300,
    0x0000_0190_0035_3000,
    0x0000_5900_0353_0000,
    0x0000_d900_0353_0000,
    0x0000_d901_0353_0000,
    0x0000_d903_0353_0000,
    0x0000_d903_1353_0000,
    0x0000_d90f_0353_0000,
    0x0000_d903_0353_7000,
    0x0000_d907_0353_7000,
    0x0000_d907_0753_7000,
    0x0000_d917_0753_7000,
    0x0000_d917_4753_7000,
];

/// Finds where chunks end by the gear hash alone.
#[derive(Debug, Clone)]
pub struct FastCdc {
    pub(super) min: usize,
    pub(super) avg: usize,
    pub(super) max: usize,
    /// Strict mask, below the average size.
    pub(super) strict: u64,
    /// Loose mask, above the average size.
    pub(super) loose: u64,
    /// The gear table, and the same shifted left by one: the loop takes two bytes at a time.
    pub(super) gear: Box<[[u64; 256]; 2]>,
}

impl FastCdc {
    /// A chunker of the given sizes.
    ///
    /// Fails if the sizes are not even, not ordered, or outside the limits of the format.
    pub fn new(sizes: ChunkSizes, gear: &[u64; 256]) -> Result<Self, FormatError> {
        let [min, avg, max] = check_sizes(sizes)?;
        let bits = avg.ilog2() as usize;
        Ok(Self {
            min,
            avg,
            max,
            strict: MASKS[bits + 1],
            loose: MASKS[bits - 1],
            gear: Box::new([*gear, gear.map(|value| value << 1)]),
        })
    }

    /// Where the chunk that begins at the start of `bytes` ends.
    pub fn cut(&self, bytes: &[u8]) -> Cut {
        if bytes.len() <= self.min {
            return Cut::Open;
        }
        let bytes = &bytes[..bytes.len().min(self.max)];
        let centre = self.avg.min(bytes.len());
        let mut hash = 0;
        let found = self
            .scan(bytes, self.min, centre, self.strict, &mut hash)
            .or_else(|| self.scan(bytes, centre & !1, bytes.len(), self.loose, &mut hash));
        match found {
            Some(end) => Cut::At(end),
            None if bytes.len() == self.max => Cut::At(self.max),
            None => Cut::Open,
        }
    }

    /// Looks for a cut in pairs of bytes from `from` on; an odd last byte is not looked at.
    #[inline(always)]
    pub(super) fn scan(&self, bytes: &[u8], from: usize, to: usize, mask: u64, hash: &mut u64) -> Option<usize> {
        let [gear, shifted] = &*self.gear;
        let mask_shifted = mask << 1;
        let mut value = *hash;
        for (pair, at) in bytes[from..to].as_chunks::<2>().0.iter().zip((from..).step_by(2)) {
            value = (value << 2).wrapping_add(shifted[usize::from(pair[0])]);
            if value & mask_shifted == 0 {
                return Some(at);
            }
            value = value.wrapping_add(gear[usize::from(pair[1])]);
            if value & mask == 0 {
                return Some(at + 1);
            }
        }
        *hash = value;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastcdc::v2020::{Normalization, cut_gear, select_masks};

    fn table(seed: u64) -> [u64; 256] {
        let mut state = seed;
        std::array::from_fn(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state ^ state.rotate_left(29)
        })
    }

    fn noise(seed: u64, len: usize, alphabet: u64) -> Vec<u8> {
        let mut state = seed | 1;
        let step = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(seed);
            ((state >> 33) % alphabet) as u8
        };
        (0..len).map(step).collect()
    }

    fn cuts_of_crate(bytes: &[u8], sizes: ChunkSizes, gear: &[u64; 256]) -> Vec<usize> {
        let (strict, loose) = select_masks(sizes.avg as usize, Normalization::Level1);
        let shifted = gear.map(|value| value << 1);
        let mut cuts = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (min, avg, max) = (sizes.min as usize, sizes.avg as usize, sizes.max as usize);
            let (_, len) = cut_gear(rest, min, avg, max, strict, loose, strict << 1, loose << 1, gear, &shifted);
            cuts.push(len);
            rest = &rest[len..];
        }
        cuts
    }

    fn cuts_of_ours(bytes: &[u8], sizes: ChunkSizes, gear: &[u64; 256]) -> Vec<usize> {
        let chunker = FastCdc::new(sizes, gear).expect("sizes are legal");
        let mut cuts = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let len = match chunker.cut(rest) {
                Cut::At(len) => len,
                Cut::Open => rest.len(),
            };
            cuts.push(len);
            rest = &rest[len..];
        }
        cuts
    }

    #[test]
    fn cuts_where_the_crate_cuts() {
        for (seed, alphabet) in [(1, 256), (2, 64), (3, 4), (4, 1)] {
            for len in [0, 1, 1023, 1024, 1025, 4097, 100_001, 1_000_000] {
                let (bytes, gear) = (noise(seed, len, alphabet), table(seed));
                for (min, avg, max) in [(1024, 4096, 32768), (256, 1024, 2048), (16384, 65536, 524_288)] {
                    let sizes = ChunkSizes { min, avg, max };
                    let expected = cuts_of_crate(&bytes, sizes, &gear);
                    assert_eq!(cuts_of_ours(&bytes, sizes, &gear), expected, "{seed} {len} {avg}");
                }
            }
        }
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let gear = [0; 256];
        for (min, avg, max) in [(0, 4096, 8192), (4096, 4096, 8192), (1024, 4095, 8192), (64, 256, 1 << 21)] {
            assert!(FastCdc::new(ChunkSizes { min, avg, max }, &gear).is_err(), "{min} {avg} {max}");
        }
    }
}
