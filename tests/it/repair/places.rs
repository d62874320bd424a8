//! Whole objects come from other places.

use std::fs;
use std::sync::Arc;

use sfarc::backend::bucket::BucketBackend;
use sfarc::backend::loose::LooseFiles;
use sfarc::backend::{Backend, Key, Kind};
use sfarc::engine::repair::{Options, Place, open_with};
use sfarc::testing::memory::MemoryBackend;
use sfarc::testing::world::World;

use super::{ALL, Action, Subject, damage, matrix, mirror_of, objects, repaired, restorable, subject, subject_on};
use crate::common::{assert_clean, assert_restores, collect_quietly, one, stream};

fn examine_with_mirror(subject: &Subject, key: &Key, action: Action) {
    let places = [mirror_of(&subject.world)];
    let world = subject.world.after_crash();
    damage(&world.store, key, action);
    let repository = world.open().expect("opens");
    // A lost key slot was removed, for all that anybody knows.
    let is_gone = action == Action::Lose && matches!(key, Key::Slot(_));

    let untouched = objects(&world.store);
    let planned = repaired(&repository, &places, Options { dry_run: true, ..ALL });
    assert_eq!(objects(&world.store), untouched, "a dry run changes something");
    let report = repaired(&repository, &places, ALL);
    assert_eq!(planned, report, "a dry run says something else");
    assert!(report.is_healthy(), "{report:?}");
    assert_eq!(report.replaced_records, [0; 0], "the mirror has it");
    if !is_gone && key.kind() != Kind::Indexes {
        assert_eq!(world.store.bytes(key), subject.world.store.bytes(key), "it is not what it was");
    }
    let repository = world.open().expect("opens");
    assert_restores(&repository, &subject.expected, "after the repair");
    assert_clean(&repository, "after the repair");
    assert!(!repaired(&repository, &places, ALL).has_changed(), "a second repair has something to do");
    collect_quietly(&repository, "after the repair");
    assert_restores(&repository, &subject.expected, "after collecting");
}

#[test]
fn a_mirror_brings_packs_back() {
    matrix(Kind::Packs, examine_with_mirror);
}

#[test]
fn a_mirror_brings_index_runs_back() {
    matrix(Kind::Indexes, examine_with_mirror);
}

#[test]
fn a_mirror_brings_snapshots_back() {
    matrix(Kind::Snapshots, examine_with_mirror);
}

#[test]
fn a_mirror_brings_gc_records_back() {
    matrix(Kind::Gc, examine_with_mirror);
}

/// An older copy was used by itself, and has lost what its own snapshot needs.
#[test]
fn a_snapshot_that_is_whole_nowhere_is_not_taken() {
    let subject = subject();
    let there = subject.world.after_crash();
    let before = there.store.keys(Kind::Packs);
    let only_there = there.take(&there.open().expect("opens"), &one("db", stream(&[(77, 30 << 10)]))).expect("taken");
    for pack in there.store.keys(Kind::Packs).into_iter().filter(|pack| !before.contains(pack)) {
        there.store.delete(&pack).expect("removed");
    }
    let untouched = objects(&subject.world.store);
    let repository = subject.world.open().expect("opens");
    let place = Place::new("the copy", Arc::new(there.store.after_crash()));
    let report = repaired(&repository, &[place], ALL);
    let id = only_there.id.expect("an id");
    assert!(report.is_healthy() && report.notes.iter().any(|note| note.contains(&id.short())), "{report:?}");
    assert!(subject.world.store.bytes(&Key::Snapshot(id)).is_none());
    assert!(untouched.keys().all(|key| subject.world.store.bytes(key).is_some()));
    assert_clean(&repository, "beside a copy that is worse");
    assert_restores(&repository, &subject.expected, "beside a copy that is worse");
    collect_quietly(&repository, "beside a copy that is worse");
}

/// The end of the log is lost here, and a copy that was used by itself has records of its own there.
#[test]
fn a_log_that_forgets_what_is_here_is_not_taken() {
    let subject = subject();
    let there = subject.world.after_crash();
    let forgotten = *subject.expected.keys().next().expect("a snapshot");
    there.open().expect("opens").forget(&[forgotten]).expect("forgotten");
    let repository = subject.world.open().expect("opens");
    let place = Place::new("the copy", Arc::new(there.store.after_crash()));
    let report = repaired(&repository, &[place], ALL);
    assert!(!report.has_changed(), "{report:?}");
    assert!(report.notes.iter().any(|note| note.contains("is not taken")), "{report:?}");
    assert_restores(&subject.world.open().expect("opens"), &subject.expected, "beside a copy that forgot");
}

#[test]
fn a_mirror_brings_key_slots_back() {
    matrix(Kind::Keys, examine_with_mirror);
}

#[test]
fn a_repository_that_hides_sizes_is_repaired_alike() {
    let world = World::new(21);
    let repository = world.init_hiding().expect("a repository");
    let subject = subject_on(world, &repository);
    for kind in [Kind::Packs, Kind::Indexes, Kind::Gc] {
        for action in [Action::Lose, Action::Cut, Action::RotMiddle] {
            let world = subject.world.after_crash();
            damage(&world.store, &world.store.keys(kind)[0], action);
            let repository = world.open().expect("opens");
            let before = restorable(&repository, &subject.expected);
            repaired(&repository, &[], ALL);
            assert!(before.is_subset(&restorable(&repository, &subject.expected)), "{kind:?}, {action:?}");
            let report = repaired(&repository, &[mirror_of(&subject.world)], ALL);
            assert!(report.is_healthy(), "{kind:?}, {action:?}: {report:?}");
            assert_restores(&repository, &subject.expected, "hidden sizes");
        }
    }
}

/// A mirror of a store.
fn copied(store: &dyn Backend) -> Place {
    let copy = MemoryBackend::default();
    let kinds = Kind::ALL.into_iter().filter(|kind| ![Kind::Config, Kind::Sessions].contains(kind));
    let keys = kinds.flat_map(|kind| store.list(kind).expect("listed")).map(|listed| listed.key);
    for key in std::iter::once(Key::Config).chain(keys) {
        copy.put(&key, &store.get(&key, None).expect("read")).expect("put");
    }
    Place::new("the copy", Arc::new(copy))
}

#[test]
fn a_bucket_is_repaired_alike() {
    let objects = Arc::new(object_store::memory::InMemory::new());
    let bucket = BucketBackend::new(objects, object_store::path::Path::from("prefix")).expect("threads");
    let (world, bucket) = (World::new(31), Arc::new(bucket) as Arc<dyn Backend>);
    let repository = world.init_on(Arc::clone(&bucket)).expect("a repository");
    let subject = subject_on(world, &repository);
    let places = [copied(&*bucket)];
    for kind in [Kind::Packs, Kind::Indexes, Kind::Snapshots, Kind::Gc] {
        let key = repository.list(kind).expect("listed")[0].key;
        bucket.delete(&key).expect("removed");
        let repository = subject.world.open_on(Arc::clone(&bucket)).expect("opens");
        assert!(repaired(&repository, &places, ALL).is_healthy(), "{key}");
        assert_restores(&repository, &subject.expected, "in a bucket");
        assert_clean(&repository, "in a bucket");
    }
    // Without a place the record is replaced, and those that follow it are put again.
    bucket.delete(&Key::Gc(1)).expect("removed");
    let repository = subject.world.open_on(Arc::clone(&bucket)).expect("opens");
    assert_eq!(repaired(&repository, &[], ALL).replaced_records, [1]);
    collect_quietly(&repository, "in a bucket");
    assert_restores(&repository, &subject.expected, "in a bucket");
}

/// The objects of these kinds as files of any names, at any depth.
fn files(store: &MemoryBackend, kinds: &[Kind]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (number, key) in kinds.iter().flat_map(|kind| store.keys(*kind)).enumerate() {
        let below = folder.path().join(format!("{}/deeper/{}", number % 3, number % 2));
        fs::create_dir_all(&below).expect("made");
        fs::write(below.join(format!("file {number}")), store.bytes(&key).expect("there")).expect("written");
    }
    fs::write(folder.path().join("a letter"), b"which is no object").expect("written");
    folder
}

#[test]
fn a_folder_of_files_brings_back_what_hashes_to_the_name() {
    let subject = subject();
    for kind in [Kind::Packs, Kind::Snapshots, Kind::Indexes] {
        let folder = files(&subject.world.store, &[kind]);
        let places = [Place::new("the files", Arc::new(LooseFiles::open(folder.path()).expect("listed")))];
        for action in [Action::Lose, Action::RotMiddle] {
            let world = subject.world.after_crash();
            world.store.keys(kind).iter().for_each(|key| damage(&world.store, key, action));
            let repository = world.open().expect("opens");
            let report = repaired(&repository, &places, ALL);
            assert!(report.is_healthy(), "{kind:?}, {action:?}: {report:?}");
            assert_restores(&repository, &subject.expected, "from files");
            assert_clean(&repository, "from files");
        }
    }
}

#[test]
fn packs_that_nothing_names_any_more_are_found_by_what_they_hold() {
    let subject = subject();
    let places = [mirror_of(&subject.world)];
    let world = subject.world.after_crash();
    for kind in [Kind::Packs, Kind::Indexes] {
        world.store.keys(kind).iter().for_each(|key| damage(&world.store, key, Action::Lose));
    }
    let repository = world.open().expect("opens");
    // A first repair knows of no place, and distrusts what is missing.
    assert!(!repaired(&repository, &[], ALL).is_healthy());
    let report = repaired(&repository, &places, ALL);
    assert!(report.is_healthy(), "{report:?}");
    assert_restores(&repository, &subject.expected, "by need");
    assert_clean(&repository, "by need");
}

#[test]
fn what_was_distrusted_and_pruned_comes_back_when_a_place_has_it() {
    let subject = subject();
    let places = [mirror_of(&subject.world)];
    let world = subject.world.after_crash();
    damage(&world.store, &world.store.keys(Kind::Packs)[0], Action::RotMiddle);
    let repository = world.open().expect("opens");
    repaired(&repository, &[], ALL);
    // Rows of what is condemned and gone are dropped by whoever prunes next.
    damage(&world.store, &world.store.keys(Kind::Packs)[0], Action::Lose);
    repaired(&repository, &[], ALL);
    assert!(repaired(&repository, &places, ALL).is_healthy());
    assert_restores(&repository, &subject.expected, "brought back");
    collect_quietly(&repository, "brought back");
    assert_restores(&repository, &subject.expected, "pruned");
}

#[test]
fn forgotten_snapshots_stay_forgotten() {
    let subject = subject();
    let places = [mirror_of(&subject.world)];
    let repository = subject.world.open().expect("opens");
    let gone = *subject.expected.keys().next().expect("one");
    repository.forget(&[gone]).expect("forgotten");
    let report = repaired(&repository, &places, ALL);
    assert!(report.is_healthy() && report.brought.is_empty(), "{report:?}");
    assert!(!repository.snapshot_ids().expect("listed").contains(&gone));
}

#[test]
fn another_repository_is_no_place_for_log_or_snapshots() {
    let subject = subject();
    let other = World::new(77);
    let repository = other.init().expect("another");
    let stranger = subject_on(other, &repository);
    let places = [mirror_of(&stranger.world)];
    let world = subject.world.after_crash();
    damage(&world.store, &Key::Gc(1), Action::Lose);
    let repository = world.open().expect("opens");
    let report = repaired(&repository, &places, Options { nobody_prunes: false, ..ALL });
    assert!(report.brought.is_empty(), "{report:?}");
    assert_eq!(report.waiting_records, [1]);
}

#[test]
fn a_lost_configuration_comes_from_a_mirror_of_this_repository_only() {
    let subject = subject();
    let stranger = {
        let other = World::new(78);
        let repository = other.init().expect("another");
        subject_on(other, &repository)
    };
    for key in [Key::Config, subject.world.store.keys(Kind::Keys)[0]] {
        for action in [Action::Lose, Action::RotMiddle] {
            let world = subject.world.after_crash();
            if key == Key::Config {
                damage(&world.store, &key, action);
            } else {
                world.store.keys(Kind::Keys).iter().for_each(|key| damage(&world.store, key, action));
            }
            assert!(world.open().is_err());
            let backend = Arc::clone(&world.store) as Arc<dyn Backend>;
            let places = [mirror_of(&stranger.world), mirror_of(&subject.world)];
            let open = |places: &[Place], dry_run| {
                open_with(&backend, places, &World::credential(), &world.env(), dry_run).expect("tried")
            };
            assert!(open(&places[..1], false).is_none(), "the configuration of another repository");
            let before = objects(&world.store);
            let planned = open(&places, true).expect("opened");
            assert_eq!((planned.has_config, planned.has_slot), (key == Key::Config, key != Key::Config));
            repaired(&planned.repository, &places, Options { dry_run: true, ..ALL });
            assert_eq!(objects(&world.store), before, "a dry run changes something");
            let opened = open(&places, false).expect("opened");
            repaired(&opened.repository, &places, ALL);
            assert_restores(&world.open().expect("opens"), &subject.expected, "with its configuration");
        }
    }
}

#[test]
fn another_pack_under_its_name_is_found_without_reading_all() {
    let subject = subject();
    let places = [mirror_of(&subject.world)];
    for key in subject.world.store.keys(Kind::Packs) {
        let world = subject.world.after_crash();
        damage(&world.store, &key, Action::Exchange);
        let repository = world.open().expect("opens");
        let report = repaired(&repository, &places, Options { read_data: false, ..ALL });
        assert!(report.is_healthy() && report.packs_read == 0, "{report:?}");
        assert_eq!(world.store.bytes(&key), subject.world.store.bytes(&key));
        assert_restores(&repository, &subject.expected, "exchanged");
        assert_clean(&repository, "exchanged");
    }
}
