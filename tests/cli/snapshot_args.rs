//! What `snapshot` refuses before it begins, and what it leaves out.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::repo::{Ran, Repo};

/// A snapshot whose arguments are refused before anybody is asked for a password.
#[track_caller]
fn refused(repo: &Repo, args: &[&str]) -> Ran {
    let mut command = repo.command([&["snapshot"], args].concat());
    command.env_remove("SFARC_KEY_FILE").env("SFARC_PASSWORD_COMMAND", "touch asked; echo password");
    let ran = Ran::from(command.output().expect("the program starts")).ends(2);
    assert!(!repo.at("asked").exists(), "asked for a password first: {args:?}");
    ran
}

#[test]
fn wrong_usage_is_said_before_a_password_is_asked_for() {
    let repo = Repo::new();
    refused(&repo, &[]).says("name at least one stream");
    refused(&repo, &["--stdin", "a", "--command", "a=true"]).says("two streams are named `a`");
    refused(&repo, &["--stdin", ""]).says("cannot be empty");
    refused(&repo, &["--command", "true"]).says("NAME=COMMAND");
    refused(&repo, &["--dir", "/"]).says("write NAME=");
    refused(&repo, &["--stdin", "a", "--time", "soon"]).says("is not a time");
    refused(&repo, &["--stdin", "a", "--label", "k"]).says("KEY=VALUE");
    refused(&repo, &["--stdin", "a", "--label", "k=a", "--label", "k=b"]).says("k");
}

#[test]
fn a_label_has_one_value() {
    let repo = Repo::new();
    refused(&repo, &["--stdin", "s", "--label", "k=a", "--label", "j=a", "--label", "k=b"])
        .says("the label `k` is given twice");
    repo.run(["snapshot", "--stdin", "s", "--label", "k=a", "--label", "j=a"]).ok();
}

#[test]
fn a_snapshot_is_not_of_the_future() {
    let repo = Repo::new();
    refused(&repo, &["--stdin", "s", "--time", "2200-01-01T00:00:00Z"]).says("in the future");
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(23);
    repo.run(["snapshot", "--stdin", "s", "--time", &soon.to_string()]).ok();
}

/// A repository inside a folder that is worth a snapshot.
fn inside() -> Repo {
    let repo = Repo::new();
    repo.write("d/precious", b"1");
    fs::rename(repo.path(), repo.at("d/repo")).expect("the repository is moved");
    repo
}

fn snapshot_of(repo: &Repo, dir: &Path, more: &[&str]) -> Ran {
    let args = ["snapshot".into(), "--repo".into(), "d/repo".into(), "--dir".into(), dir.as_os_str().to_owned()];
    repo.run(args.into_iter().chain(more.iter().map(OsString::from))).ok()
}

#[test]
fn the_repository_itself_is_left_out() {
    let repo = inside();
    std::os::unix::fs::symlink("d", repo.at("link")).expect("a link");
    for dir in [Path::new("d"), &repo.at("d"), Path::new("d/../link/.")] {
        let ran = snapshot_of(&repo, dir, &[]);
        assert!(ran.err.contains("repository d/repo is left out of stream `"), "{}", ran.err);
        let text = repo.run(["ls", "latest", "--repo", "d/repo"]).ok().text();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.ends_with("/precious\n"), "{text}");
    }
    assert_eq!(snapshot_of(&repo, Path::new("d"), &["--quiet"]).err, "");
    assert_eq!(snapshot_of(&repo, Path::new("d"), &["--exclude", "repo"]).err, "", "said by the user");
    repo.write("e/other", b"1");
    assert_eq!(snapshot_of(&repo, Path::new("e"), &[]).err, "");
}
