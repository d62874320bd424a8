//! Keys of roles, as people use them.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use sfarc::testing::bucket::{BUCKET, Options, Server};

use crate::json::assert_documented;
use crate::repo::{Ran, Repo, noise, sfarc};

/// A repository with roles, and the key files of all of them.
fn made() -> Repo {
    made_with(&["init", "--roles"])
}

fn made_with(init: &[&str]) -> Repo {
    let repo = Repo::new();
    std::fs::remove_dir_all(repo.path()).expect("removed");
    repo.run(init).ok();
    for role in ["writer", "maintainer", "auditor"] {
        let exported = repo.run(["key", "export", "--role", role, "--label", "pod"]).ok();
        assert!(exported.text().starts_with(&format!("sfarc-{role}-1 ")));
        repo.write(format!("{role}.key"), &exported.out);
    }
    repo
}

fn by(repo: &Repo, role: &str, args: &[&str]) -> Ran {
    let mut command = repo.command(args);
    command.env("SFARC_KEY_FILE", repo.at(format!("{role}.key")));
    Ran::from(command.output().expect("the program starts"))
}

#[test]
fn each_role_does_its_part_and_no_more() {
    let repo = made();
    repo.write("data", &noise(1, 600_000));
    by(&repo, "writer", &["snapshot", "--file", "data", "--command", "words=seq 100000"]).ok().says("saved");
    let again = by(&repo, "writer", &["snapshot", "--file", "data", "--json"]).ok().object();
    assert_eq!(again["streams"][0]["new_bytes"], 0);
    for args in [
        &["list"][..],
        &["show", "latest"],
        &["cat", "latest", "data"],
        &["restore", "latest", "--to", "out"],
        &["forget", "latest"],
        &["prune"],
        &["key", "list"],
        &["key", "export", "--role", "writer"],
        &["key", "add", "--new-key-file", "mine"],
        &["key", "change", "--new-key-file", "mine"],
        &["audit"],
        &["pin", "latest"],
        &["stats"],
        &["check"],
    ] {
        let ran = by(&repo, "writer", args).ends(12);
        assert!(ran.err.contains("the key that was given"), "{args:?}: {}", ran.err);
    }
    assert!(!repo.at("out").exists());
    assert_eq!(repo.cat("latest", "data"), noise(1, 600_000));
    let shown = repo.run(["show", "latest"]).ok().says("data").says("writer    pod (");
    assert!(!shown.text().contains("sfarc-writer"));
    let shown = repo.run(["show", "latest", "--json"]).ok().object();
    assert!(shown["writer"].as_str().is_some_and(|writer| writer.starts_with("pod (")), "{shown}");
    repo.run(["forget", "latest~1"]).ok();
    by(&repo, "maintainer", &["check", "--read-data"]).ok().says("no damage found");
    by(&repo, "maintainer", &["prune"]).ok();
    for args in [&["list"][..], &["cat", "latest", "data"], &["snapshot", "--file", "data"], &["forget", "latest"]] {
        by(&repo, "maintainer", args).ends(12).says("the key that was given");
    }
    by(&repo, "auditor", &["audit", "--ledger", "ledger.json"]).ok().says("all is well");
    for args in [&["list"][..], &["check"], &["snapshot", "--file", "data"], &["prune"], &["forget", "latest"]] {
        by(&repo, "auditor", args).ends(12).says("the key that was given");
    }
    repo.check();
}

#[test]
fn a_vanished_snapshot_and_a_closed_writer_are_told() {
    let repo = made();
    let taken = |words: &str| {
        let args = ["snapshot", "--json", "--command", words];
        by(&repo, "writer", &args).ok().id()
    };
    let (first, second) = (taken("a=seq 10"), taken("a=seq 20"));
    let told = by(&repo, "auditor", &["audit", "--ledger", "ledger.json", "--json"]).ok();
    assert_documented("audit", &told.object());
    std::fs::remove_file(repo.path().join("snapshots").join(&first)).expect("removed");
    by(&repo, "auditor", &["audit"]).ok().says("nothing to compare with");
    let told = by(&repo, "auditor", &["audit", "--ledger", "ledger.json", "--json"]).ends(13);
    assert_documented("audit", &told.json()[0]);
    by(&repo, "auditor", &["audit", "--ledger", "ledger.json"]).ends(13).says(&first).says("has vanished");
    let listed = repo.run(["key", "list", "--json"]).ok().json();
    let writer = listed.iter().find(|key| key["kind"] == "writer").expect("it is listed");
    let exported = repo.run(["key", "export", "--role", "auditor", "--json"]).ok().object();
    assert_documented("key export", &exported);
    repo.run(["key", "remove", writer["id"].as_str().expect("an id")]).ok();
    repo.run(["key", "list"]).ok().says("closed writer");
    by(&repo, "writer", &["snapshot", "--command", "a=seq 30"]).ends(12).says("the key of this writer was closed");
    // Whoever has stolen the key does not look.
    let log = repo.path().join("gc");
    std::fs::rename(&log, repo.at("log")).expect("renamed");
    std::fs::create_dir(&log).expect("made");
    let third = taken("a=seq 30");
    std::fs::remove_dir(&log).expect("removed");
    std::fs::rename(repo.at("log"), &log).expect("renamed");
    repo.run(["cat", &second, "a"]).ok();
    repo.run(["cat", &third, "a"]).ends(13).says("is forged");
    repo.run(["audit"]).ends(13).says(&third).says("no writer of this repository");
    // What was found stays found, until somebody accepts it.
    by(&repo, "auditor", &["audit", "--ledger", "ledger.json"]).ends(13).says(&first);
    by(&repo, "auditor", &["audit", "--ledger", "ledger.json", "--accept"]).ends(13).says(&first);
    let left = by(&repo, "auditor", &["audit", "--ledger", "ledger.json"]).ends(13);
    assert!(!left.err.contains(&first) && !left.text().contains(&format!("{first}: ")), "{}", left.text());
    repo.run(["forget", &third]).ok();
    let closed = repo.run(["key", "list", "--json"]).ok().json();
    let closed = closed.iter().find(|key| key["kind"] == "closed writer").expect("it is listed")["id"].clone();
    repo.run(["key", "remove", closed.as_str().expect("an id")]).ends(1).says("closed already");
    by(&repo, "auditor", &["audit", "--ledger", "ledger.json"]).says("1 snapshot");
    repo.write("broken.json", b"{}");
    repo.run(["audit", "--ledger", "broken.json"]).ends(1).says("no ledger");
}

#[test]
fn roles_are_for_repositories_that_have_them() {
    let repo = Repo::new();
    repo.run(["key", "export", "--role", "writer"]).ends(1).says("sfarc init --roles");
    repo.run(["audit"]).ends(1).says("no roles");
    let other = made();
    let key = other.at("writer.key");
    let args = ["list", "--key-file", key.to_str().expect("UTF-8")];
    repo.run(args).ends(12);
    other.write("cut.key", &std::fs::read(&key).expect("there")[..200]);
    let mut wrong = std::fs::read(&key).expect("there");
    let place = wrong.len() - 150;
    wrong[place] = if wrong[place] == b'0' { b'1' } else { b'0' };
    other.write("wrong.key", &wrong);
    by(&other, "wrong", &["snapshot", "--command", "a=true"]).ends(12).says("or damaged");
    by(&other, "cut", &["snapshot", "--command", "a=true"]).ends(12).says("not an sfarc key file, or damaged");
}

/// The reader of tests/reader knows what format-spec.md says, and no more.
#[test]
fn the_independent_reader_reads_what_each_role_has_written() {
    let Some(python) = std::env::var_os("SFARC_READER_PYTHON") else {
        println!("not run: tests/run installs what the reader needs and sets SFARC_READER_PYTHON");
        return;
    };
    for init in [&["init", "--roles"][..], &["init", "--roles", "--hide-sizes"]] {
        read_by_the_independent_reader(&made_with(init), &python);
    }
}

fn read_by_the_independent_reader(repo: &Repo, python: &OsStr) {
    repo.run(["key", "add", "--new-key-file", "plain"]).ok();
    repo.write("data", &[noise(1, 400_000), noise(2, 400_000)].concat());
    by(repo, "writer", &["snapshot", "--file", "data"]).ok();
    repo.write("other", &[noise(2, 400_000), noise(3, 400_000)].concat());
    repo.run(["snapshot", "--file", "other"]).ok();
    repo.run(["forget", "latest@pod"]).ok();
    by(repo, "maintainer", &["prune", "--max-unused", "0%"]).ok();
    by(repo, "writer", &["snapshot", "--file", "data"]).ok();
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reader/sfarc_reader.py");
    for (id, name) in repo.ids().iter().zip(["other", "data"]) {
        let mut command = Command::new(python);
        command.arg(&reader).arg(repo.path()).arg("--key-file").arg(repo.at("plain")).args(["cat", id, name]);
        let read = command.output().expect("the reader runs");
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        assert!(read.stdout == std::fs::read(repo.at(name)).expect("there"), "{name} is another");
    }
}

#[test]
fn a_writer_asks_a_bucket_for_no_more_than_others() {
    let server = Server::start(Options::default()).expect("a server");
    let repo = Repo::new();
    let run = |key: &str, args: &[&str]| {
        let mut command = sfarc();
        command.current_dir(repo.at("")).args(args);
        command.env("SFARC_REPO", format!("s3://{BUCKET}/roles")).env("SFARC_KEY_FILE", repo.at(key));
        command.env("SFARC_ENDPOINT", server.endpoint()).env("SFARC_CACHE_DIR", repo.at("cache"));
        command.env("AWS_ACCESS_KEY_ID", "test-only").env("AWS_SECRET_ACCESS_KEY", "test-only");
        Ran::from(command.output().expect("the program starts"))
    };
    run("key", &["init", "--roles"]).ok();
    repo.write("writer.key", &run("key", &["key", "export", "--role", "writer", "--quiet"]).ok().out);
    repo.write("data", &noise(1, 600_000));
    run("writer.key", &["snapshot", "--file", "data"]).ok();
    let told = run("writer.key", &["snapshot", "--file", "data", "--json"]).ok().json();
    let requests = told.last().expect("requests")["requests"].clone();
    let sum: u64 = requests.as_object().expect("a map").values().filter_map(serde_json::Value::as_u64).sum();
    assert!(sum <= 6, "{requests}");
    assert_eq!(run("key", &["cat", "latest", "data"]).ok().out, noise(1, 600_000));
}
