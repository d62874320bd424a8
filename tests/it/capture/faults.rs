//! Whatever happens to a session, at whatever place in a stream: the stream is whole, or there is no snapshot and the
//! error says where, why and after how many bytes.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use sfarc::engine::snapshot::Report;
use sfarc::k8s::Place;
use sfarc::repo::Repository;
use sfarc::source::cluster::Take;
use sfarc::source::pod::Bounds;
use sfarc::testing::cluster::{Container, Fault, Planned};
use sfarc::testing::factory::{self, Factory};

use super::{assert_quiet, kept, once, pod, shell, take_one, wait_for, world};
use crate::factory::{make_plan, place, wishes};

const FRAME: u64 = 32 * 1024;

/// Points in a stream at which each fault strikes, at least.
const POINTS: usize = 20;

/// A stream that faults are tried on.
struct Victim {
    name: &'static str,
    pod: &'static str,
    container: &'static str,
    /// What no other command has in it.
    command: &'static str,
    take: Take,
    /// Bytes that its command writes.
    wire: u64,
    /// What is kept of it.
    truth: Vec<u8>,
}

struct Ground {
    factory: Factory,
    place: Place,
    victims: Vec<Victim>,
}

fn has_openssl() -> bool {
    Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success())
}

/// A command, a database and Zuul's keys; undisturbed, each is proven.
fn ground() -> Ground {
    let options = factory::Options { builds: 100, ..factory::Options::default() };
    let factory = Factory::start_with(options, |setup| setup.pod("sf", "plain-0", [Container::new("plain")]));
    let place = place(&factory, "admin");
    let plan = make_plan(&place, None, &wishes()).expect("a plan");
    let planned = |name: &str| plan.streams.iter().find(|stream| stream.name == name).expect("planned").take.clone();
    let written = |name: &str| std::fs::metadata(factory.folder().join(name)).expect("written").len();
    let seq = (1..=30_000).flat_map(|number| format!("{number}\n").into_bytes()).count() as u64;
    let take = Take::Command(pod("plain-0", "plain"), shell("seq 1 30000"), None);
    let victim = |name, pod, container, command, take, wire| Victim {
        name,
        pod,
        container,
        command,
        take,
        wire,
        truth: Vec::new(),
    };
    let mut victims = vec![
        victim("plain", "plain-0", "plain", "seq 1 30000", take, seq),
        victim("database", "mariadb-0", "mariadb", "single-transaction", planned("database"), written("dump.sql")),
        victim("keys", "zuul-scheduler-0", "zuul-scheduler", "export-keys", planned("keys"), written("keys.json")),
    ];
    let repository = world().init().expect("a repository");
    for victim in &mut victims {
        let report = take_one(&repository, &place, victim.name, victim.take.clone(), once()).expect("undisturbed");
        victim.truth = kept(&repository, &report, victim.name);
    }
    Ground { factory, place, victims }
}

impl Victim {
    /// Bytes on the wire: those of the command and the trailer, with the words of the digest tool that there is.
    fn total(&self) -> u64 {
        let (tool, words) = if has_openssl() { ("openssl", "*stdin") } else { ("sha256sum", "-") };
        let trailer = format!("\nsfarc end {:32} exit 0 tee 0 {tool} 0 sum {:64} {words} .\n", "", "");
        self.wire + trailer.len() as u64
    }

    fn target(&self) -> String {
        format!("sf/{}/{}", self.pod, self.container)
    }

    /// The first and the last bytes, borders of frames, of what is held back, and of the trailer; and some in between.
    fn points(&self) -> Vec<u64> {
        let (wire, total) = (self.wire, self.total());
        let mut points = vec![0, 1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 3 * FRAME + 1];
        points.extend([wire - 1, wire, wire + 1, wire + 12, wire + 44, total - 256, total - 257]);
        points.extend([total - 70, total - 5, total - 2, total - 1, total]);
        points.extend((1..=10).map(|part| wire * part / 11));
        points.retain(|&point| point <= total);
        points.sort_unstable();
        points.dedup();
        assert!(points.len() >= POINTS, "{points:?}");
        points
    }

    fn take(&self, ground: &Ground, repository: &Repository, bounds: Bounds) -> Result<Report, String> {
        let result = take_one(repository, &ground.place, self.name, self.take.clone(), bounds);
        assert_quiet(&ground.factory.cluster, self.pod);
        result
    }

    /// Takes the stream with a fault. A snapshot holds the truth, and there is none after a failure.
    fn strike(&self, ground: &Ground, repository: &Repository, fault: Fault, bounds: Bounds) -> Result<(), String> {
        let before = repository.snapshot_ids().expect("listed").len();
        ground.factory.cluster.fault(Planned::once(self.container, self.command, fault));
        let result = self.take(ground, repository, bounds);
        let after = repository.snapshot_ids().expect("listed").len();
        match result {
            Ok(report) => {
                assert!(kept(repository, &report, self.name) == self.truth, "{fault:?}: other bytes of {}", self.name);
                Ok(())
            }
            Err(error) => {
                assert_eq!(after, before, "{fault:?} made a snapshot of {}", self.name);
                let says = |text: &str| assert!(error.contains(text), "{fault:?}: no `{text}` in: {error}");
                says(&format!("stream `{}`", self.name));
                let of_keys = "secrets sf/zuul-keystore-password";
                let target = self.target();
                says(if error.contains("401") && self.name == "keys" { of_keys } else { &target });
                Err(error)
            }
        }
    }
}

/// Tries a fault at many points of all streams and prints what came of it. `is_whole` says where a snapshot is fine, and
/// errors say `says`.
fn try_all(fault: impl Fn(u64) -> Fault + Sync, is_whole: impl Fn(&Victim, u64) -> Whole + Sync, says: &str) {
    let ground = ground();
    let (ground, fault, is_whole) = (&ground, &fault, &is_whole);
    std::thread::scope(|scope| {
        for victim in &ground.victims {
            scope.spawn(move || {
                let repository = world().init().expect("a repository");
                let mut table = String::new();
                for at in victim.points() {
                    let bounds = Bounds { silence: Duration::from_secs(1), ..once() };
                    let result = victim.strike(ground, &repository, fault(at), bounds);
                    let text = result.as_ref().map_or_else(|error| error.replace('\n', " "), |()| "whole".to_owned());
                    let _ = writeln!(table, "{:9} {:44} {text}", victim.name, format!("{:?}", fault(at)));
                    match (is_whole(victim, at), result) {
                        (Whole::Never, Ok(())) => panic!("{table}a snapshot in spite of {:?}", fault(at)),
                        (Whole::Always, Err(error)) => panic!("{table}{error}"),
                        (_, Err(error)) => {
                            assert!(error.contains(says) && error.contains(" bytes"), "no `{says}` in: {error}");
                        }
                        _ => {}
                    }
                }
                println!("{table}");
            });
        }
    });
}

#[derive(Clone, Copy)]
enum Whole {
    Always,
    Never,
    /// It depends on which byte of the trailer is hit.
    Perhaps,
}

fn never(_: &Victim, _: u64) -> Whole {
    Whole::Never
}

#[test]
fn a_cut_that_looks_like_success_is_noticed() {
    let all = |victim: &Victim, at| if at == victim.total() { Whole::Always } else { Whole::Never };
    try_all(Fault::CutThenSuccess, all, "its end is missing");
}

#[test]
fn a_session_without_a_status_is_no_success() {
    try_all(Fault::CutWithoutStatus, never, "without a word on how the command ended");
}

#[test]
fn lost_bytes_are_noticed() {
    let part = |victim: &Victim, at| match at {
        at if at < victim.wire => Whole::Never,
        at if at >= victim.total() => Whole::Always,
        _ => Whole::Perhaps,
    };
    try_all(|after| Fault::Lose { after, bytes: 1 }, part, "is not whole");
}

#[test]
fn a_stall_is_noticed() {
    try_all(Fault::Stall, never, "nothing came from");
}

#[test]
fn a_killed_process_is_noticed() {
    try_all(Fault::Kill, never, "exit code 137");
}

#[test]
fn a_lost_connection_is_noticed() {
    try_all(Fault::Disconnect, never, "the connection to");
}

#[test]
fn sessions_that_are_refused_or_odd_end_in_no_false_snapshot() {
    let ground = ground();
    let repository = world().init().expect("a repository");
    for victim in &ground.victims {
        for (fault, says) in [
            (Fault::Refuse(403), Some("403")),
            (Fault::Refuse(429), Some("429")),
            (Fault::Refuse(500), Some("500")),
            (Fault::NoSubprotocol, Some("neither v5 nor v4")),
            (Fault::EndlessStderr, Some("did not end within 3 seconds")),
            (Fault::OnlyV4, None),
        ] {
            let bounds = Bounds { timeout: Duration::from_secs(3), ..once() };
            let result = victim.strike(&ground, &repository, fault, bounds);
            println!("{:9} {fault:?}: {result:?}", victim.name);
            match (says, result) {
                (Some(says), Err(error)) => assert!(error.contains(says), "no `{says}` in: {error}"),
                (says, result) => assert!(says.is_none() && result.is_ok(), "{fault:?}: {result:?}"),
            }
        }
    }
}

/// A stream that was opened goes on without its token; what has to be asked after it cannot be.
#[test]
fn a_token_that_expires_midway_ends_in_no_false_snapshot() {
    let ground = ground();
    let (cluster, repository) = (&ground.factory.cluster, world().init().expect("a repository"));
    let slow = Fault::Delay { after: 0, millis: 300 };
    for victim in &ground.victims {
        let is_of_victim = |command: &[String]| command.join(" ").contains(victim.command);
        let sessions = || cluster.sessions().iter().filter(|(_, _, command)| is_of_victim(command)).count();
        let before = sessions();
        let result = std::thread::scope(|scope| {
            let taking = scope.spawn(|| victim.strike(&ground, &repository, slow, once()));
            wait_for("the session", || sessions() > before);
            cluster.expire_token("admin");
            taking.join().expect("no panic")
        });
        cluster.renew_token("admin");
        println!("{:9} {result:?}", victim.name);
        match victim.name {
            "plain" => assert_eq!(result, Ok(())),
            _ => assert!(result.is_err_and(|error| error.contains("401"))),
        }
    }
}

/// What is wrong with a folder's entries because bytes got lost is said to be so.
#[test]
fn bytes_lost_inside_a_folder_are_not_blamed_on_its_tar() {
    let ground = ground();
    let repository = world().init().expect("a repository");
    let logs: PathBuf = ground.factory.folder().join("logs");
    let take = Take::Folder(pod("logserver-0", "logserver"), logs.display().to_string());
    for after in [100, 700, 40_000] {
        ground.factory.cluster.fault(Planned::once("logserver", "tar ", Fault::Lose { after, bytes: 1 }));
        let error = take_one(&repository, &ground.place, "logs", take.clone(), once()).expect_err("lost bytes");
        assert!(error.contains("sf/logserver-0/logserver is not whole"), "{after}: {error}");
        assert_quiet(&ground.factory.cluster, "logserver-0");
    }
}

#[test]
fn failures_of_commands_are_named() {
    let ground = ground();
    let repository = world().init().expect("a repository");
    for (command, says) in [
        ("echo oops >&2; echo x; exit 7", "exit code 7, after 2 bytes; its last words were:\n  oops"),
        ("kill -9 $$", "exit code 137, after 0 bytes"),
        ("no-such-program-anywhere", "exit code 127"),
    ] {
        let take = Take::Command(pod("plain-0", "plain"), shell(command), None);
        let error = take_one(&repository, &ground.place, "s", take, once()).expect_err(says);
        assert!(error.contains(says) && error.contains("sf/plain-0/plain"), "{says}: {error}");
    }
    for (place, says) in [(pod("gone-0", "plain"), "gone-0"), (pod("plain-0", "other"), "other")] {
        let error = take_one(&repository, &ground.place, "s", Take::Command(place, shell("true"), None), once());
        let error = error.expect_err(says);
        assert!(error.contains(says), "{error}");
    }
    assert!(repository.snapshot_ids().expect("listed").is_empty());
}
