//! Key slots: how many there may be, and who may change them.

use sfarc::backend::Key;
use sfarc::format::config::Features;
use sfarc::format::manifest::GcRecord;
use sfarc::format::sealed::SealedKind;
use sfarc::repo::{Credential, RepoError, Repository};
use sfarc::testing::world::World;
use zeroize::Zeroizing;

/// Most slots that a reader tries.
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
