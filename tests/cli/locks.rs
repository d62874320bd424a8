//! Buckets that keep what they were given, as people use them.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sfarc::testing::bucket::{BUCKET, Options};

use crate::buckets::Bucket;
use crate::repo::Ran;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[test]
fn prune_says_what_the_store_keeps_and_succeeds() {
    let bucket = Bucket::new(Options { worm: 30 * DAY, ..Options::default() });
    for content in ["one", "two"] {
        bucket.here.write("f", content.repeat(5000).as_bytes());
        bucket.run(&["snapshot", "--file", "f"]).ok();
    }
    bucket.run(&["forget", "--keep-last", "1"]).ok().says("stay until their retention ends");
    bucket.server.advance(DAY);
    let pruned = bucket.run(&["prune"]).ok().says("removed 0 packs").says("stay until their retention ends");
    assert_eq!(pruned.err.matches("retention").count() + pruned.text().matches("retention").count(), 1, "said once");
    let pruned = bucket.run(&["prune", "--json"]).ok().json();
    assert!(pruned[0]["retained_objects"].as_u64().is_some_and(|count| count > 0), "{pruned:?}");
    assert_eq!(bucket.run(&["cat", "latest", "f"]).ok().out, "two".repeat(5000).as_bytes());
    assert_eq!(bucket.run(&["list", "--json"]).ok().json().len(), 2, "one snapshot, and the requests");
    bucket.run(&["check", "--read-data"]).ok();
    bucket.run(&["key", "add", "--new-key-file", "key2"]).ok();
    let slots = bucket.run(&["key", "list", "--json"]).ok().json();
    let slot = slots[0]["id"].as_str().expect("a slot").to_owned();
    let kept = bucket.run(&["key", "remove", &slot]);
    assert_eq!(kept.code, Some(1), "a password that still opens is not removed: {}", kept.err);
    bucket.server.advance(40 * DAY);
    bucket.run(&["prune"]).ok().says("removed 1 pack");
    assert_eq!(bucket.run(&["cat", "latest", "f"]).ok().out, "two".repeat(5000).as_bytes());
}

/// With signed requests: the stand-in refuses headers that a signature leaves out.
#[test]
fn what_is_put_is_locked_and_renewed() {
    let bucket = Bucket::new(Options { object_lock: true, ..Options::default() });
    let run = |args: &[&str]| Ran::from(bucket.command(args).env("SFARC_LOCK_FOR", "30d").output().expect("it runs"));
    bucket.here.write("f", b"some bytes");
    run(&["snapshot", "--file", "f"]).ok();
    let locks = |folder: &str| {
        let names = bucket.server.objects().into_iter().map(|(name, _)| name);
        let names = names.filter(|name| name.contains(&format!("/{folder}/"))).collect::<Vec<_>>();
        assert!(!names.is_empty(), "{folder}");
        names.iter().map(|name| bucket.server.versions(name)[0].1.clone()).collect::<Vec<_>>()
    };
    for folder in ["packs", "indexes", "snapshots"] {
        assert!(locks(folder).iter().flatten().all(|lock| lock.mode == "COMPLIANCE"), "{folder}");
        assert!(locks(folder).iter().all(Option::is_some), "{folder}");
    }
    assert_eq!(locks("keys"), [None], "it was made before");
    assert!(run(&["prune", "--dry-run"]).ok().text().contains("would renew"));
    assert_eq!(locks("keys"), [None]);
    run(&["prune"]).ok().says("renewed ");
    assert!(locks("keys").iter().all(Option::is_some));
    run(&["renew"]).ok().says("nothing is due before");
    let renewed = run(&["renew", "--now", "--json"]).ok().json();
    assert_eq!((&renewed[0]["type"], &renewed[0]["due"]), (&"renewal".into(), &serde_json::Value::Null));
    bucket.run(&["renew"]).ends(2).says("--lock-for");
    let governed =
        bucket.command(&["snapshot", "--file", "f", "--lock-for", "10d", "--lock-mode", "governance"]).output();
    Ran::from(governed.expect("it runs")).ok();
    assert!(locks("snapshots").iter().flatten().any(|lock| lock.mode == "GOVERNANCE"));
}

#[test]
fn locks_that_cannot_be_are_refused() {
    let bucket = Bucket::new(Options::default());
    bucket.run(&["list", "--lock-for", "2d"]).ends(2).says("3 to 400 days");
    bucket.run(&["list", "--lock-for", "401d"]).ends(2).says("3 to 400 days");
    let repo = bucket.here.path();
    let folder = repo.to_str().expect("a path");
    let refused = bucket.run(&["list", "--repo", folder, "--lock-for", "30d"]);
    assert!(refused.code == Some(1) && refused.err.contains("only in S3"), "{}", refused.err);
    let refused = bucket.run(&["init", "--repo", "gs://bucket/x", "--lock-for", "30d"]);
    assert!(refused.err.contains("only in S3"), "{}", refused.err);
}

#[test]
fn the_file_of_a_loop_says_which_bucket_and_which_locks() {
    let bucket = Bucket::new(Options { object_lock: true, ..Options::default() });
    let text = format!(
        "every = \"1h\"\n[repository]\npath = \"s3://{BUCKET}/some/prefix\"\nendpoint = \"{}\"\naddressing = \"path\"\n\
         lock-for = \"30d\"\nlock-mode = \"governance\"\n[[target]]\nname = \"home\"\n[[target.stream]]\nname = \"f\"\n\
         here = true\npath = \"{}\"\n",
        bucket.server.endpoint(),
        bucket.here.at("f").display()
    );
    bucket.here.write("sfarc.toml", text.as_bytes());
    bucket.here.write("f", b"some bytes");
    let mut command = bucket.command(&["run", "--once", "--config", "sfarc.toml"]);
    command.env_remove("SFARC_REPO").env_remove("SFARC_ENDPOINT");
    Ran::from(command.output().expect("it runs")).ok();
    let pack = bucket
        .server
        .objects()
        .into_iter()
        .map(|(name, _)| name)
        .find(|name| name.contains("/packs/"))
        .expect("a pack");
    let lock = bucket.server.versions(&pack)[0].1.clone().expect("it is locked");
    assert_eq!(lock.mode, "GOVERNANCE");
    let wrong = text.replace("30d", "2d");
    bucket.here.write("sfarc.toml", wrong.as_bytes());
    bucket.run(&["config", "check"]).ends(2).says("3 to 400 days");
}

/// A server that speaks S3, if there is one.
struct Moto(Child, String);

impl Moto {
    fn start() -> Option<Self> {
        let program = std::env::var_os("SFARC_MOTO");
        let Some(program) = program else {
            println!("$SFARC_MOTO names no server, so locks are not tried against it");
            return None;
        };
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self(command.spawn().expect("it starts"), format!("http://127.0.0.1:{port}"));
        let end = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "the server does not listen");
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(server)
    }

    /// What the server says to somebody that it takes for the owner.
    fn get(&self, what: &str) -> ureq::http::Response<ureq::Body> {
        let owner = "AWS4-HMAC-SHA256 Credential=test-only/20260101/us-east-1/s3/aws4_request";
        ureq::get(format!("{}/{what}", self.1)).header("authorization", owner).call().expect("an answer")
    }

    fn locked_until(&self, object: &str) -> String {
        let answer = self.get(object);
        let until = answer.headers().get("x-amz-object-lock-retain-until-date").expect("it is locked");
        until.to_str().expect("a time").to_owned()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn between<'a>(text: &'a str, tag: &str) -> Vec<&'a str> {
    let begin = format!("<{tag}>");
    let parts = text.split(&begin).skip(1).filter_map(|rest| rest.split_once("</"));
    parts.map(|(value, _)| value).collect()
}

#[test]
fn a_server_of_s3_locks_and_renews() {
    let Some(moto) = Moto::start() else { return };
    let locked = ureq::put(format!("{}/locked", moto.1)).header("x-amz-bucket-object-lock-enabled", "true");
    locked.send_empty().expect("a bucket is made");
    let bucket = Bucket::new(Options::default());
    let run = |period: &str, args: &[&str]| {
        let mut command = bucket.command(args);
        command.env("SFARC_REPO", "s3://locked/sf").env("SFARC_ENDPOINT", &moto.1).env("SFARC_LOCK_FOR", period);
        Ran::from(command.output().expect("it runs"))
    };
    run("30d", &["init"]).ok();
    bucket.here.write("f", b"some bytes");
    run("30d", &["snapshot", "--file", "f"]).ok();
    let versions = moto.get("locked?versions&prefix=sf/packs/").into_body().read_to_string().expect("text");
    let (pack, version) = (between(&versions, "Key")[0], between(&versions, "VersionId")[0]);
    let until = |pack: &str| moto.locked_until(&format!("locked/{pack}"));
    let first = until(pack);
    let refused = ureq::delete(format!("{}/locked/{pack}?versionId={version}", moto.1)).call();
    assert!(matches!(refused, Err(ureq::Error::StatusCode(403))), "{refused:?}");
    let days = |until: &str| {
        let until: jiff::Timestamp = until.parse().expect("a time");
        (until.as_second() - jiff::Timestamp::now().as_second()) / (24 * 3600)
    };
    assert!((28..=30).contains(&days(&first)), "{first}");
    run("60d", &["renew", "--now"]).ok().says("renewed ");
    assert!((58..=60).contains(&days(&until(pack))), "{}", until(pack));
    // The bytes are what they were: a request about a lock has not become an object.
    assert_eq!(run("60d", &["cat", "latest", "f"]).ok().out, b"some bytes");
    bucket.here.write("f", b"other bytes");
    run("60d", &["snapshot", "--file", "f"]).ok();
    run("60d", &["forget", "--keep-last", "1"]).ok();
    run("60d", &["prune"]).ok();
    run("60d", &["check", "--read-data"]).ok();
    let refused = ureq::delete(format!("{}/locked/{pack}?versionId={version}", moto.1)).call();
    assert!(matches!(refused, Err(ureq::Error::StatusCode(403))), "the version is still there: {refused:?}");
}
