//! A repair that is killed anywhere leaves nothing worse, and the next one goes on.

use std::sync::Arc;

use sfarc::backend::Kind;
use sfarc::engine::repair::repair;
use sfarc::testing::faulty::{Fault, FaultyBackend};

use super::{ALL, Action, Subject, damage, mirror_of, repaired, restorable, subject};
use crate::common::{assert_clean, assert_restores};

/// Kills a repair at each operation, done or not; what restored before does so afterwards, and another one ends well.
fn kill_everywhere(subject: &Subject, kinds: &[Kind], action: Action, with_mirror: bool) {
    let damaged = subject.world.after_crash();
    for kind in kinds {
        damage(&damaged.store, &damaged.store.keys(*kind)[0], action);
    }
    let before = restorable(&damaged.open().expect("opens"), &subject.expected);
    let places = if with_mirror { vec![mirror_of(&subject.world)] } else { Vec::new() };
    for at in 1.. {
        let mut was_killed = false;
        for lands in [false, true] {
            let world = damaged.after_crash();
            let repository = world.open().expect("opens");
            let faulty = Arc::new(FaultyBackend::new(Arc::clone(&world.store) as _, Fault::Crash { at, lands }));
            was_killed |= repair(&repository.on(faulty), &places, ALL).is_err();
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
            assert!(at > 20, "only {at} operations");
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
