//! All the cuts of a long piece at once: two scans from two places take turns, byte pair by byte pair.
//!
//! One scan waits for itself: each step needs the hash of the step before, three cycles for two bytes. Two scans
//! side by side keep the processor busy in that time. The second begins in the middle as if a chunk began there;
//! the first goes on past the middle until it meets a boundary of the second, and takes the rest from it.

use super::chunker::Cut;
use super::fastcdc::FastCdc;

/// Average chunks in a piece from which on two scans gain more than their meeting costs.
const WORTH_IT: usize = 128;

/// Where chunks end if one begins at the first of these bytes, ascending. What follows the last is open.
pub fn ends(chunker: &FastCdc, bytes: &[u8]) -> Vec<usize> {
    let worth_it = bytes.len() >= chunker.avg * WORTH_IT;
    let (mut ends, beyond) = if worth_it { ends_of_two(chunker, bytes) } else { (Vec::new(), Vec::new()) };
    let mut start = ends.last().copied().unwrap_or(0);
    loop {
        if let Ok(met) = beyond.binary_search(&start) {
            ends.extend_from_slice(&beyond[met + 1..]);
            start = beyond[beyond.len() - 1];
        }
        match chunker.cut(&bytes[start..]) {
            Cut::At(len) => start += len,
            Cut::Open => return ends,
        }
        ends.push(start);
    }
}

/// Where chunks end that begin before the middle, and where those do that begin in the middle as if one began there:
/// boundaries from the middle itself on.
fn ends_of_two(chunker: &FastCdc, bytes: &[u8]) -> (Vec<usize>, Vec<usize>) {
    let middle = bytes.len() / 2;
    let (mut ends, mut beyond) = (Vec::with_capacity(2 * bytes.len() / chunker.avg), vec![middle]);
    let (mut first, mut second) = (Walk::from(0, chunker), Walk::from(middle, chunker));
    loop {
        let both = first.room(chunker, bytes).min(second.room(chunker, bytes));
        let (a, b) = (&bytes[first.at..][..both], &bytes[second.at..][..both]);
        let passed = race(chunker, (a, &mut first.hash), (b, &mut second.hash));
        first.at += passed;
        second.at += passed;
        let steps = (first.step(chunker, bytes, &mut ends), second.step(chunker, bytes, &mut beyond));
        if steps != (Step::On, Step::On) || first.start >= middle || second.at > bytes.len() {
            return (ends, beyond);
        }
    }
}

/// A scan on its way.
struct Walk {
    /// Where its chunk begins.
    start: usize,
    /// Where it looks next, at most the end of the piece.
    at: usize,
    /// The gear hash of what it has looked at.
    hash: u64,
}

#[derive(PartialEq, Eq)]
enum Step {
    /// It can go on.
    On,
    /// More bytes decide where its chunk ends.
    Open,
}

impl Walk {
    fn from(start: usize, chunker: &FastCdc) -> Self {
        Self { start, at: start + chunker.min, hash: 0 }
    }

    /// The end of what it may look at with one mask, and that mask.
    fn limit(&self, chunker: &FastCdc, bytes: &[u8]) -> (usize, u64) {
        let end = bytes.len().min(self.start + chunker.max);
        let centre = end.min(self.start + chunker.avg);
        if self.at + 2 <= centre { (centre, chunker.strict) } else { (end, chunker.loose) }
    }

    /// Bytes that it may look at with one mask.
    fn room(&self, chunker: &FastCdc, bytes: &[u8]) -> usize {
        self.limit(chunker, bytes).0 - self.at
    }

    /// Looks at up to four bytes, as [`FastCdc::cut`] does, and notes where a chunk ends.
    fn step(&mut self, chunker: &FastCdc, bytes: &[u8], ends: &mut Vec<usize>) -> Step {
        let (limit, mask) = self.limit(chunker, bytes);
        let to = limit.min(self.at + 4);
        if to < self.at + 2 && limit < self.start + chunker.max {
            return Step::Open;
        }
        let cut = chunker.scan(bytes, self.at, to, mask, &mut self.hash);
        self.at = to;
        let full = (to == self.start + chunker.max).then_some(to);
        if let Some(end) = cut.or(full) {
            ends.push(end);
            *self = Self::from(end, chunker);
        }
        Step::On
    }
}

/// Bytes that both scans can pass, in fours, because no hash in them can end a chunk, strict or loose.
#[inline(never)]
fn race(chunker: &FastCdc, (a, hash_a): (&[u8], &mut u64), (b, hash_b): (&[u8], &mut u64)) -> usize {
    let [gear, shifted] = &*chunker.gear;
    let mask = chunker.strict & chunker.loose;
    let mask_shifted = mask << 1;
    let mut passed = 0;
    for (p, q) in a.as_chunks::<4>().0.iter().zip(b.as_chunks::<4>().0) {
        let v = (*hash_a << 2).wrapping_add(shifted[usize::from(p[0])]);
        let w = (*hash_b << 2).wrapping_add(shifted[usize::from(q[0])]);
        if v & mask_shifted == 0 || w & mask_shifted == 0 {
            break;
        }
        let v = v.wrapping_add(gear[usize::from(p[1])]);
        let w = w.wrapping_add(gear[usize::from(q[1])]);
        if v & mask == 0 || w & mask == 0 {
            break;
        }
        let v = (v << 2).wrapping_add(shifted[usize::from(p[2])]);
        let w = (w << 2).wrapping_add(shifted[usize::from(q[2])]);
        if v & mask_shifted == 0 || w & mask_shifted == 0 {
            break;
        }
        let v = v.wrapping_add(gear[usize::from(p[3])]);
        let w = w.wrapping_add(gear[usize::from(q[3])]);
        if v & mask == 0 || w & mask == 0 {
            break;
        }
        (*hash_a, *hash_b) = (v, w);
        passed += 4;
    }
    passed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::manifest::ChunkSizes;
    use proptest::prelude::*;

    fn ends_of_one(chunker: &FastCdc, bytes: &[u8]) -> Vec<usize> {
        let (mut ends, mut start) = (Vec::new(), 0);
        while let Cut::At(len) = chunker.cut(&bytes[start..]) {
            start += len;
            ends.push(start);
        }
        ends
    }

    proptest! {
        #[test]
        fn two_scans_find_what_one_finds(
            pieces in prop::collection::vec((any::<u8>(), 0..60usize, prop::collection::vec(0..17u8, 0..3000)), 1..60),
            (min, bits, max) in (32..100u32, 8..10u32, 300..4000u32),
        ) {
            let gear = std::array::from_fn(|i| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(i as u32));
            let sizes = ChunkSizes { min: min * 2, avg: 1 << bits, max: max * 2 };
            let chunker = FastCdc::new(sizes, &gear).expect("legal");
            let bytes: Vec<u8> = pieces
                .into_iter()
                .flat_map(|(byte, run, noise)| std::iter::repeat_n(byte, run * 50).chain(noise))
                .collect();
            let two = ends(&chunker, &bytes);
            prop_assert_eq!(two, ends_of_one(&chunker, &bytes));
        }
    }
}
