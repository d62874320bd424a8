//! BLAKE3 of a whole stream from the hashes of its segments, which workers compute side by side.
//!
//! A segment is an aligned power of two of bytes, so its hash is a subtree of the stream's (BLAKE3 paper, 2.1).

use blake3::Hasher;
use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

use crate::limits::SEGMENT_BYTES;

/// Chaining value of one segment.
pub type SegmentHash = [u8; 32];

/// The chaining value of the segment with this number; `bytes` must not be empty.
pub fn segment_hash(number: u64, bytes: &[u8]) -> SegmentHash {
    let mut hasher = Hasher::new();
    hasher.set_input_offset(number * SEGMENT_BYTES as u64);
    hasher.update(bytes).finalize_non_root()
}

/// Merges segment hashes in the order of the stream.
#[derive(Debug, Default)]
pub struct StreamHash {
    /// Complete subtrees, largest first; the newest segment waits outside because it may be the last.
    subtrees: Vec<SegmentHash>,
    newest: Option<SegmentHash>,
    segments: u64,
    /// BLAKE3 of the first segment alone: the answer where there is no other.
    alone: Option<[u8; 32]>,
}

impl StreamHash {
    /// Adds the next segment. All but the last must be `SEGMENT_BYTES` long.
    pub fn push(&mut self, hash: SegmentHash, bytes: &[u8]) {
        match self.newest.replace(hash) {
            None => self.alone = Some(*blake3::hash(bytes).as_bytes()),
            Some(previous) => {
                self.alone = None;
                self.merge(previous);
            }
        }
    }

    fn merge(&mut self, mut hash: SegmentHash) {
        self.segments += 1;
        for _ in 0..self.segments.trailing_zeros() {
            let left = self.subtrees.pop().expect("a subtree for each set bit of the count");
            hash = merge_subtrees_non_root(&left, &hash, Mode::Hash);
        }
        self.subtrees.push(hash);
    }

    /// The BLAKE3 of the whole stream.
    pub fn finish(self) -> [u8; 32] {
        if let Some(hash) = self.alone {
            return hash;
        }
        let Some(mut right) = self.newest else {
            return *blake3::hash(b"").as_bytes();
        };
        let (root_left, inner) = self.subtrees.split_first().expect("two segments or more");
        for left in inner.iter().rev() {
            right = merge_subtrees_non_root(left, &right, Mode::Hash);
        }
        *merge_subtrees_root(root_left, &right, Mode::Hash).as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_sequential_hash() {
        let bytes: Vec<u8> = (0..7 * SEGMENT_BYTES + 5).map(|i| (i / 3 % 251) as u8).collect();
        for len in [0, 1, 1024, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1]
            .into_iter()
            .chain((2..8).flat_map(|n| [n * SEGMENT_BYTES, n * SEGMENT_BYTES - 7]))
        {
            let mut hash = StreamHash::default();
            for (number, segment) in bytes[..len].chunks(SEGMENT_BYTES).enumerate() {
                hash.push(segment_hash(number as u64, segment), segment);
            }
            assert_eq!(hash.finish(), *blake3::hash(&bytes[..len]).as_bytes(), "length {len}");
        }
    }
}
