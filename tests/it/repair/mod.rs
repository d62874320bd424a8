//! Repair: whatever is lost, cut, rotten or exchanged, what can be restored is restored, and what cannot is named.

mod gc_log;
mod index;
mod kills;
mod places;
mod roles;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sfarc::backend::{Backend, Key, Kind};
use sfarc::engine::repair::{Options, Place, Report, repair};
use sfarc::error::chain;
use sfarc::ids::ObjectId;
use sfarc::repo::{Credential, Repository};
use sfarc::testing::clock::SECOND;
use sfarc::testing::memory::MemoryBackend;
use sfarc::testing::world::{World, read_streams};
use zeroize::Zeroizing;

use crate::common::{Expected, assert_clean, assert_restores, one, stream};

/// Everything that a repair may do.
const ALL: Options = Options { read_data: true, nobody_prunes: true, dry_run: false };

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Lose,
    Cut,
    Lengthen,
    RotBegin,
    RotMiddle,
    RotEnd,
    Exchange,
    Hide,
}

const ACTIONS: [Action; 8] = [
    Action::Lose,
    Action::Cut,
    Action::Lengthen,
    Action::RotBegin,
    Action::RotMiddle,
    Action::RotEnd,
    Action::Exchange,
    Action::Hide,
];

fn damage(store: &MemoryBackend, key: &Key, action: Action) {
    let mut bytes = store.bytes(key).expect("it is there");
    let len = bytes.len();
    match action {
        Action::Lose => return store.delete(key).expect("removed"),
        Action::Hide => return store.make_unreadable(key),
        Action::Cut => bytes.truncate(len / 2),
        Action::Lengthen => bytes.push(7),
        Action::RotBegin => bytes[2] ^= 0x10,
        Action::RotMiddle => bytes[len / 2] ^= 0x10,
        Action::RotEnd => bytes[len - 1] ^= 0x10,
        Action::Exchange => {
            let other = store.keys(key.kind()).into_iter().find(|other| other != key);
            bytes = other.and_then(|other| store.bytes(&other)).unwrap_or_default();
        }
    }
    store.tamper(key, &bytes);
}

/// A repository with several objects of each kind, and what its snapshots hold.
struct Subject {
    world: World,
    expected: Expected,
}

fn subject_on(world: World, repository: &Repository) -> Subject {
    let other = Credential::KeyFile(Zeroizing::new([8; 32]));
    world.clock.advance(SECOND);
    repository.add_slot(&other, "another").expect("a second key slot");
    for seed in [50, 51] {
        let gone = world.take(repository, &one("db", stream(&[(seed, 9 << 10)]))).expect("a snapshot");
        repository.forget(&[gone.id.expect("an id")]).expect("forgotten");
    }
    crate::common::collect_quietly(repository, "before");
    let contents = [
        one("db", stream(&[(1, 70 << 10), (2, 30 << 10)])),
        one("db", stream(&[(1, 70 << 10), (3, 30 << 10)])),
        one("other", stream(&[(4, 20 << 10)])),
    ];
    let mut expected = Expected::new();
    for streams in contents {
        expected.insert(world.take(repository, &streams).expect("a snapshot").id.expect("an id"), streams);
    }
    Subject { world, expected }
}

fn subject() -> Subject {
    let world = World::new(9);
    let repository = world.init().expect("a repository");
    subject_on(world, &repository)
}

fn mirror_of(world: &World) -> Place {
    Place::new("the mirror", Arc::new(world.store.after_crash()))
}

#[track_caller]
fn repaired(repository: &Repository, places: &[Place], options: Options) -> Report {
    repair(repository, places, options).unwrap_or_else(|error| panic!("repair: {}", chain(&error)))
}

/// Which snapshots restore.
fn restorable(repository: &Repository, expected: &Expected) -> BTreeSet<ObjectId> {
    let restores = |id: &ObjectId| {
        let snapshot = repository.read_snapshot(*id).ok()?;
        Some(read_streams(repository, &snapshot).ok()? == expected[id])
    };
    expected.keys().filter(|id| restores(id) == Some(true)).copied().collect()
}

/// All objects but sessions.
fn objects(store: &MemoryBackend) -> BTreeMap<Key, Vec<u8>> {
    let keys = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Sessions).flat_map(|kind| store.keys(kind));
    keys.map(|key| (key, store.bytes(&key).expect("it is there"))).collect()
}

/// What must be true of a repair without any place.
fn examine_alone(subject: &Subject, key: &Key, action: Action) {
    let world = subject.world.after_crash();
    damage(&world.store, key, action);
    let repository = world.open().expect("opens");
    let before = restorable(&repository, &subject.expected);

    let untouched = objects(&world.store);
    let planned = repaired(&repository, &[], Options { dry_run: true, ..ALL });
    assert_eq!(objects(&world.store), untouched, "a dry run changes something");

    let report = repaired(&repository, &[], ALL);
    assert_eq!(planned, report, "a dry run says something else");
    let repository = world.open().expect("opens");
    let after = restorable(&repository, &subject.expected);
    assert!(before.is_subset(&after), "less restores than before");
    let hit: BTreeSet<ObjectId> = report.hits.iter().map(|hit| hit.snapshot).collect();
    let lost = |id: &ObjectId| report.lost.iter().any(|lost| lost.key == Key::Snapshot(*id));
    for id in subject.expected.keys().filter(|id| world.store.bytes(&Key::Snapshot(**id)).is_some()) {
        assert_eq!(!after.contains(id), hit.contains(id) || lost(id), "snapshot {} is called otherwise", id.short());
    }

    let again = repaired(&repository, &[], ALL);
    assert!(!again.has_changed(), "a second repair has something to do: {again:?}");
    assert_eq!(again.is_healthy(), report.is_healthy());

    // The same data once more: nobody is kept from writing, and older snapshots are healed.
    let mut expected = subject.expected.clone();
    for streams in subject.expected.values() {
        let taken = world.take(&repository, streams).unwrap_or_else(|error| panic!("blocked: {}", chain(&error)));
        expected.insert(taken.id.expect("an id"), streams.clone());
    }
    let healed = restorable(&repository, &expected);
    for id in expected.keys() {
        let is_whole = repository.read_snapshot(*id).is_ok();
        assert_eq!(healed.contains(id), is_whole, "snapshot {} is not healed", id.short());
    }
}

fn matrix(kind: Kind, examine: impl Fn(&Subject, &Key, Action)) {
    let subject = subject();
    let mut failures = Vec::new();
    let keys: Vec<Key> = match kind {
        // The other slot is what opens it.
        Kind::Keys => vec![Key::Slot(subject.world.open().expect("opens").slots().expect("slots")[1].id)],
        _ => subject.world.store.keys(kind),
    };
    assert!(!keys.is_empty());
    for key in keys {
        for action in ACTIONS {
            let examine = std::panic::AssertUnwindSafe(|| examine(&subject, &key, action));
            if let Err(panic) = std::panic::catch_unwind(examine) {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                failures.push(format!("{key}, {action:?}: {}", text.unwrap_or_default()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn damaged_packs_without_a_place() {
    matrix(Kind::Packs, examine_alone);
}

#[test]
fn damaged_index_runs_without_a_place() {
    matrix(Kind::Indexes, examine_alone);
}

#[test]
fn damaged_snapshots_without_a_place() {
    matrix(Kind::Snapshots, examine_alone);
}

#[test]
fn damaged_gc_records_without_a_place() {
    matrix(Kind::Gc, examine_alone);
}

#[test]
fn damaged_key_slots_without_a_place() {
    matrix(Kind::Keys, examine_alone);
}

#[test]
fn whatever_order_damage_comes_in_what_is_left_restores() {
    let subject = subject();
    // Of each kind the first object, all at once.
    let world = subject.world.after_crash();
    for kind in [Kind::Packs, Kind::Indexes, Kind::Gc] {
        damage(&world.store, &world.store.keys(kind)[0], Action::RotMiddle);
    }
    let repository = world.open().expect("opens");
    let before = restorable(&repository, &subject.expected);
    repaired(&repository, &[], ALL);
    assert!(before.is_subset(&restorable(&repository, &subject.expected)));
    let mirror = mirror_of(&subject.world);
    assert!(repaired(&repository, &[mirror], ALL).is_healthy());
    let repository = world.open().expect("opens");
    assert_restores(&repository, &subject.expected, "after a repair from a mirror");
    crate::common::assert_all_visible_restore(&repository, "after a repair from a mirror");
}

#[test]
fn without_damage_there_is_nothing_to_do() {
    let subject = subject();
    let repository = subject.world.open().expect("opens");
    let before = objects(&subject.world.store);
    let report = repaired(&repository, &[mirror_of(&subject.world)], ALL);
    assert!(report.is_healthy() && !report.has_changed(), "{report:?}");
    assert_eq!(objects(&subject.world.store), before);
    assert_eq!(report.snapshots, 3);
    assert_clean(&repository, "after a repair");
}
