//! Several writers and a collector at once, on a real file system.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sfarc::backend::folder::FolderBackend;
use sfarc::engine::{check, collect};
use sfarc::error::chain;
use sfarc::ids::ObjectId;
use sfarc::repo::Repository;
use sfarc::testing::world::{Streams, World};

use crate::common::{
    Expected, assert_all_visible_restore, assert_clean, assert_restores, collect_quietly, one, stream,
};

const WRITERS: u64 = 3;
const ROUNDS: u64 = 3;
const SNAPSHOTS: u64 = 3;

/// Content that writers share in part, now with each other, now with what was forgotten.
fn content(writer: u64, round: u64, number: u64) -> Streams {
    let own = 1000 + writer * 100 + round * 10 + number;
    one("db", stream(&[(round % 2, 12 << 10), (number, 12 << 10), (own, 8 << 10)]))
}

fn open(folder: &Path, seed: u64) -> (World, Repository) {
    let world = World::new(seed);
    let repository = world.open_on(Arc::new(FolderBackend::open(folder))).expect("opens");
    (world, repository)
}

fn write(folder: &Path, writer: u64, round: u64) -> Vec<(ObjectId, Streams)> {
    let (world, repository) = open(folder, 1000 * (writer + 1) + round);
    let take = |number| {
        let streams = content(writer, round, number);
        match world.take(&repository, &streams) {
            Ok(report) => (report.id.expect("an id"), streams),
            Err(error) => panic!("writer {writer} in round {round}: {}", chain(&error)),
        }
    };
    (0..SNAPSHOTS).map(take).collect()
}

/// Collects again and again until the writers are done; says how many packs were removed.
fn collect_until(done: &AtomicBool, folder: &Path, seed: u64) -> u64 {
    let (_world, repository) = open(folder, seed);
    let mut deleted = 0;
    while !done.load(Ordering::Relaxed) {
        match collect::collect(&repository, collect::Options::default()) {
            Ok(report) => deleted += report.deleted,
            Err(error) => panic!("collector: {}", chain(&error)),
        }
    }
    deleted
}

/// Checks again and again until the writers are done.
fn check_until(done: &AtomicBool, folder: &Path, seed: u64) {
    let (_world, repository) = open(folder, seed);
    while !done.load(Ordering::Relaxed) {
        match check::check(&repository, &check::ReadData::All) {
            Ok(report) => assert!(report.problems.is_empty() && report.hits.is_empty(), "checker: {report:?}"),
            Err(error) => panic!("checker: {}", chain(&error)),
        }
    }
}

/// Tells the others that the writers are done, even if one of them panicked.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn round(folder: &Path, number: u64, with_check: bool) -> (Expected, u64) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let collector = scope.spawn(|| collect_until(&done, folder, 70 + number));
        let checker = with_check.then(|| scope.spawn(|| check_until(&done, folder, 80 + number)));
        let tell = Done(&done);
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(move || write(folder, writer, number))).collect();
        let written = writers.into_iter().flat_map(|writer| writer.join().expect("a writer")).collect();
        drop(tell);
        let deleted = collector.join().expect("the collector");
        if let Some(checker) = checker {
            checker.join().expect("the checker");
        }
        (written, deleted)
    })
}

fn live(with_check: bool) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path().join("repository");
    let world = World::new(6);
    let repository = world.init_on(Arc::new(FolderBackend::create(&folder).expect("a new repository"))).expect("init");
    let (mut expected, mut deleted) = (Expected::new(), 0);
    for number in 0..ROUNDS {
        // Every second one is forgotten while its chunks are about to be used again.
        let forgotten: Vec<ObjectId> = expected.keys().copied().step_by(2).collect();
        repository.forget(&forgotten).expect("forgotten");
        expected.retain(|id, _| !forgotten.contains(id));
        let (written, removed) = round(&folder, number, with_check);
        expected.extend(written);
        deleted += removed;
        assert_restores(&repository, &expected, "after a round");
        assert_clean(&repository, "after a round");
    }
    collect_quietly(&repository, "at the end");
    assert_restores(&repository, &expected, "at the end");
    assert_all_visible_restore(&repository, "at the end");
    assert_clean(&repository, "at the end");
    assert!(deleted > 0, "the collector never had anything to do");
}

#[test]
fn writers_and_a_collector_at_once() {
    live(false);
}

#[test]
fn writers_a_collector_and_a_check_at_once() {
    live(true);
}
