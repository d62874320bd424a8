//! Programs that stand between a command and the connection may die like any other: what they have not passed on is not
//! taken for the end of the stream.

use sfarc::engine::snapshot::Report;
use sfarc::format::manifest::Proof;
use sfarc::source::cluster::Take;
use sfarc::source::pod::Bounds;
use sfarc::testing::cluster::Container;

use super::{Bare, kept, once, pod, repository, shell, take_one, wait_for, world};

/// Bytes of the stream; those of a pipe are fewer.
const COMMAND: &str = "seq 1 30000";

/// What a program does instead of what it should. `REAL` is the real one; the wrapper tries tools with an empty input first.
const MISDEEDS: [(&str, &str); 6] = [
    ("tee", "head -c 100000 | REAL \"$@\"; cat >/dev/null; kill -9 $$"),
    ("tee", "REAL \"$@\"; exit 1"),
    ("tee", "kill -9 $$"),
    ("TOOL", "text=$(REAL \"$@\"); case $text in 0 | e3b0c44298*) echo \"$text\" ;; *) kill -9 $$ ;; esac"),
    ("TOOL", "text=$(REAL \"$@\"); echo \"$text\"; case $text in 0 | e3b0c44298*) ;; *) kill -9 $$ ;; esac"),
    ("TOOL", "text=$(REAL \"$@\"); echo \"$text\"; case $text in 0 | e3b0c44298*) ;; *) exit 1 ;; esac"),
];

const TOOLS: [&str; 3] = ["openssl", "sha256sum", "wc"];

fn real(program: &str) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("no {program} here")).display().to_string()
}

/// One attempt of which little is asked: what is not whole is no weaker proof.
fn undemanding() -> Bounds {
    Bounds { min_proof: Proof::P0, ..once() }
}

#[test]
fn a_program_between_the_command_and_the_connection_that_does_not_end_well_ends_in_no_snapshot() {
    let misdeeds = || TOOLS.into_iter().flat_map(|tool| MISDEEDS.map(|(program, script)| (tool, program, script)));
    let bare = Bare::start(|setup, _| {
        for (number, (tool, program, script)) in misdeeds().enumerate() {
            let program = if program == "TOOL" { tool } else { program };
            let script = script.replace("REAL", &real(program));
            let tools = Container::new("c").tools(&["sh", "seq", "head", "cat", "tee", tool]);
            setup.pod("sf", &format!("pod-{number}"), [tools.program(program, &script)]);
        }
    });
    let repository = world().init().expect("a repository");
    for (number, (tool, program, script)) in misdeeds().enumerate() {
        let take = Take::Command(pod(&format!("pod-{number}"), "c"), shell(COMMAND), None);
        let result = take_one(&repository, &bare.place, "s", take, undemanding());
        let error = result.err().unwrap_or_else(|| panic!("a snapshot though {program} with {tool} did: {script}"));
        println!("{tool:9} {program:4} {script:80} {error}");
        let helper = if program == "TOOL" { tool } else { program };
        for says in
            ["stream `s`", "sf/pod-", "is not whole", &format!("`{helper}` in the container ended with exit code")]
        {
            assert!(error.contains(says), "no `{says}` in: {error}");
        }
        assert!(!script.contains("100000") || error.contains(" 100000 bytes arrived"), "{error}");
    }
    assert!(repository.snapshot_ids().expect("listed").is_empty());
}

#[test]
fn it_is_tried_again() {
    let script = format!(
        "[ -e again ] && exec {0} \"$@\"; touch again; head -c 9 | {0} \"$@\"; cat >/dev/null; kill -9 $$",
        real("tee")
    );
    let bare = Bare::start(|setup, folder| {
        setup.pod("sf", "pod-0", [Container::new("c").folder(folder).program("tee", &script)]);
    });
    let world = world();
    let (repository, warnings) = repository(&world);
    let take = Take::Command(pod("pod-0", "c"), shell(COMMAND), None);
    let report = take_one(&repository, &bare.place, "s", take, Bounds::default()).expect("the second time");
    let truth: Vec<u8> = (1..=30_000).flat_map(|number| format!("{number}\n").into_bytes()).collect();
    assert!(kept(&repository, &report, "s") == truth, "other bytes");
    assert_eq!(report.manifest.streams[0].proof, Proof::P2);
    let said = warnings.all().join("\n");
    assert!(said.contains("`tee` in the container ended with exit code 137"), "{said}");
}

/// The real `tee`, killed from outside when the command has ended and nobody has read what it wrote.
#[test]
fn a_tee_that_is_killed_when_the_command_has_ended_is_noticed() {
    let script = format!("echo $$ >tee.pid; until [ -e ended ]; do sleep 0.01; done; exec {} \"$@\"", real("tee"));
    let bare = Bare::start(|setup, folder| {
        setup.pod("sf", "pod-0", [Container::new("c").folder(folder).program("tee", &script)]);
    });
    let repository = world().init().expect("a repository");
    let at = |name: &str| bare.folder.path().join(name);
    let result: Result<Report, String> = std::thread::scope(|scope| {
        let taking = scope.spawn(|| {
            let take = Take::Command(pod("pod-0", "c"), shell("seq 1 9999; touch written"), None);
            take_one(&repository, &bare.place, "s", take, undemanding())
        });
        wait_for("the end of the command", || at("written").exists() && at("tee.pid").exists());
        let pid = std::fs::read_to_string(at("tee.pid")).expect("written");
        let killed = std::process::Command::new("kill").args(["-9", pid.trim()]).status().expect("it runs");
        assert!(killed.success());
        taking.join().expect("no panic")
    });
    let error = result.expect_err("nothing has passed");
    assert!(error.contains("`tee` in the container ended with exit code 137; 0 bytes arrived"), "{error}");
    assert!(repository.snapshot_ids().expect("listed").is_empty());
}
