//! Checking a dump, as one stream and as its strings only, and JSON.

use std::fmt::Write;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use sfarc::content::Expected;
use sfarc::limits::SEGMENT_BYTES;
use sfarc::testing::corpus::DumpModel;

const HEAD: &str = "-- MariaDB dump 10.19  Distrib 10.11.18-MariaDB, for debian-linux-gnu (x86_64)\n";
const END: &str = "-- Dump completed\n";

fn verdict(name: &str, bytes: &[u8]) -> bool {
    let mut check = Expected::named(name).expect("a known name").check();
    bytes.chunks(SEGMENT_BYTES).for_each(|piece| check.push(piece));
    check.finish().is_ok()
}

/// A dump of so many rows, each of which `row` writes.
fn dump(rows: usize, statement: usize, row: impl Fn(&mut String, usize)) -> Vec<u8> {
    let mut text = HEAD.to_owned();
    for number in 0..rows {
        text.push_str(if number % statement == 0 { "INSERT INTO `zuul_build` VALUES " } else { "," });
        row(&mut text, number);
        text.push_str(if number % statement + 1 == statement { ";\n" } else { "" });
    }
    text.push_str(END);
    text.into_bytes()
}

fn main() {
    let mut generated = Vec::new();
    DumpModel::new(1, 50_000).write_to(&mut generated).expect("memory can be written");
    let build = |text: &mut String, number: usize| {
        let written = write!(text, "({number},{},'{number:032x}','tox-py311','SUCCESS',1,-1.5,NULL)", number / 7);
        written.expect("a string takes all");
    };
    let blob = "5C27".repeat(1000);
    let streams = [
        ("dump", "mariadb-dump", generated),
        ("dump, a statement per row", "mariadb-dump", dump(100_000, 1, build)),
        ("dump, short strings", "mariadb-dump", dump(100_000, 1000, build)),
        (
            "dump, hex blobs",
            "mariadb-dump",
            dump(4000, 100, |text, number| {
                write!(text, "({number},0x{blob})").expect("a string takes all");
            }),
        ),
        (
            "dump, escapes",
            "mariadb-dump",
            dump(4000, 100, |text, number| {
                let json = r#"{\"type\": \"zuul_manifest\"}"#.repeat(100);
                write!(text, "({number},'{json}')").expect("a string takes all");
            }),
        ),
        (
            "json",
            "json",
            format!("[{}1]", r#"{"name": "Zuul Manifest", "id": 12.5, "x": [null, true]},"#.repeat(100_000))
                .into_bytes(),
        ),
    ];
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("content");
    group.sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    for (name, check, bytes) in &streams {
        assert!(verdict(check, bytes), "{name}");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(*name, |bench| bench.iter(|| verdict(check, black_box(bytes))));
    }
    group.finish();
    criterion.final_summary();
}
