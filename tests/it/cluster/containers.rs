//! Containers with roots and programs of their own.

use std::io::Write;

use sfarc::testing::cluster::{Cluster, Container, Fault, Planned, Rule};

use super::wire::{Heard, Session, V5};

const SUCCESS: &str = r#"{"metadata":{},"status":"Success"}"#;

fn cluster(container: Container) -> Cluster {
    Cluster::start(|setup| {
        setup.namespace("sf");
        setup.token("admin", [Rule::all()]);
        setup.pod("sf", "mariadb-0", [container]);
    })
}

async fn sh(cluster: &Cluster, script: &str) -> Heard {
    Session::sh(cluster, script, &[V5]).await.unwrap().hear().await
}

async fn run(cluster: &Cluster, command: &[&str]) -> Heard {
    Session::run(cluster, "mariadb-0", "mariadb", command).await.unwrap().hear().await
}

/// A root with one file, and a cluster with it; nothing where there can be none.
fn rooted(describe: impl FnOnce(Container) -> Container) -> Option<(tempfile::TempDir, Cluster)> {
    if !Container::roots_work() {
        // Written past the test harness, which would keep it to itself.
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: this machine has no user namespaces, so containers have no roots");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("var/lib/mysql")).unwrap();
    std::fs::write(folder.path().join("var/lib/mysql/ibdata1"), "inside\n").unwrap();
    let cluster = cluster(describe(Container::new("mariadb").root(folder.path())));
    Some((folder, cluster))
}

#[tokio::test]
async fn a_root_is_all_that_commands_see() {
    let Some((folder, cluster)) = rooted(|container| container.env("HOME", "/var/lib/mysql")) else { return };
    let script = "pwd; cat $HOME/ibdata1; id -u; echo written > /new; ls -d /root /work /tmp 2> /dev/null; test -r /proc/self/stat";
    let heard = sh(&cluster, script).await;
    assert_eq!((heard.text(1).as_str(), heard.text(3).as_str()), ("/\ninside\n0\n", SUCCESS), "{}", heard.text(2));
    assert_eq!(std::fs::read_to_string(folder.path().join("new")).unwrap(), "written\n");
}

#[tokio::test]
async fn commands_below_a_root_end_as_others_do() {
    let Some((_folder, cluster)) = rooted(|container| container) else { return };
    assert!(sh(&cluster, "exit 3").await.text(3).contains(r#""message":"3""#));
    assert!(sh(&cluster, "kill -9 $$").await.text(3).contains(r#""message":"137""#));
    for program in ["no-such-program", "/no/such/program"] {
        let status = run(&cluster, &[program]).await.text(3);
        assert!(status.contains(r#""code":500"#) && status.contains(program), "{status}");
    }
    let mut session = Session::run(&cluster, "mariadb-0", "mariadb", &["cat"]).await.unwrap();
    session.send(0, b"through stdin").await;
    session.send(255, &[0]).await;
    assert_eq!(session.hear().await.text(1), "through stdin");
}

#[tokio::test]
async fn processes_below_a_root_are_found_and_killed() {
    let Some((_folder, cluster)) = rooted(|container| container) else { return };
    let script = "setsid sleep 1000 > /dev/null 2>&1 & echo started; sleep 1000";
    let mut session = Session::sh(&cluster, script, &[V5]).await.unwrap();
    while session.next().await.unwrap().1 != b"started\n" {}
    assert!(cluster.processes("sf", "mariadb-0") >= 2);
    cluster.delete_pod("sf", "mariadb-0");
    assert!(session.hear().await.text(3).contains("exit code 137"));
    assert_eq!(cluster.processes("sf", "mariadb-0"), 0);
}

#[tokio::test]
async fn faults_strike_below_a_root() {
    let Some((_folder, cluster)) = rooted(|container| container) else { return };
    cluster.fault(Planned::once("mariadb", "seq", Fault::Kill(5)));
    assert_eq!(sh(&cluster, "seq 1 100000").await.channel(1).len(), 5);
}

#[tokio::test]
async fn only_some_tools_are_there() {
    for rooted_too in [false, true] {
        let describe = |container: Container| container.tools(&["sh", "seq"]).tools(&["wc"]);
        let (_folder, cluster) = if rooted_too {
            let Some((folder, cluster)) = rooted(describe) else { return };
            (Some(folder), cluster)
        } else {
            (None, cluster(describe(Container::new("mariadb"))))
        };
        let heard = sh(&cluster, "seq 3 | wc -l; sha256sum < /dev/null").await;
        assert_eq!(heard.text(1).trim(), "3");
        assert!(heard.text(2).contains("sha256sum") && heard.text(3).contains(r#""message":"127""#), "{heard:?}");
        let status = run(&cluster, &["sha256sum"]).await.text(3);
        assert!(status.contains("executable file not found in $PATH"), "{status}");
    }
}

#[tokio::test]
async fn own_programs_go_before_others() {
    for rooted_too in [false, true] {
        let describe = |container: Container| {
            container
                .program("seq", "echo own \"$@\"")
                .program("mariadb-dump", "cat; exit 4")
                .tools(&["sh", "cat", "seq"])
        };
        let (_folder, cluster) = if rooted_too {
            let Some((folder, cluster)) = rooted(describe) else { return };
            (Some(folder), cluster)
        } else {
            (None, cluster(describe(Container::new("mariadb"))))
        };
        let heard = sh(&cluster, "seq 'a  b' | mariadb-dump").await;
        assert_eq!(heard.text(1), "own a  b\n", "{heard:?}");
        assert!(heard.text(3).contains(r#""message":"4""#));
        assert_eq!(run(&cluster, &["seq", "1"]).await.text(1), "own 1\n");
    }
    let all = cluster(Container::new("mariadb").program("own", "seq 2"));
    assert_eq!(run(&all, &["own"]).await.text(1), "1\n2\n");
}

#[test]
#[should_panic = "no-such-tool is not on the search path"]
fn tools_must_be_there() {
    let _ = Container::new("a").tools(&["no-such-tool"]);
}
