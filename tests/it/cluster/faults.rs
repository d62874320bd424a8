//! Each fault strikes where it was planned, and only there.

use sfarc::testing::cluster::{Cluster, Fault, Planned};

use super::exec::cluster;
use super::wire::{End, Heard, Session, V4, V5};

const SUCCESS: &str = r#"{"metadata":{},"status":"Success"}"#;
/// Longer than a frame, and than what a pipe holds.
const DUMP: &str = "seq 1 50000";

fn dump() -> Vec<u8> {
    (1..=50_000).flat_map(|number| format!("{number}\n").into_bytes()).collect()
}

fn faulty(fault: Fault) -> Cluster {
    let cluster = cluster(&std::env::temp_dir());
    cluster.fault(Planned::once("mariadb", "seq", fault));
    cluster
}

async fn run(cluster: &Cluster, script: &str) -> Heard {
    Session::sh(cluster, script, &[V5, V4]).await.unwrap().hear().await
}

/// Runs the dump with a fault, and then again: a fault is used once.
async fn struck(fault: Fault) -> Heard {
    let cluster = faulty(fault);
    assert_eq!(run(&cluster, "echo other").await.text(3), SUCCESS, "{fault:?} struck another command");
    let heard = run(&cluster, DUMP).await;
    let again = run(&cluster, DUMP).await;
    assert_eq!((again.channel(1), again.text(3).as_str()), (dump(), SUCCESS), "{fault:?} struck twice");
    heard
}

#[tokio::test]
async fn a_cut_that_looks_like_success() {
    for bytes in [0, 1, 40_000] {
        let heard = struck(Fault::CutThenSuccess(bytes)).await;
        assert_eq!(heard.channel(1), dump()[..bytes as usize]);
        assert_eq!((heard.text(3).as_str(), heard.end), (SUCCESS, End::Closed(1000)));
    }
}

#[tokio::test]
async fn a_cut_without_a_status() {
    let heard = struck(Fault::CutWithoutStatus(40_000)).await;
    assert_eq!(heard.channel(1), dump()[..40_000]);
    assert_eq!((heard.text(3).as_str(), heard.end), ("", End::Closed(1000)));
}

#[tokio::test]
async fn lost_bytes_leave_no_other_trace() {
    let heard = struck(Fault::Lose { after: 1000, bytes: 50_000 }).await;
    let mut expected = dump();
    expected.drain(1000..51_000);
    assert!(heard.channel(1) == expected);
    assert_eq!((heard.text(3).as_str(), heard.end), (SUCCESS, End::Closed(1000)));
}

#[tokio::test]
async fn a_stall() {
    let heard = struck(Fault::Stall(40_000)).await;
    assert_eq!(heard.channel(1), dump()[..40_000]);
    assert_eq!((heard.text(3).as_str(), heard.end), ("", End::Silent));
}

#[tokio::test]
async fn a_killed_process() {
    let heard = struck(Fault::Kill(40_000)).await;
    assert_eq!(heard.channel(1), dump()[..40_000]);
    assert!(
        heard
            .text(3)
            .contains(r#""reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"137"}]}"#)
    );
    assert_eq!(heard.end, End::Closed(1000));
}

#[tokio::test]
async fn a_lost_connection() {
    let heard = struck(Fault::Disconnect(40_000)).await;
    assert_eq!(heard.channel(1), dump()[..40_000]);
    assert_eq!((heard.text(3).as_str(), heard.end), ("", End::Gone));
}

#[tokio::test]
async fn a_fault_beyond_the_end_is_none() {
    let far = 10_000_000;
    let faults = [
        Fault::CutThenSuccess(far),
        Fault::CutWithoutStatus(far),
        Fault::Lose { after: far, bytes: 1 },
        Fault::Stall(far),
        Fault::Kill(far),
        Fault::Disconnect(far),
        Fault::LoseStdin(far),
        Fault::Delay { after: far, millis: 3_600_000 },
    ];
    for fault in faults {
        let heard = run(&faulty(fault), DUMP).await;
        assert!(heard.channel(1) == dump(), "{fault:?}");
        assert_eq!((heard.text(3).as_str(), heard.end), (SUCCESS, End::Closed(1000)), "{fault:?}");
    }
}

/// The process ends long before its output has arrived.
#[tokio::test]
async fn a_slow_network() {
    let begin = std::time::Instant::now();
    let heard = struck(Fault::Delay { after: 100_000, millis: 40 }).await;
    assert!(heard.channel(1) == dump());
    assert_eq!((heard.text(3).as_str(), heard.end), (SUCCESS, End::Closed(1000)));
    let frames = dump().len().div_ceil(32 * 1024) as u64 - 4;
    assert!(begin.elapsed().as_millis() >= u128::from(frames * 40), "nothing was slow");
}

#[tokio::test]
async fn endless_stderr() {
    let cluster = faulty(Fault::EndlessStderr);
    let mut session = Session::sh(&cluster, "seq 1 3", &[V5]).await.unwrap();
    for _ in 0..200 {
        session.next().await.unwrap();
    }
    let of = |wanted: u8| session.frames.iter().filter(move |(channel, _)| *channel == wanted);
    assert_eq!(of(1).flat_map(|(_, bytes)| bytes.clone()).collect::<Vec<u8>>(), b"1\n2\n3\n");
    assert!(of(2).count() > 190);
    assert_eq!(of(3).count(), 0);
}

#[tokio::test]
async fn lost_stdin() {
    let cluster = cluster(&std::env::temp_dir());
    cluster.fault(Planned::always("mariadb", "wc", Fault::LoseStdin(1500)));
    for _ in 0..2 {
        let mut session = Session::sh(&cluster, "wc -c", &[V5]).await.unwrap();
        for _ in 0..10 {
            session.send(0, &[b'x'; 1000]).await;
        }
        session.send(255, &[0]).await;
        let heard = session.hear().await;
        assert_eq!((heard.text(1).as_str(), heard.text(3).as_str()), ("1500\n", SUCCESS));
    }
}

#[tokio::test]
async fn a_server_of_v4_only() {
    let cluster = faulty(Fault::OnlyV4);
    let session = Session::sh(&cluster, DUMP, &[V5, V4]).await.unwrap();
    assert_eq!(session.protocol.as_deref(), Some(V4));
    assert_eq!(session.hear().await.text(3), SUCCESS);
    cluster.fault(Planned::once("mariadb", "seq", Fault::OnlyV4));
    assert_eq!(Session::sh(&cluster, DUMP, &[V5]).await.err().map(|refused| refused.code), Some(403));
}

/// The client of this test insists on a protocol, so it offers none.
#[tokio::test]
async fn a_server_without_subprotocols() {
    let cluster = faulty(Fault::NoSubprotocol);
    let heard = Session::sh(&cluster, DUMP, &[]).await.unwrap().hear().await;
    assert_eq!((heard.channel(1), heard.text(3).as_str(), heard.end), (dump(), "", End::Closed(1000)));
}

#[tokio::test]
async fn refusals() {
    for (code, reason) in [(403, "Forbidden"), (429, "TooManyRequests"), (500, "InternalError")] {
        let cluster = faulty(Fault::Refuse(code));
        let refused = Session::sh(&cluster, DUMP, &[V5]).await.err().unwrap();
        assert_eq!(refused.code, code);
        assert!(refused.body.contains(&format!("\"reason\":\"{reason}\"")), "{}", refused.body);
        assert_eq!(run(&cluster, DUMP).await.text(3), SUCCESS);
    }
}
