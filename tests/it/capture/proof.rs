//! What an image offers decides how well a stream is proven.

use sfarc::content::Expected;
use sfarc::format::manifest::Proof;
use sfarc::source::cluster::Take;
use sfarc::source::pod::{Bounds, PodCommand};
use sfarc::testing::cluster::Container;

use super::{Bare, kept, once, pod, shell, take_one, world};

fn bare() -> Bare {
    Bare::start(|setup, _| {
        for (name, tools) in [
            ("whole", &["sh", "seq", "tee", "sha256sum"][..]),
            ("other-digest", &["sh", "seq", "tee", "openssl"]),
            ("no-digest", &["sh", "seq", "tee", "wc"]),
            ("no-count", &["sh", "seq", "tee"]),
            ("no-tee", &["sh", "seq", "wc", "sha256sum"]),
            ("no-sh", &["seq", "tee", "wc", "sha256sum"]),
        ] {
            setup.pod("sf", name, [Container::new("c").tools(tools)]);
        }
    })
}

fn program() -> PodCommand {
    PodCommand::Program(["seq", "1", "20000"].map(str::to_owned).into())
}

#[test]
fn the_tools_of_the_image_decide_and_what_is_missing_is_named() {
    let bare = bare();
    let repository = world().init().expect("a repository");
    let truth: Vec<u8> = (1..=20_000).flat_map(|number| format!("{number}\n").into_bytes()).collect();
    for (name, reached, lacks) in [
        ("whole", Proof::P2, ""),
        ("other-digest", Proof::P2, ""),
        ("no-digest", Proof::P1, "neither `openssl` nor `sha256sum`"),
        ("no-count", Proof::P0, "no `tee`, or nothing to count with"),
        ("no-tee", Proof::P0, "no `tee`, or nothing to count with"),
        ("no-sh", Proof::P0, "no `sh`"),
    ] {
        for wanted in [Proof::P0, Proof::P1, Proof::P2] {
            let bounds = Bounds { min_proof: wanted, ..once() };
            let take = Take::Command(pod(name, "c"), program(), None);
            let result = take_one(&repository, &bare.place, "s", take, bounds);
            if wanted <= reached {
                let report = result.unwrap_or_else(|error| panic!("{name} {wanted}: {error}"));
                assert_eq!(report.manifest.streams[0].proof, reached, "{name} {wanted}");
                assert!(kept(&repository, &report, "s") == truth, "{name} {wanted}: other bytes");
            } else {
                let error = result.expect_err(name);
                let cure = format!("--min-proof {reached} would take it");
                for says in ["stream `s`", &format!("sf/{name}/c"), lacks, &cure] {
                    assert!(error.contains(says), "{name} {wanted}: no `{says}` in: {error}");
                }
            }
        }
    }
}

#[test]
fn without_a_shell_a_line_for_one_cannot_run() {
    let bare = bare();
    let repository = world().init().expect("a repository");
    let bounds = Bounds { min_proof: Proof::P0, ..once() };
    let take = Take::Command(pod("no-sh", "c"), shell("seq 1 10"), None);
    let error = take_one(&repository, &bare.place, "s", take, bounds).expect_err("no shell");
    assert!(error.contains("could not be run") && error.contains("\"sh\""), "{error}");
}

#[test]
fn a_program_that_fails_fails_without_a_shell_too() {
    let bare = bare();
    let repository = world().init().expect("a repository");
    let bounds = Bounds { min_proof: Proof::P0, ..once() };
    for (words, says) in [(&["seq", "x"][..], "exit code 1"), (&["no-such-program"], "no-such-program")] {
        let command = PodCommand::Program(words.iter().map(|&word| word.to_owned()).collect());
        let take = Take::Command(pod("no-sh", "c"), command, None);
        let error = take_one(&repository, &bare.place, "s", take, bounds.clone()).expect_err(says);
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn the_best_proof_is_for_what_has_a_check_of_its_own() {
    let bare = bare();
    let repository = world().init().expect("a repository");
    let bounds = Bounds { min_proof: Proof::P3, ..once() };
    let take = |line: &str, expected| Take::Command(pod("whole", "c"), shell(line), expected);
    let plain = take_one(&repository, &bare.place, "s", take("echo 1", None), bounds.clone()).expect_err("plain");
    assert!(plain.contains("nothing checks its content") && plain.contains("--min-proof p2"), "{plain}");
    assert_eq!(bare.cluster.sessions().len(), 0, "it is known before anything runs");
    let json = take("echo '{\"a\": 1}'", Some(Expected::Json));
    let report = take_one(&repository, &bare.place, "s", json, bounds.clone()).expect("JSON");
    assert_eq!(report.manifest.streams[0].proof, Proof::P3);
    let cut = take("printf '{\"a\": [1, 2'", Some(Expected::Json));
    let error = take_one(&repository, &bare.place, "s", cut, bounds).expect_err("cut JSON");
    assert!(error.contains("the content is not what it should be"), "{error}");
    let lesser = Bounds { min_proof: Proof::P0, ..once() };
    let cut = take("printf '{\"a\": [1, 2'", Some(Expected::Json));
    assert!(take_one(&repository, &bare.place, "s", cut, lesser).is_err(), "content is checked whatever is asked for");
}

#[test]
fn images_with_the_older_names_of_the_database_tools_will_do() {
    let dump = "printf '%s\\n' '-- MySQL dump 10.13' 'CREATE TABLE `a` (' ');' 'INSERT INTO `a` VALUES (1),(2);' '-- Dump completed'";
    let counts = "case \"$*\" in *table_name*) echo 61 ;; *) cat >/dev/null; printf 'rows/61\\t2\\nend\\t\\n' ;; esac";
    let bare = Bare::start(|setup, _| {
        let tools = Container::new("mariadb").tools(&["sh", "tee", "sha256sum", "cat"]);
        setup.pod("sf", "db-0", [tools.program("mysqldump", dump).program("mysql", counts)]);
    });
    let repository = world().init().expect("a repository");
    let take = Take::Database(pod("db-0", "mariadb"), "zuul".to_owned());
    let report = take_one(&repository, &bare.place, "database", take, once()).expect("a snapshot");
    let stream = &report.manifest.streams[0];
    assert_eq!((stream.proof, report.manifest.findings.len()), (Proof::P3, 0));
    assert!(stream.facts.contains(&("rows/a".to_owned(), "2".to_owned())), "{:?}", stream.facts);
}
