//! Small cases, under every schedule in which few threads are held up.

use std::time::Duration;

use sfarc::sync::simulation::{Breakage, Search};

use crate::scenario::{Scenario, Writer};
use crate::sources::{Attempt, Contents, End, Script};
use crate::store::Behaviour;

fn attempt(contents: &[&[u8]], end: End) -> Attempt {
    let contents: Contents = contents.iter().map(|content| content.to_vec()).collect();
    Attempt { contents, piece: 1 << 20, pause: Duration::ZERO, end }
}

fn script(name: &str, attempts: Vec<Attempt>) -> Script {
    Script { name: name.to_owned(), attempts, is_remote: true }
}

fn case(streams: Vec<Script>, is_remote: bool) -> Scenario {
    let store = Behaviour::healthy(is_remote);
    let writer = Writer { name: "writer-1".to_owned(), streams, store, interrupted: None };
    Scenario {
        seed: 1,
        workers: 1,
        hides_sizes: false,
        before: None,
        writers: vec![writer],
        collector: None,
        breakage: Breakage::default(),
        is_calm_around: true,
    }
}

/// A stream that breaks once, and says something else the second time.
fn retried() -> Script {
    let (first, second) = ([b'1'; 3000], [b'2'; 2000]);
    script("retried", vec![attempt(&[&first], End::Breaks(1500)), attempt(&[&second], End::Whole)])
}

/// Small cases by name.
fn cases() -> Vec<(&'static str, Scenario)> {
    let whole = |name| script(name, vec![attempt(&[&[b'w'; 2500]], End::Whole)]);
    let fails = script("fails", vec![attempt(&[&[b'f'; 2500]], End::Fails(100))]);
    let lanes: [&[u8]; 2] = [&[b'a'; 1000], &[b'b'; 1000]];
    let two_lanes = script("lanes", vec![attempt(&lanes, End::Breaks(1200)), attempt(&lanes, End::Whole)]);
    vec![
        ("one stream", case(vec![whole("one")], false)),
        ("one that is tried again", case(vec![retried()], false)),
        ("one that is tried again, into a bucket", case(vec![retried()], true)),
        ("one beside it", case(vec![retried(), whole("other")], false)),
        ("two lanes", case(vec![two_lanes], false)),
        ("one that fails beside it", case(vec![retried(), fails], false)),
    ]
}

fn search(delays: usize) {
    for (name, scenario) in cases() {
        let mut schedules = 0;
        for schedule in Search::new(delays) {
            schedules += 1;
            if let Err(why) = scenario.run(schedule) {
                panic!("{name}, schedule {schedules}: {why}");
            }
        }
        println!("{name}: {schedules} schedules with at most {delays} delays");
        assert!(schedules > 20, "{name}: {schedules} schedules");
    }
}

#[test]
fn small_cases_restore_wherever_a_thread_is_held_up() {
    search(1);
}

#[test]
#[ignore = "takes many minutes"]
fn small_cases_restore_wherever_threads_are_held_up_twice() {
    search(2);
}
