//! Passwords and key files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::repo::{Ran, Repo, sfarc};

/// The program with this password and nothing else that opens the repository.
fn with_password(repo: &Repo, password: &str, args: &[&str]) -> Ran {
    let mut command = repo.command(args);
    command.env_remove("SFARC_KEY_FILE").env("SFARC_PASSWORD", password);
    Ran::from(command.output().expect("the program starts"))
}

fn without(repo: &Repo, args: &[&str]) -> Command {
    let mut command = repo.command(args);
    command.env_remove("SFARC_KEY_FILE");
    command
}

#[test]
fn a_wrong_password_is_one_sentence() {
    let repo = Repo::new();
    repo.write("pw", b"right\n");
    repo.run(["key", "add", "--new-password-file", "pw", "--label", "laptop"]).ok();
    with_password(&repo, "right", &["list"]).ok();
    let ran = with_password(&repo, "wrong", &["list"]).ends(12);
    assert_eq!((ran.out.len(), ran.err.as_str()), (0, "sfarc: wrong password or key file\n"));
    let ran = with_password(&repo, "", &["list"]).ends(2);
    assert_eq!(ran.err, "sfarc: the password is empty\n");
}

#[test]
fn a_password_comes_from_a_file_a_command_or_the_environment() {
    let repo = Repo::new();
    repo.write("pw", b"right\r\nsecond line");
    repo.run(["key", "add", "--new-password-file", "pw"]).ok();
    let run = |args: &[&str]| Ran::from(without(&repo, args).output().expect("the program starts"));
    run(&["list", "--password-file", "pw"]).ok();
    run(&["list", "--password-command", "head -1 pw"]).ok();
    run(&["list", "--password-command", "exit 3"]).ends(1).says("the password command failed");
    run(&["list", "--password-file", "none"]).ends(1).says("none");
    run(&["list"]).ends(2).says("no password");
    run(&["list", "--key-file", "pw"]).ends(12).says("not an sfarc key file");
    run(&["list", "--key-file", "none"]).ends(1).says("none");
    assert!(!repo.at("none").exists(), "only init and key add make key files");
}

#[test]
fn a_repository_can_be_made_with_a_password() {
    let repo = Repo::new();
    let run = |args: &[&str]| {
        let mut command = sfarc();
        command.args(args).arg("--repo").arg(repo.at("new")).env("SFARC_PASSWORD", "pw");
        Ran::from(command.output().expect("the program starts"))
    };
    run(&["init"]).ok().says("made repository");
    run(&["snapshot", "--command", "a=echo 1"]).ok();
    assert_eq!(run(&["cat", "latest", "a"]).ok().out, b"1\n");
    let mode = fs::metadata(repo.at("new")).expect("the folder").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn keys_are_added_listed_changed_and_removed() {
    let repo = Repo::new();
    let first = repo.run(["key", "list", "--json"]).ok().id();
    let spare = repo.run(["key", "add", "--new-key-file", "spare", "--label", "in the safe", "--json"]).ok().id();
    repo.run(["key", "list"]).ok().says("in the safe").says("key file").says(&spare[..8]);
    let mode = fs::metadata(repo.at("spare")).expect("the key file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let open =
        |key: &str| Ran::from(without(&repo, &["list", "--key-file", key]).output().expect("the program starts"));
    open("spare").ok();
    repo.run(["key", "change", "--new-key-file", "third"]).ok();
    open("key").ends(12);
    open("third").ok();
    let listed =
        Ran::from(without(&repo, &["key", "list", "--json", "--key-file", "spare"]).output().expect("it starts"));
    let ids: Vec<_> = listed.ok().json().iter().map(|key| key["id"].clone()).collect();
    assert_eq!(ids.len(), 2);
    assert!(!ids.contains(&first.into()) && ids.contains(&spare.clone().into()));
    let remove = |id: &str| {
        Ran::from(without(&repo, &["key", "remove", id, "--key-file", "third"]).output().expect("the program starts"))
    };
    remove(&spare[..8]).ok();
    open("spare").ends(12);
    remove("zz").ends(1);
    let last =
        Ran::from(without(&repo, &["key", "list", "--json", "--key-file", "third"]).output().expect("it starts"));
    let ran = remove(&last.ok().id()).ends(1);
    assert!(ran.err.contains("last"), "{}", ran.err);
    open("third").ok();
}

/// Where a password or key file is named by the environment, too.
fn with_environment(repo: &Repo, name: &str, value: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Ran {
    Ran::from(without(repo, args).env(name, value).output().expect("the program starts"))
}

#[test]
fn what_the_command_line_names_wins_over_the_environment() {
    let repo = Repo::new();
    repo.write("pw", b"right\n");
    repo.write("other", b"wrong\n");
    repo.run(["key", "add", "--new-password-file", "pw"]).ok();
    repo.run(["key", "add", "--new-key-file", "spare"]).ok();
    Ran::from(
        sfarc()
            .args(["init", "--repo"])
            .arg(repo.at("new"))
            .arg("--key-file")
            .arg(repo.at("stranger"))
            .output()
            .expect("it starts"),
    )
    .ok();
    let flags: [&[&str]; 3] = [&["--password-file", "pw"], &["--password-command", "cat pw"], &["--key-file", "spare"]];
    let stranger = repo.at("stranger");
    let environment = [
        ("SFARC_KEY_FILE", stranger.as_os_str()),
        ("SFARC_PASSWORD_FILE", "other".as_ref()),
        ("SFARC_PASSWORD_COMMAND", "exit 3".as_ref()),
        ("SFARC_PASSWORD", "wrong".as_ref()),
    ];
    for (name, value) in environment {
        with_environment(&repo, name, value, &["list"]).code.filter(|code| *code != 0).expect(name);
        for flag in flags {
            with_environment(&repo, name, value, &[&["list"], flag].concat()).ok();
        }
    }
}

#[test]
fn a_credential_that_is_empty_in_the_environment_is_not_named() {
    let repo = Repo::new();
    repo.write("pw", b"right\n");
    repo.run(["key", "add", "--new-password-file", "pw"]).ok();
    for name in ["SFARC_KEY_FILE", "SFARC_PASSWORD_FILE", "SFARC_PASSWORD_COMMAND"] {
        with_environment(&repo, name, "", &["list"]).ends(2).says("no password");
        let mut command = without(&repo, &["list"]);
        command.env(name, "").env("SFARC_PASSWORD", "right");
        Ran::from(command.output().expect("the program starts")).ok();
    }
}

#[test]
fn changing_a_key_asks_for_the_old_password_once() {
    let repo = Repo::new();
    repo.write("pw", b"old\n");
    repo.write("new", b"new\n");
    repo.run(["key", "add", "--new-password-file", "pw"]).ok();
    let args = ["key", "change", "--password-command", "echo asked >> times; cat pw", "--new-password-file", "new"];
    Ran::from(without(&repo, &args).output().expect("the program starts")).ok();
    assert_eq!(fs::read_to_string(repo.at("times")).expect("it asked"), "asked\n");
    with_password(&repo, "new", &["list"]).ok();
    with_password(&repo, "old", &["list"]).ends(12);
}

/// Whoever knows the recipient makes a repository that the identity opens, too: the fingerprint tells which is which.
#[test]
fn a_recovery_key_opens_the_repository_of_the_fingerprint() {
    use age::secrecy::ExposeSecret;
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let (repo, forged) = (Repo::new(), Repo::new());
    let added = repo.run(["key", "add", "--recovery", &recipient, "--label", "safe"]).ok().text();
    let fingerprint =
        added.lines().find_map(|line| line.strip_prefix("fingerprint ")).expect("it is printed").to_owned();
    repo.run(["key", "list"]).ok().says(&fingerprint);
    let other = forged.run(["key", "add", "--recovery", &recipient, "--json"]).ok().object();
    let other = other["fingerprint"].as_str().expect("a text").to_owned();
    assert_ne!(fingerprint, other);
    let open = |repo: &Repo, args: &[&str], environment: Option<&str>| {
        repo.write("identity", identity.to_string().expose_secret().as_bytes());
        let mut command = without(repo, &[&["list", "--key-file", "identity"], args].concat());
        command.envs(environment.map(|value| ("SFARC_FINGERPRINT", value)));
        Ran::from(command.output().expect("it starts"))
    };
    open(&repo, &["--fingerprint", &fingerprint], None).ok();
    open(&repo, &[], Some(&fingerprint.to_uppercase().replace('-', " "))).ok();
    let ran = open(&forged, &["--fingerprint", &fingerprint], None).ends(12);
    assert!(ran.err.contains("not the repository that is meant"), "{}", ran.err);
    let ran = open(&repo, &[], None).ends(2);
    assert!(ran.err.contains("--fingerprint"), "{}", ran.err);
    open(&repo, &["--fingerprint", "12"], None).ends(2);
    let ran = open(&forged, &["--fingerprint", "none"], None).ok();
    assert!(ran.err.contains("anybody who knows the recipient") && ran.err.contains(&other), "{}", ran.err);
    // It can be demanded of any, and not of the key of a role.
    repo.run(["list", "--fingerprint", &fingerprint]).ok();
    repo.run(["list", "--fingerprint", &other]).ends(12);
    let ran = open(&repo, &["--fingerprint", &other, "--quiet"], Some(&fingerprint)).ends(12);
    assert!(ran.err.contains(&fingerprint), "{}", ran.err);
}
