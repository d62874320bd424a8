//! Random histories of damage and operations, and four things that must be true after each step:
//!
//! 1. What restored before an operation restores after it, unless it was forgotten; out of the mirror if need be without
//!    its index, as after a repair there.
//! 2. A snapshot that was saved restores at once, unless a pack had rotted and nothing had read it since.
//! 3. Where a check that reads all data finds nothing, every snapshot restores.
//! 4. After a repair, every snapshot restores of which all is whole somewhere, here or in the mirror.
//!
//! A history is drawn from a seed and played by `play`; one that fails is made shorter while it still fails, and printed.
//! `SFARC_SEED=n` begins with another seed, `SFARC_CASES=n` plays so many.

mod oracle;
mod play;
mod store;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use self::play::Play;
use self::store::Setting;

/// What happens to an object behind everybody's back. Which one, of its kind, is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    Lose,
    /// So many thousandths of it are left.
    Cut(usize),
    /// One byte is wrong, so many thousandths behind its beginning.
    Rot(usize),
    /// Its bytes cannot be read.
    Hide,
    /// It has the bytes of another object of its kind.
    Exchange(usize),
    /// It is as it was before: there again, or not there yet.
    RollBack,
}

/// Kinds of objects that are harmed: what is left of a repository without its configuration or keys is another matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Pack,
    Index,
    Snapshot,
    GcRecord,
    Session,
}

/// Where something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Here,
    Mirror,
}

#[derive(Debug, Clone)]
enum Step {
    /// Stretches of noise make a stream; equal seeds share.
    Take(Vec<(u64, usize)>),
    /// Two writers store the same at the same time.
    TakeTwice(Vec<(u64, usize)>),
    Forget(usize),
    Prune,
    Check {
        read_data: bool,
    },
    Repair {
        with_mirror: bool,
        read_data: bool,
        nobody_prunes: bool,
    },
    Mirror {
        tidy: bool,
        verify: bool,
    },
    Copy,
    /// The next operation is killed at this request.
    Kill {
        at: u64,
        lands: bool,
        doing: Box<Step>,
    },
    Damage(Side, Victim, usize, Harm),
}

fn stretches() -> impl Strategy<Value = Vec<(u64, usize)>> {
    // Few seeds, so that content comes again.
    proptest::collection::vec((0..5u64, 500..14_000usize), 1..4)
}

fn operation() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => stretches().prop_map(Step::Take),
        2 => stretches().prop_map(Step::TakeTwice),
        2 => any::<usize>().prop_map(Step::Forget),
        3 => Just(Step::Prune),
        3 => any::<bool>().prop_map(|read_data| Step::Check { read_data }),
        3 => any::<(bool, bool, bool)>().prop_map(|(with_mirror, read_data, nobody_prunes)| {
            Step::Repair { with_mirror, read_data, nobody_prunes }
        }),
        3 => any::<(bool, bool)>().prop_map(|(tidy, verify)| Step::Mirror { tidy, verify }),
        1 => Just(Step::Copy),
    ]
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        3 => Just(Harm::Lose),
        2 => (0..1000usize).prop_map(Harm::Cut),
        4 => (0..1000usize).prop_map(Harm::Rot),
        2 => Just(Harm::Hide),
        1 => any::<usize>().prop_map(Harm::Exchange),
        1 => Just(Harm::RollBack),
    ]
}

fn victim() -> impl Strategy<Value = Victim> {
    prop_oneof![
        6 => Just(Victim::Pack),
        3 => Just(Victim::Index),
        1 => Just(Victim::Snapshot),
        1 => Just(Victim::GcRecord),
        1 => Just(Victim::Session),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let side = prop_oneof![3 => Just(Side::Here), 1 => Just(Side::Mirror)];
    prop_oneof![
        9 => operation(),
        2 => (1..60u64, any::<bool>(), operation())
            .prop_map(|(at, lands, doing)| Step::Kill { at, lands, doing: Box::new(doing) }),
        4 => (side, victim(), any::<usize>(), harm()).prop_map(|(side, victim, which, harm)| {
            Step::Damage(side, victim, which, harm)
        }),
    ]
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

fn run(setting: Setting, cases: u64, steps: usize) {
    let seed = number("SFARC_SEED").unwrap_or(1);
    let cases = number("SFARC_CASES").unwrap_or(cases);
    for case in 0..cases {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(seed + case).to_le_bytes());
        let config = Config { cases: 1, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let result = runner.run(&proptest::collection::vec(step(), 1..2 * steps), |steps| {
            let mut play = Play::new(setting);
            match steps.iter().try_for_each(|step| play.step(step)) {
                Ok(()) => Ok::<(), TestCaseError>(()),
                Err(why) => Err(TestCaseError::fail(why)),
            }
        });
        if let Err(error) = result {
            panic!("{setting:?}, SFARC_SEED={} SFARC_CASES=1: {error}", seed + case);
        }
    }
    println!("{setting:?}: {cases} histories of about {steps} steps, seeds {seed} to {}", seed + cases - 1);
}

#[test]
fn damage_and_operations_agree_with_four_oracles() {
    run(Setting::Plain, 20, 30);
}

#[test]
fn damage_and_operations_with_hidden_sizes() {
    run(Setting::HiddenSizes, 5, 30);
}

#[test]
fn damage_and_operations_with_roles() {
    run(Setting::Roles, 5, 30);
}

#[test]
fn damage_and_operations_in_a_folder() {
    run(Setting::Folder, 3, 30);
}

#[test]
fn damage_and_operations_in_a_bucket() {
    run(Setting::Bucket, 3, 30);
}

#[test]
fn damage_and_operations_in_a_bucket_that_locks() {
    run(Setting::LockedBucket, 3, 30);
}

#[test]
#[ignore = "10,000 histories; takes an hour or more"]
fn damage_and_operations_at_length() {
    run(Setting::Plain, 6000, 30);
    run(Setting::HiddenSizes, 1000, 30);
    run(Setting::Roles, 1500, 30);
    run(Setting::Folder, 600, 30);
    run(Setting::Bucket, 600, 30);
    run(Setting::LockedBucket, 300, 30);
}
