//! A repair that is killed anywhere leaves nothing worse, and the next one goes on.

use std::collections::BTreeSet;
use std::sync::Arc;

use sfarc::backend::{Key, Kind};
use sfarc::engine::repair::repair;
use sfarc::ids::ObjectId;
use sfarc::testing::faulty::{Fault, FaultyBackend};
use sfarc::testing::memory::MemoryBackend;

use super::{ALL, Action, Subject, damage, mirror_of, objects, repaired, restorable, subject};
use crate::common::{assert_clean, assert_restores};

/// What a store has, but for the bytes of index runs and records: those of each repair are others.
fn state(store: &MemoryBackend) -> BTreeSet<(String, ObjectId)> {
    let of = |(key, bytes): (Key, Vec<u8>)| match key {
        Key::Index(_) => (format!("a run of {}", bytes.len()), ObjectId::new([0; 32])),
        // Sealed anew in each repair.
        Key::Gc(_) => (format!("{key} of {}", bytes.len()), ObjectId::new([0; 32])),
        _ => (key.to_string(), ObjectId::of(&bytes)),
    };
    objects(store).into_iter().map(of).collect()
}

/// Kills a repair at each operation, done or not; what restored before does so afterwards, and another one ends well.
fn kill_everywhere(subject: &Subject, kinds: &[Kind], action: Action, with_mirror: bool) {
    let damaged = subject.world.after_crash();
    for kind in kinds {
        damage(&damaged.store, &damaged.store.keys(*kind)[0], action);
    }
    let before = restorable(&damaged.open().expect("opens"), &subject.expected);
    let mut seen = BTreeSet::from([state(&damaged.store)]);
    let places = if with_mirror { vec![mirror_of(&subject.world)] } else { Vec::new() };
    for at in 1.. {
        let mut was_killed = false;
        for lands in [false, true] {
            let world = damaged.after_crash();
            let repository = world.open().expect("opens");
            let faulty = Arc::new(FaultyBackend::new(Arc::clone(&world.store) as _, Fault::Crash { at, lands }));
            was_killed |= repair(&repository.on(faulty), &places, ALL).is_err();
            if !seen.insert(state(&world.store)) {
                continue;
            }
            let context = format!("{kinds:?}, {action:?}, killed at {at}, {lands}");
            let repository = world.open().expect("opens");
            let after = restorable(&repository, &subject.expected);
            assert!(before.is_subset(&after), "{context}: less restores");
            let report = repaired(&repository, &places, ALL);
            let after = restorable(&repository, &subject.expected);
            assert!(before.is_subset(&after), "{context}: less restores after another repair");
            if with_mirror {
                assert!(report.is_healthy(), "{context}: {report:?}");
                assert_restores(&repository, &subject.expected, &context);
                assert_clean(&repository, &context);
            }
        }
        if !was_killed {
            assert!(seen.len() > 1, "only {} states", seen.len());
            return;
        }
    }
}

#[test]
fn with_a_mirror() {
    let subject = subject();
    kill_everywhere(&subject, &[Kind::Packs, Kind::Indexes, Kind::Gc, Kind::Snapshots], Action::Cut, true);
    kill_everywhere(&subject, &[Kind::Packs, Kind::Indexes, Kind::Gc, Kind::Snapshots], Action::Lose, true);
}

#[test]
fn alone() {
    let subject = subject();
    kill_everywhere(&subject, &[Kind::Packs, Kind::Indexes, Kind::Gc], Action::RotMiddle, false);
    kill_everywhere(&subject, &[Kind::Packs, Kind::Gc], Action::Lose, false);
}
