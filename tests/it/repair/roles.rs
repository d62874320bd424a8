//! Repositories with roles: the maintainer repairs as far as it sees, writers and auditors do not.

use std::sync::Arc;

use sfarc::backend::{Backend, Key, Kind};
use sfarc::crypto::role::Role;
use sfarc::engine::repair::repair;
use sfarc::error::Category;
use sfarc::format::config::Features;
use sfarc::format::rolekey::RoleKey;
use sfarc::repo::{Credential, Repository};
use sfarc::testing::world::World;

use super::{ALL, Action, Subject, damage, mirror_of, repaired};
use crate::common::{Expected, assert_clean, assert_restores, collect_quietly, one, stream};

fn opened(world: &World, key: &RoleKey) -> Repository {
    let backend = Arc::clone(&world.store) as Arc<dyn Backend>;
    Repository::open(backend, "memory", || Ok(Credential::Role(Box::new(key.clone()))), world.env()).expect("opens")
}

/// A repository with roles and snapshots of two writers, and the key of a maintainer.
fn subject() -> (Subject, RoleKey) {
    let world = World::new(5);
    let backend = Arc::clone(&world.store) as Arc<dyn Backend>;
    let reader = Repository::init_with(backend, &World::credential(), Features::chosen(true, false), world.env());
    let reader = reader.expect("a repository");
    let keys = ["one", "two"].map(|label| reader.export_key(Role::Writer, label).expect("exported"));
    let mut expected = Expected::new();
    let gone = world.take(&reader, &one("gone", stream(&[(90, 4000)]))).expect("taken").id.expect("an id");
    reader.forget(&[gone]).expect("forgotten");
    collect_quietly(&reader, "before");
    for (seed, key) in (0..4).zip(keys.iter().cycle()) {
        let streams = one("db", stream(&[(1, 40 << 10), (seed + 10, 9 << 10)]));
        let id = world.take(&opened(&world, key), &streams).expect("taken").id.expect("an id");
        expected.insert(id, streams);
    }
    let maintainer = reader.export_key(Role::Maintainer, "m").expect("exported");
    (Subject { world, expected }, maintainer)
}

#[test]
fn a_maintainer_brings_back_what_is_whole_elsewhere() {
    let (subject, key) = subject();
    let places = [mirror_of(&subject.world)];
    for kind in [Kind::Packs, Kind::Indexes, Kind::Snapshots, Kind::Gc, Kind::Writers] {
        for action in [Action::Lose, Action::Cut, Action::RotMiddle, Action::Exchange] {
            let world = subject.world.after_crash();
            damage(&world.store, &world.store.keys(kind)[0], action);
            let report = repaired(&opened(&world, &key), &places, ALL);
            assert!(report.is_healthy(), "{kind:?}, {action:?}: {report:?}");
            let reader = world.open().expect("opens");
            assert_restores(&reader, &subject.expected, "after a maintainer's repair");
            assert_clean(&reader, "after a maintainer's repair");
        }
    }
}

/// The signature of a record opens, and what it signs has rotted: nobody has forged anything.
#[test]
fn a_rotten_record_of_the_log_is_damage_and_does_not_say_nothing() {
    let (subject, _) = subject();
    let world = subject.world.after_crash();
    let key = world.store.keys(Kind::Gc)[0];
    let mut bytes = world.store.bytes(&key).expect("there");
    // Before the sealed signature, which has 82 bytes.
    let at = bytes.len() - 82 - 3;
    bytes[at] ^= 1;
    world.store.tamper(&key, &bytes);
    let reader = world.open().expect("opens");
    assert!(reader.gc_log().is_err_and(|error| error.is_damage()));
    let report = sfarc::engine::check::check(&reader, &sfarc::engine::check::ReadData::None).expect("checked");
    assert!(report.problems.iter().any(|problem| problem.what.contains("gc/")), "{:?}", report.problems);
    assert!(repaired(&reader, &[mirror_of(&subject.world)], ALL).is_healthy());
    assert_clean(&world.open().expect("opens"), "with its record");
}

#[test]
fn a_maintainer_mends_the_index_and_distrusts_alone() {
    let (subject, key) = subject();
    let world = subject.world.after_crash();
    world.store.keys(Kind::Indexes).iter().for_each(|key| damage(&world.store, key, Action::Lose));
    assert!(repaired(&opened(&world, &key), &[], ALL).is_healthy());
    let reader = world.open().expect("opens");
    assert_restores(&reader, &subject.expected, "after a maintainer's repair");
    assert_clean(&reader, "after a maintainer's repair");

    let pack = world.store.keys(Kind::Packs)[0];
    damage(&world.store, &pack, Action::RotMiddle);
    let report = repaired(&opened(&world, &key), &[], ALL);
    assert_eq!(report.distrusted.iter().map(|id| Key::Pack(*id)).collect::<Vec<_>>(), [pack]);
    assert!(!report.is_healthy(), "whoever opens no block knows of none that it is whole");
}

#[test]
fn writers_and_auditors_are_refused() {
    let (subject, _) = subject();
    let reader = subject.world.open().expect("opens");
    for role in [Role::Writer, Role::Auditor] {
        let key = reader.export_key(role, "x").expect("exported");
        let error = repair(&opened(&subject.world, &key), &[], ALL).expect_err("it repairs");
        assert_eq!(error.category(), Category::WrongKey, "{}", sfarc::error::chain(&error));
    }
}

#[test]
fn a_closed_writer_does_not_come_back_by_an_old_mirror() {
    let (subject, _) = subject();
    let places = [mirror_of(&subject.world)];
    let world = subject.world.after_crash();
    let reader = world.open().expect("opens");
    let writer = reader.registrations().expect("listed").0[0].writer();
    reader.close_writer(&writer.to_string()).expect("closed");
    let before = world.store.keys(Kind::Writers);
    let report = repaired(&reader, &places, ALL);
    assert!(report.is_healthy(), "{report:?}");
    assert_eq!(world.store.keys(Kind::Writers), before);
    // Even if the registration that says so is lost.
    let closed = reader.registrations().expect("listed").0;
    let closed = closed.into_iter().find(|one| one.record.closed.is_some()).expect("one is closed");
    world.store.delete(&Key::Writer(closed.id)).expect("removed");
    repaired(&world.open().expect("opens"), &places, ALL);
    let (found, _) = world.open().expect("opens").registrations().expect("listed");
    assert!(found.iter().all(|one| one.writer() != writer), "a closed writer is open again");
}
