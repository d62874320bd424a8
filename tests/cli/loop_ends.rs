//! How a loop ends, what it refuses to begin with, and what is told when there is nothing to work on.

use std::process::Command;
use std::time::Duration;

use crate::looped::Loop;
use crate::repo::Repo;

/// A configuration with one target: a command of this machine.
fn config(repo: &Repo, more: &str, command: &str) {
    let text = format!(
        "{more}\n[status]\nfile = \"status.json\"\n[[target]]\nname = \"words\"\n[[target.stream]]\nname = \"words\"\n\
         here = true\ncommand = \"{command}\"\n"
    );
    repo.write("sfarc.toml", text.as_bytes());
}

fn start(repo: &Repo, args: &[&str]) -> Loop {
    let mut command: Command = repo.command(["run"].iter().chain(args));
    command.current_dir(repo.at(""));
    Loop::start(command)
}

fn wait_for(repo: &Repo, name: &str) {
    while !repo.at(name).exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_runs_has_the_grace_from_the_signal_on() {
    let repo = Repo::new();
    config(&repo, "every = \"1h\"", "touch begun; sleep 6; echo some words");
    let looped = start(&repo, &["--grace", "4"]);
    wait_for(&repo, "begun");
    // Nothing has happened for longer than the grace lasts when the signal comes.
    std::thread::sleep(Duration::from_millis(4200));
    let (code, seen) = looped.end();
    assert_eq!(code, 0);
    assert_eq!(repo.ids().len(), 1, "{seen:#?}");
}

#[test]
fn what_is_given_up_at_the_end_is_no_failure() {
    let repo = Repo::new();
    config(&repo, "every = \"1h\"", "touch begun; sleep 300");
    let looped = start(&repo, &["--grace", "0"]);
    wait_for(&repo, "begun");
    let (code, seen) = looped.end();
    assert_eq!(code, 0);
    assert!(seen.iter().any(|line| line.contains("given up, because the program ends")), "{seen:#?}");
    assert!(!seen.iter().any(|line| line.contains(" error ")), "{seen:#?}");
    repo.run(["status"]).ok();
}

#[test]
fn a_file_that_is_read_again_is_looked_at_as_closely_as_by_check() {
    let repo = Repo::new();
    config(&repo, "every = \"1h\"", "echo some words");
    let mut looped = start(&repo, &[]);
    looped.says("snapshot ");
    config(&repo, "every = \"1h\"", "echo some words\"\npath = \"/tmp");
    repo.run(["config", "check"]).ends(2);
    repo.run(["run", "--once"]).ends(2);
    looped.signal("-HUP");
    looped.says("the configuration is as it was");
    assert_eq!(looped.end().0, 0);
}

#[test]
fn hooks_hear_of_failures_whatever_a_command_has_said() {
    let repo = Repo::new();
    let hooks = "[hooks]\non-failure = \"echo failed $(printf %s \\\"$SFARC_ERROR\\\" | wc -c) >>hooks.log\"\n\
                 after = \"echo after >>hooks.log\"";
    let said = [
        "printf 'a NUL \\\\000 byte' >&2",
        "printf 'no UTF-8 \\\\377\\\\376' >&2",
        "printf 'a\\\\nb\\\\nc' >&2",
        "i=0; while [ $i -lt 10 ]; do head -c 100000 /dev/zero | tr '\\\\000' x >&2; echo >&2; i=$((i+1)); done",
    ];
    for command in said {
        config(&repo, hooks, &format!("{command}; exit 3"));
        repo.run(["run", "--once"]).ends(1);
        let heard = std::fs::read_to_string(repo.at("hooks.log")).unwrap_or_default();
        std::fs::remove_file(repo.at("hooks.log")).expect("it was heard");
        let len = heard.lines().next().and_then(|line| line.strip_prefix("failed ")).expect("it says that it failed");
        let len: usize = len.trim().parse().expect("a length");
        assert!(len > 20 && len < 10_000, "{heard}");
        assert!(heard.ends_with("after\n"), "{heard}");
        let status = repo.run(["status", "--json"]).ends(3).object();
        assert!(!status.to_string().contains("\\u0000"), "{status}");
    }
}

#[test]
fn a_command_that_no_shell_can_be_given_is_refused_at_once() {
    let repo = Repo::new();
    config(&repo, "", "echo a\\u0000b");
    repo.run(["config", "check"]).ends(2).says("NUL");
    config(&repo, "[hooks]\nafter = \"echo a\\u0000b\"", "echo words");
    repo.run(["config", "check"]).ends(2).says("NUL");
}

#[test]
fn another_repository_than_the_expected_one_is_refused() {
    let repo = Repo::new();
    let id = repo.run(["stats", "--json"]).ok().object()["repository"].as_str().expect("an id").to_owned();
    let other = id.chars().rev().collect::<String>();
    let expect = |id: &str| format!("[repository]\nexpect-id = \"{id}\"");
    config(&repo, &expect(&id), "echo some words");
    repo.run(["run", "--once"]).ok();
    config(&repo, &expect(&other), "echo some words");
    repo.run(["run", "--once"]).ends(1).says("another repository is in this place").says(&id);
    assert_eq!(repo.ids().len(), 2, "a snapshot and a record of a check, of the first run only");
    repo.run(["list", "--expect-id", &other]).ends(1).says("another repository");
    repo.run(["list", "--expect-id", &id]).ok();
    config(&repo, &expect("x"), "echo some words");
    repo.run(["config", "check"]).ends(2).says("line 2");
    // An empty volume: nothing is made there, by whatever command.
    config(&repo, &expect(&id), "echo some words");
    std::fs::rename(repo.path(), repo.at("elsewhere")).expect("moved");
    repo.run(["run", "--once"]).ends(1).says("there is no sfarc repository");
    let mut command = repo.command(["init"]);
    command.env("SFARC_EXPECT_ID", &id);
    crate::repo::Ran::from(command.output().expect("it starts")).ends(1).says("no repository is made");
    assert!(!repo.path().exists());
}

#[test]
fn hooks_hear_of_a_repository_that_does_not_open() {
    let repo = Repo::new();
    let hooks = "[hooks]\non-failure = \"echo failed $SFARC_ERROR >>hooks.log\"\nafter = \"echo after >>hooks.log\"";
    config(&repo, hooks, "echo some words");
    std::fs::rename(repo.path(), repo.at("elsewhere")).expect("moved");
    repo.run(["run", "--once"]).ends(1).says("there is no sfarc repository");
    let heard = std::fs::read_to_string(repo.at("hooks.log")).expect("written");
    assert!(heard.contains("failed there is no sfarc repository") && heard.ends_with("after\n"), "{heard}");
}
