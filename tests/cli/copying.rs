//! `copy` and `mirror`, as people use them.

use sfarc::testing::bucket::{BUCKET, Options, Server};

use crate::json::assert_documented;
use crate::repo::{Ran, Repo};

/// A repository with two snapshots, and another one with another key.
fn two() -> (Repo, String) {
    let repo = Repo::new();
    repo.write("d/file", b"some bytes");
    repo.run(["snapshot", "--dir", "d", "--tag", "nightly"]).ok();
    repo.take("db.sql", b"a dump");
    let other = repo.at("other").to_str().expect("UTF-8").to_owned();
    repo.command(["init"])
        .env("SFARC_REPO", &other)
        .env("SFARC_KEY_FILE", repo.at("other-key"))
        .output()
        .expect("made");
    (repo, other)
}

fn there(repo: &Repo, other: &str, args: &[&str]) -> Ran {
    let mut command = repo.command(args);
    command.env("SFARC_REPO", other).env("SFARC_KEY_FILE", repo.at("other-key"));
    Ran::from(command.output().expect("it runs"))
}

#[test]
fn snapshots_go_into_a_repository_with_another_key() {
    let (repo, other) = two();
    let key = repo.at("other-key");
    let copy = |more: &[&str]| {
        let args = ["copy", "--to", &other, "--to-key-file", key.to_str().expect("UTF-8")];
        repo.run(args.into_iter().chain(more.iter().copied()))
    };
    copy(&["--dry-run"]).ok().says("would copy").says("2 snapshots would be copied");
    copy(&["--tag", "nightly"]).ok().says("1 snapshot copied");
    let copied = copy(&["--json", "--read-back"]).ok().json();
    copied.iter().for_each(|object| assert_documented("copy", object));
    assert_eq!((copied[0]["type"].as_str(), copied[1]["present"].as_u64()), (Some("copied"), Some(1)));
    copy(&["latest"]).ok().says("0 snapshots copied, 1 there already");
    assert_eq!(there(&repo, &other, &["cat", "latest", "db.sql"]).ok().out, b"a dump");
    there(&repo, &other, &["restore", "latest~1", "--to", "back"]).ok();
    assert_eq!(std::fs::read(repo.at("back/d/file")).expect("restored"), b"some bytes");
    there(&repo, &other, &["check", "--read-data"]).ok();
    let times = |ran: Ran| ran.ok().json().iter().map(|snapshot| snapshot["time"].clone()).collect::<Vec<_>>();
    assert_eq!(times(there(&repo, &other, &["list", "--json"])), times(repo.run(["list", "--json"])));
    there(&repo, &other, &["show", "latest"]).ok().says("sfarc/copy-of=");
}

#[test]
fn which_of_two_repositories_fails_is_said() {
    let (repo, other) = two();
    let wrong = repo.run(["copy", "--to", &other]).ends(12);
    assert!(wrong.err.contains("in the repository that is copied to: wrong password or key file"), "{}", wrong.err);
    let nowhere = repo.run(["copy", "--to", "nowhere"]).ends(10);
    assert!(nowhere.err.contains("copied to: there is no sfarc repository at nowhere"), "{}", nowhere.err);
    let itself = repo.run(["copy", "--to", "repo"]).ends(1);
    assert!(itself.err.contains("the same repository"), "{}", itself.err);
    repo.run(["copy"]).ends(2);
    repo.run(["mirror", "--to", "repo", "--repo", "repo"]).ends(2);
    repo.run(["mirror", "--to", &other]).ends(1).says("another repository is there");
    repo.run(["mirror", "--to", "repo/inside"]).ends(2).says("lies in the repository");
    repo.run(["mirror", "--repo", "d", "--to", "fresh"]).ends(10).says("no sfarc repository at d");
    assert!(!repo.at("fresh").exists());
    repo.run(["mirror", "--to", "/proc/nothing"]).ends(1).says("make the repository folder /proc/nothing");
    repo.run(["copy", "--to", &other, "--to-key-file", "other-key", "--tag", "misspelt"])
        .ok()
        .says("no snapshot is meant");
}

#[test]
fn a_mirror_needs_no_key_and_is_opened_by_the_same() {
    let (repo, _) = two();
    let mirror = |more: &[&str]| {
        let mut command = repo.command(["mirror", "--to", "mirror"].iter().chain(more));
        Ran::from(command.env_remove("SFARC_KEY_FILE").output().expect("it runs"))
    };
    mirror(&["--dry-run"]).ok().says("would copy");
    assert!(!repo.at("mirror/config").exists());
    let made = mirror(&["--json"]).ok().object();
    assert_documented("mirror", &made);
    let mut opened = repo.command(["cat", "latest", "db.sql"]);
    let opened = Ran::from(opened.env("SFARC_REPO", repo.at("mirror")).output().expect("it runs")).ok();
    assert_eq!(opened.out, b"a dump");
    repo.run(["forget", "--keep-last", "1"]).ok();
    repo.run(["prune", "--max-unused", "0%"]).ok();
    let refused = mirror(&["--delete"]).ends(2);
    assert!(refused.err.contains("without its key nobody can tell what was collected"), "{}", refused.err);
    mirror(&[]).ok().says("by their lengths; `--verify` reads them");
    repo.run(["mirror", "--to", "mirror", "--delete"]).ok().says("0 that only the mirror has stay");
    let names = |folder: &str| {
        let files = crate::repo::files(&repo.at(folder)).into_iter();
        let mut names: Vec<_> =
            files.map(|path| path.strip_prefix(repo.at(folder)).expect("inside").to_owned()).collect();
        names.retain(|name| !name.starts_with("sessions") && !name.starts_with("tmp"));
        names.sort();
        names
    };
    assert_eq!(names("mirror"), names("repo"));
}

#[test]
fn a_bucket_is_a_place_for_copies_and_mirrors() {
    let (repo, other) = two();
    let server = Server::start(Options::default()).expect("a server");
    let at = |prefix: &str| format!("s3://{BUCKET}/{prefix}");
    let run = |args: &[&str]| {
        let mut command = repo.command(args);
        command.env("AWS_ACCESS_KEY_ID", "test-only").env("AWS_SECRET_ACCESS_KEY", "test-only");
        command.env("SFARC_TO_ENDPOINT", server.endpoint()).env("SFARC_ENDPOINT", server.endpoint());
        Ran::from(command.env("SFARC_CACHE_DIR", repo.at("cache")).output().expect("it runs"))
    };
    run(&["init", "--repo", &at("copy")]).ok();
    run(&["copy", "--to", &at("copy")]).ok().says("2 snapshots copied").says("requests: ");
    assert_eq!(run(&["cat", "--repo", &at("copy"), "latest", "db.sql"]).ok().out, b"a dump");
    run(&["mirror", "--to", &at("mirror")]).ok();
    assert_eq!(run(&["cat", "--repo", &at("mirror"), "latest", "db.sql"]).ok().out, b"a dump");
    // And back.
    run(&["mirror", "--repo", &at("mirror"), "--to", "back"]).ok();
    assert_eq!(run(&["cat", "--repo", "back", "latest", "db.sql"]).ok().out, b"a dump");
    run(&["copy", "--repo", &at("copy"), "--to", &other, "--to-key-file", "other-key"]).ok().says("2 snapshots copied");
}

#[test]
fn other_keys_of_a_bucket_come_from_a_profile() {
    let (repo, _) = two();
    let server = Server::start(Options::default()).expect("a server");
    let config = format!("[profile offsite]\nregion = us-west-2\nendpoint_url = {}\n", server.endpoint());
    let config = repo.write("aws-config", config.as_bytes());
    let keys = repo.write("aws-keys", b"[offsite]\naws_access_key_id = test-only\naws_secret_access_key = test-only\n");
    let mirror = |profile: &str| {
        let mut command = repo.command(["mirror", "--to", &format!("s3://{BUCKET}/m"), "--to-profile", profile]);
        command.env("AWS_CONFIG_FILE", &config).env("AWS_SHARED_CREDENTIALS_FILE", &keys);
        Ran::from(command.output().expect("it runs"))
    };
    mirror("offsite").ok().says("copied");
    let missing = mirror("elsewhere").ends(1);
    assert!(missing.err.contains("the profile `elsewhere` is named"), "{}", missing.err);
}

#[test]
fn what_is_damaged_or_lost_here_stays_in_the_mirror() {
    let (repo, _) = two();
    repo.run(["mirror", "--to", "mirror"]).ok();
    let packs = crate::repo::files(&repo.at("repo/packs"));
    let name = |path: &std::path::Path| path.file_name().expect("a name").to_str().expect("digits").to_owned();
    let (cut, lost) = (&packs[0], &packs[1]);
    let whole = std::fs::read(cut).expect("readable");
    std::fs::write(cut, &whole[..whole.len() / 2]).expect("cut");
    std::fs::remove_file(lost).expect("lost");
    let ran = repo.run(["mirror", "--to", "mirror"]).ends(13);
    assert!(ran.err.contains(&name(cut)) && ran.err.contains("damaged in the repository"), "{}", ran.err);
    let ran = repo.run(["mirror", "--to", "mirror", "--delete", "--json"]).ends(13);
    assert_documented("mirror", &ran.object());
    assert!(ran.err.contains(&name(lost)) && ran.err.contains("repair --from mirror"), "{}", ran.err);
    let mut opened = repo.command(["check", "--read-data"]);
    Ran::from(opened.env("SFARC_REPO", repo.at("mirror")).output().expect("it runs")).ok();
    std::fs::write(cut, &whole).expect("whole again");
    let there = repo.at("mirror/packs").join(name(cut));
    let mut rotten = std::fs::read(&there).expect("readable");
    rotten[99] ^= 1;
    std::fs::write(&there, rotten).expect("rotten");
    repo.run(["mirror", "--to", "mirror", "--verify"]).ok().says("1 in place of damaged ones");
    assert_eq!(std::fs::read(&there).expect("readable"), whole);
}

#[test]
fn nobody_labels_a_snapshot_as_a_copy() {
    let repo = Repo::new();
    repo.write("d/file", b"some bytes");
    let label = format!("sfarc/copy-of={}", "0".repeat(64));
    repo.run(["snapshot", "--dir", "d", "--label", &label]).ends(2).says("are set by sfarc alone");
}
