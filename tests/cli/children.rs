//! What children find in their environment, and what is to be seen of the program itself.

use std::fs;
use std::process::Command;

use crate::folders::{hand_over, run_unprivileged};
use crate::repo::{Ran, Repo, is_root};

/// No child may see this, whatever it is in.
const HUSH: &str = "hush-0f3a";

/// Secrets of ours, and credentials of clouds.
const OURS: [&str; 5] =
    ["SFARC_PASSWORD", "SFARC_TO_PASSWORD", "SFARC_TO_KEY_FILE", "SFARC_WEBHOOK_FILE", "SFARC_TO_PASSWORD_COMMAND"];
const CLOUDS: [&str; 6] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "IDENTITY_HEADER",
];

fn with_secrets(mut command: Command) -> Command {
    command.env("PLAIN", "to be seen");
    for name in OURS.iter().chain(&CLOUDS) {
        command.env(name, HUSH);
    }
    command
}

fn run(command: Command) -> Ran {
    Ran::from(with_secrets(command).output().expect("it starts"))
}

/// Fails if a child has seen more than it may.
#[track_caller]
fn saw_only(environment: &str, allowed: &[&str]) {
    assert!(environment.contains("PLAIN=to be seen"), "it saw nothing: {environment}");
    for line in environment.lines().filter(|line| line.contains(HUSH)) {
        let name = line.split('=').next().unwrap_or_default();
        assert!(allowed.contains(&name), "{name} was seen");
    }
    for name in allowed {
        assert!(environment.lines().any(|line| line.starts_with(&format!("{name}="))), "{name} is lacking");
    }
    for secret in ["SFARC_KEY_FILE=", "SFARC_PASSWORD_"] {
        assert!(!environment.contains(secret), "{environment}");
    }
}

#[test]
fn commands_that_are_taken_find_no_secret() {
    let repo = Repo::new();
    run(repo.command(["snapshot", "--command", "env=env"])).ok();
    saw_only(&repo.run(["cat", "latest", "env"]).ok().text(), &[]);
    let mut command = repo.command(["snapshot", "--command", "env=env"]);
    command.env("SFARC_COMMAND_ENV", "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,SFARC_PASSWORD");
    run(command).ok();
    let seen = repo.run(["cat", "latest", "env"]).ok().text();
    saw_only(&seen, &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]);
}

#[test]
fn targets_and_hooks_find_no_secret() {
    let repo = Repo::new();
    let text = "[hooks]\nbefore = \"env >before.env\"\nafter = \"env >after.env\"\non-failure = \"env >failed.env\"\n\
                [[target]]\nname = \"env\"\n[[target.stream]]\nname = \"env\"\nhere = true\n\
                command = \"env >taken.env; exit 3\"\n";
    repo.write("sfarc.toml", text.as_bytes());
    let mut command = repo.command(["run", "--once"]);
    command.env_remove("SFARC_WEBHOOK_FILE");
    let mut command = with_secrets(command);
    // It names a file that must be there.
    command.env("SFARC_WEBHOOK_FILE", repo.write("webhook", b"http://127.0.0.1:9/hook"));
    Ran::from(command.output().expect("it starts")).ends(1);
    for name in ["before", "taken", "failed", "after"] {
        let seen = fs::read_to_string(repo.at(format!("{name}.env"))).expect("it ran");
        saw_only(&seen, &[]);
        assert!(!seen.contains("SFARC_WEBHOOK_FILE"), "{seen}");
        assert_eq!(name == "taken", !seen.contains("SFARC_TARGET=env"), "{name}: {seen}");
    }
}

#[test]
fn what_prints_the_password_finds_credentials_of_clouds_only() {
    let repo = Repo::new();
    repo.write("password", b"a password\n");
    let mut command = repo.command(["list", "--password-command", "env >helper.env; cat password"]);
    command.env_remove("SFARC_KEY_FILE");
    // Whether it opens the repository or not: it was asked.
    run(command).ends(12);
    saw_only(&fs::read_to_string(repo.at("helper.env")).expect("it ran"), &CLOUDS);
}

#[test]
fn what_fetches_a_token_for_a_cluster_finds_credentials_of_clouds_only() {
    let repo = Repo::new();
    let answer = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t"}}"#;
    let exec = format!("env >{}; echo '{answer}'", repo.at("token.env").display());
    let kubeconfig = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u", "namespace": "sf" } }],
        // Nobody listens there: the token is fetched before.
        "clusters": [{ "name": "c", "cluster": { "server": "http://127.0.0.1:9" } }],
        "users": [{ "name": "u", "user": { "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "/bin/sh",
            "args": ["-c", exec],
            "interactiveMode": "Never",
        } } }],
    });
    let mut command = repo.command(["plan", "-n", "sf"]);
    command.env("KUBECONFIG", repo.write("kubeconfig", kubeconfig.to_string().as_bytes()));
    assert_ne!(run(command).code, Some(0), "there is no cluster");
    saw_only(&fs::read_to_string(repo.at("token.env")).expect("it ran"), &CLOUDS);
}

/// What a command sees of the program that runs it: the soft limit of core dumps, and who owns its environment.
fn seen_of_us(repo: &Repo) -> (String, String) {
    let text = repo.run(["cat", "latest", "seen"]).ok().text();
    let mut lines = text.lines();
    let limit = lines.next().and_then(|line| line.split_whitespace().nth(4)).expect("a limit").to_owned();
    (limit, lines.next().expect("an owner").to_owned())
}

#[test]
fn memory_is_shown_to_nobody_unless_a_developer_asks_for_it() {
    let repo = Repo::new();
    hand_over(&repo);
    let look = "seen=grep '^Max core' /proc/$PPID/limits; stat -c %u /proc/$PPID/environ";
    run_unprivileged(&repo, &["snapshot", "--command", look]).ok();
    let (limit, owner) = seen_of_us(&repo);
    assert_eq!(limit, "0");
    let us = if is_root() { "65534".to_owned() } else { rustix::process::geteuid().as_raw().to_string() };
    assert_ne!(owner, us, "every process of the same user may look into its memory");
    // The other way round, so that this test can fail.
    let wrapped = Repo::new();
    hand_over(&wrapped);
    let mut command = wrapped.command(["snapshot", "--command", look]);
    command.env("SFARC_CORE_DUMPS", "1");
    Ran::from(command.output().expect("it starts")).ok();
    let owner = seen_of_us(&wrapped).1;
    assert_eq!(owner, rustix::process::geteuid().as_raw().to_string());
}
