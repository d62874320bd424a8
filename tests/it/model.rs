//! Random histories of a repository against a plain map: what was taken and not forgotten is there, byte for byte.
//!
//! The histories are the same in every run; `SFARC_SEED=n` gives others, and a failure prints the seed.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use sfarc::engine::collect;
use sfarc::error::chain;
use sfarc::repo::Repository;
use sfarc::testing::faulty::{Fault, FaultyBackend};
use sfarc::testing::world::{Streams, World};

use crate::common::{Expected, assert_all_visible_restore, assert_clean, assert_restores, collect_quietly, stream};

/// What happens to one of a few streams before a snapshot.
#[derive(Debug, Clone)]
enum Edit {
    Replace { seed: u64, len: usize },
    Insert { at: usize, seed: u64, len: usize },
    Cut { at: usize, len: usize },
    Repeat,
    Remove,
}

/// One step of a history.
#[derive(Debug, Clone)]
enum Step {
    Snapshot(Vec<(usize, Edit)>),
    /// Forgets one of the snapshots.
    Forget(usize),
    Collect,
    Check,
    /// Opens the repository anew.
    Reopen,
    /// A crash at this operation of what comes next; then everything is opened anew.
    Crash {
        at: u64,
        lands: bool,
        collecting: bool,
    },
}

fn edit() -> impl Strategy<Value = Edit> {
    // Few seeds, so that content comes again.
    prop_oneof![
        3 => (0..6u64, 0..40_000usize).prop_map(|(seed, len)| Edit::Replace { seed, len }),
        4 => (any::<usize>(), 0..6u64, 1..3_000usize).prop_map(|(at, seed, len)| Edit::Insert { at, seed, len }),
        2 => (any::<usize>(), 1..9_000usize).prop_map(|(at, len)| Edit::Cut { at, len }),
        1 => Just(Edit::Repeat),
        1 => Just(Edit::Remove),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => proptest::collection::vec((0..3usize, edit()), 0..4).prop_map(Step::Snapshot),
        3 => any::<usize>().prop_map(Step::Forget),
        2 => Just(Step::Collect),
        1 => Just(Step::Check),
        1 => Just(Step::Reopen),
        3 => (1..60u64, any::<bool>(), any::<bool>())
            .prop_map(|(at, lands, collecting)| Step::Crash { at, lands, collecting }),
    ]
}

/// The repository, and what it must hold.
struct Run {
    world: World,
    repository: Repository,
    streams: Streams,
    expected: Expected,
}

fn apply(streams: &mut Streams, stream_number: usize, edit: &Edit) {
    let bytes = streams.entry(format!("stream-{stream_number}")).or_default();
    match *edit {
        Edit::Replace { seed, len } => *bytes = stream(&[(seed, len)]),
        Edit::Insert { at, seed, len } => {
            let at = at % (bytes.len() + 1);
            bytes.splice(at..at, stream(&[(seed, len)]));
        }
        Edit::Cut { at, len } => {
            let at = at % (bytes.len() + 1);
            bytes.drain(at..(at + len).min(bytes.len()));
        }
        Edit::Repeat => bytes.extend_from_within(..bytes.len().min(60_000)),
        Edit::Remove => bytes.clear(),
    }
}

impl Run {
    fn new() -> Self {
        let world = World::new(77);
        let repository = world.init().expect("init");
        let streams = Streams::from([("stream-0".to_owned(), stream(&[(0, 20_000)]))]);
        Self { world, repository, streams, expected: Expected::new() }
    }

    fn take(&mut self) -> Result<(), sfarc::Error> {
        let id = self.world.take(&self.repository, &self.streams)?.id.expect("an id");
        self.expected.insert(id, self.streams.clone());
        Ok(())
    }

    fn forget(&mut self, number: usize) {
        let ids: Vec<_> = self.expected.keys().copied().collect();
        if !ids.is_empty() {
            let id = ids[number % ids.len()];
            self.repository.forget(&[id]).expect("forgotten");
            self.expected.remove(&id);
        }
    }

    fn crash(&mut self, fault: Fault, collecting: bool) {
        let backend = Arc::new(FaultyBackend::new(Arc::clone(&self.world.store) as _, fault));
        if let Ok(repository) = self.world.open_on(backend) {
            let healthy = std::mem::replace(&mut self.repository, repository);
            if collecting {
                let _ = collect::collect(&self.repository, collect::Options::default());
            } else {
                let _ = self.take();
            }
            self.repository = healthy;
        }
        self.world = self.world.after_crash();
        self.repository = self.world.open().expect("opens after a crash");
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Snapshot(edits) => {
                edits.iter().for_each(|(number, edit)| apply(&mut self.streams, *number, edit));
                self.take().unwrap_or_else(|error| panic!("snapshot: {}", chain(&error)));
            }
            Step::Forget(number) => self.forget(*number),
            Step::Collect => drop(collect_quietly(&self.repository, "collect")),
            Step::Check => assert_clean(&self.repository, "check"),
            Step::Reopen => self.repository = self.world.open().expect("opens"),
            Step::Crash { at, lands, collecting } => {
                self.crash(Fault::Crash { at: *at, lands: *lands }, *collecting);
            }
        }
    }

    fn verify(&self) {
        assert_restores(&self.repository, &self.expected, "in the end");
        assert_all_visible_restore(&self.repository, "in the end");
        assert_clean(&self.repository, "in the end");
    }
}

fn history(steps: &[Step]) {
    let mut run = Run::new();
    steps.iter().for_each(|step| run.step(step));
    run.verify();
    collect_quietly(&run.repository, "at the end");
    run.verify();
}

#[test]
fn random_histories_agree_with_a_map() {
    let seed: u64 = std::env::var("SFARC_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let cases: u32 = std::env::var("SFARC_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let result = runner.run(&proptest::collection::vec(step(), 1..25), |steps| {
        history(&steps);
        Ok::<(), TestCaseError>(())
    });
    if let Err(error) = result {
        panic!("SFARC_SEED={seed}: {error}");
    }
}
