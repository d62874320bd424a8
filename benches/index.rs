//! Building index runs, and looking chunks up in an index of a million rows.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput};
use sfarc::backend::folder::FolderBackend;
use sfarc::env::Env;
use sfarc::format::index::PackEntry;
use sfarc::ids::{ChunkId, ObjectId};
use sfarc::repo::Repository;
use sfarc::repo::gc_log::GcLog;
use sfarc::repo::index::Index;
use sfarc::repo::index::build::{FreeRow, GroupWriter};
use sfarc::testing::entropy::SeededEntropy;
use sfarc::testing::memory::MemoryBackend;
use sfarc::testing::world::World;

const ROWS: usize = 1_000_000;
const LOOKUPS: usize = 1000;

fn ids(seed: u64, count: usize) -> Vec<ChunkId> {
    let bytes = SeededEntropy::new(seed).bytes(count * ChunkId::LEN);
    bytes.as_chunks().0.iter().map(|bytes| ChunkId::new(*bytes)).collect()
}

/// Sorted rows in packs of 4000 chunks.
fn rows(mut ids: Vec<ChunkId>) -> Vec<FreeRow> {
    ids.sort_unstable();
    let packs = ids.len().div_ceil(4000) as u32;
    let pack = |number: u32| PackEntry { id: ObjectId::of(&number.to_le_bytes()), len: 16 << 20 };
    ids.into_iter().zip(0u32..).map(|(id, at)| FreeRow { id, pack: pack(at % packs), ordinal: 0 }).collect()
}

fn write(repository: &Repository, rows: &[FreeRow]) {
    let mut group = GroupWriter::new(repository, 0);
    rows.iter().for_each(|row| group.push(*row).expect("the store works"));
    group.finish().expect("the store works");
}

fn scratch() -> tempfile::TempDir {
    let shm = Path::new("/dev/shm");
    let made = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
    made.expect("a temporary folder")
}

fn main() {
    let folder = scratch();
    let backend = Arc::new(FolderBackend::create(folder.path()).expect("a temporary folder"));
    let repository = Repository::init(backend, &World::credential(), Env::system()).expect("a new repository");
    let known = ids(1, ROWS);
    write(&repository, &rows(known.clone()));

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("index");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));

    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("open", |bench| bench.iter(|| Index::open(&repository, &GcLog::default())));

    let mut index = Index::open(&repository, &GcLog::default()).expect("the index opens");
    group.throughput(Throughput::Elements(LOOKUPS as u64));
    for (name, ids, found) in [("hit", known, true), ("miss", ids(2, ROWS), false)] {
        let mut turns = ids.chunks_exact(LOOKUPS).cycle();
        group.bench_function(format!("look-up/{name}"), |bench| {
            bench.iter(|| {
                for id in turns.next().expect("turns never end") {
                    let location = index.find_usable(&repository, id).expect("the index is whole");
                    assert_eq!(location.is_some(), found);
                }
            });
        });
    }

    let fresh = rows(ids(3, ROWS / 4));
    group.throughput(Throughput::Elements(fresh.len() as u64));
    group.bench_function("build a run", |bench| {
        let empty = || {
            let backend = Arc::new(MemoryBackend::default());
            Repository::init(backend, &World::credential(), Env::system()).expect("a new repository")
        };
        bench.iter_batched(empty, |repository| write(&repository, &fresh), BatchSize::PerIteration);
    });
    group.finish();
    criterion.final_summary();
}
