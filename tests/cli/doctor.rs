//! `sfarc doctor`: each thing that a snapshot needs, missing in turn.

use sfarc::testing::cluster::{Container, Rule};

use crate::json::assert_documented;
use crate::repo::{Ran, sfarc};
use crate::site::Site;

/// The line that says what is wrong, and the one below it that says what to do.
#[track_caller]
fn finds(ran: &Ran, mark: &str, what: &str, cure: &str) {
    let text = ran.text();
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| line.starts_with(mark) && line.contains(what));
    let at = at.unwrap_or_else(|| panic!("no `{mark}` with `{what}` in:\n{text}{}", ran.err));
    let below = lines.get(at + 1).copied().unwrap_or_default();
    assert!(below.starts_with("      ") && below.contains(cure), "no `{cure}` below `{what}` in:\n{text}");
}

#[test]
fn everything_is_well() {
    let site = Site::start();
    let ran = site.run(["doctor", "--with", "nodepool,known-hosts,logs,zookeeper-data"]).ok();
    let text = ran.text();
    assert!(text.lines().all(|line| line.starts_with("ok  ")), "{text}");
    for says in
        ["repository: it opens", "plan: streams objects, database, keys", "the API server answers", "are granted"]
    {
        assert!(text.contains(says), "no `{says}` in:\n{text}");
    }
    assert_eq!(text.matches("a command ran there").count(), 5, "one for each container and its tools:\n{text}");
    let looks = site.run(["doctor", "--json"]).ok().json();
    looks.iter().for_each(|look| assert_documented("doctor", look));
    assert!(looks.iter().all(|look| look["type"] == "look" && look["health"] == "good" && look["cure"] == ""));
}

#[test]
fn a_missing_repository_is_found() {
    let site = Site::start();
    let mut command = sfarc();
    command.args(["doctor", "-n", "sf"]).env("KUBECONFIG", site.factory.kubeconfig("admin"));
    let ran = Ran::from(command.output().expect("the program starts")).ends(1);
    finds(&ran, "BAD ", "repository: none is named", "--repo");
    let none = site.repo.at("none").display().to_string();
    finds(&site.run(["doctor", "--repo", &none]).ends(1), "BAD ", "there is no sfarc repository", "sfarc init");
}

#[test]
fn an_expired_token_is_found() {
    let site = Site::start();
    site.factory.cluster.expire_token("admin");
    finds(&site.run(["doctor"]).ends(1), "BAD ", "401", "get a new one");
    site.config("namespace = \"sf\"\n[[stream]]\nname = \"s\"\npod = \"mariadb-0\"\ncommand = \"true\"\n");
    finds(&site.run(["doctor", "--config", "sfarc.toml"]).ends(1), "BAD ", "401", "get a new one");
    let looks = site.run(["doctor", "--json"]).ends(1).json();
    assert!(looks.iter().any(|look| look["health"] == "bad" && look["cure"] != ""), "{looks:?}");
}

#[test]
fn a_cluster_that_is_not_there_is_found() {
    let mut site = Site::start();
    site.config("namespace = \"sf\"\n[[stream]]\nname = \"s\"\npod = \"mariadb-0\"\ncommand = \"true\"\n");
    site.factory.cluster.stop();
    let ran = site.run(["doctor", "--config", "sfarc.toml"]).ends(1);
    finds(&ran, "BAD ", "the connection to the cluster failed", "check the address");
    let ran = site.run(["doctor", "--kubeconfig", "none"]).ends(1);
    finds(&ran, "BAD ", "no cluster is known here", "see what the message names");
}

#[test]
fn missing_permissions_are_found() {
    let list = |resource: &str| Rule::new(&["apps"], &[resource], &["list"]).within("sf");
    let read = Rule::new(&[""], &["configmaps", "secrets"], &["get"]).within("sf");
    let accounts = vec![("nobody", vec![]), ("reader", vec![read, list("statefulsets")])];
    let site = Site::with(accounts, |_| {});
    let ran = site.run_as("nobody", ["doctor"]).ends(1);
    finds(&ran, "BAD ", "needs `list` on `statefulsets` of `apps` in the namespace sf", "deploy/rbac.yaml");
    let ran = site.run_as("reader", ["doctor"]).ends(1);
    for lacks in ["`list` on `deployments` of `apps`", "`get` on `pods/exec` named mariadb-0"] {
        finds(&ran, "BAD ", &format!("the account lacks {lacks}"), "sfarc plan --role");
    }
    finds(&ran, "poor", "SoftwareFactory objects are left out", "deploy/rbac.yaml");
}

#[test]
fn missing_pods_shells_and_tools_are_found() {
    let tools = ["sh", "seq", "cat", "tee", "wc"];
    let site = Site::with(Vec::new(), |setup| {
        setup.pod("sf", "no-digest", [Container::new("c").tools(&tools)]);
        setup.pod("sf", "no-tee", [Container::new("c").tools(&["sh"])]);
        setup.pod("sf", "no-sh", [Container::new("c").tools(&["seq"])]);
        setup.pod("sf", "no-client", [Container::new("c").tools(&[&tools[..], &["sha256sum"]].concat())]);
    });
    for (pod, what, args, mark, says, cure) in [
        ("gone", "command = \"true\"", "", "BAD ", "gone", "see that the pod runs"),
        ("no-sh", "command = \"true\"", "", "BAD ", "\"sh\"", "without `sh` in the image"),
        ("no-sh", "command = \"true\"", "p0", "BAD ", "\"sh\"", "without `sh` in the image"),
        ("no-sh", "command = [\"seq\", \"3\"]", "", "BAD ", "\"sh\"", "--min-proof p0"),
        ("no-sh", "command = [\"seq\", \"3\"]", "p0", "poor", "\"sh\"", "--min-proof p0"),
        ("no-digest", "command = \"true\"", "", "BAD ", "neither `openssl` nor `sha256sum`", "--min-proof p1"),
        ("no-digest", "command = \"true\"", "p1", "poor", "neither `openssl` nor `sha256sum`", "--min-proof p1"),
        ("no-tee", "command = \"true\"", "p1", "BAD ", "no `tee`", "--min-proof p0"),
        ("no-client", "mariadb = \"zuul\"", "", "BAD ", "no `mariadb-dump` or `mysqldump`", "use an image that has it"),
        ("no-client", "mariadb = \"zuul\"", "", "BAD ", "no `mariadb` or `mysql`", "use an image that has it"),
        ("no-client", "zuul-keys = true", "", "BAD ", "no `zuul-admin`", "use an image that has it"),
        ("no-client", "path = \"/\"", "", "BAD ", "no `tar`", "use an image that has it"),
    ] {
        site.config(&format!("[[stream]]\nname = \"s\"\npod = \"{pod}\"\n{what}\n"));
        let least = if args.is_empty() { vec![] } else { vec!["--min-proof", args] };
        let ran = site.run([&["doctor", "--config", "sfarc.toml"], &least[..]].concat());
        finds(&ran, mark, says, cure);
        // The doctor and the snapshot agree.
        let code = i32::from(mark == "BAD ");
        let taken = site.run([&["snapshot", "--config", "sfarc.toml", "--attempts", "1"], &least[..]].concat());
        assert_eq!((ran.code, taken.code), (Some(code), Some(code)), "{pod}, {what}, {args}: {}", taken.err);
    }
    site.config("[[stream]]\nname = \"s\"\nworkload = \"statefulset/gone\"\ncommand = \"true\"\n");
    let ran = site.run(["doctor", "--config", "sfarc.toml"]).ends(1);
    finds(&ran, "BAD ", "there is no such workload", "start the workload");
}
