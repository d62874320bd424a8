//! A crash at every single operation of a scenario, and one failed operation at every single place.

use std::sync::Arc;

use sfarc::engine::collect;
use sfarc::error::chain;
use sfarc::ids::ObjectId;
use sfarc::repo::{RepoError, Repository};
use sfarc::testing::faulty::{Fault, FaultyBackend};
use sfarc::testing::world::{Streams, World};

use crate::common::{
    Expected, assert_all_visible_restore, assert_clean, assert_restores, collect_quietly, one, stream,
};

/// One step of a scenario.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// Takes a snapshot of this content.
    Take(&'static [(u64, usize)]),
    /// Forgets the oldest snapshot.
    Forget,
    Prune,
}

/// Snapshots that share some of their data; what is left of the first is then moved to a new pack.
pub(crate) const LIFE: &[Step] = &[
    Step::Take(&[(1, 20 << 10), (2, 60 << 10)]),
    Step::Take(&[(1, 20 << 10), (3, 40 << 10)]),
    Step::Forget,
    Step::Prune,
    Step::Take(&[(4, 10 << 10), (3, 40 << 10)]),
];

/// Seven snapshots, so that the next one merges index runs.
const BEFORE_MERGE: &[Step] = &[
    Step::Take(&[(1, 9 << 10)]),
    Step::Take(&[(2, 9 << 10)]),
    Step::Take(&[(3, 9 << 10), (1, 9 << 10)]),
    Step::Take(&[(4, 9 << 10)]),
    Step::Take(&[(5, 9 << 10)]),
    Step::Take(&[(6, 9 << 10)]),
    Step::Take(&[(7, 9 << 10)]),
];

const MERGE: &[Step] =
    &[Step::Take(&[(8, 9 << 10), (2, 9 << 10)]), Step::Forget, Step::Prune, Step::Take(&[(9, 9 << 10)])];

fn content(stretches: &[(u64, usize)]) -> Streams {
    let mut streams = one("db", stream(stretches));
    streams.insert("empty".to_owned(), Vec::new());
    streams
}

/// Which snapshots there must be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal {
    /// Taken, oldest first.
    pub(crate) taken: Vec<(ObjectId, Streams)>,
}

impl Journal {
    fn expected(&self) -> Expected {
        self.taken.iter().cloned().collect()
    }

    pub(crate) fn step(&mut self, world: &World, repository: &Repository, step: Step) -> Result<(), sfarc::Error> {
        match step {
            Step::Take(stretches) => {
                let streams = content(stretches);
                let id = world.take(repository, &streams)?.id.expect("an id");
                self.taken.push((id, streams));
                Ok(())
            }
            Step::Forget => {
                // From here on it may be there or not.
                let (id, _) = self.taken.remove(0);
                match repository.forget(&[id]) {
                    Ok(()) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
            Step::Prune => collect::collect(repository, collect::Options::default()).map(drop),
        }
    }
}

fn faulty(world: &World, fault: Fault) -> Arc<FaultyBackend> {
    Arc::new(FaultyBackend::new(Arc::clone(&world.store) as _, fault))
}

/// Runs a scenario until something fails.
fn run(world: &World, repository: &Repository, steps: &[Step], journal: &mut Journal) -> Result<(), sfarc::Error> {
    steps.iter().try_for_each(|&step| journal.step(world, repository, step))
}

/// Opens what a crash left; a crash within `init` leaves no repository, and then another `init` works.
fn reopen(world: &World, context: &str) -> Repository {
    match world.open() {
        Ok(repository) => repository,
        Err(RepoError::NoRepository { .. }) => {
            world.init().unwrap_or_else(|error| panic!("{context}: init again: {error}"));
            world.open().unwrap_or_else(|error| panic!("{context}: open after init: {}", chain(&error)))
        }
        Err(error) => panic!("{context}: open: {}", chain(&error)),
    }
}

/// Everything works on with what a crash left.
fn assert_life_goes_on(world: &World, journal: Journal, context: &str) {
    assert_repository_goes_on(world, &reopen(world, context), journal, context);
}

/// Everything in the journal is there, and the next run works.
pub(crate) fn assert_repository_goes_on(world: &World, repository: &Repository, mut journal: Journal, context: &str) {
    assert_restores(repository, &journal.expected(), context);
    assert_all_visible_restore(repository, context);
    assert_clean(repository, context);
    let next = journal.step(world, repository, Step::Take(&[(1, 20 << 10), (50, 30 << 10)]));
    next.unwrap_or_else(|error| panic!("{context}: the next snapshot: {}", chain(&error)));
    collect_quietly(repository, context);
    assert_restores(repository, &journal.expected(), context);
    assert_all_visible_restore(repository, context);
    assert_clean(repository, context);
}

/// Counts the operations of a scenario that meets no fault.
fn count(
    world: &World,
    repository: impl Fn(Arc<FaultyBackend>) -> Repository,
    steps: &[Step],
    journal: &Journal,
) -> u64 {
    let backend = faulty(world, Fault::None);
    let opened = repository(Arc::clone(&backend));
    run(world, &opened, steps, &mut journal.clone()).expect("nothing fails");
    backend.operations()
}

#[test]
fn a_crash_at_any_operation_of_a_life_loses_nothing() {
    let counted = World::new(1);
    let total = count(&counted, |backend| counted.init_on(backend).expect("init"), LIFE, &Journal::default());
    assert!(total > 50, "{total} operations");
    for at in 1..=total {
        for lands in [false, true] {
            let world = World::new(1);
            let mut journal = Journal::default();
            if let Ok(repository) = world.init_on(faulty(&world, Fault::Crash { at, lands })) {
                let _ = run(&world, &repository, LIFE, &mut journal);
            }
            let context =
                format!("crash at operation {at} of {total}, which {}", if lands { "lands" } else { "is lost" });
            assert_life_goes_on(&world.after_crash(), journal, &context);
        }
    }
}

/// A world with seven snapshots.
fn before_merge() -> (World, Journal) {
    let world = World::new(2);
    let mut journal = Journal::default();
    let repository = world.init().expect("init");
    run(&world, &repository, BEFORE_MERGE, &mut journal).expect("nothing fails");
    (world, journal)
}

#[test]
fn a_crash_at_any_operation_of_a_merge_loses_nothing() {
    let (start, journal) = before_merge();
    let counted = start.after_crash();
    let total = count(&counted, |backend| counted.open_on(backend).expect("open"), MERGE, &journal);
    for at in 1..=total {
        for lands in [false, true] {
            let world = start.after_crash();
            let mut journal = journal.clone();
            if let Ok(repository) = world.open_on(faulty(&world, Fault::Crash { at, lands })) {
                let _ = run(&world, &repository, MERGE, &mut journal);
            }
            let context =
                format!("crash at operation {at} of {total}, which {}", if lands { "lands" } else { "is lost" });
            assert_life_goes_on(&world.after_crash(), journal, &context);
        }
    }
}

/// Tries a step again if it fails; what fails once works the second time.
fn try_twice(world: &World, repository: &Repository, step: Step, journal: &mut Journal, context: &str) {
    let before = journal.clone();
    if journal.step(world, repository, step).is_err() {
        if !matches!(step, Step::Forget) {
            *journal = before;
            let again = journal.step(world, repository, step);
            again.unwrap_or_else(|error| panic!("{context}: {step:?} again: {}", chain(&error)));
        } else if let Some((id, _)) = before.taken.first() {
            repository.forget(&[*id]).unwrap_or_else(|error| panic!("{context}: forget again: {error}"));
        }
    }
}

#[test]
fn one_failed_operation_anywhere_is_got_over_by_trying_again() {
    let counted = World::new(3);
    let total = count(&counted, |backend| counted.init_on(backend).expect("init"), LIFE, &Journal::default());
    for at in 1..=total {
        for lands in [false, true] {
            let context =
                format!("failure of operation {at} of {total}, which {}", if lands { "lands" } else { "is lost" });
            let world = World::new(3);
            let backend = faulty(&world, Fault::Once { at, lands });
            let repository = match world.init_on(Arc::clone(&backend) as _) {
                Ok(repository) => repository,
                Err(_) => reopen(&world, &context),
            };
            let mut journal = Journal::default();
            LIFE.iter().for_each(|&step| try_twice(&world, &repository, step, &mut journal, &context));
            assert_life_goes_on(&world, journal, &context);
        }
    }
}
