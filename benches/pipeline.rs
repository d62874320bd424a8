//! Whole runs on a dump of 64 MB: a first snapshot, one without changes, and reading it back.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput};
use sfarc::backend::folder::FolderBackend;
use sfarc::engine::restore::cat;
use sfarc::engine::snapshot::{From, Input, Options, Report, snapshot};
use sfarc::env::Env;
use sfarc::repo::Repository;
use sfarc::testing::corpus::DumpModel;
use sfarc::testing::world::World;

/// Builds in the database whose dump takes 64 MB.
const BUILDS: usize = 198_000;

fn scratch() -> tempfile::TempDir {
    let shm = Path::new("/dev/shm");
    let made = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
    made.expect("a temporary folder")
}

fn new_repository() -> (tempfile::TempDir, Repository) {
    let folder = scratch();
    let backend = Arc::new(FolderBackend::create(&folder.path().join("repo")).expect("a temporary folder"));
    let repository = Repository::init(backend, &World::credential(), Env::system()).expect("a new repository");
    (folder, repository)
}

fn take(repository: &Repository, dump: &Path) -> Report {
    let input = Input::new("db", From::File(dump.to_owned()));
    snapshot(repository, &Options { inputs: vec![input], ..Default::default() }).expect("a snapshot")
}

fn main() {
    let folder = scratch();
    let dump = folder.path().join("dump.sql");
    let mut file = File::create(&dump).expect("a temporary file");
    DumpModel::new(1, BUILDS).write_to(&mut file).expect("a temporary file");
    let len = file.metadata().expect("a temporary file").len();

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("pipeline");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(4));
    group.throughput(Throughput::Bytes(len));
    group.bench_function("first snapshot", |bench| {
        let first = |(folder, repository)| {
            take(&repository, &dump);
            (folder, repository)
        };
        bench.iter_batched(new_repository, first, BatchSize::PerIteration);
    });

    let (_folder, repository) = new_repository();
    let report = take(&repository, &dump);
    group.bench_function("unchanged snapshot", |bench| bench.iter(|| take(&repository, &dump)));

    let taken = repository.read_snapshot(report.id.expect("not a dry run")).expect("it was just taken");
    group.bench_function("restore to a sink", |bench| {
        bench.iter(|| cat(&repository, &taken, &taken.manifest.streams[0], b"", |_| Ok(())).expect("it restores"));
    });
    group.finish();
    criterion.final_summary();
}
