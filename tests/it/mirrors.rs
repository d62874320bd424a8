//! Mirrors: the same objects elsewhere, and nothing removed or replaced there before what makes it needless was read.

use std::collections::BTreeSet;
use std::sync::Arc;

use sfarc::backend::folder::FolderBackend;
use sfarc::backend::{Backend, Key, Kind, Listed};
use sfarc::crypto::role::Role;
use sfarc::engine::mirror::{self, Report, mirror, mirror_and_tidy};
use sfarc::error::chain;
use sfarc::format::config::Features;
use sfarc::ids::ObjectId;
use sfarc::repo::{Credential, Repository};
use sfarc::testing::faulty::{Fault, FaultyBackend};
use sfarc::testing::memory::MemoryBackend;
use sfarc::testing::recording::{Operation, RecordingBackend};
use sfarc::testing::world::World;

use crate::common::{
    Expected, assert_all_visible_restore, assert_clean, assert_restores, collect_quietly, nth, one, packs_of, stream,
};

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
    let copy = Arc::new(copy);
    let dry = tidy(&repository, &copy, mirror::Options { dry_run: true, ..keep });
    let tidied = tidy(&repository, &copy, keep);
    assert!(tidied.deleted > 0 && dry.deleted == tidied.deleted && tidied.kept == 0, "{dry:?}, {tidied:?}");
    assert_eq!(all(&copy), all(&world.store));
    let mirrored = world.with_store(copy.after_crash());
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
                let copy = Arc::new(MemoryBackend::default());
                let context = format!("{operation:?} {kind:?} {number} {delete}");
                let options = mirror::Options::default();
                let made = if delete {
                    let watched = taker.open_on(Arc::new(faulty)).expect("opens");
                    mirror_and_tidy(&watched, &(Arc::clone(&copy) as _), options)
                } else {
                    mirror(&faulty, &*copy, &taker.env(), options)
                };
                let report = made.unwrap_or_else(|e| panic!("{context}: {}", chain(&e)));
                assert!(!report.is_damaged(), "{context}: {report:?}");
                let opened = taker.with_store(copy.after_crash()).open().expect("opens");
                assert_all_visible_restore(&opened, &context);
                tidy(&taker.open().expect("opens"), &copy, options);
                assert_eq!(all(&copy), all(&taker.store), "{context}");
            }
        }
    }
}

#[test]
fn a_mirror_is_made_of_one_repository_only_and_is_not_written_to() {
    let (world, _, _) = to_mirror(23);
    let (other, _, _) = to_mirror(24);
    let options = mirror::Options::default();
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

/// Mirrors with the key, and removes what was given up.
fn tidy(from: &Repository, to: &Arc<MemoryBackend>, options: mirror::Options) -> Report {
    mirror_and_tidy(from, &(Arc::clone(to) as _), options).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

/// Other bytes of the same length.
fn rotten(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

const VERIFY: mirror::Options = mirror::Options { verify: true, dry_run: false };

#[test]
fn a_whole_object_there_stays_whatever_the_repository_has() {
    for kind in [Kind::Packs, Kind::Indexes, Kind::Snapshots, Kind::Keys] {
        for cut in [0, 10, 100] {
            let (world, _, _) = to_mirror(30);
            let copy = MemoryBackend::default();
            mirror(&*world.store, &copy, &world.env(), mirror::Options::default()).expect("mirrored");
            let before = all(&copy);
            let key = world.store.keys(kind)[0];
            let bytes = world.store.bytes(&key).expect("there");
            world.store.tamper(&key, &bytes[..cut]);
            for dry_run in [true, false] {
                let options = mirror::Options { dry_run, ..Default::default() };
                let report = mirror(&*world.store, &copy, &world.env(), options).expect("mirrored");
                assert_eq!((report.copied, &report.damaged[..]), (0, &[key][..]), "{kind:?} cut to {cut}");
                assert!(report.is_damaged());
                assert!(all(&copy) == before, "{kind:?} cut to {cut}: the mirror was changed");
            }
        }
    }
}

#[test]
fn what_is_damaged_in_both_is_named_and_left() {
    let (world, _, _) = to_mirror(31);
    let copy = MemoryBackend::default();
    mirror(&*world.store, &copy, &world.env(), mirror::Options::default()).expect("mirrored");
    let key = world.store.keys(Kind::Packs)[0];
    let bytes = world.store.bytes(&key).expect("there");
    world.store.tamper(&key, &bytes[..50]);
    copy.tamper(&key, &bytes[..60]);
    let report = mirror(&*world.store, &copy, &world.env(), mirror::Options::default()).expect("mirrored");
    assert_eq!((&report.damaged[..], &report.spoilt[..]), (&[key][..], &[key][..]));
    assert_eq!(copy.bytes(&key).expect("there").len(), 60, "the longer rest stays");
}

#[test]
fn rot_in_a_mirror_is_found_and_healed_by_verify() {
    for kind in [Kind::Packs, Kind::Indexes, Kind::Snapshots, Kind::Keys] {
        let (world, _, kept) = to_mirror(32);
        let copy = MemoryBackend::default();
        mirror(&*world.store, &copy, &world.env(), mirror::Options::default()).expect("mirrored");
        let key = copy.keys(kind)[0];
        let bytes = copy.bytes(&key).expect("there");
        copy.tamper(&key, &rotten(&bytes));
        let believed = mirror(&*world.store, &copy, &world.env(), mirror::Options::default()).expect("mirrored");
        assert_eq!((believed.copied, believed.healed), (0, 0), "lengths are compared, and said to be");
        let dry = mirror(&*world.store, &copy, &world.env(), mirror::Options { dry_run: true, ..VERIFY });
        assert_eq!(dry.expect("said").healed, 1);
        let healed = mirror(&*world.store, &copy, &world.env(), VERIFY).expect("mirrored");
        assert_eq!((healed.copied, healed.healed, healed.is_damaged()), (1, 1, false), "{kind:?}");
        assert_eq!(all(&copy), all(&world.store));
        let opened = world.with_store(copy).open().expect("opens");
        assert_restores(&opened, &kept, "healed");
    }
}

#[test]
fn records_that_differ_are_told_apart_by_the_key_only() {
    let newest = |world: &World| *world.store.keys(Kind::Gc).last().expect("a record");
    for damage in [rotten as fn(&[u8]) -> Vec<u8>, |bytes| bytes[..20].to_vec()] {
        // Damaged there: mended with the key, refused without.
        let (world, repository, _) = to_mirror(33);
        let copy = Arc::new(MemoryBackend::default());
        mirror(&*world.store, &*copy, &world.env(), mirror::Options::default()).expect("mirrored");
        let key = newest(&world);
        let bytes = copy.bytes(&key).expect("there");
        copy.tamper(&key, &damage(&bytes));
        let refused = mirror(&*world.store, &*copy, &world.env(), mirror::Options::default()).expect_err("refused");
        assert!(chain(&refused).contains("one of the two is damaged"), "{}", chain(&refused));
        let report = tidy(&repository, &copy, mirror::Options::default());
        assert_eq!((report.healed, report.is_damaged()), (1, false));
        assert_eq!(all(&copy), all(&world.store));
        // Damaged here: the mirror keeps the right one.
        world.store.tamper(&key, &damage(&bytes));
        let opened = world.open().expect("opens");
        let report = tidy(&opened, &copy, mirror::Options::default());
        assert_eq!((&report.damaged[..], report.deleted), (&[key][..], 0));
        assert!(report.unknown.is_some_and(|error| error.is_damage()));
        assert_eq!(copy.bytes(&key), Some(bytes));
    }
}

#[test]
fn a_damaged_configuration_there_is_mended_with_the_key() {
    let (world, repository, kept) = to_mirror(34);
    let copy = Arc::new(MemoryBackend::default());
    mirror(&*world.store, &*copy, &world.env(), mirror::Options::default()).expect("mirrored");
    let mut config = copy.bytes(&Key::Config).expect("there");
    *config.last_mut().expect("not empty") ^= 1;
    copy.tamper(&Key::Config, &config);
    let refused = mirror(&*world.store, &*copy, &world.env(), mirror::Options::default()).expect_err("refused");
    assert!(chain(&refused).contains("one of the two is damaged"), "{}", chain(&refused));
    assert_eq!(tidy(&repository, &copy, mirror::Options::default()).healed, 1);
    assert_restores(&world.with_store(copy.after_crash()).open().expect("opens"), &kept, "mended");
}

/// Removes an object behind everybody's back.
fn lose(store: &MemoryBackend, key: &Key) {
    store.delete(key).expect("lost");
}

#[test]
fn what_the_repository_has_lost_stays_in_the_mirror() {
    for kind in [Kind::Packs, Kind::Indexes, Kind::Snapshots] {
        let (world, repository, kept) = to_mirror(35);
        collect_quietly(&repository, "before the mirror");
        let copy = Arc::new(MemoryBackend::default());
        mirror(&*world.store, &*copy, &world.env(), mirror::Options::default()).expect("mirrored");
        let key = match kind {
            Kind::Packs => needed_pack(&repository, &kept),
            _ => world.store.keys(kind)[0],
        };
        lose(&world.store, &key);
        for dry_run in [true, false] {
            let report = tidy(&world.open().expect("opens"), &copy, mirror::Options { dry_run, ..Default::default() });
            assert_eq!((&report.lost[..], report.deleted), (&[key][..], 0), "{kind:?}");
            assert!(report.is_damaged());
        }
        let mirrored = world.with_store(copy.after_crash()).open().expect("opens");
        assert_restores(&mirrored, &kept, "from the mirror");
        assert_clean(&mirrored, "the mirror");
    }
}

fn needed_pack(repository: &Repository, kept: &Expected) -> Key {
    let id = *kept.keys().next().expect("a snapshot");
    let snapshot = repository.read_snapshot(id).expect("there");
    Key::Pack(*packs_of(repository, &snapshot).iter().min().expect("a pack"))
}

/// The repository has lost a snapshot; its collector takes what that needed for garbage and condemns it rightly.
#[test]
fn a_pack_that_only_a_lost_snapshot_needs_stays_in_the_mirror() {
    let (world, repository, kept) = to_mirror(36);
    collect_quietly(&repository, "before the mirror");
    let copy = Arc::new(MemoryBackend::default());
    mirror(&*world.store, &*copy, &world.env(), mirror::Options::default()).expect("mirrored");
    let id = *kept.keys().next().expect("a snapshot");
    lose(&world.store, &Key::Snapshot(id));
    let repository = world.open().expect("opens");
    collect_quietly(&repository, "without the snapshot");
    let report = tidy(&repository, &copy, mirror::Options::default());
    assert_eq!(report.lost[0], Key::Snapshot(id));
    assert!(report.lost.len() > 1 && report.lost[1..].iter().all(|key| key.kind() == Kind::Packs), "{report:?}");
    assert_restores(&world.with_store(copy.after_crash()).open().expect("opens"), &kept, "from the mirror");
}

/// A pack was condemned after what was needed of it had been stored again; that new pack is lost, or damaged in the mirror.
#[test]
fn a_condemned_pack_stays_until_what_took_its_place_was_read() {
    for way in ["lost before it was mirrored", "damaged in the mirror", "whole"] {
        let world = World::new(37);
        let repository = world.init().expect("init");
        let both = one("db", stream(&[(1, 200 << 10), (2, 200 << 10)]));
        let first = world.take(&repository, &both).expect("a snapshot").id.expect("an id");
        let half = one("db", stream(&[(1, 200 << 10)]));
        let id = world.take(&repository, &half).expect("a snapshot").id.expect("an id");
        let kept = Expected::from([(id, half)]);
        let copy = Arc::new(MemoryBackend::default());
        mirror(&*world.store, &*copy, &world.env(), mirror::Options::default()).expect("mirrored");
        let before: BTreeSet<Key> = world.store.keys(Kind::Packs).into_iter().collect();
        repository.forget(&[first]).expect("forgotten");
        let everything = sfarc::engine::collect::Options { max_unused: 0.0, ..Default::default() };
        sfarc::engine::collect::collect(&repository, everything).expect("collected");
        let new: Vec<Key> = world.store.keys(Kind::Packs).into_iter().filter(|key| !before.contains(key)).collect();
        assert!(!new.is_empty() && before.iter().any(|key| world.store.bytes(key).is_none()), "a pack was repacked");
        match way {
            "whole" => {}
            "damaged in the mirror" => {
                mirror(&*world.store, &*copy, &world.env(), mirror::Options::default()).expect("mirrored");
                for key in &new {
                    let bytes = copy.bytes(key).expect("there");
                    let spoilt: Vec<u8> = bytes.iter().enumerate().map(|(at, b)| b ^ u8::from(at > 200)).collect();
                    copy.tamper(key, &spoilt);
                }
            }
            _ => new.iter().for_each(|key| lose(&world.store, key)),
        }
        let report = tidy(&world.open().expect("opens"), &copy, mirror::Options::default());
        let old = before.iter().filter(|key| copy.bytes(key).is_none()).count();
        assert_eq!((old > 0, report.is_damaged()), (way == "whole", way != "whole"), "{way}: {report:?}");
        assert_restores(&world.with_store(copy.after_crash()).open().expect("opens"), &kept, way);
    }
}

#[test]
fn an_older_state_put_back_removes_nothing_from_the_mirror() {
    let (world, repository, _) = to_mirror(38);
    let older = world.store.after_crash();
    let streams = one("db", stream(&[(7, 50 << 10)]));
    let id = world.take(&repository, &streams).expect("a snapshot").id.expect("an id");
    let copy = Arc::new(MemoryBackend::default());
    mirror(&*world.store, &*copy, &world.env(), mirror::Options::default()).expect("mirrored");
    let back = world.with_store(older);
    let report = tidy(&back.open().expect("opens"), &copy, mirror::Options::default());
    assert!(report.lost.contains(&Key::Snapshot(id)) && report.deleted == 0, "{report:?}");
    collect_quietly(&repository, "after the mirror");
    mirror(&*world.store, &*copy, &world.env(), mirror::Options::default()).expect("mirrored");
    let refused = mirror_and_tidy(&back.open().expect("opens"), &(Arc::clone(&copy) as _), mirror::Options::default());
    let text = chain(&refused.expect_err("refused"));
    assert!(text.contains("an older state of it was put back"), "{text}");
    assert_restores(
        &world.with_store(copy.after_crash()).open().expect("opens"),
        &Expected::from([(id, streams)]),
        "from the mirror",
    );
}

#[test]
fn only_a_reader_removes_from_a_mirror() {
    let world = World::new(39);
    let backend = Arc::clone(&world.store) as Arc<dyn Backend>;
    let features = Features::chosen(true, false);
    let reader = Repository::init_with(Arc::clone(&backend), &World::credential(), features, world.env());
    let reader = reader.expect("a repository");
    world.take(&reader, &one("db", stream(&[(1, 50 << 10)]))).expect("a snapshot");
    let copy = Arc::new(MemoryBackend::default());
    for role in Role::LIMITED {
        let key = reader.export_key(role, role.name()).expect("exported");
        let opened = Repository::open(
            Arc::clone(&backend),
            "memory",
            || Ok(Credential::Role(Box::new(key.clone()))),
            world.env(),
        );
        let ended = mirror_and_tidy(&opened.expect("opens"), &(Arc::clone(&copy) as _), mirror::Options::default());
        assert!(ended.is_err_and(|error| error.category() == sfarc::error::Category::WrongKey), "{role}");
        assert!(copy.bytes(&Key::Config).is_none(), "{role}: nothing is done");
    }
    assert!(!tidy(&reader, &copy, mirror::Options::default()).is_damaged());
    assert_eq!(all(&copy), all(&world.store));
}

#[test]
fn a_key_that_was_removed_goes_from_the_mirror_while_the_others_are_whole() {
    let (world, repository, kept) = to_mirror(40);
    let other = Credential::KeyFile(zeroize::Zeroizing::new([8; 32]));
    let slot = repository.add_slot(&other, "other").expect("added");
    let copy = Arc::new(MemoryBackend::default());
    mirror(&*world.store, &*copy, &world.env(), mirror::Options::default()).expect("mirrored");
    repository.remove_slot(&slot.to_string()).expect("removed");
    let stays = world.store.keys(Kind::Keys)[0];
    let bytes = copy.bytes(&stays).expect("there");
    copy.tamper(&stays, &rotten(&bytes));
    let report = tidy(&repository, &copy, mirror::Options::default());
    assert!(copy.bytes(&Key::Slot(slot)).is_some() && report.spoilt == [stays], "the last that opens it stays");
    tidy(&repository, &copy, VERIFY);
    assert!(copy.bytes(&Key::Slot(slot)).is_none());
    assert_restores(&world.with_store(copy.after_crash()).open().expect("opens"), &kept, "without the key");
}

#[test]
fn a_key_slot_that_was_lost_stays_in_the_mirror() {
    let (world, repository, _) = to_mirror(41);
    let other = Credential::KeyFile(zeroize::Zeroizing::new([8; 32]));
    let slot = repository.add_slot(&other, "other").expect("added");
    let copy = Arc::new(MemoryBackend::default());
    mirror(&*world.store, &*copy, &world.env(), mirror::Options::default()).expect("mirrored");
    lose(&world.store, &Key::Slot(slot));
    let report = tidy(&repository, &copy, mirror::Options::default());
    assert_eq!((&report.slots[..], report.is_damaged()), (&[Key::Slot(slot)][..], false));
    assert!(copy.bytes(&Key::Slot(slot)).is_some());
    // Changing a password gives the old slot up: that one goes.
    let before = world.store.keys(Kind::Keys)[0];
    repository.change_slot(&World::credential(), &other).expect("changed");
    tidy(&repository, &copy, mirror::Options::default());
    assert!(copy.bytes(&before).is_none() && copy.bytes(&Key::Slot(slot)).is_some());
}

/// Of several records that only the mirror has one is more than a note of damage: none is taken back.
#[test]
fn records_that_the_repository_has_lost_stay_in_the_mirror() {
    let (world, repository, kept) = to_mirror(42);
    let first = world.store.keys(Kind::Gc).len();
    repository.forget(&[*kept.keys().next().expect("a snapshot")]).expect("forgotten");
    let mut log = repository.gc_log().expect("read");
    let Key::Pack(pack) = world.store.keys(Kind::Packs)[0] else { panic!("a pack") };
    repository.distrust(&mut log, &[pack]).expect("said");
    let copy = Arc::new(MemoryBackend::default());
    mirror(&*world.store, &*copy, &world.env(), mirror::Options::default()).expect("mirrored");
    let before = all(&copy);
    for key in world.store.keys(Kind::Gc).into_iter().skip(first) {
        lose(&world.store, &key);
    }
    let ended = mirror_and_tidy(&world.open().expect("opens"), &(Arc::clone(&copy) as _), mirror::Options::default());
    assert!(ended.is_err() && all(&copy) == before);
}

#[test]
fn one_object_that_cannot_be_read_stops_no_mirror() {
    let (world, _, _) = to_mirror(43);
    let pack = world.store.keys(Kind::Packs)[0];
    world.store.make_unreadable(&pack);
    let copy = MemoryBackend::default();
    let report = mirror(&*world.store, &copy, &world.env(), mirror::Options::default()).expect("mirrored");
    assert_eq!(report.damaged, [pack]);
    let missing: Vec<Key> =
        all(&world.store).into_iter().map(|(key, _)| key).filter(|key| copy.bytes(key).is_none()).collect();
    assert_eq!(missing, [pack]);
}

/// Where a mirror is, and how an object of it gets other bytes.
struct Place {
    store: Arc<dyn Backend>,
    spoil: Spoil,
}

/// Gives an object other bytes.
type Spoil = Box<dyn Fn(&Key, &[u8])>;

impl Place {
    /// Folders and buckets take any bytes for an object.
    fn new(store: Arc<dyn Backend>) -> Self {
        let inner = Arc::clone(&store);
        Self { store, spoil: Box::new(move |key, bytes| inner.replace(key, bytes).expect("spoilt")) }
    }

    fn in_memory() -> Self {
        let store = Arc::new(MemoryBackend::default());
        let inner = Arc::clone(&store);
        Self { store, spoil: Box::new(move |key, bytes| inner.tamper(key, bytes)) }
    }
}

/// Makes a mirror that is damaged in several ways, of a repository that was collected since and is damaged in others.
fn troubled(seed: u64, place: &Place) -> World {
    let (world, repository, kept) = to_mirror(seed);
    let to = &*place.store;
    mirror(&*world.store, to, &world.env(), mirror::Options::default()).expect("mirrored");
    let everything = sfarc::engine::collect::Options { max_unused: 0.0, ..Default::default() };
    sfarc::engine::collect::collect(&repository, everything).expect("collected");
    for kind in [Kind::Keys, Kind::Snapshots] {
        let key = world.store.keys(kind)[0];
        (place.spoil)(&key, &to.get(&key, None).expect("there")[..30]);
    }
    let pack = needed_pack(&repository, &kept);
    if to.len(&pack).is_ok() {
        let bytes = world.store.bytes(&pack).expect("there");
        world.store.tamper(&pack, &bytes[..50]);
    }
    world
}

fn folder(root: &std::path::Path, number: u64) -> Arc<dyn Backend> {
    Arc::new(FolderBackend::create(&root.join(number.to_string())).expect("a mirror"))
}

fn is_whole(key: &Key, bytes: &[u8]) -> bool {
    key.content_id().is_none_or(|id| ObjectId::of(bytes) == *id)
}

/// The objects of a store that are what their names say.
fn whole(store: &dyn Backend) -> BTreeSet<Key> {
    let listed = Kind::ALL.iter().flat_map(|&kind| store.list(kind).expect("listed"));
    let read = |listed: Listed| Some((listed.key, store.get(&listed.key, None).ok()?));
    listed.filter_map(read).filter(|(key, bytes)| is_whole(key, bytes)).map(|(key, _)| key).collect()
}

/// Wherever it is cut off, what was whole in the mirror and is still of the repository is whole there.
fn loses_nothing_when_cut_off(step: usize, mut new: impl FnMut() -> Place) {
    for (verify, lands) in [(false, false), (false, true), (true, false), (true, true)] {
        for at in (1..).step_by(step) {
            let place = new();
            let (world, to) = (troubled(41, &place), Arc::clone(&place.store));
            let source = all(&world.store);
            let needed: BTreeSet<Key> = source.iter().map(|(key, _)| *key).collect();
            let before = whole(&*to);
            let faulty: Arc<dyn Backend> = Arc::new(FaultyBackend::new(Arc::clone(&to), Fault::Crash { at, lands }));
            let repository = world.open().expect("opens");
            let ended = mirror_and_tidy(&repository, &faulty, mirror::Options { verify, dry_run: false });
            assert!(all(&world.store) == source, "the repository is only read");
            let after = whole(&*to);
            for key in before.intersection(&needed) {
                assert!(after.contains(key), "cut off at {at}: {key} is not whole any more");
            }
            if ended.is_ok() {
                break;
            }
            assert!(at < 1000, "it never ends");
        }
    }
}

#[test]
fn a_mirror_cut_off_anywhere_loses_nothing_that_was_whole() {
    loses_nothing_when_cut_off(1, Place::in_memory);
}

#[test]
fn a_mirror_in_a_folder_cut_off_loses_nothing() {
    let root = tempfile::tempdir().expect("a folder");
    let mut number = 0;
    loses_nothing_when_cut_off(7, || {
        number += 1;
        Place::new(folder(root.path(), number))
    });
}

#[test]
fn a_mirror_in_a_bucket_cut_off_loses_nothing() {
    use sfarc::testing::bucket::{Options, Server};
    let server = Server::start(Options::default()).expect("a server");
    let mut number = 0;
    loses_nothing_when_cut_off(7, || {
        number += 1;
        Place::new(Arc::new(crate::buckets::bucket(&server, &format!("mirror/{number}"))))
    });
}

/// No request removes or replaces an object of the mirror before that object, or what makes it needless, was read there.
#[test]
fn whatever_is_replaced_was_read_before() {
    let place = Place::in_memory();
    let world = troubled(42, &place);
    let watched = Arc::new(RecordingBackend::new(place.store));
    let to: Arc<dyn Backend> = Arc::clone(&watched) as _;
    let report = mirror_and_tidy(&world.open().expect("opens"), &to, VERIFY).expect("mirrored");
    let mut read: BTreeSet<Key> = BTreeSet::new();
    let mut replaced = 0;
    for call in watched.take_calls() {
        match (call.operation, call.key) {
            (Operation::Get, Some(key)) => drop(read.insert(key)),
            (Operation::Replace | Operation::Delete, Some(key)) if !matches!(key, Key::Snapshot(_)) => {
                replaced += 1;
                assert!(read.contains(&key), "{key} was not read before it went");
            }
            _ => {}
        }
    }
    assert!(replaced > 0 && report.healed > 0, "{report:?}");
}

#[test]
fn a_folder_and_a_bucket_are_healed_alike() {
    use sfarc::testing::bucket::{Options, Server};
    let root = tempfile::tempdir().expect("a folder");
    let server = Server::start(Options::default()).expect("a server");
    let there: [Arc<dyn Backend>; 2] = [folder(root.path(), 1), Arc::new(crate::buckets::bucket(&server, "mirror"))];
    for to in there {
        let (world, repository, kept) = to_mirror(43);
        collect_quietly(&repository, "before the mirror");
        mirror_and_tidy(&repository, &to, mirror::Options::default()).expect("mirrored");
        let pack = needed_pack(&repository, &kept);
        let right = to.get(&pack, None).expect("there");
        to.replace(&pack, &rotten(&right)).expect("rotten");
        let report = mirror_and_tidy(&repository, &to, VERIFY).expect("mirrored");
        assert_eq!((report.healed, report.is_damaged()), (1, false));
        assert_eq!(to.get(&pack, None).expect("there"), right);
        to.replace(&pack, &right[..70]).expect("cut");
        world.store.tamper(&pack, &right[..60]);
        let report = mirror(&*world.store, &*to, &world.env(), mirror::Options::default()).expect("mirrored");
        assert_eq!((&report.damaged[..], &report.spoilt[..]), (&[pack][..], &[pack][..]));
        world.store.tamper(&pack, &right);
        mirror(&*world.store, &*to, &world.env(), mirror::Options::default()).expect("mirrored");
        let mirrored = world.open_on(Arc::clone(&to)).expect("opens");
        assert_restores(&mirrored, &kept, "from the mirror");
        assert_clean(&mirrored, "the mirror");
    }
}

/// A store that keeps what it was given cannot be healed: that is said, and all else is mirrored.
#[test]
fn a_store_that_lets_nothing_be_replaced_is_mirrored_to_all_the_same() {
    use sfarc::testing::bucket::{Options, Server};
    let server = Server::start(Options { append_only: true, ..Options::default() }).expect("a server");
    let to = crate::buckets::bucket(&server, "mirror");
    let (world, repository, _) = to_mirror(44);
    mirror(&*world.store, &to, &world.env(), mirror::Options::default()).expect("mirrored");
    let pack = world.store.keys(Kind::Packs)[0];
    server.spoil(&format!("mirror/{pack}"));
    let streams = one("db", stream(&[(8, 40 << 10)]));
    let id = world.take(&repository, &streams).expect("a snapshot").id.expect("an id");
    let report = mirror(&*world.store, &to, &world.env(), VERIFY).expect("mirrored");
    assert_eq!(report.spoilt, [pack]);
    assert!(to.len(&Key::Snapshot(id)).is_ok());
}

/// A pack was lost here, and a check or a snapshot has condemned it: it is whole in the mirror, and the last.
#[test]
fn a_lost_pack_that_was_distrusted_stays_in_the_mirror() {
    let (world, repository, kept) = to_mirror(45);
    collect_quietly(&repository, "before the mirror");
    let copy = Arc::new(MemoryBackend::default());
    mirror(&*world.store, &*copy, &world.env(), mirror::Options::default()).expect("mirrored");
    let pack = needed_pack(&repository, &kept);
    let Key::Pack(id) = pack else { panic!("{pack} is no pack") };
    lose(&world.store, &pack);
    repository.distrust(&mut repository.gc_log().expect("the log"), &[id]).expect("distrusted");
    let report = tidy(&repository, &copy, mirror::Options::default());
    assert_eq!((&report.lost[..], report.deleted), (&[pack][..], 0));
    assert_restores(&world.with_store(copy.after_crash()).open().expect("opens"), &kept, "from the mirror");
}

/// A check of a mirror notes there what it found damaged. With the key that is taken back; what is more than that is not.
#[test]
fn what_a_check_of_a_mirror_has_noted_is_taken_back() {
    for has_own in [false, true] {
        let (world, repository, kept) = to_mirror(46);
        let copy = Arc::new(MemoryBackend::default());
        mirror(&*world.store, &*copy, &world.env(), mirror::Options::default()).expect("mirrored");
        let pack = needed_pack(&repository, &kept);
        let bytes = copy.bytes(&pack).expect("there");
        copy.tamper(&pack, &rotten(&bytes));
        let mirrored = world.open_on(Arc::clone(&copy) as _).expect("opens");
        let found = sfarc::engine::check::check(&mirrored, &sfarc::engine::check::ReadData::All).expect("checked");
        assert!(!found.distrusted.is_empty());
        if has_own {
            world.take(&mirrored, &one("db", stream(&[(9, 40 << 10)]))).expect("a snapshot");
        }
        // The repository goes on: one number says two things.
        let streams = one("db", stream(&[(4, 30 << 10)]));
        let id = world.take(&repository, &streams).expect("a snapshot").id.expect("an id");
        repository.forget(&[id]).expect("forgotten");
        for key in [false, true] {
            let options = mirror::Options { verify: key, dry_run: false };
            let ended = if key {
                mirror_and_tidy(&repository, &(Arc::clone(&copy) as _), options)
            } else {
                mirror(&*world.store, &*copy, &world.env(), options)
            };
            if key && !has_own {
                let report = ended.unwrap_or_else(|error| panic!("{}", chain(&error)));
                assert_eq!((report.taken_back, report.healed), (1, 1), "{report:?}");
                assert!(all(&copy) == all(&world.store));
            } else {
                assert!(ended.is_err_and(|error| chain(&error).contains("changed by itself")), "{key} {has_own}");
            }
        }
    }
}

/// Garbage that has rotted in the mirror goes like other garbage.
#[test]
fn a_condemned_pack_that_does_not_open_goes_if_nothing_leads_to_it() {
    let (world, repository, kept) = to_mirror(47);
    let copy = Arc::new(MemoryBackend::default());
    mirror(&*world.store, &*copy, &world.env(), mirror::Options::default()).expect("mirrored");
    let everything = sfarc::engine::collect::Options { max_unused: 0.0, ..Default::default() };
    sfarc::engine::collect::collect(&repository, everything).expect("collected");
    mirror(&*world.store, &*copy, &world.env(), mirror::Options::default()).expect("mirrored");
    let here: BTreeSet<Key> = world.store.keys(Kind::Packs).into_iter().collect();
    let garbage: Vec<Key> = copy.keys(Kind::Packs).into_iter().filter(|key| !here.contains(key)).collect();
    assert!(!garbage.is_empty());
    for key in &garbage {
        let bytes = copy.bytes(key).expect("there");
        copy.tamper(key, &bytes[..bytes.len() - 5]);
    }
    let report = tidy(&repository, &copy, mirror::Options::default());
    assert!(!report.is_damaged() && report.kept == 0, "{report:?}");
    assert_eq!(all(&copy), all(&world.store));
    assert_restores(&world.with_store(copy.after_crash()).open().expect("opens"), &kept, "without the garbage");
}
