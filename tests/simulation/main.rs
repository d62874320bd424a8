//! The whole pipeline in simulations: sources with the real loop that tries them again, lanes, the joiner, the store, the
//! packer, the session and the gc log, under schedules by chance or by search (docs/decisions/0020). Whatever is said to
//! be saved is restored and compared.
//!
//! A seed that fails is run again alone: `SFARC_SIMULATION_SEED=N cargo test --test simulation one_seed -- --ignored --nocapture`.

// What was simulated is worth reading: see `--nocapture`.
#![allow(clippy::print_stdout)]

mod scenario;
mod small;
mod sources;
mod store;

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use scenario::{Scenario, Tally};

impl Tally {
    fn add(&mut self, other: &Self) {
        self.saved += other.saved;
        self.refused += other.refused;
        self.retried += other.retried;
        self.restored_bytes += other.restored_bytes;
        self.panics += other.panics;
        self.steps += other.steps;
    }
}

/// Runs all these seeds; fails with those that went wrong.
fn run_seeds(seeds: Range<u64>) -> Tally {
    let (next, count) = (AtomicU64::new(seeds.start), seeds.end - seeds.start);
    let (total, wrong) = (Mutex::new(Tally::default()), Mutex::new(Vec::new()));
    let run = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return;
            }
            match Scenario::random(seed).run_by_chance() {
                Ok(tally) => total.lock().expect("nobody panics").add(&tally),
                Err(why) => wrong.lock().expect("nobody panics").push((seed, why)),
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(run))));
    let (total, mut wrong) = (total.into_inner().expect("nobody panics"), wrong.into_inner().expect("nobody panics"));
    wrong.sort_unstable();
    println!("{count} seeds: {total:?}");
    let first: Vec<&(u64, String)> = wrong.iter().take(20).collect();
    assert!(wrong.is_empty(), "{} of {count} seeds went wrong:\n{first:#?}", wrong.len());
    total
}

#[test]
fn what_is_saved_restores_whatever_else_happens() {
    let total = run_seeds(0..300);
    assert!(total.saved > 100 && total.refused > 30, "{total:?}");
    assert!(total.retried > 50 && total.panics > 10 && total.restored_bytes > 10 << 20, "{total:?}");
}

#[test]
#[ignore = "takes many minutes"]
fn what_is_saved_restores_in_twenty_thousand_simulations() {
    run_seeds(1_000..21_000);
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    for seed in 0..20 {
        let run = || Scenario::random(seed).run_by_chance().map(|tally| (tally.trace, tally.steps, tally.saved));
        assert_eq!(run(), run(), "seed {seed}");
    }
}

#[test]
#[ignore = "runs the seed in SFARC_SIMULATION_SEED"]
fn one_seed() {
    let seed = std::env::var("SFARC_SIMULATION_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_default();
    let scenario = Scenario::random(seed);
    println!("{scenario:#?}");
    println!("{:?}", scenario.run_by_chance().expect("what is saved restores"));
}
