//! Streams that do not fit together are kept and marked; contents that are not what they should be are not kept.

use std::path::PathBuf;

use sfarc::engine::snapshot::Report;
use sfarc::plan::software_factory::Wishes;
use sfarc::repo::Repository;
use sfarc::source::pod::Bounds;
use sfarc::testing::cluster::{Fault, Planned};
use sfarc::testing::factory::{self, Factory, PASSWORD};

use super::{repository, wait_for, world};
use crate::factory::{make_plan, place, stream, take};

fn factory() -> Factory {
    Factory::start(factory::Options { builds: 20, ..factory::Options::default() })
}

fn take_with(factory: &Factory, repository: &Repository, attempts: u32) -> Result<Report, String> {
    let place = place(factory, "admin");
    let wishes = Wishes {
        bounds: Bounds { attempts, ..Bounds::default() },
        with: vec!["nodepool".to_owned()],
        ..Wishes::default()
    };
    take(repository, &place, make_plan(&place, Some(&factory.cr_file()), &wishes).expect("a plan"))
}

/// Fails for this reason, and makes no snapshot.
#[track_caller]
fn assert_fails(factory: &Factory, says: &[&str]) {
    let repository = world().init().expect("a repository");
    let error = take_with(factory, &repository, 1).expect_err("no snapshot");
    says.iter().for_each(|says| assert!(error.contains(says), "no `{says}` in: {error}"));
    assert!(!error.contains(PASSWORD) && !error.contains("PRIVATE KEY"), "a secret in: {error}");
    assert!(repository.snapshot_ids().expect("listed").is_empty());
}

/// Takes a snapshot, and changes the Secret while the keys are exported.
fn with_a_change(factory: &Factory, repository: &Repository, attempts: u32) -> Result<Report, String> {
    let slow = Fault::Delay { after: 0, millis: 1000 };
    factory.cluster.fault(Planned::once("zuul-scheduler", "export-keys", slow));
    std::thread::scope(|scope| {
        let taking = scope.spawn(|| take_with(factory, repository, attempts));
        let asked = || {
            let requests = factory.cluster.requests();
            requests.iter().filter(|(_, path)| path.ends_with("secrets/zuul-keystore-password")).count()
        };
        // By the objects and by the keys.
        wait_for("both looks at the Secret", || asked() >= 2);
        let is_export = |command: &[String]| command.join(" ").contains("export-keys");
        wait_for("the export", || factory.cluster.sessions().iter().any(|(_, _, command)| is_export(command)));
        factory.change_password_secret(PASSWORD);
        taking.join().expect("no panic")
    })
}

#[test]
fn a_password_that_changes_during_the_export_is_noticed() {
    let factory = factory();
    let repository = world().init().expect("a repository");
    let error = with_a_change(&factory, &repository, 1).expect_err("a change");
    assert!(error.contains("stream `keys`") && error.contains("changed while the keys were exported"), "{error}");
    assert!(repository.snapshot_ids().expect("listed").is_empty());
}

#[test]
fn a_password_that_changes_between_streams_is_a_finding() {
    let factory = factory();
    let world = world();
    let (repository, warnings) = repository(&world);
    let report = with_a_change(&factory, &repository, 2).expect("the second time");
    let finding = "secret zuul-keystore-password was changed between stream `objects` and stream `keys`";
    assert_eq!(report.manifest.findings, [finding]);
    assert!(report.manifest.complete);
    let said = warnings.all().join("\n");
    assert!(said.contains("changed while the keys were exported; it is tried again"), "{said}");
}

#[test]
fn a_half_done_rotation_is_a_finding() {
    let factory = factory();
    factory.set_secret("zuul-keystore-password-new", "zuul-keystore-password-new", "another");
    let repository = world().init().expect("a repository");
    let report = take_with(&factory, &repository, 1).expect("a snapshot");
    let finding = "stream `objects`: Secret zuul-keystore-password-new exists: a change is half done";
    assert_eq!(report.manifest.findings, [finding]);
}

fn edit(factory: &Factory, name: &str, change: impl FnOnce(String) -> String) {
    let path: PathBuf = factory.folder().join(name);
    let text = std::fs::read_to_string(&path).expect("readable");
    let changed = change(text.clone());
    assert_ne!(text, changed, "{name} stays as it is");
    std::fs::write(path, changed).expect("written");
}

/// `zuul_build`, as the server tells it.
const BUILDS: &str = "7A75756C5F6275696C64";

#[test]
fn rows_that_the_dump_lacks_are_findings_and_the_dump_is_kept() {
    let factory = factory();
    edit(&factory, "counts", |counts| {
        counts.replace(&format!("rows/{BUILDS}\t20\n"), &format!("rows/{BUILDS}\t25\nrows/6C6F7374\t3\n"))
    });
    let repository = world().init().expect("a repository");
    let report = take_with(&factory, &repository, 1).expect("a snapshot");
    let text = report.manifest.findings.join("\n");
    assert!(text.contains("the dump has 20 rows of table zuul_build, which had at least 25"), "{text}");
    assert!(text.contains("the dump lacks table lost, which had 3 rows"), "{text}");
    assert!(stream(&report, "database").content.len > 0);
}

#[test]
fn a_newest_build_that_the_dump_lacks_is_a_finding() {
    let factory = factory();
    edit(&factory, "counts", |counts| counts + &format!("newest/{BUILDS}\tffffffffffffffff0000000000000000\n"));
    let repository = world().init().expect("a repository");
    let report = take_with(&factory, &repository, 1).expect("a snapshot");
    assert_eq!(report.manifest.findings.len(), 1, "{:?}", report.manifest.findings);
    assert!(report.manifest.findings[0].contains("lacks the newest row of zuul_build"));
}

#[test]
fn keys_that_the_password_does_not_open_are_not_kept() {
    let factory = factory();
    factory.change_password_secret("11111111-0000-4000-8000-000000000000");
    assert_fails(&factory, &["stream `keys`", "the content is not what it should be"]);
    factory.change_password_secret(PASSWORD);
    edit(&factory, "keys.json", |keys| {
        let at = keys.rfind("\\n\\n").expect("a key") + 40;
        let other = if keys.as_bytes()[at] == b'A' { "B" } else { "A" };
        format!("{}{other}{}", &keys[..at], &keys[at + 1..])
    });
    assert_fails(&factory, &["stream `keys`", "/keystorage"]);
    factory.remove_secret("zuul-keystore-password");
    assert_fails(&factory, &["zuul-keystore-password", "is not there"]);
}

#[test]
fn a_dump_without_its_end_is_not_kept() {
    let factory = factory();
    edit(&factory, "dump.sql", |dump| dump[..dump.rfind("-- Dump completed").expect("an end")].to_owned());
    assert_fails(&factory, &["stream `database`", "the content is not what it should be"]);
    edit(&factory, "dump.sql", |_| String::new());
    assert_fails(&factory, &["stream `database`"]);
}
