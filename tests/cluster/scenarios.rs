//! What is done in a cluster, whichever it is.

use std::time::Duration;

use serde_json::json;
use sfarc::engine::doctor::{Health, Look, examine};
use sfarc::engine::snapshot::{From, Input, Options, snapshot};
use sfarc::env::SystemClock;
use sfarc::format::manifest::{Origin, Proof};
use sfarc::k8s::{PodChoice, PodPlace, Resource};
use sfarc::pipeline::profile::Profile;
use sfarc::plan::{Plan, Planned};
use sfarc::source::Verdict;
use sfarc::source::cluster::Take;
use sfarc::source::objects::{IfAbsent, Query, Wanted, Which};
use sfarc::source::pod::{Bounds, PodCommand};
use sfarc::source::prepared::Prepared;

use super::Site;

fn once() -> Bounds {
    Bounds { attempts: 1, ..Bounds::default() }
}

fn shell(pod: PodPlace, line: &str) -> Take {
    Take::Command(pod, PodCommand::Shell(line.to_owned()), None)
}

/// Many frames.
fn numbers() -> Vec<u8> {
    (1..=200_000).flat_map(|number| format!("{number}\n").into_bytes()).collect()
}

pub(crate) fn a_command_is_taken_whole_and_proven(site: &Site) {
    let report = site.take(shell(site.this_pod(), "seq 1 200000"), once()).unwrap();
    assert_eq!(report.manifest.streams[0].proof, Proof::P2);
    assert!(site.kept(&report) == numbers(), "other bytes");
    let empty = site.take(shell(site.this_pod(), "true"), once()).unwrap();
    assert_eq!(site.kept(&empty), b"");
}

pub(crate) fn a_command_without_a_shell_around_it_is_taken(site: &Site) {
    let words = ["printf", "%s", "$HOME 'and' \"more\""].map(str::to_owned);
    let report = site.take(Take::Command(site.this_pod(), PodCommand::Program(words.into()), None), once()).unwrap();
    assert_eq!(site.kept(&report), b"$HOME 'and' \"more\"");
}

pub(crate) fn a_command_that_fails_is_no_stream(site: &Site) {
    let error = site.take(shell(site.this_pod(), "echo x; echo oops >&2; exit 7"), once()).unwrap_err();
    for says in ["exit code 7, after 2 bytes", "oops", &site.pod] {
        assert!(error.contains(says), "no `{says}` in: {error}");
    }
}

/// A command that says its number, writes, and goes on until it is ended. Others see the number in a file.
fn endless(site: &Site) -> (String, String) {
    let file = format!("/tmp/{}.pid", site.pod);
    (format!("echo $$ >{file}; seq 1 200000; exec sleep 600"), file)
}

pub(crate) fn a_command_that_is_killed_midway_is_no_stream(site: &Site) {
    let (line, file) = endless(site);
    let error = std::thread::scope(|scope| {
        let taking = scope.spawn(|| site.take(shell(site.this_pod(), &line), once()));
        site.wait_until(&format!("[ -s {file} ]"));
        site.run(&format!("kill -9 $(cat {file}); rm {file}"));
        taking.join().unwrap().unwrap_err()
    });
    assert!(error.contains("exit code 137") && error.contains(&site.pod), "{error}");
}

pub(crate) fn a_pod_that_goes_midway_is_no_stream(site: &Site) {
    let (line, file) = endless(site);
    let error = std::thread::scope(|scope| {
        let taking = scope.spawn(|| site.take(shell(site.this_pod(), &line), once()));
        site.wait_until(&format!("[ -s {file} ] && rm {file}"));
        site.delete("pods", &site.pod);
        taking.join().unwrap().unwrap_err()
    });
    assert!(error.contains(&site.pod), "{error}");
}

pub(crate) fn a_silent_command_is_ended(site: &Site) {
    let (line, file) = endless(site);
    let bounds = Bounds { silence: Duration::from_secs(3), ..once() };
    let error = site.take(shell(site.this_pod(), &line), bounds).unwrap_err();
    assert!(error.contains("nothing came from") && error.contains(" bytes"), "{error}");
    // What nobody has waited for is still there, but runs nothing.
    site.wait_until(&format!("[ -z \"$(tr '\\0' ' ' </proc/$(cat {file})/cmdline 2>/dev/null)\" ] && rm {file}"));
}

pub(crate) fn a_folder_is_taken(site: &Site) {
    let folder = format!("/tmp/{}", site.pod);
    site.run(&format!("mkdir -p {folder}/sub && seq 1 100000 >{folder}/sub/numbers && ln -s sub {folder}/link"));
    let take = || site.take(Take::Folder(site.this_pod(), folder.clone()), once()).unwrap();
    let (first, second) = (take(), take());
    site.run(&format!("rm -r {folder}"));
    let (one, other) = (&first.manifest.streams[0], &second.manifest.streams[0]);
    assert_eq!((one.proof, one.problems.len()), (Proof::P2, 0), "{:?}", one.problems);
    assert_eq!(one.content.hash, other.content.hash, "an unchanged folder is an unchanged stream");
    assert!(one.content.len > 588_895 && one.catalog.is_some());
    let error = site.take(Take::Folder(site.this_pod(), format!("{folder}/gone")), once()).unwrap_err();
    assert!(error.contains("exit code 2"), "{error}");
}

pub(crate) fn objects_are_taken(site: &Site) {
    let secret = format!("{}-secret", site.pod);
    site.create("secrets", &secret, &json!({ "data": { "key": "bm90IGEgc2VjcmV0" } }));
    let map = format!("{}-map", site.pod);
    site.create("configmaps", &map, &json!({ "data": { "colour": "green" } }));
    let named = |plural: &str, name: &str, if_absent| Wanted {
        resource: Resource::core(plural),
        which: Which::Named(name.to_owned()),
        if_absent,
    };
    let labelled = Wanted {
        resource: Resource::core("pods"),
        which: Which::Labelled(format!("run={}", site.pod)),
        if_absent: IfAbsent::Tell,
    };
    let wanted = vec![
        named("secrets", &secret, IfAbsent::Fail),
        named("configmaps", &map, IfAbsent::Fail),
        named("configmaps", "sfarc-test-none", IfAbsent::Tell),
        labelled,
    ];
    let query = Query { namespace: site.namespace.clone(), wanted, ..Query::default() };
    let report = site.take(Take::Objects(query.clone()), once()).unwrap();
    let stream = &report.manifest.streams[0];
    assert_eq!(
        (stream.proof, &stream.problems[..]),
        (Proof::P3, &["ConfigMap sfarc-test-none is not there".to_owned()][..])
    );
    let text = String::from_utf8_lossy(&site.kept(&report)).into_owned();
    for says in [&secret, &map, "\"colour\": \"green\"", "bm90IGEgc2VjcmV0", &format!("pods/{}.json", site.pod)] {
        assert!(text.contains(says), "no `{says}`");
    }
    let gone = vec![named("secrets", "sfarc-test-none", IfAbsent::Fail)];
    let error = site.take(Take::Objects(Query { wanted: gone, ..query }), once()).unwrap_err();
    assert!(error.contains("Secret sfarc-test-none is not there"), "{error}");
}

pub(crate) fn a_folder_comes_back(site: &Site) {
    let folder = format!("/tmp/{}", site.pod);
    let look = format!("cd {folder} && find . | sort && cat sub/numbers | tail -n 1 && stat -c '%a %Y' sub/numbers");
    site.run(&format!("mkdir -p {folder}/sub && seq 1 100000 >{folder}/sub/numbers && ln -s sub {folder}/link"));
    site.run(&format!(
        "chmod 640 {folder}/sub/numbers; touch -d @1700000000 {folder}/sub/numbers; echo x >{folder}/.hidden"
    ));
    let before = site.run(&look).stdout;
    assert!(
        String::from_utf8_lossy(&before).ends_with("100000\n640 1700000000\n"),
        "{}",
        String::from_utf8_lossy(&before)
    );
    let report = site.take(Take::Folder(site.this_pod(), folder.clone()), once()).unwrap();
    site.run(&format!("cd {folder} && rm -r sub link && echo later >later && echo y >.hidden"));
    site.restore(&report).unwrap();
    let after = site.run(&look).stdout;
    site.run(&format!("rm -r {folder}"));
    assert_eq!(String::from_utf8_lossy(&after), String::from_utf8_lossy(&before));
}

pub(crate) fn objects_come_back(site: &Site) {
    let (gone, changed) = (format!("{}-gone", site.pod), format!("{}-changed", site.pod));
    let data = |word: &str| json!({ "data": { "key": word }, "type": "example.com/own" });
    site.create("secrets", &gone, &data("bm90IGEgc2VjcmV0"));
    site.create("secrets", &changed, &data("bm90IGEgc2VjcmV0"));
    let wanted = |name: &String| Wanted {
        resource: Resource::core("secrets"),
        which: Which::Named(name.clone()),
        if_absent: IfAbsent::Fail,
    };
    let query =
        Query { namespace: site.namespace.clone(), wanted: [&gone, &changed].map(wanted).into(), ..Query::default() };
    let report = site.take(Take::Objects(query.clone()), once()).unwrap();
    site.delete("secrets", &gone);
    site.delete("secrets", &changed);
    site.create("secrets", &changed, &json!({ "data": { "key": "YW5vdGhlcg==" } }));
    site.restore(&report).unwrap();
    let again = site.take(Take::Objects(query), once()).unwrap();
    let hash = |report: &sfarc::engine::snapshot::Report| report.manifest.streams[0].content.hash;
    assert_eq!(hash(&again), hash(&report), "type, labels and data are those of before");
}

pub(crate) fn a_drill_in_a_pod_tells_a_good_dump_from_a_bad_one(site: &Site) {
    if site.lacks_mariadb() {
        println!("MariaDB is not installed: not tested");
        return;
    }
    for (rows, is_good) in [("(1),(2),(3)", true), ("(1),(2),(2)", false)] {
        let dump = format!(
            "-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB\n--\n-- Host: localhost    Database: d\n\
             CREATE TABLE `t` (\n  `id` int(11) NOT NULL,\n  PRIMARY KEY (`id`)\n);\n\
             INSERT INTO `t` VALUES {rows};\n-- Dump completed\n"
        );
        let facts = vec![("rows/t".to_owned(), "3".to_owned())];
        let stream = Prepared::new(Origin::Stdin, false, move |lanes| {
            lanes.write(0, dump.as_bytes())?;
            Ok(Verdict { facts: facts.clone(), ..Verdict::proven(Proof::P3) })
        });
        let inputs = vec![Input::new("database", From::Prepared(stream))];
        let report = snapshot(&site.repository, &Options { inputs, ..Options::default() }).unwrap();
        let drilled = site.drill(&report).unwrap();
        assert_eq!((drilled.is_proven, drilled.is_bad()), (is_good, !is_good), "{rows}: {:?}", drilled.checks);
    }
}

pub(crate) fn a_pod_is_found_by_its_labels(site: &Site) {
    let labelled = |labels: String| shell(site.in_pod(PodChoice::Labelled(labels)), "echo found");
    let report = site.take(labelled(format!("run={}", site.pod)), once()).unwrap();
    assert_eq!(site.kept(&report), b"found\n");
    let error = site.take(labelled("run=sfarc-test-none".to_owned()), once()).unwrap_err();
    assert!(error.contains("none of its pods runs"), "{error}");
}

fn looks(site: &Site, pod: PodPlace) -> Vec<Look> {
    let stream = Planned {
        name: "s".to_owned(),
        take: Take::Folder(pod, "/tmp".to_owned()),
        bounds: once(),
        profile: Profile::Auto,
        why: String::new(),
    };
    let plan = Plan { streams: vec![stream], left_out: Vec::new() };
    let mut looks = Vec::new();
    examine(&site.place, &plan, &SystemClock, &mut |look| looks.push(look)).unwrap();
    looks
}

pub(crate) fn the_doctor_finds_everything_well(site: &Site) {
    let looks = looks(site, site.this_pod());
    assert!(looks.iter().all(|look| look.health == Health::Good), "{looks:?}");
}

pub(crate) fn the_doctor_finds_a_missing_pod(site: &Site) {
    let looks = looks(site, site.in_pod(PodChoice::Named("sfarc-test-none".to_owned())));
    let bad: Vec<&Look> = looks.iter().filter(|look| look.health != Health::Good).collect();
    assert!(bad.len() == 1 && bad[0].seen.contains("sfarc-test-none") && !bad[0].cure.is_empty(), "{looks:?}");
}
