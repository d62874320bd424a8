//! Copies of snapshots in a repository with other keys, and mirrors.

use std::sync::Arc;

use sfarc::backend::{Backend, Key, Kind};
use sfarc::engine::collect;
use sfarc::engine::copy::{self, Report, copy};
use sfarc::engine::mirror::{self, mirror};
use sfarc::error::chain;
use sfarc::format::manifest::COPY_OF;
use sfarc::ids::ObjectId;
use sfarc::repo::Repository;
use sfarc::testing::faulty::{Fault, FaultyBackend};
use sfarc::testing::memory::MemoryBackend;
use sfarc::testing::recording::{Call, Operation, RecordingBackend, count};
use sfarc::testing::world::{Streams, World, read_streams};

use crate::common::{
    Expected, assert_all_visible_restore, assert_clean, assert_restores, collect_quietly, one, stream,
};

/// A repository, and an empty one with other keys.
struct Two {
    here: World,
    there: World,
    from: Repository,
    to: Repository,
}

impl Two {
    fn new(seed: u64) -> Self {
        let (here, there) = (World::new(seed), World::new(seed + 1000));
        let (from, to) = (here.init().expect("init"), there.init().expect("init"));
        Self { here, there, from, to }
    }

    fn take(&self, streams: &Streams) -> ObjectId {
        self.here.take(&self.from, streams).expect("a snapshot").id.expect("an id")
    }

    fn copy(&self) -> Report {
        copy_all(&self.from, &self.to)
    }
}

fn copy_all(from: &Repository, to: &Repository) -> Report {
    let options = copy::Options { read_back: true, ..Default::default() };
    copy(from, to, |_| true, options).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

fn expected(report: &Report, streams: &[&Streams]) -> Expected {
    let ids = report.copied.iter().map(|copied| copied.id.expect("an id"));
    ids.zip(streams.iter().map(|streams| (*streams).clone())).collect()
}

#[test]
fn a_copy_is_the_same_under_other_keys() {
    let two = Two::new(1);
    let first = one("db", stream(&[(1, 300 << 10), (2, 40 << 10)]));
    let mut second = one("db", stream(&[(1, 300 << 10), (3, 40 << 10)]));
    second.insert("empty".to_owned(), Vec::new());
    let originals = [two.take(&first), two.take(&second)];
    let report = two.copy();
    assert_eq!(report.copied.iter().map(|copied| copied.original).collect::<Vec<_>>(), originals);
    assert_restores(&two.to, &expected(&report, &[&first, &second]), "copied");
    assert_clean(&two.to, "copied to");
    for copied in &report.copied {
        let original = two.from.read_snapshot(copied.original).expect("there").manifest;
        let copy = two.to.read_snapshot(copied.id.expect("an id")).expect("there").manifest;
        assert_eq!(copy.label(COPY_OF), Some(&copied.original.to_string()[..]));
        assert!(!copy.is_own(), "a copy is what the original is");
        assert_eq!((copy.time, &copy.host, copy.complete), (original.time, &original.host, original.complete));
        let hashes = |manifest: &sfarc::format::manifest::Manifest| {
            manifest.streams.iter().map(|stream| (stream.name.clone(), stream.content.hash)).collect::<Vec<_>>()
        };
        assert_eq!(hashes(&copy), hashes(&original));
    }
    // No object of the one is an object of the other.
    let names = |world: &World| world.store.keys(Kind::Packs);
    assert!(names(&two.here).iter().all(|key| !names(&two.there).contains(key)));
}

#[test]
fn what_was_copied_is_not_copied_again() {
    let two = Two::new(2);
    let first = one("db", stream(&[(1, 900 << 10), (2, 50 << 10), (4, 900 << 10)]));
    let second = one("db", stream(&[(1, 900 << 10), (3, 60 << 10), (4, 900 << 10)]));
    two.take(&first);
    assert_eq!(two.copy().copied.len(), 1);
    two.take(&second);
    let watched = Arc::new(RecordingBackend::new(Arc::clone(&two.here.store) as _));
    let from = two.here.open_on(Arc::clone(&watched) as _).expect("opens");
    watched.take_calls();
    let options = copy::Options::default();
    let report = copy(&from, &two.to, |_| true, options).expect("copied");
    assert_eq!((report.copied.len(), report.present), (1, 1));
    let counts = report.copied[0].counts;
    assert!(counts.new_bytes < 120 << 10, "{counts:?} for 60 KiB that differ");
    // Blocks with lists, and those in which the new chunks lie: not the 1.8 MB that both streams share.
    let reads = count(&watched.take_calls(), Operation::Get, Kind::Packs);
    assert!(reads < 20, "{reads} reads of packs for 60 KiB that differ");
    assert_restores(&two.to, &expected(&report, &[&second]), "copied");
    let nothing = two.copy();
    assert_eq!((nothing.copied.len(), nothing.present), (0, 2));
}

#[test]
fn a_copy_of_a_copy_is_known_everywhere() {
    let two = Two::new(3);
    let streams = one("db", stream(&[(1, 50 << 10)]));
    let original = two.take(&streams);
    two.copy();
    let third = World::new(77);
    let last = third.init().expect("init");
    let report = copy_all(&two.to, &last);
    let manifest = last.read_snapshot(report.copied[0].id.expect("an id")).expect("there").manifest;
    assert_eq!(manifest.label(COPY_OF), Some(&original.to_string()[..]));
    for (from, to) in [(&last, &two.from), (&two.from, &last), (&last, &two.to)] {
        let report = copy_all(from, to);
        assert_eq!((report.copied.len(), report.present), (0, 1));
    }
}

#[test]
fn a_forgotten_twin_costs_reads_and_no_space() {
    let two = Two::new(4);
    let first = one("db", stream(&[(1, 500 << 10)]));
    let id = two.take(&first);
    two.copy();
    let second = one("db", stream(&[(1, 500 << 10), (2, 20 << 10)]));
    two.take(&second);
    two.from.forget(&[id]).expect("forgotten");
    collect_quietly(&two.from, "before the copy");
    let report = two.copy();
    assert!(report.copied[0].counts.new_bytes < 60 << 10, "{:?}", report.copied[0].counts);
    assert_restores(&two.to, &expected(&report, &[&second]), "copied");
}

#[test]
fn a_dry_run_stores_nothing() {
    let two = Two::new(5);
    two.take(&one("db", stream(&[(1, 90 << 10)])));
    let before = Kind::ALL.map(|kind| two.there.store.keys(kind));
    let options = copy::Options { dry_run: true, ..Default::default() };
    let report = copy(&two.from, &two.to, |_| true, options).expect("said");
    assert!(report.copied[0].id.is_none() && report.copied[0].counts.new_bytes >= 90 << 10);
    assert_eq!(Kind::ALL.map(|kind| two.there.store.keys(kind)), before);
}

#[test]
fn a_damaged_snapshot_does_not_keep_the_others() {
    let two = Two::new(6);
    let damaged = two.take(&one("a", stream(&[(1, 90 << 10)])));
    let pack = two.here.store.keys(Kind::Packs)[0];
    let whole = one("b", stream(&[(2, 90 << 10)]));
    two.take(&whole);
    let mut bytes = two.here.store.bytes(&pack).expect("there");
    bytes[3000] ^= 1;
    two.here.store.tamper(&pack, &bytes);
    let report = two.copy();
    assert_eq!(report.damaged.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [damaged]);
    let text = chain(&report.damaged[0].1);
    assert!(text.starts_with("cannot copy stream `a`"), "{text}");
    assert_restores(&two.to, &expected(&report, &[&whole]), "beside a damaged one");
    assert_clean(&two.to, "beside a damaged one");
}

#[test]
fn a_repository_is_not_copied_into_itself() {
    let two = Two::new(7);
    let error = copy(&two.from, &two.from, |_| true, copy::Options::default()).expect_err("refused");
    assert!(chain(&error).contains("the same repository"), "{}", chain(&error));
}

#[test]
fn a_copy_survives_what_a_collector_does_on_either_side() {
    let base = one("db", stream(&[(1, 300 << 10), (2, 90 << 10)]));
    let next = one("db", stream(&[(1, 300 << 10), (3, 30 << 10)]));
    for number in 1..=10 {
        for kind in [Kind::Packs, Kind::Indexes, Kind::Gc] {
            let two = Two::new(8);
            let first = two.take(&base);
            let copied = two.copy().copied[0].id.expect("an id");
            two.take(&next);
            // Just before some read of the target, what the copy relies on is forgotten and collected there.
            let faulty = Arc::new(FaultyBackend::new(Arc::clone(&two.there.store) as _, Fault::None));
            let to = two.there.open_on(Arc::clone(&faulty) as _).expect("opens");
            let (other, source) = (two.there.open().expect("opens"), two.here.open().expect("opens"));
            faulty.ambush(nth(number, Operation::Get, kind), move || {
                other.forget(&[copied]).expect("forgotten");
                source.forget(&[first]).expect("forgotten");
                for repository in [&other, &source] {
                    collect::collect(repository, collect::Options::default()).expect("collected");
                }
            });
            let context = format!("{kind:?} {number}");
            match copy(&two.from, &to, |_| true, copy::Options::default()) {
                Ok(report) => {
                    let newest = report.copied.last().map(|copied| (copied.id.expect("an id"), next.clone()));
                    assert_restores(&two.to, &newest.into_iter().collect(), &context);
                }
                // Nothing was made of it.
                Err(error) => assert!(!chain(&error).is_empty()),
            }
            assert_all_visible_restore(&two.to, &context);
            assert_clean(&two.to, &context);
        }
    }
}

/// True for the call with this number of those that are of this kind.
fn nth(number: usize, operation: Operation, kind: Kind) -> impl Fn(&Call) -> bool + Send + 'static {
    let seen = std::sync::atomic::AtomicUsize::new(0);
    move |call| {
        (call.operation, call.kind) == (operation, Some(kind))
            && seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 == number
    }
}

#[test]
fn a_copy_cut_off_anywhere_leaves_whole_snapshots() {
    let streams = one("db", stream(&[(1, 60 << 10)]));
    for lands in [false, true] {
        for at in 0.. {
            let two = Two::new(9);
            two.take(&streams);
            let faulty = Arc::new(FaultyBackend::new(Arc::clone(&two.there.store) as _, Fault::Crash { at, lands }));
            let Ok(to) = two.there.open_on(Arc::clone(&faulty) as _) else { continue };
            let ended = copy(&two.from, &to, |_| true, copy::Options::default());
            drop(to);
            let after = two.there.after_crash();
            let to = after.open().expect("opens");
            assert_all_visible_restore(&to, &format!("cut off at {at}"));
            let again = copy_all(&two.from, &to);
            assert_eq!(again.copied.len() as u64 + again.present, 1, "at {at}");
            assert_clean(&to, &format!("cut off at {at}"));
            if ended.is_ok() {
                break;
            }
            assert!(at < 200, "it never ends");
        }
    }
}

/// A repository with two snapshots, the first of which is forgotten and partly garbage.
fn to_mirror(seed: u64) -> (World, Repository, Expected) {
    let world = World::new(seed);
    let repository = world.init().expect("init");
    let whole = one("db", stream(&[(1, 60 << 10), (2, 90 << 10)]));
    let first = world.take(&repository, &whole).expect("a snapshot").id.expect("an id");
    let streams = one("db", stream(&[(1, 60 << 10), (3, 9 << 10)]));
    let id = world.take(&repository, &streams).expect("a snapshot").id.expect("an id");
    repository.forget(&[first]).expect("forgotten");
    (world, repository, Expected::from([(id, streams)]))
}

fn all(store: &MemoryBackend) -> Vec<(Key, Vec<u8>)> {
    let keys = Kind::ALL.iter().flat_map(|&kind| store.keys(kind));
    keys.map(|key| (key, store.bytes(&key).expect("there"))).collect()
}

#[test]
fn a_mirror_is_the_same_to_the_last_byte() {
    let (world, repository, kept) = to_mirror(20);
    let copy = MemoryBackend::default();
    let keep = mirror::Options::default();
    let first = mirror(&*world.store, &copy, &world.env(), keep).expect("mirrored");
    assert_eq!(all(&copy), all(&world.store));
    assert_eq!(first.copied, all(&copy).len() as u64);
    let again = mirror(&*world.store, &copy, &world.env(), keep).expect("mirrored");
    assert_eq!((again.copied, again.present), (0, first.copied));
    collect_quietly(&repository, "behind the mirror");
    let kept_all = mirror(&*world.store, &copy, &world.env(), keep).expect("mirrored");
    assert!(kept_all.copied > 0 && kept_all.deleted == 0 && all(&copy).len() > all(&world.store).len());
    let delete = mirror::Options { delete: true, ..keep };
    let dry = mirror(&*world.store, &copy, &world.env(), mirror::Options { dry_run: true, ..delete }).expect("said");
    let tidied = mirror(&*world.store, &copy, &world.env(), delete).expect("mirrored");
    assert!(tidied.deleted > 0 && dry.deleted == tidied.deleted);
    assert_eq!(all(&copy), all(&world.store));
    let mirrored = world.with_store(copy);
    let opened = mirrored.open().expect("the same keys open it");
    assert_restores(&opened, &kept, "from the mirror");
    assert_clean(&opened, "the mirror");
}

#[test]
fn a_mirror_cut_off_anywhere_shows_whole_snapshots_only() {
    for at in 0.. {
        let (world, _, kept) = to_mirror(21);
        let copy = Arc::new(MemoryBackend::default());
        let faulty = FaultyBackend::new(Arc::clone(&copy) as _, Fault::Crash { at, lands: at % 2 == 0 });
        let ended = mirror(&*world.store, &faulty, &world.env(), mirror::Options::default());
        if copy.bytes(&Key::Config).is_some() && !copy.keys(Kind::Keys).is_empty() {
            let opened = world.with_store(copy.after_crash()).open().expect("opens");
            assert_all_visible_restore(&opened, &format!("cut off at {at}"));
        }
        mirror(&*world.store, &*copy, &world.env(), mirror::Options::default()).expect("goes on");
        let opened = world.with_store(copy.after_crash()).open().expect("opens");
        assert_restores(&opened, &kept, &format!("cut off at {at}, and gone on"));
        if ended.is_ok() {
            return;
        }
        assert!(at < 200, "it never ends");
    }
}

#[test]
fn a_mirror_made_beside_a_collector_shows_whole_snapshots_only() {
    for delete in [false, true] {
        for (operation, kind) in [
            (Operation::List, Kind::Packs),
            (Operation::List, Kind::Indexes),
            (Operation::List, Kind::Snapshots),
            (Operation::List, Kind::Gc),
            (Operation::Get, Kind::Packs),
            (Operation::Get, Kind::Indexes),
            (Operation::Get, Kind::Snapshots),
        ] {
            for number in 1..=3 {
                let (world, _, _) = to_mirror(22);
                let faulty = FaultyBackend::new(Arc::clone(&world.store) as _, Fault::None);
                let (other, streams) =
                    (world.open().expect("opens"), one("db", stream(&[(2, 80 << 10), (9, 9 << 10)])));
                let taker = Arc::new(world);
                let busy = Arc::clone(&taker);
                faulty.ambush(nth(number, operation, kind), move || {
                    let before = other.snapshot_ids().expect("snapshots");
                    busy.take(&other, &streams).expect("a snapshot");
                    other.forget(&before).expect("forgotten");
                    collect_quietly(&other, "in an ambush");
                });
                let copy = MemoryBackend::default();
                let options = mirror::Options { delete, dry_run: false };
                let context = format!("{operation:?} {kind:?} {number}");
                mirror(&faulty, &copy, &taker.env(), options).unwrap_or_else(|e| panic!("{context}: {}", chain(&e)));
                let opened = taker.with_store(copy.after_crash()).open().expect("opens");
                assert_all_visible_restore(&opened, &context);
                mirror(&*taker.store, &copy, &taker.env(), mirror::Options { delete: true, dry_run: false })
                    .expect("renewed");
                assert_eq!(all(&copy), all(&taker.store), "{context}");
            }
        }
    }
}

#[test]
fn a_mirror_is_made_of_one_repository_only_and_is_not_written_to() {
    let (world, _, _) = to_mirror(23);
    let (other, _, _) = to_mirror(24);
    let options = mirror::Options { delete: true, dry_run: false };
    let error = mirror(&*world.store, &*other.store, &world.env(), options).expect_err("refused");
    assert!(chain(&error).contains("another repository is there"), "{}", chain(&error));
    let empty =
        mirror(&MemoryBackend::default(), &MemoryBackend::default(), &world.env(), options).expect_err("nothing");
    assert!(chain(&empty).contains("no sfarc repository"), "{}", chain(&empty));
    let copy = Arc::new(MemoryBackend::default());
    mirror(&*world.store, &*copy, &world.env(), options).expect("mirrored");
    let mirrored = world.with_store(copy.after_crash());
    let written = mirrored.open().expect("opens");
    let ids = written.snapshot_ids().expect("snapshots");
    written.forget(&ids).expect("forgotten");
    let error = mirror(&*world.store, &*mirrored.store, &world.env(), options).expect_err("refused");
    assert!(chain(&error).contains("changed by itself"), "{}", chain(&error));
}

#[test]
fn damage_is_not_mirrored() {
    let (world, _, _) = to_mirror(25);
    let pack = world.store.keys(Kind::Packs)[0];
    let mut bytes = world.store.bytes(&pack).expect("there");
    bytes[99] ^= 1;
    world.store.tamper(&pack, &bytes);
    let copy = MemoryBackend::default();
    let report = mirror(&*world.store, &copy, &world.env(), mirror::Options::default()).expect("mirrored");
    assert_eq!(report.damaged, [pack]);
    assert!(copy.bytes(&pack).is_none() && copy.len(&Key::Config).is_ok());
}

#[test]
fn what_was_cut_short_in_a_mirror_is_mirrored_anew() {
    let (world, _, _) = to_mirror(26);
    let copy = MemoryBackend::default();
    mirror(&*world.store, &copy, &world.env(), mirror::Options::default()).expect("mirrored");
    for kind in [Kind::Packs, Kind::Indexes, Kind::Snapshots, Kind::Keys] {
        let key = copy.keys(kind)[0];
        let bytes = copy.bytes(&key).expect("there");
        copy.tamper(&key, &bytes[..10]);
    }
    let report = mirror(&*world.store, &copy, &world.env(), mirror::Options::default()).expect("mirrored");
    assert_eq!(report.copied, 4);
    assert_eq!(all(&copy), all(&world.store));
}

#[test]
fn several_copies_at_once_agree() {
    let two = Two::new(30);
    let streams: Vec<Streams> = (0..4).map(|seed| one("db", stream(&[(1, 80 << 10), (seed + 5, 9 << 10)]))).collect();
    for streams in &streams {
        two.take(streams);
    }
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| copy_all(&two.from, &two.to));
        }
    });
    // Two that begin at once may both copy a snapshot; each is whole, and nothing is copied once more.
    assert_all_visible_restore(&two.to, "copied by three");
    assert_eq!(two.copy().copied.len(), 0);
    for snapshot in two.to.snapshots().expect("snapshots").snapshots {
        let read = read_streams(&two.to, &snapshot).expect("restores");
        assert!(streams.contains(&read));
    }
}
