//! What passes is tried again, from the beginning, and costs no space; what does not pass is not.

use std::time::Duration;

use sfarc::source::cluster::Take;
use sfarc::source::pod::Bounds;
use sfarc::testing::cluster::{Container, Fault, Planned};
use sfarc::testing::world::World;

use super::{Bare, assert_quiet, kept, pod, repository, seed, shell, take_one, world};

/// Some MiB, so that chunks are stored before the fault strikes.
const COMMAND: &str = "seq 1 600000";

fn bare() -> Bare {
    Bare::start(|setup, folder| setup.pod("sf", "db-0", [Container::new("db").folder(folder)]))
}

fn command(line: &str) -> Take {
    Take::Command(pod("db-0", "db"), shell(line), None)
}

fn bounds() -> Bounds {
    Bounds { silence: Duration::from_secs(2), attempts: 3, ..Bounds::default() }
}

#[test]
fn a_fault_that_passes_costs_an_attempt_and_no_space() {
    let bare = bare();
    let truth: Vec<u8> = (1..=600_000).flat_map(|number| format!("{number}\n").into_bytes()).collect();
    let seed = seed();
    let world = World::new(seed);
    let (undisturbed, warnings) = repository(&world);
    let expected = take_one(&undisturbed, &bare.place, "db", command(COMMAND), bounds()).expect("undisturbed");
    assert_eq!(warnings.all(), [""; 0]);
    let late = truth.len() as u64 - 1000;
    for (faults, says) in [
        (vec![Fault::CutThenSuccess(late)], "its end is missing"),
        (vec![Fault::CutWithoutStatus(late)], "without a word"),
        (vec![Fault::Lose { after: late, bytes: 10 }], "is not whole"),
        (vec![Fault::Kill(late)], "exit code 137"),
        (vec![Fault::Disconnect(late), Fault::Refuse(429)], "429"),
        (vec![Fault::Stall(late)], "nothing came"),
        (vec![Fault::Refuse(500), Fault::CutThenSuccess(1)], "500"),
    ] {
        // With the same keys, the same stream takes the same space.
        let world = World::new(seed);
        let (repository, warnings) = repository(&world);
        faults.iter().for_each(|fault| bare.cluster.fault(Planned::once("db", "seq", *fault)));
        let report = take_one(&repository, &bare.place, "db", command(COMMAND), bounds()).expect("at last");
        assert!(kept(&repository, &report, "db") == truth, "{faults:?}: other bytes");
        assert_eq!(report.counts.stored_bytes, expected.counts.stored_bytes, "{faults:?}: stored twice");
        let said = warnings.all();
        assert_eq!(said.len(), faults.len(), "{said:?}");
        let text = said.join("\n");
        for says in [says, "stream `db`", "sf/db-0/db", "it is tried again in 1 s"] {
            assert!(text.contains(says), "no `{says}` in: {text}");
        }
        assert_quiet(&bare.cluster, "db-0");
    }
}

#[test]
fn attempts_end() {
    let bare = bare();
    let world = world();
    let (repository, warnings) = repository(&world);
    bare.cluster.fault(Planned::always("db", "seq", Fault::CutThenSuccess(100)));
    let bounds = Bounds { attempts: 2, ..bounds() };
    let error = take_one(&repository, &bare.place, "db", command(COMMAND), bounds).expect_err("no end");
    assert!(error.contains("its end is missing: 100 bytes arrived"), "{error}");
    assert_eq!((warnings.all().len(), bare.cluster.sessions().len()), (1, 2));
}

#[test]
fn what_was_ended_by_a_signal_is_tried_again_and_what_failed_is_not() {
    let bare = bare();
    let world = world();
    let (repository, warnings) = repository(&world);
    let killed_once = "[ -e again ] || { touch again; kill -9 $$; }; echo done";
    let report = take_one(&repository, &bare.place, "db", command(killed_once), bounds()).expect("the second time");
    assert_eq!(kept(&repository, &report, "db"), b"done\n");
    assert_eq!((warnings.all().len(), bare.cluster.sessions().len()), (1, 2));
    let error = take_one(&repository, &bare.place, "db", command("echo x; exit 3"), bounds()).expect_err("a failure");
    assert!(error.contains("exit code 3, after 2 bytes"), "{error}");
    assert_eq!((warnings.all().len(), bare.cluster.sessions().len()), (1, 3), "it was tried again");
}
