//! Cutting one stream on several cores: segments are scanned side by side as if a chunk began at each, and joined.
//!
//! Where a chunk ends depends only on the bytes since it began. So two scans that share one boundary share all
//! that follow, and a scan from a wrong beginning meets the true one after a few chunks. The joiner cuts from the
//! true boundary until it meets a boundary of the scan, and takes the rest from there. The result is exactly that
//! of one scan over the whole stream.

use super::chunker::{Chunker, Cut};
use crate::crypto::lanes::KeyedHasher;
use crate::crypto::stream_hash::{SegmentHash, segment_hash};
use crate::ids::ChunkId;

/// A piece of a stream: `SEGMENT_BYTES` long but for the last one.
#[derive(Debug)]
pub struct Segment {
    /// Its place in the stream, from 0.
    pub number: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A segment with what a worker found in it.
#[derive(Debug)]
pub struct Scanned {
    /// The segment.
    pub segment: Segment,
    /// Its chaining value in the hash of the stream; meaningless for an empty segment.
    pub hash: SegmentHash,
    /// Where chunks end if one begins at the first byte, ascending.
    ends: Vec<usize>,
    /// The names of these chunks.
    ids: Vec<ChunkId>,
}

/// Scans a segment. Pure: what a worker thread does.
pub fn scan(segment: Segment, chunker: &Chunker, hasher: &KeyedHasher) -> Scanned {
    let bytes = &segment.bytes[..];
    let ends = chunker.ends(bytes);
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let pieces: Vec<&[u8]> = starts.zip(&ends).map(|(start, &end)| &bytes[start..end]).collect();
    let ids = hasher.ids(&pieces);
    let hash = if bytes.is_empty() { [0; 32] } else { segment_hash(segment.number, bytes) };
    Scanned { hash, ends, ids, segment }
}

/// Receives the chunks of a stream in order.
pub trait ChunkSink {
    /// What can go wrong.
    type Error;

    /// Takes the next chunk.
    fn chunk(&mut self, id: ChunkId, bytes: &[u8]) -> Result<(), Self::Error>;
}

/// Joins scanned segments to the chunks of the stream.
#[derive(Debug)]
pub struct Joiner {
    chunker: Chunker,
    hasher: KeyedHasher,
    /// The beginning of a chunk whose end is not known yet; shorter than the largest chunk.
    open: Vec<u8>,
}

impl Joiner {
    /// Joins what was scanned with the same chunker and hasher.
    pub fn new(chunker: Chunker, hasher: KeyedHasher) -> Self {
        Self { chunker, hasher, open: Vec::new() }
    }

    /// Takes the next segment and gives the chunks that end in it.
    pub fn join<S: ChunkSink>(&mut self, scanned: &Scanned, sink: &mut S) -> Result<(), S::Error> {
        let bytes = &scanned.segment.bytes[..];
        let Some(start) = self.close_open(bytes, sink)? else {
            return Ok(());
        };
        let Some(start) = self.cut_to_boundary(bytes, start, &scanned.ends, sink)? else {
            return Ok(());
        };
        let first = scanned.ends.partition_point(|&end| end <= start);
        let mut from = start;
        for (&end, &id) in scanned.ends[first..].iter().zip(&scanned.ids[first..]) {
            sink.chunk(id, &bytes[from..end])?;
            from = end;
        }
        self.open.extend_from_slice(&bytes[from..]);
        Ok(())
    }

    /// Ends the stream: what is left is its last chunk.
    pub fn finish<S: ChunkSink>(mut self, sink: &mut S) -> Result<(), S::Error> {
        if self.open.is_empty() {
            return Ok(());
        }
        let open = std::mem::take(&mut self.open);
        sink.chunk(self.hasher.id(&open), &open)
    }

    /// Ends the chunk that began before `bytes`; says where the next begins, or nothing if it is still open.
    fn close_open<S: ChunkSink>(&mut self, bytes: &[u8], sink: &mut S) -> Result<Option<usize>, S::Error> {
        let mut taken = 0;
        while !self.open.is_empty() {
            let more = (self.chunker.max() - self.open.len()).min(bytes.len() - taken);
            let before = self.open.len();
            self.open.extend_from_slice(&bytes[taken..taken + more]);
            let Cut::At(len) = self.chunker.cut(&self.open) else {
                return Ok(None);
            };
            sink.chunk(self.hasher.id(&self.open[..len]), &self.open[..len])?;
            if len >= before {
                taken += len - before;
                self.open.clear();
            } else {
                // The chunk ends before this segment (its odd last byte could not be judged then).
                self.open.truncate(before);
                self.open.drain(..len);
            }
        }
        Ok(Some(taken))
    }

    /// Cuts from `start` until a boundary of the scan is met; nothing if the segment ends before.
    fn cut_to_boundary<S: ChunkSink>(
        &mut self,
        bytes: &[u8],
        mut start: usize,
        ends: &[usize],
        sink: &mut S,
    ) -> Result<Option<usize>, S::Error> {
        while start != 0 && ends.binary_search(&start).is_err() {
            let Cut::At(len) = self.chunker.cut(&bytes[start..]) else {
                self.open.extend_from_slice(&bytes[start..]);
                return Ok(None);
            };
            let piece = &bytes[start..start + len];
            sink.chunk(self.hasher.id(piece), piece)?;
            start += len;
        }
        Ok(Some(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::manifest::ChunkSizes;
    use crate::limits::SEGMENT_BYTES;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Lens(Vec<(ChunkId, usize)>);

    impl ChunkSink for Lens {
        type Error = std::convert::Infallible;

        fn chunk(&mut self, id: ChunkId, bytes: &[u8]) -> Result<(), Self::Error> {
            self.0.push((id, bytes.len()));
            Ok(())
        }
    }

    /// One that cuts by the gear hash, and one that cuts by a pseudo-random function of it.
    fn chunkers() -> [Chunker; 2] {
        let gear = std::array::from_fn(|i| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(i as u32));
        let sizes = ChunkSizes { min: 64, avg: 256, max: 1024 };
        [Chunker::by_gear(sizes, &gear), Chunker::by_prf(sizes, &gear, &[3; 16])].map(|chunker| chunker.expect("legal"))
    }

    fn whole(bytes: &[u8], chunker: &Chunker) -> Vec<(ChunkId, usize)> {
        let hasher = KeyedHasher::new(&[1; 32]);
        let mut out = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let len = match chunker.cut(rest) {
                Cut::At(len) => len,
                Cut::Open => rest.len(),
            };
            out.push((hasher.id(&rest[..len]), len));
            rest = &rest[len..];
        }
        out
    }

    fn joined(bytes: &[u8], segment: usize, chunker: &Chunker) -> Vec<(ChunkId, usize)> {
        let hasher = KeyedHasher::new(&[1; 32]);
        let (mut joiner, mut lens) = (Joiner::new(chunker.clone(), hasher.clone()), Lens::default());
        for (number, bytes) in bytes.chunks(segment).enumerate() {
            let segment = Segment { number: number as u64 * (SEGMENT_BYTES / segment) as u64, bytes: bytes.to_vec() };
            let Ok(()) = joiner.join(&scan(Segment { number: 0, ..segment }, chunker, &hasher), &mut lens);
        }
        let Ok(()) = joiner.finish(&mut lens);
        lens.0
    }

    proptest! {
        #[test]
        fn segments_join_to_one_scan(
            pieces in prop::collection::vec((any::<u8>(), 1..40usize, prop::collection::vec(any::<u8>(), 0..300)), 0..60),
            segment in 1..6000usize,
        ) {
            let bytes: Vec<u8> = pieces
                .into_iter()
                .flat_map(|(byte, run, noise)| std::iter::repeat_n(byte, run * 50).chain(noise))
                .collect();
            for chunker in chunkers() {
                prop_assert_eq!(joined(&bytes, segment, &chunker), whole(&bytes, &chunker));
            }
        }
    }
}
