//! Cutting a dump by content: by the gear hash, by a pseudo-random function, and by the crate `fastcdc`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use fastcdc::v2020::FastCDC;
use sfarc::chunk::{Chunker, Cut};
use sfarc::crypto::keys::KeyRing;
use sfarc::engine::snapshot::{BULK_SIZES, DUMP_SIZES};
use sfarc::format::sealed::Cipher;
use sfarc::limits::SEGMENT_BYTES;
use sfarc::testing::corpus::DumpModel;
use zeroize::Zeroizing;

fn cuts(chunker: &Chunker, bytes: &[u8]) -> usize {
    let (mut start, mut count) = (0, 0);
    while let Cut::At(len) = chunker.cut(&bytes[start..]) {
        start += len;
        count += 1;
    }
    count
}

fn main() {
    let mut dump = Vec::new();
    DumpModel::new(1, 50_000).write_to(&mut dump).expect("memory can be written");
    let keys = KeyRing::new(Zeroizing::new([7; 32]), Cipher::Aes256Gcm);
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("chunker");
    group.sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Bytes(dump.len() as u64));
    for (name, sizes) in [("dump", DUMP_SIZES), ("bulk", BULK_SIZES)] {
        let (gear, prf) = (keys.gear().expect("the key ring is whole"), keys.prf().expect("the key ring is whole"));
        let by_gear = Chunker::by_gear(sizes, gear).expect("the profile is legal");
        let by_prf = Chunker::by_prf(sizes, gear, prf).expect("the profile is legal");
        for (way, chunker) in [("sfarc", by_gear), ("sfarc by PRF", by_prf)] {
            group.bench_function(format!("{way}/{name}"), |bench| bench.iter(|| cuts(&chunker, black_box(&dump))));
            group.bench_function(format!("{way}/{name} in segments"), |bench| {
                bench.iter(|| {
                    black_box(&dump).chunks(SEGMENT_BYTES).map(|bytes| chunker.ends(bytes).len()).sum::<usize>()
                });
            });
        }
        let (min, avg, max) = (sizes.min as usize, sizes.avg as usize, sizes.max as usize);
        group.bench_function(format!("fastcdc/{name}"), |bench| {
            bench.iter(|| FastCDC::new(black_box(&dump), min, avg, max).count());
        });
    }
    group.finish();
    criterion.final_summary();
}
