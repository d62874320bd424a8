//! A damaged record of the gc log: from a place, or replaced by what is known, and never for ever in the way.

use std::sync::Arc;

use sfarc::backend::{Backend, Key, Kind};
use sfarc::engine::repair::{Options, Place};
use sfarc::repo::gc_log::tombstone;
use sfarc::testing::world::World;

use super::{ALL, Action, damage, mirror_of, repaired, subject};
use crate::common::{assert_all_visible_restore, assert_clean, assert_restores, collect_quietly, one, stream};

const CAREFUL: Options = Options { nobody_prunes: false, ..ALL };

fn is_read_only(world: &World) -> bool {
    let repository = world.open().expect("opens");
    world.take(&repository, &one("new", stream(&[(30, 5000)]))).is_err()
}

#[test]
fn nothing_is_replaced_without_the_promise() {
    let subject = subject();
    let world = subject.world.after_crash();
    damage(&world.store, &Key::Gc(1), Action::RotMiddle);
    let before = world.store.bytes(&Key::Gc(1));
    let repository = world.open().expect("opens");
    let report = repaired(&repository, &[], CAREFUL);
    assert_eq!(report.waiting_records, [1]);
    assert!(!report.is_healthy());
    assert_eq!(world.store.bytes(&Key::Gc(1)), before);
    assert!(is_read_only(&world));
}

#[test]
fn with_the_promise_it_can_be_written_and_pruned_again() {
    let subject = subject();
    for key in subject.world.store.keys(Kind::Gc) {
        for action in [Action::Lose, Action::Cut, Action::RotMiddle, Action::Exchange] {
            let world = subject.world.after_crash();
            damage(&world.store, &key, action);
            let repository = world.open().expect("opens");
            let report = repaired(&repository, &[], ALL);
            assert!(report.is_healthy() && report.waiting_records.is_empty(), "{key}, {action:?}: {report:?}");
            assert!(!is_read_only(&world), "{key}, {action:?}");
            let repository = world.open().expect("opens");
            assert_restores(&repository, &subject.expected, "with another record");
            collect_quietly(&repository, "with another record");
            assert_all_visible_restore(&repository, "with another record");
            assert_clean(&repository, "with another record");
        }
    }
}

#[test]
fn what_the_record_condemned_and_is_gone_is_condemned_again() {
    let subject = subject();
    let world = subject.world.after_crash();
    // Rows that a merge has brought back lead to a pack that was pruned; the record that said so is lost.
    let repository = world.open().expect("opens");
    let stale = world.store.keys(Kind::Indexes)[0];
    let object = world.store.bytes(&stale).expect("there");
    let Key::Pack(pack) = world.store.keys(Kind::Packs)[0] else { panic!("a pack") };
    let mut log = repository.gc_log().expect("read");
    repository.append_to_gc_log(&mut log, &[tombstone(&pack)], &[]).expect("said");
    world.store.delete(&Key::Pack(pack)).expect("removed");
    world.store.tamper(&stale, &object);
    world.store.delete(&Key::Gc(log.epoch())).expect("removed");
    damage(&world.store, &Key::Gc(log.epoch() - 1), Action::RotMiddle);
    let repository = world.open().expect("opens");
    let report = repaired(&repository, &[], ALL);
    assert_eq!(report.replaced_records, [log.epoch() - 1]);
    let log = repository.gc_log().expect("read");
    assert!(log.is_condemned(&pack) && log.has_lost());
    // A row that comes back leads nobody there.
    world.store.tamper(&stale, &object);
    let repository = world.open().expect("opens");
    let mut expected = crate::common::Expected::new();
    for streams in subject.expected.values() {
        let id = world.take(&repository, streams).expect("a snapshot").id.expect("an id");
        expected.insert(id, streams.clone());
    }
    assert_restores(&repository, &expected, "beside rows that came back");
}

#[test]
fn a_snapshot_that_a_lost_record_called_dead_stays_gone() {
    let subject = subject();
    let places = [mirror_of(&subject.world)];
    let world = subject.world.after_crash();
    let repository = world.open().expect("opens");
    let gone = *subject.expected.keys().next().expect("one");
    repository.forget(&[gone]).expect("forgotten");
    let last = *world.store.keys(Kind::Gc).last().expect("a record");
    damage(&world.store, &last, Action::RotMiddle);
    let repository = world.open().expect("opens");
    // The mirror does not have that record, but the snapshot.
    let report = repaired(&repository, &places, ALL);
    assert_eq!(report.replaced_records.len(), 1, "{report:?}");
    assert!(report.notes.iter().any(|note| note.contains(&gone.short())), "{report:?}");
    assert!(!world.open().expect("opens").snapshot_ids().expect("listed").contains(&gone));
    // And so it is for whoever comes later.
    assert!(repaired(&world.open().expect("opens"), &places, ALL).is_healthy());
    assert!(!world.open().expect("opens").snapshot_ids().expect("listed").contains(&gone));
}

#[test]
fn a_mirror_that_went_its_own_way_has_no_say() {
    let subject = subject();
    let other = subject.world.after_crash();
    let repository = other.open().expect("opens");
    let forgotten = *subject.expected.keys().next().expect("one");
    // Both have a next record, and each another one.
    repository.forget(&[forgotten]).expect("forgotten");
    repository.forget(&[*subject.expected.keys().nth(1).expect("two")]).expect("forgotten");
    let world = subject.world.after_crash();
    let repository = world.open().expect("opens");
    let taken = world.take(&repository, &one("x", stream(&[(60, 4000)]))).expect("taken").id.expect("an id");
    let again = world.take(&repository, &one("y", stream(&[(61, 4000)]))).expect("taken").id.expect("an id");
    repository.forget(&[taken]).expect("forgotten");
    repository.forget(&[again]).expect("forgotten");
    let keys = world.store.keys(Kind::Gc);
    damage(&world.store, &keys[keys.len() - 2], Action::RotMiddle);
    let places = [Place::new("a branch", Arc::clone(&other.store) as Arc<dyn Backend>)];
    let repository = world.open().expect("opens");
    let report = repaired(&repository, &places, CAREFUL);
    assert_eq!(report.waiting_records.len(), 1, "{report:?}");
    assert!(repository.snapshot_ids().expect("listed").contains(&forgotten));
}
