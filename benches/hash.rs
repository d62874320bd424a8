//! Naming chunks of 4 KiB, side by side and one after the other; hashing a segment of a stream.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use sfarc::crypto::lanes::KeyedHasher;
use sfarc::crypto::stream_hash::segment_hash;
use sfarc::limits::SEGMENT_BYTES;
use sfarc::testing::entropy::SeededEntropy;

const CHUNK: usize = 4 << 10;

fn main() {
    let segment = SeededEntropy::new(1).bytes(SEGMENT_BYTES);
    let chunks: Vec<&[u8]> = segment.chunks(CHUNK).collect();
    // As a chunker cuts them: no two of one length.
    let mut uneven = Vec::new();
    let mut rest = &segment[..];
    for len in (0..).map(|number| CHUNK / 2 + number * 997 % CHUNK) {
        let (chunk, others) = rest.split_at(len.min(rest.len()));
        uneven.push(chunk);
        rest = others;
        if rest.is_empty() {
            break;
        }
    }
    let key = [9; 32];
    let hasher = KeyedHasher::new(&key);
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("hash");
    group.sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group.throughput(Throughput::Bytes(segment.len() as u64));
    for (name, chunks) in [("4 KiB", &chunks), ("uneven", &uneven)] {
        group.bench_function(format!("lanes/{name}"), |bench| bench.iter(|| hasher.ids(black_box(chunks))));
        group.bench_function(format!("blake3 each/{name}"), |bench| {
            bench.iter(|| chunks.iter().map(|chunk| blake3::keyed_hash(&key, black_box(chunk))).collect::<Vec<_>>());
        });
    }
    group.bench_function("segment_hash", |bench| bench.iter(|| segment_hash(3, black_box(&segment))));
    group.finish();
    criterion.final_summary();
}
