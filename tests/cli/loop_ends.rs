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
fn hooks_hear_of_a_repository_that_does_not_open() {
    let repo = Repo::new();
    let hooks = "[hooks]\non-failure = \"echo failed $SFARC_ERROR >>hooks.log\"\nafter = \"echo after >>hooks.log\"";
    config(&repo, hooks, "echo some words");
    std::fs::rename(repo.path(), repo.at("elsewhere")).expect("moved");
    repo.run(["run", "--once"]).ends(1).says("there is no sfarc repository");
    let heard = std::fs::read_to_string(repo.at("hooks.log")).expect("written");
    assert!(heard.contains("failed there is no sfarc repository") && heard.ends_with("after\n"), "{heard}");
}
