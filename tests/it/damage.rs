//! Every kind of object, damaged in every way: named by a check or an error, never a panic, never wrong bytes.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sfarc::backend::{Backend, Key, Kind};
use sfarc::engine::check;
use sfarc::format::manifest::FenceRecord;
use sfarc::ids::ObjectId;
use sfarc::pipeline::egress::Egress;
use sfarc::repo::Repository;
use sfarc::repo::session::Session;
use sfarc::repo::snapshots::Snapshot;
use sfarc::testing::clock::SECOND;
use sfarc::testing::world::{Streams, World, read_stream};
use sfarc::{Category, Error};

use crate::common::{Expected, collect_quietly, noise, one, packs_of, stream};

/// Length of what a collector puts in the place of a snapshot that was never committed.
const FENCE_LEN: usize = FenceRecord::STORED_LEN as usize;

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Truncate(usize),
    Lengthen,
    Zero,
    Flip(usize),
    Swap(Key),
    Remove,
}

/// A repository with two objects of each kind, and what its snapshots hold.
struct Subject {
    world: World,
    expected: Expected,
    /// The packs that each snapshot needs.
    packs: BTreeMap<ObjectId, Vec<Key>>,
}

/// A stream of one chunk only: packs of such streams are of equal length, so that only the bytes tell them apart.
fn tiny(seed: u64) -> Streams {
    one("tiny", noise(seed, 900))
}

fn subject() -> Subject {
    let world = World::new(9);
    let repository = world.init().expect("init");
    let other = sfarc::repo::Credential::KeyFile(zeroize::Zeroizing::new([8; 32]));
    world.clock.advance(SECOND);
    repository.add_slot(&other, "another").expect("a second key slot");
    for seed in [50, 51] {
        let gone = world.take(&repository, &tiny(seed)).expect("a snapshot").id.expect("an id");
        repository.forget(&[gone]).expect("forgotten");
    }
    let contents = [
        one("db", stream(&[(1, 70 << 10), (2, 30 << 10)])),
        one("db", stream(&[(1, 70 << 10), (3, 30 << 10)])),
        tiny(4),
        tiny(5),
    ];
    let mut expected = Expected::new();
    for streams in contents {
        expected.insert(world.take(&repository, &streams).expect("a snapshot").id.expect("an id"), streams);
    }
    let sessions = [Session::begin(&repository), Session::begin(&repository)].map(|session| session.expect("begun"));
    let left = world.after_crash();
    drop(sessions);
    let repository = left.open().expect("opens");
    let packs = expected.keys().map(|id| (*id, packs_of_id(&repository, *id))).collect();
    Subject { world: left, expected, packs }
}

fn packs_of_id(repository: &Repository, id: ObjectId) -> Vec<Key> {
    let snapshot = repository.read_snapshot(id).expect("the snapshot is readable");
    packs_of(repository, &snapshot).into_iter().map(Key::Pack).collect()
}

fn actions(world: &World, key: &Key) -> Vec<Action> {
    let len = world.store.bytes(key).expect("it is there").len();
    let mut actions = vec![Action::Lengthen, Action::Zero, Action::Remove];
    let lens = [0, 1, FENCE_LEN, 112, len / 2, len.saturating_sub(16), len - 1];
    actions.extend(lens.into_iter().filter(|&short| short < len).map(Action::Truncate));
    let places = [0, 6, 7, 20, 40, 60, 100, 112, 130, len / 3, len / 2, len - 30, len - 14, len - 8, len - 1];
    actions.extend(places.into_iter().filter(|&place| place < len).map(Action::Flip));
    let others = world.store.keys(key.kind()).into_iter().filter(|other| other != key);
    actions.extend(others.map(Action::Swap));
    actions
}

fn damage(world: &World, key: &Key, action: Action) {
    let mut bytes = world.store.bytes(key).expect("it is there");
    match action {
        Action::Truncate(len) => bytes.truncate(len),
        Action::Lengthen => bytes.push(0),
        Action::Zero => bytes.fill(0),
        Action::Flip(place) => bytes[place] ^= 0x10,
        Action::Swap(other) => bytes = world.store.bytes(&other).expect("it is there"),
        Action::Remove => return world.store.delete(key).expect("removed"),
    }
    world.store.tamper(key, &bytes);
}

/// True if a check must find this damage. What is missing altogether is not missed where others do as well.
fn must_be_named(key: &Key, action: Action) -> bool {
    match (key.kind(), action) {
        (Kind::Packs, _) => true,
        (Kind::Keys | Kind::Indexes | Kind::Sessions | Kind::Snapshots, Action::Remove) => false,
        // A gap in the log shows, its end does not.
        (Kind::Gc, Action::Remove) => *key == Key::Gc(1),
        // Sessions are named at random and their records do not repeat the name.
        (Kind::Sessions, Action::Swap(_)) => false,
        _ => true,
    }
}

fn is_hit(subject: &Subject, id: &ObjectId, key: &Key) -> bool {
    *key == Key::Snapshot(*id) || subject.packs[id].contains(key)
}

fn is_damage(error: &Error) -> bool {
    error.category() == Category::Damaged
}

/// Restores a whole snapshot, and pieces of it: the right bytes, or an error that says that it is damaged.
fn restore(repository: &Repository, id: &ObjectId, streams: &Streams) -> Result<(), Error> {
    let snapshot = repository.read_snapshot(*id)?;
    for (name, expected) in streams {
        pieces(repository, &snapshot, expected)?;
        assert!(read_stream(repository, &snapshot, name)? == *expected, "wrong bytes");
    }
    Ok(())
}

/// Reads pieces of the first stream, whose hash nobody checks: what arrives must be right all the same.
fn pieces(repository: &Repository, snapshot: &Snapshot, expected: &[u8]) -> Result<(), Error> {
    let mut egress = Egress::open(repository)?;
    let third = expected.len() / 3;
    for start in [0, third, 2 * third] {
        let mut at = start;
        let content = &snapshot.manifest.streams[0].content;
        let read = egress.write_range(content, start as u64, third as u64, |bytes| {
            assert!(expected[at..].starts_with(bytes), "wrong bytes in a piece");
            at += bytes.len();
            Ok::<(), std::io::Error>(())
        });
        read.map_err(|error| Error::restore(snapshot.id.short(), "a piece", error))?;
        assert_eq!(at, start + third, "bytes of a piece are missing");
    }
    Ok(())
}

fn examine(subject: &Subject, world: &World, key: &Key, action: Action) {
    let repository = match world.open() {
        Ok(repository) => repository,
        Err(_) if *key == Key::Config => return,
        Err(error) => panic!("it does not open: {error}"),
    };
    assert!(*key != Key::Config, "it opens");
    let report = match check::check(&repository, &check::ReadData::All) {
        Ok(report) => report,
        Err(error) => panic!("the check gives up: {}", sfarc::error::chain(&error)),
    };
    let named = report.problems.iter().any(|problem| names(&problem.object, &problem.what, key));
    assert!(named || !must_be_named(key, action), "not named: {:?}, {:?}", report.problems, report.hits);
    for (id, streams) in &subject.expected {
        match restore(&repository, id, streams) {
            Ok(()) => {}
            Err(error) => {
                assert!(is_damage(&error), "not called damage: {}", sfarc::error::chain(&error));
                let chain = sfarc::error::chain(&error);
                assert!(is_hit(subject, id, key), "snapshot {} does not depend on it: {chain}", id.short());
                let hit = report.hits.iter().any(|hit| hit.snapshot == *id);
                assert!(hit || *key == Key::Snapshot(*id), "the check does not say that {} is hit", id.short());
            }
        }
    }
}

/// True if a problem points to the object, or to the log that it is part of.
fn names(object: &str, what: &str, key: &Key) -> bool {
    let name = key.to_string();
    object.contains(&name) || what.contains(&name) || (key.kind() == Kind::Gc && object == "the gc log")
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// Tries all actions on all objects of a kind and gathers what goes wrong.
fn matrix(kind: Kind) {
    let subject = subject();
    let mut failures = Vec::new();
    let mut tried = 0;
    for key in subject.world.store.keys(kind) {
        for action in actions(&subject.world, &key) {
            let world = subject.world.after_crash();
            damage(&world, &key, action);
            tried += 1;
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| examine(&subject, &world, &key, action))) {
                failures.push(format!("{key}, {action:?}: {}", text_of(&*panic)));
            }
        }
    }
    assert!(tried > 10, "only {tried} cases");
    assert!(failures.is_empty(), "{} of {tried} cases:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn damaged_config() {
    matrix(Kind::Config);
}

#[test]
fn damaged_key_slots() {
    let subject = subject();
    // The other slot opens with a credential that this test does not use, so the first must stay to get in.
    let repository = subject.world.open().expect("opens");
    let slots = repository.slots().expect("readable");
    assert_eq!(slots.len(), 2);
    let key = Key::Slot(slots[1].id);
    for action in actions(&subject.world, &key) {
        let world = subject.world.after_crash();
        damage(&world, &key, action);
        examine(&subject, &world, &key, action);
    }
}

#[test]
fn a_damaged_last_key_slot_opens_nothing() {
    let subject = subject();
    let repository = subject.world.open().expect("opens");
    let slot = Key::Slot(repository.slots().expect("readable")[0].id);
    for action in actions(&subject.world, &slot) {
        let world = subject.world.after_crash();
        damage(&world, &slot, action);
        assert!(world.open().is_err(), "{action:?}");
    }
}

#[test]
fn damaged_packs() {
    matrix(Kind::Packs);
}

#[test]
fn damaged_index_runs() {
    matrix(Kind::Indexes);
}

#[test]
fn damaged_snapshots() {
    matrix(Kind::Snapshots);
}

#[test]
fn damaged_gc_records() {
    matrix(Kind::Gc);
}

#[test]
fn damaged_sessions() {
    matrix(Kind::Sessions);
}

#[test]
fn without_any_index_run_everything_restores_and_a_collection_heals() {
    let subject = subject();
    let world = subject.world.after_crash();
    for key in world.store.keys(Kind::Indexes) {
        world.store.delete(&key).expect("removed");
    }
    let repository = world.open().expect("opens");
    crate::common::assert_restores(&repository, &subject.expected, "without an index");
    collect_quietly(&repository, "without an index");
    crate::common::assert_restores(&repository, &subject.expected, "after collecting");
    crate::common::assert_clean(&repository, "after collecting");
}

#[test]
fn garbage_is_not_collected_beside_a_damaged_snapshot() {
    let subject = subject();
    let world = subject.world.after_crash();
    let key = world.store.keys(Kind::Snapshots)[0];
    let before = world.store.keys(Kind::Packs);
    for action in [Action::Flip(120), Action::Truncate(FENCE_LEN), Action::Truncate(0)] {
        let world = subject.world.after_crash();
        damage(&world, &key, action);
        let repository = world.open().expect("opens");
        let collected = sfarc::engine::collect::collect(&repository, sfarc::engine::collect::Options::default());
        assert!(collected.is_err(), "{action:?}: {collected:?}");
        assert_eq!(world.store.keys(Kind::Packs), before, "{action:?}");
    }
}

#[test]
fn flipped_bits_on_the_way_never_give_wrong_bytes() {
    use sfarc::testing::faulty::{Fault, FaultyBackend};
    let subject = subject();
    for kind in [Kind::Packs, Kind::Indexes, Kind::Snapshots, Kind::Gc] {
        for bit in [0, 77, 900, 1200, 5000, 70_001] {
            let store = std::sync::Arc::clone(&subject.world.store);
            let backend = std::sync::Arc::new(FaultyBackend::new(store, Fault::Flip { kind, bit }));
            let repository = subject.world.open_on(backend).expect("opens");
            for (id, streams) in &subject.expected {
                if let Err(error) = restore(&repository, id, streams) {
                    assert!(is_damage(&error), "{kind:?} {bit}: {}", sfarc::error::chain(&error));
                }
            }
        }
    }
}
