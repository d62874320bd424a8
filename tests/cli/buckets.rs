//! Repositories in a bucket, as people use them.

use std::process::Command;

use sfarc::testing::bucket::{BUCKET, Fault, Options, Server};

use crate::repo::{Ran, Repo, sfarc};

const PASSWORD: &str = "only for tests";

/// A bucket's servers, and a folder beside them.
pub(crate) struct Bucket {
    pub(crate) server: Server,
    pub(crate) here: Repo,
}

impl Bucket {
    pub(crate) fn new(options: Options) -> Self {
        let bucket = Self { server: Server::start(options).expect("a server"), here: Repo::new() };
        bucket.run(&["init"]).ok();
        bucket
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = sfarc();
        command.current_dir(self.here.at("")).args(args);
        command.env("SFARC_REPO", format!("s3://{BUCKET}/some/prefix")).env("SFARC_ENDPOINT", self.server.endpoint());
        command.env("SFARC_CACHE_DIR", self.here.at("cache")).env("SFARC_PASSWORD", PASSWORD);
        command.env("AWS_ACCESS_KEY_ID", "test-only").env("AWS_SECRET_ACCESS_KEY", "test-only");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().expect("it runs"))
    }
}

#[test]
fn a_bucket_is_used_like_a_folder() {
    let bucket = Bucket::new(Options::default());
    bucket.here.write("d/file", b"some bytes");
    let taken = bucket.run(&["snapshot", "--dir", "d"]).ok();
    assert!(taken.err.contains("requests: "), "{}", taken.err);
    let again = bucket.run(&["snapshot", "--dir", "d", "--json"]).ok();
    let requests = again.json().into_iter().find(|object| object["type"] == "requests").expect("they are told");
    let all: u64 = requests["requests"].as_object().expect("by kind").values().filter_map(|count| count.as_u64()).sum();
    assert!(all <= 6, "{requests}");
    assert_eq!(bucket.run(&["list", "--json"]).ok().json().len(), 3, "two snapshots, and the requests");
    bucket.run(&["restore", "latest", "--to", "back"]).ok();
    assert_eq!(std::fs::read(bucket.here.at("back/d/file")).expect("restored"), b"some bytes");
    bucket.run(&["forget", "--keep-last", "1"]).ok();
    bucket.run(&["prune"]).ok();
    bucket.run(&["check", "--read-data"]).ok();
    let all_below = bucket.server.objects().iter().all(|(name, _)| name.starts_with("some/prefix/"));
    assert!(all_below, "{:?}", bucket.server.objects());
}

#[test]
fn what_is_no_url_of_servers_is_refused() {
    let bucket = Bucket::new(Options::default());
    for endpoint in ["nonsense", "localhost:9000", "http://", "ftp://x"] {
        bucket.run(&["list", "--endpoint", endpoint]).ends(2).says("is no URL of servers");
    }
    let list = || bucket.command(&["list"]);
    let refused =
        Ran::from(list().env_remove("SFARC_ENDPOINT").env("AWS_ENDPOINT_URL", "nonsense").output().expect("runs"));
    refused.ends(1).says("is no URL of servers");
    bucket.here.write("sfarc.toml", b"[repository]\npath = \"s3://b/p\"\nendpoint = \"nonsense\"\n");
    bucket.run(&["config", "check"]).ends(2).says("line 3").says("is no URL of servers");
}

#[test]
fn copies_can_be_lost_or_spoiled() {
    let bucket = Bucket::new(Options::default());
    bucket.here.write("f", b"some bytes");
    bucket.run(&["snapshot", "--file", "f"]).ok();
    let copies: Vec<_> = walkdir::WalkDir::new(bucket.here.at("cache")).into_iter().flatten().collect();
    let files: Vec<_> = copies.iter().filter(|entry| entry.file_type().is_file()).collect();
    assert!(files.len() >= 3, "a configuration, a key slot, an index run: {files:?}");
    for file in files {
        let mut bytes = std::fs::read(file.path()).expect("read");
        bytes[45] ^= 1;
        std::fs::write(file.path(), bytes).expect("spoiled");
    }
    bucket.run(&["snapshot", "--file", "f"]).ok();
    std::fs::remove_dir_all(bucket.here.at("cache")).expect("removed");
    bucket.run(&["check", "--read-data"]).ok();
    assert_eq!(bucket.run(&["cat", "latest", "f"]).ok().out, b"some bytes");
}

#[test]
fn another_repository_at_the_same_place_is_not_taken_for_the_one_before() {
    let bucket = Bucket::new(Options::default());
    bucket.here.write("f", b"some bytes");
    bucket.run(&["snapshot", "--file", "f"]).ok();
    for (name, _) in bucket.server.objects() {
        bucket.server.lose(&name);
    }
    let gone = bucket.run(&["list"]);
    assert!(gone.err.contains("there is no sfarc repository"), "{}", gone.err);
    bucket.run(&["init"]).ok();
    bucket.run(&["snapshot", "--file", "f"]).ok();
    assert_eq!(bucket.run(&["cat", "latest", "f"]).ok().out, b"some bytes");
    bucket.run(&["check", "--read-data"]).ok();
}

#[test]
fn what_is_wrong_with_a_bucket_is_said() {
    let bucket = Bucket::new(Options::default());
    let full = bucket.run(&["init"]);
    assert!(full.err.contains("there are objects already"), "{}", full.err);
    bucket.server.faults().set(|_, _| Some(Fault::Code(403)));
    let refused = bucket.run(&["list"]);
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(!refused.err.contains("test-only"), "{}", refused.err);
    let place = bucket.run(&["list", "--repo", "ftp://x"]);
    assert!(place.err.contains("is no place for a repository"), "{}", place.err);
}
