use std::collections::HashSet;
use std::time::Duration;

use super::{Breakage, Outcome, RandomSchedule, Search, break_threads, now, simulate};
use crate::sync::{Condvar, Mutex, bounded, locked, promise, scope, sleep, spawn, unbounded};

fn run<T: Send + 'static>(seed: u64, work: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
    simulate(Box::new(RandomSchedule::new(seed)), work).expect("it ends")
}

/// What comes of every schedule with so many delays.
fn all<T: Send + std::hash::Hash + Eq + 'static>(
    delays: usize,
    work: impl Fn() -> T + Copy + Send + 'static,
) -> (HashSet<T>, usize) {
    let (mut seen, mut runs) = (HashSet::new(), 0);
    for schedule in Search::new(delays) {
        let outcome = simulate(schedule, work).expect("it ends");
        seen.insert(outcome.value.expect("nobody panics"));
        runs += 1;
    }
    (seen, runs)
}

/// Two threads that add to a number which they read before: the classic mistake.
fn lost_update() -> u32 {
    let number = Mutex::new(0);
    scope(|scope| {
        for name in ["one", "two"] {
            let add = || {
                let read = *locked(&number);
                *locked(&number) = read + 1;
            };
            scope.spawn(name, add).expect("it starts");
        }
    });
    number.into_inner().expect("nobody panics")
}

#[test]
fn every_order_is_found_and_no_other() {
    let (seen, runs) = all(usize::MAX, lost_update);
    assert_eq!(seen, HashSet::from([1, 2]));
    assert!(runs > 20, "{runs} schedules");
    let without: HashSet<u32> = Search::new(0)
        .map(|schedule| simulate(schedule, lost_update).expect("it ends").value.expect("a number"))
        .collect();
    assert_eq!(without, HashSet::from([2]), "the plain schedule alone finds nothing");
}

#[test]
fn equal_seeds_give_equal_runs() {
    let trace = |seed| run(seed, lost_update).trace;
    assert!((0..20).all(|seed| trace(seed) == trace(seed)));
    let traces: HashSet<u64> = (0..20).map(trace).collect();
    assert!(traces.len() > 5, "{} different runs", traces.len());
}

#[test]
fn time_passes_in_pauses_only() {
    let outcome = run(1, || {
        let waiting = spawn("pause", || sleep(Duration::from_secs(3600))).expect("it starts");
        sleep(Duration::from_secs(60));
        let early = now().expect("in a simulation");
        waiting.join().expect("it ends");
        early
    });
    assert!(outcome.value.expect("a time") >= Duration::from_secs(60));
    assert_eq!(outcome.elapsed, Duration::from_secs(3600));
    assert_eq!(now(), None);
}

#[test]
fn threads_that_wait_for_each_other_are_told() {
    let stuck = simulate(Box::new(RandomSchedule::new(1)), || {
        let (sender, receiver) = bounded::<u8>(1);
        let waits = spawn("waits", move || receiver.recv()).expect("it starts");
        let ended = waits.join();
        drop(sender);
        ended
    });
    let why = stuck.expect_err("it does not end");
    assert!(why.contains("`first` joins `waits`"), "{why}");
}

#[test]
fn channels_lose_nothing_in_any_order() {
    let (seen, runs) = all(3, || {
        let (sender, receiver) = bounded(1);
        let second = sender.clone();
        let one = spawn("one", move || (1..=2).try_for_each(|number| sender.send(number))).expect("it starts");
        let two = spawn("two", move || second.send(10)).expect("it starts");
        let sum: i32 = receiver.iter().sum();
        (sum, one.join().is_ok(), two.join().is_ok())
    });
    assert_eq!(seen, HashSet::from([(13, true, true)]));
    assert!(runs > 100, "{runs} schedules");
}

#[test]
fn what_is_handed_over_is_taken_or_comes_back() {
    let (seen, _) = all(3, || {
        let (sender, receiver) = bounded(0);
        let taker = spawn("taker", move || receiver.recv().ok()).expect("it starts");
        let first = sender.send(1).is_ok();
        let second = sender.send(2).is_ok();
        (taker.join().expect("it ends"), first, second)
    });
    assert_eq!(seen, HashSet::from([(Some(1), true, false)]));
    let (seen, _) = all(3, || {
        let (sender, receiver) = bounded(0);
        let taker = spawn("taker", move || receiver.recv().ok()).expect("it starts");
        let is_taken = sender.try_send(1).is_ok();
        drop(sender);
        (is_taken, taker.join().expect("it ends"))
    });
    assert_eq!(seen, HashSet::from([(true, Some(1)), (false, None)]));
}

#[test]
fn promises_are_kept_or_broken_in_any_order() {
    let (seen, _) = all(3, || {
        let (keeps, kept) = promise();
        let (breaks, broken) = promise::<u8>();
        let waits = spawn("waits", move || (kept.wait(), broken.wait())).expect("it starts");
        keeps.keep(7);
        drop(breaks);
        waits.join().expect("it ends")
    });
    assert_eq!(seen, HashSet::from([(Some(7), None)]));
}

#[test]
fn a_wait_ends_when_what_is_guarded_has_changed() {
    let (seen, _) = all(3, || {
        let shared = (Mutex::new(0), Condvar::new());
        scope(|scope| {
            let add = || {
                *locked(&shared.0) += 1;
                shared.1.notify_all();
            };
            scope.spawn("one", add).expect("it starts");
            scope.spawn("two", add).expect("it starts");
            *shared.1.wait_while(locked(&shared.0), |number| *number < 2)
        })
    });
    assert_eq!(seen, HashSet::from([2]));
}

#[test]
fn threads_break_and_do_not_start_as_told() {
    let work = |breakage| {
        break_threads(breakage);
        let (sender, receiver) = unbounded();
        let Ok(thread) = spawn("fragile-1", move || (0..5).try_for_each(|number| sender.send(number))) else {
            return (Vec::new(), false);
        };
        (receiver.iter().collect::<Vec<_>>(), thread.join().is_ok())
    };
    let breakage = Breakage { panics: Some(("fragile".to_owned(), 3)), starts: None };
    let outcome = run(1, move || work(breakage));
    assert_eq!(outcome.value, Some((vec![0, 1], false)));
    assert_eq!(outcome.panics, ["fragile-1: this thread is broken on purpose"]);
    let breakage = Breakage { panics: None, starts: Some(0) };
    let outcome = run(1, move || work(breakage));
    assert_eq!(outcome.value, Some((Vec::new(), false)));
}
