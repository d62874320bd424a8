//! Two actors at once, with one of them stopped at the worst moment.

use std::sync::Arc;

use sfarc::backend::{Backend, Key, Kind};
use sfarc::engine::check;
use sfarc::ids::ObjectId;
use sfarc::repo::Repository;
use sfarc::repo::index::Index;
use sfarc::repo::index::build::GroupWriter;
use sfarc::repo::index::merge::for_each_row;
use sfarc::testing::faulty::{Fault, FaultyBackend};
use sfarc::testing::recording::{Call, Operation};
use sfarc::testing::world::{Streams, World, read_streams};

use crate::common::{assert_clean, collect_quietly, one, stream};

/// A repository in which a collection would move chunks of a snapshot to a new pack.
struct Scene {
    world: World,
    backend: Arc<FaultyBackend>,
    /// What is watched: its calls run into the ambush.
    watched: Repository,
    id: ObjectId,
    streams: Streams,
}

fn scene(seed: u64) -> Scene {
    let world = World::new(seed);
    let repository = world.init().expect("init");
    let whole = one("db", stream(&[(1, 30 << 10), (2, 90 << 10)]));
    let first = world.take(&repository, &whole).expect("a snapshot").id.expect("an id");
    let streams = one("db", stream(&[(1, 30 << 10), (3, 5 << 10)]));
    let id = world.take(&repository, &streams).expect("a snapshot").id.expect("an id");
    repository.forget(&[first]).expect("forgotten");
    let backend = Arc::new(FaultyBackend::new(Arc::clone(&world.store) as _, Fault::None));
    let watched = world.open_on(Arc::clone(&backend) as _).expect("opens");
    Scene { world, backend, watched, id, streams }
}

impl Scene {
    /// Lets a whole collection happen just before a call of the watched actor.
    fn collect_before(&self, waits_for: impl Fn(&Call) -> bool + Send + 'static) {
        let repository = self.world.open().expect("opens");
        self.backend.ambush(waits_for, move || {
            let report = collect_quietly(&repository, "in an ambush");
            assert!(report.written_bytes > 0 && report.deleted > 0, "{report:?}");
        });
    }
}

fn is(operation: Operation, kind: Kind) -> impl Fn(&Call) -> bool + Send + 'static {
    move |call| call.operation == operation && call.kind == Some(kind)
}

/// True for the call with this number of those that are of this kind.
fn nth(number: usize, operation: Operation, kind: Kind) -> impl Fn(&Call) -> bool + Send + 'static {
    let seen = std::sync::atomic::AtomicUsize::new(0);
    let is = is(operation, kind);
    move |call| is(call) && seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 == number
}

#[test]
fn a_restore_finds_what_a_collector_moves_meanwhile() {
    for number in 1..=6 {
        for kind in [Kind::Packs, Kind::Indexes] {
            let scene = scene(1);
            scene.collect_before(nth(number, Operation::Get, kind));
            let snapshot = scene.watched.read_snapshot(scene.id).expect("the snapshot");
            let read = read_streams(&scene.watched, &snapshot);
            let read = read.unwrap_or_else(|error| panic!("{kind:?} {number}: {}", sfarc::error::chain(&error)));
            assert!(read == scene.streams, "{kind:?} {number}: wrong bytes");
        }
    }
}

#[test]
fn a_check_does_not_take_what_a_collector_moves_for_lost() {
    for number in 1..=12 {
        for kind in [Kind::Packs, Kind::Indexes, Kind::Gc, Kind::Snapshots] {
            let scene = scene(2);
            scene.collect_before(nth(number, Operation::Get, kind));
            let report = check::check(&scene.watched, &check::ReadData::All);
            let report = report.unwrap_or_else(|error| panic!("{kind:?} {number}: {}", sfarc::error::chain(&error)));
            assert!(report.problems.is_empty() && report.hits.is_empty(), "{kind:?} {number}: {report:?}");
        }
    }
}

/// Lets a snapshot be taken, another forgotten, and what is left moved to a new pack, before every `number`th read of a
/// pack, without end.
fn keep_collecting(world: &Arc<World>, backend: &Arc<FaultyBackend>, number: usize, turn: u64) {
    let (world, next) = (Arc::clone(world), Arc::clone(backend));
    backend.ambush(nth(number, Operation::Get, Kind::Packs), move || {
        let repository = world.open().expect("opens");
        let before = repository.snapshot_ids().expect("snapshots");
        let streams = one("db", stream(&[(1, 30 << 10), (100 + turn, 90 << 10)]));
        world.take(&repository, &streams).expect("a snapshot");
        repository.forget(&before).expect("forgotten");
        collect_quietly(&repository, "in an ambush");
        keep_collecting(&world, &next, number, turn + 1);
    });
}

#[test]
fn a_check_that_never_sees_an_index_stand_still_does_not_invent_damage() {
    for number in 1..=12 {
        let Scene { world, backend, watched, .. } = scene(7);
        keep_collecting(&Arc::new(world), &backend, number, 0);
        let report = check::check(&watched, &check::ReadData::All);
        let report = report.unwrap_or_else(|error| panic!("{number}: {}", sfarc::error::chain(&error)));
        assert!(report.problems.is_empty() && report.hits.is_empty(), "{number}: {report:?}");
    }
}

/// Writes every run anew under another name before a read of a run, so many times.
fn keep_merging(world: &Arc<World>, backend: &Arc<FaultyBackend>, times: usize) {
    let (world, next) = (Arc::clone(world), Arc::clone(backend));
    backend.ambush(is(Operation::Get, Kind::Indexes), move || {
        let repository = world.open().expect("opens");
        let index = Index::open(&repository, &repository.gc_log().expect("read")).expect("opens");
        for run in index.runs() {
            let mut writer = GroupWriter::new(&repository, run.footer.level);
            for_each_row(&repository, &[run], |row| writer.push(row)).expect("read");
            writer.finish().expect("written");
            repository.backend.delete(&Key::Index(run.id)).expect("removed");
        }
        if times > 1 {
            keep_merging(&world, &next, times - 1);
        }
    });
}

/// Found by a hundred writers: each time that some run was gone, all were opened anew, and others were quicker.
#[test]
fn an_index_opens_although_its_runs_are_merged_again_and_again() {
    for times in [1, 7, 30, 60] {
        let Scene { world, backend, watched, id, streams } = scene(8);
        keep_merging(&Arc::new(world), &backend, times);
        Index::open(&watched, &watched.gc_log().expect("read")).expect("it opens");
        let snapshot = watched.read_snapshot(id).expect("the snapshot");
        assert!(read_streams(&watched, &snapshot).expect("it restores") == streams);
    }
}

#[test]
fn a_snapshot_keeps_what_a_collector_would_remove() {
    for (operation, kind) in [
        (Operation::Announce, Kind::Sessions),
        (Operation::List, Kind::Indexes),
        (Operation::Put, Kind::Packs),
        (Operation::Put, Kind::Sessions),
        (Operation::Put, Kind::Snapshots),
        (Operation::Delete, Kind::Sessions),
    ] {
        let scene = scene(3);
        let other = scene.world.open().expect("opens");
        // The forgotten content comes back, so the snapshot relies on the pack that is condemned under it.
        let streams = one("db", stream(&[(1, 30 << 10), (2, 90 << 10), (9, 2 << 10)]));
        scene.backend.ambush(is(operation, kind), move || {
            let options = sfarc::engine::collect::Options::default();
            sfarc::engine::collect::collect(&other, options).expect("collected");
        });
        let taken = scene.world.take(&scene.watched, &streams);
        let taken = taken.unwrap_or_else(|error| panic!("{operation:?} {kind:?}: {}", sfarc::error::chain(&error)));
        let context = format!("{operation:?} {kind:?}");
        let expected = [(taken.id.expect("an id"), streams), (scene.id, scene.streams)].into();
        crate::common::assert_restores(&scene.watched, &expected, &context);
        collect_quietly(&scene.watched, &context);
        crate::common::assert_restores(&scene.watched, &expected, &context);
        assert_clean(&scene.watched, &context);
    }
}

/// A writer that looks dead is fenced: it adds nothing and says so, or it was quicker and its snapshot stays.
#[test]
fn a_writer_taken_for_dead_either_commits_or_says_that_it_did_not() {
    let mut outcomes = [0, 0];
    for at in 1..60 {
        let scene = scene(4);
        let (store, other) = (Arc::clone(&scene.world.store), scene.world.open().expect("opens"));
        let seen = std::sync::atomic::AtomicUsize::new(0);
        let waits_for = move |_: &Call| seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 == at;
        scene.backend.ambush(waits_for, move || {
            store.kill_sessions();
            let options = sfarc::engine::collect::Options::default();
            sfarc::engine::collect::collect(&other, options).expect("collected");
        });
        let streams = one("db", stream(&[(1, 30 << 10), (2, 90 << 10), (9, 2 << 10)]));
        let context = format!("taken for dead at call {at}");
        let mut expected = crate::common::Expected::from([(scene.id, scene.streams)]);
        match scene.world.take(&scene.watched, &streams) {
            Ok(report) => {
                expected.insert(report.id.expect("an id"), streams);
                outcomes[0] += 1;
            }
            Err(_) => outcomes[1] += 1,
        }
        let repository = scene.world.open().expect("opens");
        let visible = repository.snapshot_ids().expect("a listing");
        assert_eq!(visible.len(), expected.len(), "{context}: {visible:?}");
        crate::common::assert_restores(&repository, &expected, &context);
        collect_quietly(&repository, &context);
        crate::common::assert_restores(&repository, &expected, &context);
        assert_clean(&repository, &context);
    }
    assert!(outcomes.iter().all(|&outcome| outcome > 0), "{outcomes:?}");
}

#[test]
fn a_put_that_lands_though_it_failed_is_still_protected() {
    let scene = scene(5);
    let total = {
        let counted = scene.world.after_crash();
        let backend = Arc::new(FaultyBackend::new(Arc::clone(&counted.store) as _, Fault::None));
        let repository = counted.open_on(Arc::clone(&backend) as _).expect("opens");
        counted.take(&repository, &scene.streams).expect("a snapshot");
        backend.operations()
    };
    for at in 1..=total {
        let world = scene.world.after_crash();
        let backend = Arc::new(FaultyBackend::new(Arc::clone(&world.store) as _, Fault::Once { at, lands: true }));
        let Ok(repository) = world.open_on(backend) else { continue };
        let before = world.store.list(Kind::Snapshots).expect("a listing").len();
        let taken = world.take(&repository, &scene.streams);
        let after = world.store.list(Kind::Snapshots).expect("a listing").len();
        assert!(taken.is_err() || after == before + 1, "operation {at}");
        let quiet = world.open().expect("opens");
        collect_quietly(&quiet, "after a lost answer");
        crate::common::assert_all_visible_restore(&quiet, "after a lost answer");
        assert_clean(&quiet, "after a lost answer");
    }
}

/// True for the first call after the snapshot was put.
fn after_commit() -> impl Fn(&Call) -> bool + Send + 'static {
    let committed = std::sync::atomic::AtomicBool::new(false);
    move |call| {
        let before = committed.load(std::sync::atomic::Ordering::SeqCst);
        if is(Operation::Put, Kind::Snapshots)(call) {
            committed.store(true, std::sync::atomic::Ordering::SeqCst);
        }
        before && call.operation == Operation::Delete
    }
}

/// A stop that comes after the commit is too late: the snapshot is there, and nothing else may be said.
#[test]
fn a_committed_snapshot_is_reported_even_if_tidying_fails() {
    let world = World::new(8);
    let repository = world.init().expect("init");
    for seed in 0..7 {
        world.take(&repository, &one("db", stream(&[(seed, 3 << 10)]))).expect("a snapshot");
    }
    let backend = Arc::new(FaultyBackend::new(Arc::clone(&world.store) as _, Fault::None));
    let watched = world.open_on(Arc::clone(&backend) as _).expect("opens");
    let cancel = watched.env.cancel.clone();
    backend.ambush(after_commit(), move || cancel.cancel());
    // This one would merge index runs, which stops when asked to.
    let report = world.take(&watched, &one("db", stream(&[(8, 3 << 10)]))).expect("it was committed");
    assert_eq!(world.store.keys(Kind::Indexes).len(), 8, "the merge was not stopped");
    assert!(repository.read_snapshot(report.id.expect("an id")).is_ok());
}

/// True for the first read of an index run after one was put.
fn reading_the_own_run() -> impl Fn(&Call) -> bool + Send + 'static {
    let put = std::sync::atomic::AtomicBool::new(false);
    move |call| {
        let before = put.load(std::sync::atomic::Ordering::SeqCst);
        if is(Operation::Put, Kind::Indexes)(call) {
            put.store(true, std::sync::atomic::Ordering::SeqCst);
        }
        before && is(Operation::Get, Kind::Indexes)(call)
    }
}

#[test]
fn a_writer_finds_its_run_merged_by_another() {
    let world = World::new(10);
    let repository = world.init().expect("init");
    for seed in 0..7 {
        world.take(&repository, &one("db", stream(&[(seed, 3 << 10)]))).expect("a snapshot");
    }
    let backend = Arc::new(FaultyBackend::new(Arc::clone(&world.store) as _, Fault::None));
    let watched = world.open_on(Arc::clone(&backend) as _).expect("opens");
    let store = Arc::clone(&world.store);
    backend.ambush(reading_the_own_run(), move || {
        sfarc::repo::index::merge::merge_full_levels(&repository).expect("merged");
        assert_eq!(store.keys(Kind::Indexes).len(), 1, "there was nothing to merge");
    });
    let streams = one("db", stream(&[(8, 3 << 10), (1, 3 << 10)]));
    let report = world.take(&watched, &streams).expect("taken");
    let expected = [(report.id.expect("an id"), streams)].into();
    crate::common::assert_restores(&watched, &expected, "after the merge");
    assert_clean(&watched, "after the merge");
}
