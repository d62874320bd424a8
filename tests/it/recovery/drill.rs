//! A restore for practice says whether a snapshot is worth anything.

use std::ffi::OsString;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sfarc::engine::drill::{At, Images, Options as DrillOptions, Report, drill, last_proven};
use sfarc::engine::snapshot::{From, Input, Options, snapshot};
use sfarc::engine::verify::{Outcome, verify};
use sfarc::format::manifest::{Origin, Proof};
use sfarc::repo::Repository;
use sfarc::repo::snapshots::Snapshot;
use sfarc::source::Verdict;
use sfarc::source::prepared::Prepared;
use sfarc::target::feed::Patience;
use sfarc::testing::cluster::{Container, Rule};
use sfarc::testing::factory;
use sfarc::testing::services::{MariaDb, Zuul};
use sfarc::testing::world::World;

use serde_json::json;

use super::Scene;

const LIMIT: Duration = Duration::from_secs(120);

/// The search path of this process, with Zuul's programs or without.
fn path(has_zuul: bool) -> OsString {
    let zuul = Zuul::installed().filter(|_| has_zuul).map(|zuul| zuul.admin().parent().expect("a folder").to_owned());
    let usual = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(zuul.into_iter().chain(std::env::split_paths(&usual))).expect("plain paths")
}

fn at(at: At) -> DrillOptions {
    DrillOptions { at, patience: Patience { silence: LIMIT, limit: LIMIT }, host: "test".to_owned() }
}

fn here(repository: &Repository, snapshot: &Snapshot) -> Report {
    drill(repository, snapshot, &at(At::Here(path(true)))).expect("tried")
}

/// Drills one after the other, so that what one leaves behind is not another's.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nothing of a scratch server is left, wherever it may have been.
fn assert_nothing_is_left() {
    let folders = [Path::new("/dev/shm").to_owned(), std::env::temp_dir(), "/tmp".into()];
    let left = || {
        let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| name.starts_with("sfarc-drill")).collect::<Vec<_>>()
    };
    // Servers in a pod end a moment after it.
    for _ in 0..100 {
        if left().is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("left behind: {:?}", left());
}

#[test]
fn a_good_snapshot_is_proven_and_that_is_recorded() {
    let _alone = alone();
    let Some(scene) = Scene::start(factory::Options { builds: 40, ..factory::Options::default() }) else { return };
    let (id, _) = scene.capture();
    let taken = scene.repository.read_snapshot(id).expect("readable");
    let report = here(&scene.repository, &taken);
    assert!(report.is_proven && !report.is_bad(), "{:?}", report.checks);
    for what in ["it loads, every table has its rows, and it goes live", "exported again the same"] {
        let is_good =
            |check: &&sfarc::engine::verify::Check| check.what.contains(what) && check.outcome == Outcome::Good;
        assert!(report.checks.iter().any(|check| is_good(&check)), "{what}: {:?}", report.checks);
    }
    let record = scene.repository.read_snapshot(report.record.expect("recorded")).expect("readable");
    assert_eq!(last_proven([&record.manifest].into_iter()), Some((record.manifest.time, &id.to_string()[..])));
    assert_eq!(scene.repository.resolve("latest").expect("it is there").id, id, "records are not what people mean");
}

#[test]
fn without_zuuls_program_nothing_is_called_proven() {
    let _alone = alone();
    let Some(scene) = Scene::start(factory::Options { builds: 2, ..factory::Options::default() }) else { return };
    let (id, _) = scene.capture();
    let taken = scene.repository.read_snapshot(id).expect("readable");
    let report = drill(&scene.repository, &taken, &at(At::Here(path(false)))).expect("tried");
    assert!(!report.is_proven && !report.is_bad(), "{:?}", report.checks);
    let notes =
        report.checks.iter().filter(|check| matches!(&check.outcome, Outcome::Note(why) if why.contains("zuul-admin")));
    assert_eq!(notes.count(), 1, "{:?}", report.checks);
}

#[test]
fn a_scratch_namespace_proves_a_snapshot_with_the_shipped_role_and_keeps_nothing() {
    const SCRATCH: &str = "sf-drill";
    const ROLE: &str = include_str!("../../../deploy/drill.yaml");
    let _alone = alone();
    let scene = Scene::start_with(factory::Options { builds: 40, ..factory::Options::default() }, |setup| {
        setup.namespace(SCRATCH);
        setup.token("sfarc-drill", Rule::from_role(ROLE, "sfarc-drill", SCRATCH));
        for image in ["mariadb:11.4-ubi9-1", "zookeeper:3.9.4"] {
            setup.image(&format!("registry.example/software-factory/{image}"), Container::new("server"));
        }
    });
    let Some(scene) = scene else { return };
    let (id, _) = scene.capture();
    let taken = scene.repository.read_snapshot(id).expect("readable");
    let place = crate::factory::place(&scene.factory, "sfarc-drill");
    let options = at(At::Cluster { place, namespace: SCRATCH.to_owned(), images: Images::default() });
    let report = drill(&scene.repository, &taken, &options).expect("tried");
    assert!(report.is_proven && !report.is_bad(), "{:?}", report.checks);
    let requests = scene.factory.cluster.requests();
    let deleted =
        requests.iter().find(|(method, path)| method == "DELETE" && path.contains("/namespaces/sf-drill/pods/"));
    let name = deleted.expect("the pod was deleted").1.rsplit('/').next().expect("a name").to_owned();
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": SCRATCH } });
    assert_eq!(scene.factory.cluster.object(&pod), None);
    assert_nothing_is_left();
}

#[test]
fn certificates_that_do_not_fit_together_turn_the_drill_red() {
    let _alone = alone();
    let Some(scene) = Scene::start(factory::Options { builds: 2, ..factory::Options::default() }) else { return };
    let other = sfarc::testing::services::Certificates::generate();
    scene.factory.set_secret("zookeeper-client-tls", "tls.crt", &other.client.0);
    scene.factory.set_secret("zookeeper-client-tls", "tls.key", &other.client.1);
    let (id, _) = scene.capture();
    let taken = scene.repository.read_snapshot(id).expect("readable");
    let report = here(&scene.repository, &taken);
    assert!(report.is_bad() && !report.is_proven, "{:?}", report.checks);
    assert_nothing_is_left();
}

/// A stream that says of itself what is not so.
fn planted(dump: &str, rows: &str) -> (World, sfarc::repo::Repository, sfarc::ids::ObjectId) {
    let world = World::new(1);
    let repository = world.init().expect("a repository");
    let (dump, facts) = (dump.to_owned(), vec![("rows/t".to_owned(), rows.to_owned())]);
    let stream = Prepared::new(Origin::Stdin, false, move |lanes| {
        lanes.write(0, dump.as_bytes())?;
        Ok(Verdict { facts: facts.clone(), ..Verdict::proven(Proof::P3) })
    });
    let inputs = vec![Input::new("database", From::Prepared(stream))];
    let report = snapshot(&repository, &Options { inputs, ..Options::default() }).expect("a snapshot");
    (world, repository, report.id.expect("stored"))
}

fn dump(rows: &str) -> String {
    format!(
        "-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB\n--\n-- Host: localhost    Database: zuul\n\
         DROP TABLE IF EXISTS `t`;\nCREATE TABLE `t` (\n  `id` int(11) NOT NULL,\n  PRIMARY KEY (`id`)\n);\n\
         INSERT INTO `t` VALUES {rows};\n-- Dump completed\n"
    )
}

#[test]
fn a_planted_bad_snapshot_turns_the_drill_red() {
    if !MariaDb::installed() {
        println!("MariaDB is not installed: not tested");
        return;
    }
    let _alone = alone();
    for (rows, count, is_good, what) in [
        ("(1),(2),(3)", "3", true, "a good one"),
        ("(1),(2),(2)", "3", false, "two rows with one key: whole to the last byte, and no server takes it"),
        ("(1),(2)", "3", false, "a row is lost"),
    ] {
        let (_world, repository, id) = planted(&dump(rows), count);
        let taken = repository.read_snapshot(id).expect("readable");
        let report = here(&repository, &taken);
        assert_eq!(report.is_proven, is_good, "{what}: {:?}", report.checks);
        assert_eq!(report.is_bad(), !is_good, "{what}: {:?}", report.checks);
        let record = repository.read_snapshot(report.record.expect("recorded")).expect("readable");
        assert_eq!(last_proven([&record.manifest].into_iter()).is_some(), is_good, "{what}");
    }
    let (_world, repository, id) = planted(&dump("(1),(1)"), "2");
    let taken = repository.read_snapshot(id).expect("readable");
    let checks = verify(&repository, &taken).expect("looked at").checks;
    assert!(checks.iter().all(|check| !matches!(check.outcome, Outcome::Bad(_))), "only a server can tell: {checks:?}");
}
