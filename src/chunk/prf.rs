//! Cut points that a pseudo-random function decides: AES-128 of the gear hash of the last 64 bytes.
//!
//! The table of FastCDC can be computed from the sizes of known chunks (Truong, Merz, Scarlata, Günther, Paterson:
//! "Breaking and Fixing Content-Defined Chunking", 2025), and then sizes tell which known files are stored. Here the
//! sizes of known chunks only say what AES does with hashes that are seen anyway. docs/decisions/0017 has the reasons.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Block};

use super::chunker::{Cut, check_sizes};
use crate::format::FormatError;
use crate::format::manifest::ChunkSizes;

/// Bytes that decide whether a chunk ends behind them: older ones are shifted out of the gear hash.
const WINDOW: usize = 64;

/// Places that are judged at a time: enough to keep the registers of the cipher full, and little of it in vain.
const BATCH: usize = 128;

/// Finds where chunks end by a pseudo-random function of the gear hash.
#[derive(Debug, Clone)]
pub struct PrfCdc {
    min: usize,
    avg: usize,
    pub(super) max: usize,
    /// Bits that are zero where a chunk ends below the average size; those of `loose` are among them.
    strict: u64,
    /// The same from the average size on.
    loose: u64,
    gear: Box<[u64; 256]>,
    prf: Box<Aes128>,
}

/// What goes into the cipher and what comes out. The second half of what goes in stays zero.
struct Batch {
    hashes: [Block; BATCH],
    judged: [Block; BATCH],
}

impl PrfCdc {
    /// A chunker of the given sizes, which are those of FastCDC.
    ///
    /// Fails if the sizes are not even, not ordered, or outside the limits of the format.
    pub fn new(sizes: ChunkSizes, gear: &[u64; 256], key: &[u8; 16]) -> Result<Self, FormatError> {
        let [min, avg, max] = check_sizes(sizes)?;
        let bits = avg.ilog2();
        Ok(Self {
            min,
            avg,
            max,
            strict: (1 << (bits + 1)) - 1,
            loose: (1 << (bits - 1)) - 1,
            gear: Box::new(*gear),
            prf: Box::new(Aes128::new(&(*key).into())),
        })
    }

    /// Where the chunk that begins at the start of `bytes` ends.
    pub fn cut(&self, bytes: &[u8]) -> Cut {
        self.cut_with(&mut Batch::default(), bytes)
    }

    /// Where chunks end if one begins at the first of these bytes, ascending. What follows the last is open.
    pub fn ends(&self, bytes: &[u8]) -> Vec<usize> {
        let (mut batch, mut ends, mut start) = (Batch::default(), Vec::new(), 0);
        while let Cut::At(len) = self.cut_with(&mut batch, &bytes[start..]) {
            start += len;
            ends.push(start);
        }
        ends
    }

    fn cut_with(&self, batch: &mut Batch, bytes: &[u8]) -> Cut {
        let bytes = &bytes[..bytes.len().min(self.max)];
        if bytes.len() < self.min {
            return Cut::Open;
        }
        // The first place has its whole window in this chunk, so that nothing before the chunk counts.
        let mut hash = bytes[self.min - WINDOW..self.min - 1].iter().fold(0, |hash, &byte| self.roll(hash, byte));
        let (first, last) = (self.min - 1, bytes.len().min(self.max - 1));
        for (number, window_ends) in bytes[first..last].chunks(BATCH).enumerate() {
            for (block, &byte) in batch.hashes.iter_mut().zip(window_ends) {
                hash = self.roll(hash, byte);
                block[..8].copy_from_slice(&hash.to_le_bytes());
            }
            let from = self.min + number * BATCH;
            if let Some(end) = self.judge(batch, window_ends.len(), from) {
                return Cut::At(end);
            }
        }
        if bytes.len() == self.max { Cut::At(self.max) } else { Cut::Open }
    }

    #[inline(always)]
    fn roll(&self, hash: u64, byte: u8) -> u64 {
        (hash << 1).wrapping_add(self.gear[usize::from(byte)])
    }

    /// The first of `count` places from `from` on where a chunk ends.
    fn judge(&self, batch: &mut Batch, count: usize, from: usize) -> Option<usize> {
        let judged = &mut batch.judged[..count];
        self.prf.encrypt_blocks_b2b(&batch.hashes[..count], judged).expect("both have one length");
        let verdict = |block: &Block| u64::from_le_bytes(*block.first_chunk().expect("a block has 16 bytes"));
        // One branch for all of them: mostly there is none.
        if judged.iter().fold(false, |any, block| any | (verdict(block) & self.loose == 0)) {
            let mask = |place| if place < self.avg { self.strict } else { self.loose };
            return judged.iter().zip(from..).find(|(block, at)| verdict(block) & mask(*at) == 0).map(|(_, at)| at);
        }
        None
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self { hashes: [Block::default(); BATCH], judged: [Block::default(); BATCH] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gear() -> [u64; 256] {
        std::array::from_fn(|i| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(i as u32))
    }

    /// The rule of format-spec.md, place by place: no batches, and each window hashed anew.
    fn ends_by_the_rule(bytes: &[u8], [min, avg, max]: [usize; 3], key: &[u8; 16]) -> Vec<usize> {
        let (gear, cipher) = (gear(), Aes128::new(&(*key).into()));
        let ends_at = |chunk: &[u8], at: usize| {
            let hash =
                chunk[at - 64..at].iter().fold(0u64, |hash, &byte| (hash << 1).wrapping_add(gear[byte as usize]));
            let mut block = Block::default();
            block[..8].copy_from_slice(&hash.to_le_bytes());
            cipher.encrypt_block(&mut block);
            let bits = if at < avg { avg.ilog2() + 1 } else { avg.ilog2() - 1 };
            u64::from_le_bytes(*block.first_chunk().expect("16 bytes")).trailing_zeros() >= bits
        };
        let (mut ends, mut start) = (Vec::new(), 0);
        loop {
            let chunk = &bytes[start..];
            let found = (min..max).take_while(|&at| at <= chunk.len()).find(|&at| ends_at(chunk, at));
            match found.or((chunk.len() >= max).then_some(max)) {
                Some(len) => start += len,
                None => return ends,
            }
            ends.push(start);
        }
    }

    proptest! {
        #[test]
        fn batches_find_what_the_rule_says(
            pieces in prop::collection::vec((any::<u8>(), 0..40usize, prop::collection::vec(any::<u8>(), 0..900)), 0..30),
            (min, bits, max) in (32..100u32, 8..10u32, 300..1500u32),
            key in any::<[u8; 16]>(),
        ) {
            let sizes = ChunkSizes { min: min * 2, avg: 1 << bits, max: max * 2 };
            let chunker = PrfCdc::new(sizes, &gear(), &key).expect("legal");
            let bytes: Vec<u8> = pieces
                .into_iter()
                .flat_map(|(byte, run, noise)| std::iter::repeat_n(byte, run * 50).chain(noise))
                .collect();
            let ends = chunker.ends(&bytes);
            let sizes = [sizes.min, sizes.avg, sizes.max].map(|size| size as usize);
            prop_assert_eq!(&ends, &ends_by_the_rule(&bytes, sizes, &key));
            let lens = std::iter::once(&0).chain(&ends).zip(&ends).map(|(start, end)| end - start);
            prop_assert!(lens.into_iter().all(|len| (sizes[0]..=sizes[2]).contains(&len)));
        }
    }

    /// What is shared by two streams is cut alike in both, whatever stands before it.
    #[test]
    fn another_beginning_changes_few_chunks() {
        let sizes = ChunkSizes { min: 1024, avg: 4096, max: 32768 };
        let chunker = PrfCdc::new(sizes, &gear(), &[9; 16]).expect("legal");
        let mut state = 1u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        })
        .take(1 << 20)
        .collect();
        let (whole, shifted) = (chunker.ends(&noise), chunker.ends(&noise[777..]));
        let common = shifted.iter().filter(|end| whole.binary_search(&(**end + 777)).is_ok()).count();
        assert!(whole.len() > 150 && whole.len() < 300, "{}", whole.len());
        assert!(common + 8 > whole.len(), "{common} of {}", whole.len());
    }
}
