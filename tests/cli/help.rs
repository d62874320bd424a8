//! Help, completions and manual pages. `UPDATE_GOLDEN=1 cargo test --test cli help` writes the expected text anew.

use std::fs;
use std::path::Path;

use crate::repo::{Ran, sfarc};

/// Every command, with the arguments that lead to it.
const COMMANDS: &[&[&str]] = &[
    &[],
    &["init"],
    &["snapshot"],
    &["import"],
    &["plan"],
    &["doctor"],
    &["list"],
    &["show"],
    &["ls"],
    &["restore"],
    &["verify"],
    &["drill"],
    &["cat"],
    &["diff"],
    &["check"],
    &["repair"],
    &["run"],
    &["status"],
    &["config"],
    &["config", "check"],
    &["config", "init"],
    &["forget"],
    &["pin"],
    &["prune"],
    &["renew"],
    &["copy"],
    &["mirror"],
    &["audit"],
    &["key"],
    &["key", "add"],
    &["key", "list"],
    &["key", "export"],
    &["key", "remove"],
    &["key", "change"],
    &["stats"],
    &["completions"],
    &["man"],
];

/// Commands whose help shows no example: their options need none.
const WITHOUT_EXAMPLE: &[&str] = &["", "config", "key", "key list", "key remove", "key change", "stats"];

fn run(args: &[&str]) -> Ran {
    Ran::from(sfarc().args(args).output().expect("the program starts"))
}

fn help(command: &[&str]) -> String {
    let ran = run(&[command, &["--help"]].concat()).ok();
    assert_eq!(ran.err, "");
    ran.text()
}

#[test]
fn help_is_what_it_was() {
    let page = |command: &&[&str]| format!("$ sfarc {}--help\n{}\n", words(command), help(command));
    let text = COMMANDS.iter().map(page).collect::<String>();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/help.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &text).expect("the expected text is written");
    }
    let expected = fs::read_to_string(&path).expect("the expected text is there");
    let differs = text.lines().zip(expected.lines()).find(|(now, then)| now != then);
    assert!(text == expected, "help changed at {differs:?}; UPDATE_GOLDEN=1 accepts it");
}

fn words(command: &[&str]) -> String {
    command.iter().map(|word| format!("{word} ")).collect()
}

#[test]
fn every_command_of_the_help_is_tested_here() {
    let commands = |text: &str| -> Vec<String> {
        let lines = text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        lines
            .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
            .filter(|name| name != "help")
            .collect()
    };
    let known = |depth: usize| {
        COMMANDS.iter().filter(move |command| command.len() == depth).map(move |command| command[depth - 1])
    };
    assert_eq!(commands(&help(&[])), known(1).collect::<Vec<_>>());
    let below = ["config", "key"].map(|name| commands(&help(&[name]))).concat();
    assert_eq!(below, known(2).collect::<Vec<_>>());
}

#[test]
fn help_shows_examples_and_exit_codes() {
    for command in COMMANDS {
        let name = command.join(" ");
        let shown = help(command).contains("Example");
        assert_eq!(shown, !WITHOUT_EXAMPLE.contains(&name.as_str()), "{name}");
    }
    assert!(help(&[]).contains("Exit codes: 0 done"));
}

#[test]
fn every_shell_gets_completions_that_know_the_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completions", shell]).ok().text();
        for word in ["snapshot", "restore", "read-data"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    run(&["completions", "tcsh"]).ends(2);
}

#[test]
fn every_command_has_a_manual_page() {
    assert!(run(&["man"]).ok().text().contains(".TH sfarc"));
    for command in COMMANDS.iter().filter(|command| command.len() == 1) {
        let page = run(&["man", command[0]]).ok().text();
        assert!(page.contains(&format!(".TH sfarc-{}", command[0])), "{command:?}");
        assert!(page.contains("SYNOPSIS"), "{command:?}");
    }
    run(&["man", "nothing"]).ends(2).says("there is no command `nothing`");
}

#[test]
fn what_makes_no_sense_is_refused_with_2() {
    for args in
        [&[][..], &["frobnicate"], &["snapshot", "--nope"], &["forget"], &["pin"], &["check", "--read-data", "120%"]]
    {
        let ran = run(args).ends(2);
        assert!(!ran.err.is_empty(), "{args:?}");
    }
    assert!(run(&["--version"]).ok().text().starts_with("sfarc "));
}
