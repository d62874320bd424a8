//! Key slots: how many there may be, who may change them, and what others plant among them.

use sfarc::backend::{Backend, Key};
use sfarc::format::config::Features;
use sfarc::format::keyslot::{KeySlot, PassphraseCost, SlotKind};
use sfarc::format::manifest::GcRecord;
use sfarc::format::record;
use sfarc::format::sealed::SealedKind;
use sfarc::ids::ObjectId;
use sfarc::repo::{Credential, RepoError, Repository};
use sfarc::testing::world::World;
use zeroize::Zeroizing;

use crate::common::noise;

/// Most slots that are made.
const SLOTS: u8 = 64;

fn key_file(number: u8) -> Credential {
    Credential::KeyFile(Zeroizing::new([100 + number; 32]))
}

fn opens(world: &World, credential: Credential) -> bool {
    Repository::open(std::sync::Arc::clone(&world.store) as _, "memory", || Ok(credential), world.env()).is_ok()
}

#[test]
fn no_slot_is_added_that_might_not_open() {
    let world = World::new(31);
    let repository = world.init().expect("init");
    for number in 1..SLOTS {
        repository.add_slot(&key_file(number), "one more").expect("added");
    }
    let error = repository.add_slot(&key_file(SLOTS), "too many").expect_err("refused");
    assert!(matches!(error, RepoError::KeySlot(_)) && error.to_string().contains("remove one"), "{error}");
    (1..SLOTS).for_each(|number| assert!(opens(&world, key_file(number)), "slot {number}"));
    let last = repository.slots().expect("readable").pop().expect("a slot").id;
    repository.remove_slot(&last.to_string()).expect("removed");
    repository.add_slot(&key_file(SLOTS), "now").expect("added");
    assert!(opens(&world, key_file(SLOTS)));
}

#[test]
fn slots_stay_as_they_are_under_a_feature_that_the_gc_log_switched_on() {
    let world = World::new(32);
    let repository = world.init().expect("init");
    repository.add_slot(&key_file(1), "second").expect("added");
    let features = Features { write: 1, ..Features::default() };
    let record = GcRecord { epoch: 1, features, ..GcRecord::default() };
    let object = repository.seal_record(SealedKind::Gc, &record).expect("sealed");
    repository.backend.put(&Key::Gc(1), &object).expect("stored");
    let before = repository.slots().expect("readable");
    let attempts = [
        repository.add_slot(&key_file(2), "third"),
        repository.remove_slot(&before[1].id.to_string()),
        repository.change_slot(&World::credential(), &key_file(3)),
    ];
    for attempt in attempts {
        assert!(matches!(attempt, Err(RepoError::UnknownFeature { .. })), "{attempt:?}");
    }
    assert_eq!(repository.slots().expect("readable"), before);
}

/// What anybody who can write to the store may put among the key slots.
fn plant(world: &World, count: u32) {
    for number in 0..count {
        let junk = [&number.to_le_bytes()[..], &noise(u64::from(number), 150 + number as usize % 200)].concat();
        world.store.put(&Key::Slot(ObjectId::of(&junk)), &junk).expect("stored");
        let byte = [number.to_le_bytes(), [0; 4]].concat();
        world.store.put(&Key::Slot(ObjectId::of(&byte)), &byte).expect("stored");
        let dear = PassphraseCost { memory_kib: 1 << 20, passes: 16, lanes: 1 };
        for kind in [SlotKind::Passphrase(dear), SlotKind::KeyFile, SlotKind::Recovery(vec![0; 200])] {
            let commitment = *blake3::hash(&number.to_le_bytes()).as_bytes();
            let (sealed_root, sealed_info) = ([0; 48], vec![0; 34]);
            let slot =
                KeySlot { kind, cipher: 1, nonce: [0; 12], sealed_root, commitment, info_nonce: [0; 12], sealed_info };
            let object = record::encode(&slot);
            world.store.put(&Key::Slot(ObjectId::of(&object)), &object).expect("stored");
        }
    }
}

#[test]
fn what_is_planted_among_the_key_slots_locks_nobody_out() {
    let world = World::new(33);
    let repository = world.init().expect("init");
    let password = Credential::Passphrase(Zeroizing::new(b"a long password".to_vec()));
    repository.add_slot(&password, "password").expect("added");
    plant(&world, 100);
    // Under the lowest of names, and not what it says.
    for number in 0..70 {
        let mut name = [0; 32];
        name[31] = number;
        world.store.tamper(&Key::Slot(ObjectId::new(name)), &noise(5, 180));
    }
    assert!(opens(&world, World::credential()));
    // A planted slot asks for a GiB and 16 passes: nobody pays that while the cheaper one opens.
    assert!(opens(&world, password));
    assert!(!opens(&world, key_file(1)));
    assert_eq!(repository.slots().expect("listed").len(), 2);
    let id = repository.add_slot(&key_file(1), "one more").expect("added");
    assert!(opens(&world, key_file(1)));
    repository.change_slot(&key_file(1), &key_file(2)).expect("changed");
    assert!(opens(&world, key_file(2)) && !opens(&world, key_file(1)));
    assert!(repository.slots().expect("listed").iter().all(|slot| slot.id != id));
}

#[test]
fn a_label_that_makes_a_slot_too_long_is_refused() {
    let world = World::new(34);
    let repository = world.init().expect("init");
    let error = repository.add_slot(&key_file(1), &"x".repeat(1 << 16)).expect_err("refused");
    assert!(error.to_string().contains("label"), "{error}");
    repository.add_slot(&key_file(1), &"x".repeat(60_000)).expect("added");
    assert!(opens(&world, key_file(1)));
}

#[test]
fn a_padded_slot_is_none() {
    let world = World::new(35);
    let repository = world.init().expect("init");
    repository.add_slot(&key_file(1), "second").expect("added");
    let keys = world.store.keys(sfarc::backend::Kind::Keys);
    let slots: Vec<Vec<u8>> = keys.iter().map(|key| world.store.bytes(key).expect("there")).collect();
    for (key, slot) in keys.iter().zip(&slots) {
        let decoded: KeySlot = record::decode(slot).expect("it decodes");
        let padded = record::encode_padded(&decoded);
        assert!(record::decode::<KeySlot>(&padded).is_ok() && KeySlot::decode(&padded).is_err());
        world.store.delete(key).expect("deleted");
        world.store.put(&Key::Slot(ObjectId::of(&padded)), &padded).expect("stored");
    }
    assert!(!opens(&world, World::credential()) && !opens(&world, key_file(1)));
}
