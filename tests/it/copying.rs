//! Copies of snapshots in a repository with other keys.

use std::sync::Arc;

use sfarc::backend::Kind;
use sfarc::crypto::role::Role;
use sfarc::engine::collect;
use sfarc::engine::copy::{self, Report, copy};
use sfarc::error::chain;
use sfarc::format::config::Features;
use sfarc::format::manifest::{COPY_OF, COPY_PROOF, Manifest};
use sfarc::ids::ObjectId;
use sfarc::repo::session::Session;
use sfarc::repo::{Credential, Repository};
use sfarc::testing::faulty::{Fault, FaultyBackend};
use sfarc::testing::recording::{Operation, RecordingBackend, count};
use sfarc::testing::world::{Streams, World, read_streams};

use crate::common::{
    Expected, assert_all_visible_restore, assert_clean, assert_restores, collect_quietly, nth, one, stream,
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

/// Names and bytes of all objects of a world.
fn objects(world: &World) -> Vec<(sfarc::backend::Key, Vec<u8>)> {
    let keys = Kind::ALL.iter().flat_map(|&kind| world.store.keys(kind));
    keys.map(|key| (key, world.store.bytes(&key).expect("there"))).collect()
}

#[test]
fn a_copy_cut_off_anywhere_leaves_whole_snapshots() {
    let (before, streams) = (one("db", stream(&[(1, 60 << 10)])), one("db", stream(&[(1, 60 << 10), (2, 9 << 10)])));
    for lands in [false, true] {
        for at in 0.. {
            let two = Two::new(9);
            two.take(&before);
            let kept = expected(&two.copy(), &[&before]);
            two.take(&streams);
            let source = objects(&two.here);
            let faulty = Arc::new(FaultyBackend::new(Arc::clone(&two.there.store) as _, Fault::Crash { at, lands }));
            let Ok(to) = two.there.open_on(Arc::clone(&faulty) as _) else { continue };
            let ended = copy(&two.from, &to, |_| true, copy::Options::default());
            drop(to);
            let after = two.there.after_crash();
            let to = after.open().expect("opens");
            assert_all_visible_restore(&to, &format!("cut off at {at}"));
            assert_restores(&to, &kept, &format!("cut off at {at}"));
            assert!(objects(&two.here) == source, "cut off at {at}: what is copied from is only read");
            let again = copy_all(&two.from, &to);
            assert_eq!(again.copied.len() as u64 + again.present, 2, "at {at}");
            assert_clean(&to, &format!("cut off at {at}"));
            if ended.is_ok() {
                break;
            }
            assert!(at < 200, "it never ends");
        }
    }
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

/// Commits a manifest that somebody has made up.
fn forge(repository: &Repository, manifest: &Manifest) -> ObjectId {
    let mut session = Session::begin(repository).expect("begun");
    let manifest = Manifest { session: *session.id.as_bytes(), ..manifest.clone() };
    let (id, object) = session.seal(&manifest).expect("sealed");
    session.publish(&object).expect("published");
    session.commit(id, &object).expect("committed");
    id
}

fn set_label(manifest: &mut Manifest, key: &str, value: Option<&str>) {
    manifest.labels.retain(|(known, _)| known != key);
    manifest.labels.extend(value.map(|value| (key.to_owned(), value.to_owned())));
    manifest.labels.sort();
}

fn manifest_of(repository: &Repository, id: ObjectId) -> Manifest {
    repository.read_snapshot(id).expect("there").manifest
}

/// Everybody who writes into the other repository can call junk a copy, claim the hashes, and take a proof from elsewhere.
#[test]
fn junk_that_claims_to_be_a_copy_keeps_nothing_from_being_copied() {
    let (bytes, junk) = (stream(&[(1, 90 << 10)]), stream(&[(2, 90 << 10)]));
    for way in ["label", "manifest", "any proof", "stolen proof", "another time"] {
        let two = Two::new(40);
        let streams = one("db", bytes.clone());
        let original = two.take(&streams);
        let junk = two.there.take(&two.to, &one("db", junk.clone())).expect("a snapshot").id.expect("an id");
        let mut forged = manifest_of(&two.to, junk);
        if way != "label" {
            let root = forged.streams[0].content.root;
            forged = manifest_of(&two.from, original);
            forged.streams[0].content.root = root;
        }
        set_label(&mut forged, COPY_OF, Some(&original.to_string()));
        if way == "any proof" {
            set_label(&mut forged, COPY_PROOF, Some(&"0".repeat(64)));
        }
        if way == "stolen proof" || way == "another time" {
            let genuine = two.copy().copied[0].id.expect("an id");
            let copy = manifest_of(&two.to, genuine);
            set_label(&mut forged, COPY_PROOF, copy.label(COPY_PROOF));
            two.to.forget(&[genuine]).expect("forgotten");
            if way == "another time" {
                forged.streams = copy.streams;
                forged.time -= 1;
            }
        }
        forge(&two.to, &forged);
        let report = copy(&two.from, &two.to, |_| true, copy::Options::default()).expect("copied");
        assert_eq!((report.copied.len(), report.present, report.is_damaged()), (1, 0, false), "{way}");
        assert_restores(&two.to, &expected(&report, &[&streams]), way);
        let again = copy(&two.from, &two.to, |_| true, copy::Options::default()).expect("looked");
        assert_eq!((again.copied.len(), again.present, again.read), (0, 1, 0), "{way}");
    }
}

/// A list that is cut alike and holds other chunks teaches no names.
#[test]
fn a_forged_twin_teaches_no_names() {
    let two = Two::new(41);
    let probe = two.take(&one("db", vec![0; 8 << 20]));
    let max = manifest_of(&two.from, probe).streams[0].content.sizes.max as usize;
    two.from.forget(&[probe]).expect("forgotten");
    let run = |bytes: [u8; 2]| bytes.map(|byte| vec![byte; 4 * max]).concat();
    let (right, wrong) = (run([0, 1]), run([1, 0]));
    let first = one("db", right.clone());
    let original = two.take(&first);
    let junk = two.there.take(&two.to, &one("db", wrong)).expect("a snapshot").id.expect("an id");
    let mut forged = manifest_of(&two.from, original);
    forged.streams[0].content.root = manifest_of(&two.to, junk).streams[0].content.root;
    set_label(&mut forged, COPY_OF, Some(&original.to_string()));
    forge(&two.to, &forged);
    let second = one("db", [right, stream(&[(3, 40 << 10)])].concat());
    let newest = two.take(&second);
    // The first is left out: only the forged copy of it could teach.
    let report = copy(&two.from, &two.to, |snapshot| snapshot.id == newest, copy::Options::default()).expect("copied");
    assert_restores(&two.to, &expected(&report, &[&second]), "beside a forged twin");
}

#[test]
fn a_copy_of_an_earlier_version_counts_once_it_was_read() {
    for is_damaged in [false, true] {
        let two = Two::new(42);
        let streams = one("db", stream(&[(1, 90 << 10)]));
        two.take(&streams);
        let proven = two.copy().copied[0].id.expect("an id");
        let mut earlier = manifest_of(&two.to, proven);
        set_label(&mut earlier, COPY_PROOF, None);
        let earlier = forge(&two.to, &earlier);
        two.to.forget(&[proven]).expect("forgotten");
        if is_damaged {
            spoil_packs(&two.there);
        }
        let report = copy(&two.from, &two.to, |_| true, copy::Options::default()).expect("copied");
        if is_damaged {
            // It is copied anew; that its chunks seem to be there is found out.
            assert_eq!((report.copied.len(), report.present, report.spoilt.len()), (1, 0, 1));
        } else {
            assert_eq!((report.copied.len(), report.present, report.read), (0, 1, 1));
            assert_eq!(two.to.snapshot_ids().expect("snapshots"), [earlier], "nothing is written");
        }
    }
}

fn spoil_packs(world: &World) {
    for key in world.store.keys(Kind::Packs) {
        let mut bytes = world.store.bytes(&key).expect("there");
        bytes[3000] ^= 1;
        world.store.tamper(&key, &bytes);
    }
}

#[test]
fn what_is_there_already_is_read_back_too() {
    let two = Two::new(43);
    let id = two.take(&one("db", stream(&[(1, 90 << 10)])));
    two.copy();
    let whole = two.copy();
    assert_eq!((whole.present, whole.read, whole.is_damaged()), (1, 1, false));
    spoil_packs(&two.there);
    let believed = copy(&two.from, &two.to, |_| true, copy::Options::default()).expect("looked");
    assert_eq!((believed.present, believed.read, believed.is_damaged()), (1, 0, false));
    let report = two.copy();
    assert_eq!(report.spoilt.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id]);
    assert!(report.is_damaged() && report.copied.is_empty());
}

/// Every chunk of it is whole, and the stream is not what its snapshot says.
#[test]
fn what_does_not_restore_here_is_not_saved_there() {
    let two = Two::new(44);
    let whole = one("db", stream(&[(1, 90 << 10)]));
    let id = two.take(&whole);
    let mut wrong = manifest_of(&two.from, id);
    wrong.streams[0].content.hash[0] ^= 1;
    wrong.time -= 1;
    let wrong = forge(&two.from, &wrong);
    let report = two.copy();
    assert_eq!(report.damaged.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [wrong]);
    assert!(chain(&report.damaged[0].1).contains("does not hash"), "{}", chain(&report.damaged[0].1));
    assert_restores(&two.to, &expected(&report, &[&whole]), "beside a wrong one");
    assert_eq!(two.to.snapshot_ids().expect("snapshots").len(), 1);
}

/// A writer can add copies; what it copied a reader knows.
#[test]
fn a_writer_of_the_other_repository_copies_what_is_named() {
    let (here, there) = (World::new(45), World::new(1045));
    let from = here.init().expect("init");
    let backend = Arc::clone(&there.store) as Arc<dyn sfarc::backend::Backend>;
    let features = Features::chosen(true, false);
    let reader = Repository::init_with(Arc::clone(&backend), &World::credential(), features, there.env());
    let reader = reader.expect("a repository");
    let key = reader.export_key(Role::Writer, "copies").expect("exported");
    let credential = || Ok(Credential::Role(Box::new(key.clone())));
    let writer = Repository::open(backend, "memory", credential, there.env()).expect("opens");
    let streams = one("db", stream(&[(1, 90 << 10)]));
    here.take(&from, &streams).expect("a snapshot");
    for options in [copy::Options::default(), copy::Options { read_back: true, blindly: true, ..Default::default() }] {
        let refused = copy(&from, &writer, |_| true, options).expect_err("refused");
        assert!(chain(&refused).contains("the key of a writer"), "{}", chain(&refused));
    }
    let blindly = copy::Options { blindly: true, ..Default::default() };
    let report = copy(&from, &writer, |_| true, blindly).expect("copied");
    assert_restores(&reader, &expected(&report, &[&streams]), "copied by a writer");
    let known = copy(&from, &reader, |_| true, copy::Options::default()).expect("looked");
    assert_eq!((known.copied.len(), known.present, known.read), (0, 1, 0));
}

#[test]
fn a_copy_that_is_damaged_there_is_stored_anew_after_a_check() {
    let two = Two::new(46);
    let streams = one("db", stream(&[(1, 90 << 10)]));
    two.take(&streams);
    let copied = two.copy().copied[0].id.expect("an id");
    spoil_packs(&two.there);
    sfarc::engine::check::check(&two.to, &sfarc::engine::check::ReadData::All).expect("checked");
    two.to.forget(&[copied]).expect("forgotten");
    let report = two.copy();
    assert_eq!((report.copied.len(), report.is_damaged()), (1, false), "{report:?}");
    assert_restores(&two.to, &expected(&report, &[&streams]), "copied again");
}
