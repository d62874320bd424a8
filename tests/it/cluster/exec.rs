//! Recorded exec sessions, one by one.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sfarc::testing::cluster::{Cluster, Container, Rule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::trace;
use super::wire::{End, Heard, Session};

const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;

pub(crate) fn cluster(folder: &std::path::Path) -> Cluster {
    Cluster::start(|setup| {
        setup.namespace("sf");
        setup.token("admin", [Rule::all()]);
        setup.token("sf:nobody", []);
        setup.pod("sf", "mariadb-0", [Container::new("mariadb").folder(folder)]);
        setup.pod("sf", "victim", [Container::new("victim").folder(folder)]);
    })
}

/// A recorded session and what it is replayed against.
struct Replay {
    trace: Value,
    cluster: Cluster,
    /// In place of the container's /tmp.
    folder: tempfile::TempDir,
}

impl Replay {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { trace: trace(name), cluster: cluster(folder.path()), folder }
    }

    async fn open(&self) -> Result<Session, super::wire::Refused> {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        let path = self.trace["request"]["path"].as_str().unwrap().replace("%2Ftmp", &folder);
        let offered = self.trace["request"]["subprotocols_offered"].as_array().unwrap();
        let offered: Vec<&str> = offered.iter().map(|name| name.as_str().unwrap()).collect();
        let token = if self.trace["name"] == "exec-forbidden" { "sf:nobody" } else { "admin" };
        Session::open(&self.cluster, token, &path, &offered).await
    }

    /// The recorded frames of one direction.
    fn frames(&self, direction: &str) -> Vec<&Value> {
        self.trace["frames"].as_array().unwrap().iter().filter(|frame| frame["dir"] == direction).collect()
    }

    /// Says what the recorded client said.
    async fn speak(&self, session: &mut Session) {
        for frame in self.frames("c>s") {
            let channel = u8::try_from(frame["channel"].as_u64().unwrap()).unwrap();
            match frame["text"].as_str() {
                // Long frames are cut short in the recording; all of them repeat one character.
                Some(text) => {
                    let len = usize::try_from(frame["len"].as_u64().unwrap()).unwrap();
                    let bytes =
                        if text.len() == len { text.as_bytes().to_vec() } else { vec![text.as_bytes()[0]; len] };
                    session.send(channel, &bytes).await;
                }
                None => session.send(channel, &[0]).await,
            }
        }
    }

    /// The recorded texts of a channel, if they are there as a whole.
    fn text(&self, channel: u8) -> Option<String> {
        let frames = self.frames("s>c").into_iter().filter(|frame| frame["channel"] == channel);
        let texts: Vec<(&str, u64)> =
            frames.map(|frame| (frame["text"].as_str().unwrap(), frame["len"].as_u64().unwrap())).collect();
        let total = self.trace["totals"][channel.to_string()]["bytes"].as_u64().unwrap_or(0);
        let listed = texts.iter().map(|(_, len)| len).sum::<u64>() == total;
        let whole = listed && texts.iter().all(|(text, len)| text.len() as u64 == *len);
        whole.then(|| texts.iter().map(|(text, _)| *text).collect())
    }

    fn assert_same(&self, protocol: Option<&str>, heard: &Heard) {
        let name = self.trace["name"].as_str().unwrap();
        assert_eq!(self.trace["handshake"]["subprotocol"].as_str(), protocol, "{name}");
        for channel in [STDOUT, STDERR, STATUS] {
            self.assert_same_channel(name, channel, heard);
        }
        assert_eq!(heard.frames.first(), Some(&(STDOUT, Vec::new())), "{name}: the first frame");
        if !heard.channel(STATUS).is_empty() {
            assert_eq!(heard.frames.last().unwrap().0, STATUS, "{name}: the last frame");
        }
        let code = self.frames("s>c").last().unwrap()["close"].as_u64();
        let end = code.map_or(End::Silent, |code| End::Closed(code.try_into().unwrap()));
        assert_eq!(heard.end, end, "{name}: the end");
    }

    fn assert_same_channel(&self, name: &str, channel: u8, heard: &Heard) {
        let bytes = heard.channel(channel);
        let total = &self.trace["totals"][channel.to_string()];
        assert_eq!(bytes.len() as u64, total["bytes"].as_u64().unwrap_or(0), "{name}: bytes of channel {channel}");
        let longest = heard.frames.iter().filter(|(of, _)| *of == channel).map(|(_, bytes)| bytes.len()).max();
        assert!(longest.unwrap_or(0) <= 32_768, "{name}: a frame of channel {channel} is too long");
        if let Some(text) = self.text(channel) {
            assert_eq!(String::from_utf8(bytes).unwrap(), text, "{name}: channel {channel}");
        }
    }
}

/// Replays a session that goes on by itself.
async fn replay(name: &str) -> Heard {
    let replay = Replay::new(name);
    let mut session = replay.open().await.unwrap();
    let protocol = session.protocol.clone();
    replay.speak(&mut session).await;
    let heard = session.hear().await;
    replay.assert_same(protocol.as_deref(), &heard);
    super::traces::replayed(name);
    heard
}

/// Replays a session that is refused.
async fn replay_refusal(name: &str) {
    let replay = Replay::new(name);
    let Err(refused) = replay.open().await else { panic!("{name}: a session was opened") };
    let handshake = &replay.trace["handshake"];
    assert_eq!(handshake["status"], refused.code, "{name}");
    assert_eq!(handshake["headers"]["content-type"].as_str(), refused.content_type.as_deref(), "{name}");
    assert_eq!(handshake["body"].as_str().unwrap_or(""), refused.body, "{name}");
    super::traces::replayed(name);
}

macro_rules! replays {
    ($list:ident by $replay:ident: $($test:ident $name:literal,)*) => {
        pub(crate) const $list: &[fn()] = &[$($test),*];
        $(#[tokio::test]
        async fn $test() {
            let _ = $replay($name).await;
        })*
    };
}

replays! { SESSIONS by replay:
    success "exec-ok",
    success_without_stderr "exec-ok-no-stderr",
    success_in_v4 "exec-v4-only",
    without_a_subprotocol_there_is_no_status "exec-no-subprotocol",
    both_outputs "exec-both-streams",
    exit_code "exec-exit-3",
    exit_code_in_v1 "exec-v1-channel",
    a_signal_is_128_and_its_number "exec-killed-by-signal",
    large_output "exec-large-stdout",
    half_close_ends_stdin "exec-stdin-v5-half-close",
    stdin_into_a_silent_sink "exec-stdin-v5-silent-sink",
    stdin_in_v4 "exec-stdin-v4-no-close",
    open_stdin_keeps_the_session "exec-stdin-never-closed",
}

replays! { REFUSALS by replay_refusal:
    forbidden "exec-forbidden",
    no_such_pod "exec-no-such-pod",
    no_such_container "exec-no-such-container",
    unknown_subprotocol "exec-unknown-subprotocol",
}

/// The name of the session in the text is random.
#[tokio::test]
async fn a_command_that_does_not_exist() {
    let replay = Replay::new("exec-command-not-found");
    let heard = replay.open().await.unwrap().hear().await;
    let status = heard.text(STATUS);
    let recorded = replay.frames("s>c")[1].clone();
    assert_eq!(status.len() as u64, recorded["len"].as_u64().unwrap());
    let begin = recorded["text"].as_str().unwrap().split("\\\"").next().unwrap();
    assert!(status.starts_with(begin), "{status}");
    assert!(status.ends_with(r#"}]},"code":500}"#), "{status}");
    assert_eq!((heard.frames.len(), heard.end), (2, End::Closed(1000)));
    super::traces::replayed("exec-command-not-found");
}

/// Replays a session that is killed by `kill` after some ticks: only their number differs.
async fn replay_killed(name: &str, kill: impl FnOnce(&Replay)) {
    let replay = Replay::new(name);
    let mut session = replay.open().await.unwrap();
    for _ in 0..3 {
        session.next().await.unwrap();
    }
    kill(&replay);
    let heard = session.hear().await;
    assert_eq!(heard.text(STATUS), replay.text(STATUS).unwrap());
    assert!(heard.text(STDOUT).split_terminator('\n').all(|line| line == "tick"));
    assert_eq!(heard.frames.last().unwrap().0, STATUS);
    assert_eq!(heard.end, End::Closed(1000));
    super::traces::replayed(name);
}

#[tokio::test]
async fn a_process_is_killed_midway() {
    replay_killed("exec-process-killed-midway", |replay| {
        let pid = std::fs::read_to_string(replay.folder.path().join("victim.pid")).unwrap();
        kill_process(Pid::from_raw(pid.trim().parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_pod_is_deleted_midway() {
    replay_killed("exec-pod-deleted-midway", |replay| replay.cluster.delete_pod("sf", "victim")).await;
}

/// The other tests of this file that replay recordings.
pub(crate) const OTHERS: &[fn()] =
    &[a_command_that_does_not_exist, a_process_is_killed_midway, a_pod_is_deleted_midway];

#[tokio::test]
async fn stopping_ends_all_processes() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = cluster(folder.path());
    let script = "setsid sleep 1000 > /dev/null 2>&1 & sleep 1000";
    let mut session = Session::sh(&cluster, script, &[super::wire::V5]).await.unwrap();
    session.next().await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(cluster.processes("sf", "mariadb-0"), 3);
    cluster.stop();
    assert_eq!(cluster.processes("sf", "mariadb-0"), 0);
    assert_eq!(session.next().await, Err(End::Gone));
}

/// As in a cluster: whoever wants the process to end has to kill it.
#[tokio::test]
async fn a_process_outlives_its_client() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster(folder.path());
    let mut session = Session::sh(&cluster, "exec sleep 1000", &[super::wire::V5]).await.unwrap();
    session.next().await.unwrap();
    drop(session);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(cluster.processes("sf", "mariadb-0"), 1);
}

/// The client that the program uses gets along with it.
#[tokio::test]
async fn the_kube_client_runs_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster(folder.path());
    let pods: Api<Pod> = Api::namespaced(super::rest::client(&cluster, "admin").await, "sf");
    let params = AttachParams::default().container("mariadb").stdin(true);
    let mut process = pods.exec("mariadb-0", ["sh", "-c", "wc -c; exit 3"], &params).await.unwrap();
    let mut stdin = process.stdin().unwrap();
    stdin.write_all(&[b'x'; 100_000]).await.unwrap();
    stdin.shutdown().await.unwrap();
    let mut stdout = String::new();
    process.stdout().unwrap().read_to_string(&mut stdout).await.unwrap();
    let status = process.take_status().unwrap().await.unwrap();
    assert_eq!((stdout.as_str(), status.reason.as_deref()), ("100000\n", Some("NonZeroExitCode")));
}
