//! Beside a snapshot of a newer program, everything that does not need it goes on.

use sfarc::backend::{Key, Kind};
use sfarc::engine::{collect, diff};
use sfarc::error::chain;
use sfarc::format::sealed::SealedKind;
use sfarc::ids::{ObjectId, SessionId};
use sfarc::repo::{RepoError, Repository};
use sfarc::testing::world::World;

use crate::common::{Expected, assert_restores, one, stream};

/// The stored bytes of a manifest of version 3.
fn newer(repository: &Repository) -> Vec<u8> {
    let record = [&3u16.to_le_bytes()[..], &[0xab; 300]].concat();
    repository
        .keys
        .sealer(SealedKind::Snapshot, &*repository.env.entropy)
        .expect("the key ring is whole")
        .seal_record(&record)
}

fn scene() -> (World, Repository, Expected) {
    let world = World::new(41);
    let repository = world.init().expect("init");
    let mut expected = Expected::new();
    for seed in [1, 2] {
        let streams = one("db", stream(&[(seed, 20 << 10)]));
        expected.insert(world.take(&repository, &streams).expect("a snapshot").id.expect("an id"), streams);
    }
    (world, repository, expected)
}

#[test]
fn other_snapshots_are_listed_and_restored() {
    let (_world, repository, expected) = scene();
    let object = newer(&repository);
    let id = ObjectId::of(&object);
    repository.backend.put(&Key::Snapshot(id), &object).expect("stored");
    let listing = repository.snapshots().expect("the listing goes on");
    assert_eq!(listing.snapshots.len(), 2);
    let [(named, error)] = &listing.unreadable[..] else { panic!("{:?}", listing.unreadable) };
    assert!(*named == id && !error.is_damage(), "{error}");
    assert!(chain(error).contains("newer sfarc") && !chain(error).contains("damaged"), "{}", chain(error));
    assert_restores(&repository, &expected, "beside a newer one");
    let latest = ["latest", "latest~1"].map(|name| repository.resolve(name).expect("resolved"));
    assert_eq!(diff::diff(&repository, &latest[1], &latest[0]).expect("compared").len(), 1);
    assert!(matches!(repository.resolve(&id.to_string()), Err(RepoError::TooNew { .. })));
}

#[test]
fn nothing_is_collected_that_a_newer_snapshot_may_need() {
    let (world, repository, expected) = scene();
    let object = newer(&repository);
    let keys = [Key::Snapshot(ObjectId::of(&object)), Key::Pending(SessionId::new([5; 16]))];
    repository.forget(&[*expected.keys().next().expect("a snapshot")]).expect("forgotten");
    for key in keys {
        let world = world.after_crash();
        let repository = world.open().expect("opens");
        world.store.tamper(&key, &object);
        let before = Kind::ALL.map(|kind| world.store.keys(kind));
        let error = collect::collect(&repository, collect::Options::default()).expect_err("refused");
        assert!(chain(&error).contains("newer sfarc"), "{}", chain(&error));
        assert_eq!(Kind::ALL.map(|kind| world.store.keys(kind)), before, "{key}");
    }
}
