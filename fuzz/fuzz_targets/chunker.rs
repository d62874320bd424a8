//! Both chunkers: their chunks are the stream, keep their bounds, are those of the crate `fastcdc`, or of the rule of
//! format-spec.md, and are the same when the stream is scanned in segments and joined.
#![no_main]

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use fastcdc::v2020::{Normalization, cut_gear, select_masks};
use libfuzzer_sys::fuzz_target;
use sfarc::chunk::segment::{ChunkSink, Joiner, Segment, scan};
use sfarc::chunk::{Chunker, Cut};
use sfarc::crypto::lanes::KeyedHasher;
use sfarc::format::manifest::ChunkSizes;
use sfarc::ids::ChunkId;
use sfarc_fuzz::{Choices, expand, noise, sow};

const MAX_STREAM: usize = 64 << 10;
/// Segments of a stream at most: the scan of each begins anew.
const MAX_SEGMENTS: usize = 512;

#[derive(Default)]
struct Chunks(Vec<(ChunkId, Vec<u8>)>);

impl ChunkSink for Chunks {
    type Error = std::convert::Infallible;

    fn chunk(&mut self, id: ChunkId, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.push((id, bytes.to_vec()));
        Ok(())
    }
}

fuzz_target!(
    init: sow([
        b"\0\0\0\0\0\x10\0\xfe\x01\x80\0".to_vec(),
        b"\x01\x01\x01\x01\x03\xff\0\xff\x07\xff\xff\xfe\x02\x20\0a".to_vec(),
        b"\x05\x02\x03\x02\x10\0\x01\xfe\x03\x70\x01hello\xff\x09\x01\0".to_vec(),
    ]),
    |input: &[u8]| {
        let mut choices = Choices(input);
        let sizes = sizes(&mut choices);
        let gear = gear(&mut choices);
        let key = [choices.byte(); 16];
        let Ok(by_gear) = Chunker::by_gear(sizes, &gear) else { return };
        let by_prf = Chunker::by_prf(sizes, &gear, &key).expect("the sizes are legal");
        let splits = [choices.short() + 1, choices.short() + 1];
        let stream = expand(choices.0, MAX_STREAM.min(MAX_SEGMENTS * splits[0].min(splits[1])));
        check(&stream, sizes, splits, &by_gear, &of_crate(&stream, sizes, &gear));
        check(&stream, sizes, splits, &by_prf, &of_rule(&stream, sizes, &gear, &key));
    }
);

fn check(stream: &[u8], sizes: ChunkSizes, splits: [usize; 2], chunker: &Chunker, expected: &[usize]) {
    let hasher = KeyedHasher::new(&[9; 32]);
    let whole = whole(stream, chunker, &hasher);
    let bytes: Vec<u8> = whole.iter().flat_map(|(_, chunk)| chunk).copied().collect();
    assert_eq!(bytes, stream, "the chunks are not the stream");
    let (last, others) = whole.split_last().map_or((None, &[][..]), |(last, others)| (Some(last), others));
    assert!(others.iter().all(|(_, chunk)| (sizes.min..=sizes.max).contains(&(chunk.len() as u32))));
    assert!(last.is_none_or(|(_, chunk)| !chunk.is_empty() && chunk.len() <= sizes.max as usize));
    let lens: Vec<usize> = whole.iter().map(|(_, chunk)| chunk.len()).collect();
    assert_eq!(lens, expected, "it is to be cut elsewhere");
    assert!(joined(stream, splits, chunker, &hasher) == whole, "segments of {splits:?} are joined differently");
}

fn sizes(choices: &mut Choices<'_>) -> ChunkSizes {
    let min = 64 + 2 * choices.below(256) as u32;
    let avg = (min + 2).max(256) + 2 * choices.below(256) as u32;
    let max = avg + 2 + 8 * choices.below(256) as u32;
    if choices.byte() < 250 { ChunkSizes { min, avg, max } } else { ChunkSizes { min, avg: min | 1, max } }
}

/// A table as keys give it, or one that cuts much more or much less often.
fn gear(choices: &mut Choices<'_>) -> [u64; 256] {
    let seed = choices.byte();
    let bytes = noise(u64::from(seed), 2048);
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[8 * at + byte]));
    match seed % 4 {
        0 => [0; 256],
        1 => std::array::from_fn(|at| number(at) & number(at + 1 & 255) & number(at + 2 & 255)),
        2 => std::array::from_fn(|at| number(at % 3)),
        _ => std::array::from_fn(number),
    }
}

fn whole(stream: &[u8], chunker: &Chunker, hasher: &KeyedHasher) -> Vec<(ChunkId, Vec<u8>)> {
    let (mut chunks, mut rest) = (Vec::new(), stream);
    while !rest.is_empty() {
        let len = match chunker.cut(rest) {
            Cut::At(len) => len,
            Cut::Open => rest.len(),
        };
        let (chunk, others) = rest.split_at(len);
        chunks.push((hasher.id(chunk), chunk.to_vec()));
        rest = others;
    }
    chunks
}

fn of_crate(stream: &[u8], sizes: ChunkSizes, gear: &[u64; 256]) -> Vec<usize> {
    let (strict, loose) = select_masks(sizes.avg as usize, Normalization::Level1);
    let shifted = gear.map(|value| value << 1);
    let (min, avg, max) = (sizes.min as usize, sizes.avg as usize, sizes.max as usize);
    let (mut lens, mut rest) = (Vec::new(), stream);
    while !rest.is_empty() {
        let (_, len) = cut_gear(rest, min, avg, max, strict, loose, strict << 1, loose << 1, gear, &shifted);
        lens.push(len);
        rest = &rest[len..];
    }
    lens
}

/// The rule of format-spec.md, place by place.
fn of_rule(stream: &[u8], sizes: ChunkSizes, gear: &[u64; 256], key: &[u8; 16]) -> Vec<usize> {
    let cipher = Aes128::new(&(*key).into());
    let (min, avg, max) = (sizes.min as usize, sizes.avg as usize, sizes.max as usize);
    let (mut hash, mut places) = (0u64, vec![0]);
    for &byte in stream {
        hash = (hash << 1).wrapping_add(gear[usize::from(byte)]);
        let mut block = aes::Block::default();
        block[..8].copy_from_slice(&hash.to_le_bytes());
        cipher.encrypt_block(&mut block);
        places.push(u64::from_le_bytes(std::array::from_fn(|at| block[at])).trailing_zeros());
    }
    let (mut lens, mut start) = (Vec::new(), 0);
    while start < stream.len() {
        let most = max.min(stream.len() - start);
        let bits = |len| if len < avg { avg.ilog2() + 1 } else { avg.ilog2() - 1 };
        let len = (min..most).find(|&len| places[start + len] >= bits(len)).unwrap_or(most);
        lens.push(len);
        start += len;
    }
    lens
}

fn joined(stream: &[u8], splits: [usize; 2], chunker: &Chunker, hasher: &KeyedHasher) -> Vec<(ChunkId, Vec<u8>)> {
    let (mut joiner, mut chunks) = (Joiner::new(chunker.clone(), hasher.clone()), Chunks::default());
    let (mut rest, mut turn) = (stream, 0);
    while !rest.is_empty() {
        let (segment, others) = rest.split_at(splits[turn % 2].min(rest.len()));
        let scanned = scan(Segment { number: 0, bytes: segment.to_vec() }, chunker, hasher);
        let Ok(()) = joiner.join(&scanned, &mut chunks);
        (rest, turn) = (others, turn + 1);
    }
    let Ok(()) = joiner.finish(&mut chunks);
    chunks.0
}
