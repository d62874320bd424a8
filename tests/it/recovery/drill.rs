//! A restore for practice says whether a snapshot is worth anything.

use sfarc::engine::drill::{drill, last_proven};
use sfarc::engine::snapshot::{From, Input, Options, snapshot};
use sfarc::engine::verify::{Outcome, verify};
use sfarc::format::manifest::{Origin, Proof};
use sfarc::source::Verdict;
use sfarc::source::prepared::Prepared;
use sfarc::testing::factory;
use sfarc::testing::services::MariaDb;
use sfarc::testing::world::World;

use super::Scene;

#[test]
fn a_good_snapshot_is_proven_and_that_is_recorded() {
    let Some(scene) = Scene::start(factory::Options { builds: 40, ..factory::Options::default() }) else { return };
    let (id, _) = scene.capture();
    let taken = scene.repository.read_snapshot(id).expect("readable");
    let report = drill(&scene.repository, &taken, "test").expect("tried");
    assert!(report.is_proven && !report.is_bad(), "{:?}", report.checks);
    let record = scene.repository.read_snapshot(report.record.expect("recorded")).expect("readable");
    assert_eq!(last_proven([&record.manifest].into_iter()), Some((record.manifest.time, &id.to_string()[..])));
    assert_eq!(scene.repository.resolve("latest").expect("it is there").id, id, "records are not what people mean");
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
    for (rows, count, is_good, what) in [
        ("(1),(2),(3)", "3", true, "a good one"),
        ("(1),(2),(2)", "3", false, "two rows with one key: whole to the last byte, and no server takes it"),
        ("(1),(2)", "3", false, "a row is lost"),
    ] {
        let (_world, repository, id) = planted(&dump(rows), count);
        let taken = repository.read_snapshot(id).expect("readable");
        let report = drill(&repository, &taken, "test").expect("tried");
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
