//! What an operation may cost: which objects it reads and writes.

use std::sync::Arc;

use sfarc::backend::Kind;
use sfarc::engine::{check, collect};
use sfarc::repo::Repository;
use sfarc::testing::recording::{Call, Operation, RecordingBackend, count};
use sfarc::testing::world::{Streams, World};

use crate::common::{noise, one, stream};

fn recorded(seed: u64) -> (World, Arc<RecordingBackend>, Repository) {
    let world = World::new(seed);
    let recording = Arc::new(RecordingBackend::new(Arc::clone(&world.store) as _));
    let repository = world.init_on(Arc::clone(&recording) as _).expect("a new repository");
    (world, recording, repository)
}

fn streams() -> Streams {
    one("db", stream(&[(1, 300 << 10), (2, 200 << 10)]))
}

fn writes(calls: &[Call]) -> Vec<(Operation, Kind)> {
    let writes = [Operation::Put, Operation::Announce, Operation::Delete];
    let written = calls.iter().filter(|call| writes.contains(&call.operation));
    written.filter_map(|call| Some((call.operation, call.kind?))).collect()
}

#[test]
fn a_snapshot_without_changes_stores_its_manifest_only() {
    let (world, recording, repository) = recorded(1);
    world.take(&repository, &streams()).expect("the first snapshot");
    recording.take_calls();
    let report = world.take(&repository, &streams()).expect("the second snapshot");
    let calls = recording.take_calls();
    assert_eq!(report.counts.new_chunks, 0);
    let expected = [
        (Operation::Announce, Kind::Sessions),
        (Operation::Put, Kind::Sessions),
        (Operation::Put, Kind::Snapshots),
        (Operation::Delete, Kind::Sessions),
        (Operation::Delete, Kind::Sessions),
    ];
    assert_eq!(writes(&calls), expected);
    assert_eq!(count(&calls, Operation::Get, Kind::Snapshots), 0, "older snapshots are not read");
    assert!(calls.len() < 40, "{} calls", calls.len());
}

#[test]
fn a_small_change_stores_one_pack_and_one_run() {
    let (world, recording, repository) = recorded(2);
    world.take(&repository, &streams()).expect("the first snapshot");
    recording.take_calls();
    let changed = one("db", stream(&[(1, 300 << 10), (3, 1 << 10), (2, 200 << 10)]));
    world.take(&repository, &changed).expect("the second snapshot");
    let calls = recording.take_calls();
    assert_eq!(count(&calls, Operation::Put, Kind::Packs), 1);
    assert_eq!(count(&calls, Operation::Put, Kind::Indexes), 1);
}

#[test]
fn a_dry_run_stores_nothing() {
    let (_, recording, repository) = recorded(3);
    recording.take_calls();
    let from = sfarc::engine::snapshot::From::Command("echo some text".to_owned());
    let input = sfarc::engine::snapshot::Input::new("db", from);
    let options = sfarc::engine::snapshot::Options { inputs: vec![input], dry_run: true, ..Default::default() };
    let report = sfarc::engine::snapshot::snapshot(&repository, &options).expect("a dry run");
    assert_eq!(report.id, None);
    let calls = recording.take_calls();
    assert_eq!(count(&calls, Operation::Put, Kind::Packs) + count(&calls, Operation::Put, Kind::Indexes), 0);
    assert!(repository.list(Kind::Sessions).expect("a listing").is_empty());
}

#[test]
fn listing_reads_snapshots_and_the_gc_log_only() {
    let (world, recording, repository) = recorded(4);
    for _ in 0..3 {
        world.take(&repository, &streams()).expect("a snapshot");
    }
    recording.take_calls();
    assert_eq!(repository.snapshots().expect("a listing").snapshots.len(), 3);
    let calls = recording.take_calls();
    assert_eq!(count(&calls, Operation::Get, Kind::Snapshots), 3);
    assert_eq!(count(&calls, Operation::Get, Kind::Packs) + count(&calls, Operation::Get, Kind::Indexes), 0);
    assert_eq!(writes(&calls), []);
}

#[test]
fn reading_writes_nothing() {
    let (world, recording, repository) = recorded(5);
    let report = world.take(&repository, &streams()).expect("a snapshot");
    recording.take_calls();
    let snapshot = repository.read_snapshot(report.id.expect("an id")).expect("the snapshot");
    let read = sfarc::testing::world::read_streams(&repository, &snapshot).expect("restored");
    assert!(read == streams());
    check::check(&repository, &check::ReadData::All).expect("checked");
    sfarc::engine::stats::stats(&repository).expect("counted");
    collect::collect(&repository, collect::Options { dry_run: true, ..Default::default() }).expect("planned");
    assert_eq!(writes(&recording.take_calls()), []);
}

#[test]
fn collecting_nothing_writes_nothing() {
    let (world, recording, repository) = recorded(6);
    world.take(&repository, &streams()).expect("a snapshot");
    recording.take_calls();
    let report = collect::collect(&repository, collect::Options::default()).expect("collected");
    assert_eq!(report, collect::Report::default());
    assert_eq!(writes(&recording.take_calls()), []);
}

/// Stored bytes of all packs.
fn packs(repository: &Repository) -> u64 {
    repository.list(Kind::Packs).expect("listed").iter().map(|listed| listed.len).sum()
}

#[test]
fn garbage_is_measured_in_bytes_not_in_chunks() {
    let world = World::new(4);
    let repository = world.init().expect("a new repository");
    // Few large chunks beside many small ones.
    let small = one("small", stream(&[(1, 1_200 << 10)]));
    let both = small.clone().into_iter().chain([("large".to_owned(), noise(2, 600 << 10))]).collect();
    let first = world.take(&repository, &both).expect("taken").id.expect("an id");
    world.take(&repository, &small).expect("taken");
    let before = packs(&repository);
    repository.forget(&[first]).expect("forgotten");
    collect::collect(&repository, collect::Options::default()).expect("collected");
    let after = packs(&repository);
    assert!(before - after >= 550 << 10, "of {before} bytes {after} are left");
}
