//! No recording is forgotten: each is replayed by a test.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::{exec, rest};

/// What was replayed in this run.
static REPLAYED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Notes down that the stand-in did what a recording says.
pub(crate) fn replayed(name: &str) {
    REPLAYED.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
}

/// This runs the tests that replay recordings once more: so it does not depend on which others run, and when.
#[test]
fn every_recording_is_replayed() {
    let tests = [exec::SESSIONS, exec::REFUSALS, exec::OTHERS, rest::REPLAYS].concat();
    let runs: Vec<_> = tests.into_iter().map(std::thread::spawn).collect();
    for run in runs {
        run.join().expect("the test passes");
    }
    let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kube-traces")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let recorded: BTreeSet<String> = names.map(|name| name.trim_end_matches(".json").to_owned()).collect();
    let replayed = REPLAYED.lock().unwrap_or_else(PoisonError::into_inner);
    let forgotten: Vec<&String> = recorded.difference(&replayed).collect();
    assert!(forgotten.is_empty(), "no test replays {forgotten:?}");
}
