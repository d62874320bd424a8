//! What a block goes through: compression, its seal, and back.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput};
use sfarc::crypto::keys::KeyRing;
use sfarc::env::SystemEntropy;
use sfarc::format::pack::BlockKind;
use sfarc::format::sealed::{Cipher, HEADER_LEN, SealedKind, Section};
use sfarc::limits::{BLOCK_MAX_BYTES, BLOCK_TARGET_BYTES};
use sfarc::testing::corpus::DumpModel;
use zeroize::Zeroizing;

/// The level that packs are written with.
const LEVEL: i32 = 1;

fn main() {
    let mut block = Vec::new();
    DumpModel::new(1, 2000).write_to(&mut block).expect("memory can be written");
    block.truncate(BLOCK_TARGET_BYTES);
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("seal");
    group.sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group.throughput(Throughput::Bytes(block.len() as u64));

    for (name, cipher) in [("AES-256-GCM", Cipher::Aes256Gcm), ("ChaCha20-Poly1305", Cipher::ChaCha20Poly1305)] {
        let keys = KeyRing::new(Zeroizing::new([7; 32]), cipher);
        let sealer = keys.sealer(SealedKind::Pack, &SystemEntropy).expect("the key ring is whole");
        let mut buffer = Vec::with_capacity(block.len() + 64);
        group.bench_function(format!("seal/{name}"), |bench| {
            bench.iter(|| {
                buffer.clear();
                buffer.extend_from_slice(black_box(&block));
                sealer.seal(Section::Block(BlockKind::Data), 0, &mut buffer, 0);
            });
        });
        let mut object = sealer.header().to_vec();
        object.extend_from_slice(&block);
        sealer.seal(Section::Block(BlockKind::Data), 0, &mut object, HEADER_LEN);
        let opener = keys.opener(SealedKind::Pack, &object).expect("it was just made").expect("the same keys");
        let sealed = object.split_off(HEADER_LEN);
        group.bench_function(format!("open/{name}"), |bench| {
            let open =
                |sealed| opener.open_vec(Section::Block(BlockKind::Data), 0, sealed).expect("it was just sealed");
            bench.iter_batched(|| sealed.clone(), open, BatchSize::SmallInput);
        });
    }

    let mut compressor = zstd::bulk::Compressor::new(LEVEL).expect("zstd works");
    let frame = compressor.compress(&block).expect("zstd works");
    group.bench_function("zstd compress", |bench| bench.iter(|| compressor.compress(black_box(&block))));
    let mut decompressor = zstd::bulk::Decompressor::new().expect("zstd works");
    group.bench_function("zstd decompress", |bench| {
        bench.iter(|| decompressor.decompress(black_box(&frame), BLOCK_MAX_BYTES));
    });
    group.finish();
    criterion.final_summary();
}
