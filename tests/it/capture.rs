//! Streams out of containers of the stand-in cluster: whole and proven, or no snapshot.

use std::time::Duration;

use sfarc::engine::snapshot::{From, Input, Options, snapshot};
use sfarc::format::manifest::Proof;
use sfarc::k8s::{Place, PodChoice, PodPlace};
use sfarc::source::cluster::{ClusterStream, Take};
use sfarc::source::pod::{Bounds, PodCommand};
use sfarc::testing::cluster::{Cluster, Container, Fault, Planned, Rule};
use sfarc::testing::world::{World, read_streams};

const DUMP: &str = "seq 1 50000";

fn dump() -> Vec<u8> {
    (1..=50_000).flat_map(|number| format!("{number}\n").into_bytes()).collect()
}

struct Taken {
    world: World,
    result: Result<sfarc::engine::snapshot::Report, String>,
}

fn take(command: &str, fault: Option<Fault>) -> Taken {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cluster = Cluster::start(|setup| {
        setup.namespace("sf");
        setup.token("backup", [Rule::new(&[""], &["pods/exec"], &["get", "create"]).within("sf")]);
        setup.pod("sf", "mariadb-0", [Container::new("mariadb").folder(folder.path())]);
    });
    if let Some(fault) = fault {
        cluster.fault(Planned::once("mariadb", "sfarc end", fault));
    }
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(&kubeconfig, cluster.kubeconfig("backup")).expect("written");
    let pod = PodChoice::Named("mariadb-0".to_owned());
    let pod = PodPlace { namespace: "sf".to_owned(), pod, container: Some("mariadb".to_owned()) };
    let place = Place { kubeconfig: Some(kubeconfig), context: None };
    let bounds = Bounds { silence: Duration::from_secs(3), attempts: 1, ..Bounds::default() };
    let take = Take::Command(pod, PodCommand::Shell(command.to_owned()), None);
    let from = From::Cluster(ClusterStream { place, take, bounds });
    let options = Options { inputs: vec![Input::new("db", from)], ..Options::default() };
    let world = World::new(1);
    let repository = world.init().expect("a repository");
    let result = snapshot(&repository, &options).map_err(|error| sfarc::error::chain(&error));
    let stays = (0..100).all(|_| {
        std::thread::sleep(Duration::from_millis(20));
        cluster.processes("sf", "mariadb-0") > 0
    });
    assert!(!stays, "the command is still there");
    Taken { world, result }
}

#[test]
fn a_stream_arrives_whole_and_proven() {
    let Taken { world, result } = take(DUMP, None);
    let report = result.expect("a snapshot");
    assert_eq!(report.manifest.streams[0].proof, Proof::P2);
    let repository = world.open().expect("it opens");
    let snapshot = repository.read_snapshot(report.id.expect("an id")).expect("readable");
    let streams = read_streams(&repository, &snapshot).expect("restored");
    assert!(streams["db"] == dump(), "other bytes came back");
}

#[test]
fn no_fault_ends_in_a_snapshot() {
    let len = dump().len() as u64;
    for at in [0, 1, 32_768, 100_000, len - 1, len, len + 40] {
        let faults = [
            Fault::CutThenSuccess(at),
            Fault::CutWithoutStatus(at),
            Fault::Disconnect(at),
            Fault::Kill(at),
            Fault::Stall(at),
        ];
        for fault in faults {
            let text = format!("{fault:?}");
            let Taken { world, result } = take(DUMP, Some(fault));
            let error = result.expect_err(&text);
            assert!(error.contains("sf/mariadb-0/mariadb"), "{text}: {error}");
            let repository = world.open().expect("it opens");
            assert!(repository.snapshots().expect("listed").snapshots.is_empty(), "{text} made a snapshot");
        }
    }
}

#[test]
fn refusals_and_failures_are_named() {
    for (command, fault, says) in [
        (DUMP, Some(Fault::Refuse(403)), "403"),
        (DUMP, Some(Fault::NoSubprotocol), "neither v5 nor v4"),
        ("echo oops >&2; echo x; exit 7", None, "exit code 7, after 2 bytes; its last words were:\n  oops"),
    ] {
        let error = take(command, fault).result.expect_err(says);
        assert!(error.contains(says), "{says}: {error}");
    }
}
