//! Deployments brought back by the program: what it says before, what it refuses, what is left when it is killed.

use std::time::Duration;

use serde_json::{Value, json};
use sfarc::testing::cluster::Rule;
use sfarc::testing::factory::{Factory, Options};

use crate::json::assert_documented;
use crate::repo::{Ran, Repo};
use crate::site::Site;

const ROLES: &str = include_str!("../../deploy/rbac.yaml");

fn secret(site: &Site, name: &str) -> Option<Value> {
    let like = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": "sf" } });
    site.factory.cluster.object(&like)
}

fn snapshot(site: &Site) {
    site.run(["snapshot", "--cr", &site.cr()[1], "--with", "logs,known-hosts"]).ok();
}

#[test]
fn one_lost_secret_comes_back_as_it_was() {
    let site = Site::start();
    snapshot(&site);
    let before = secret(&site, "zookeeper-client-tls").expect("it is there");
    site.factory.remove_secret("zookeeper-client-tls");
    let only = ["restore", "latest", "--to-cluster", "--only", "secret/zookeeper-client-tls"];
    let ran = site.run([&only[..], &["--dry-run"]].concat()).ok();
    ran.says("create   Secret zookeeper-client-tls");
    assert_eq!(secret(&site, "zookeeper-client-tls"), None, "a dry run does nothing");
    site.run(only).ends(2).says("say --yes");
    site.run([&only[..], &["--yes"]].concat()).ok();
    let after = secret(&site, "zookeeper-client-tls").expect("it is back");
    for field in ["type", "data"] {
        assert_eq!(before[field], after[field]);
    }
    assert_eq!(after["metadata"]["annotations"], json!({ "serial": "2" }), "not one annotation more");
    assert_eq!(after["metadata"]["ownerReferences"][0]["name"], "sf-standalone-owner");
    site.run([&only[..], &["--yes"]].concat()).ok().says("nothing to do");
}

#[test]
fn what_differs_is_replaced_only_if_that_is_asked_for() {
    let site = Site::start();
    snapshot(&site);
    site.factory.set_secret("logserver-keys", "priv", "another-key-that-is-none");
    let only = ["restore", "latest", "--to-cluster", "--only", "secrets", "--yes"];
    site.run(only).ok().says("left alone: Secret logserver-keys: it differs; --overwrite replaces it");
    let ran = site.run([&only[..], &["--overwrite"]].concat()).ok();
    ran.says("replace  Secret logserver-keys").says("restart  logserver").says("safety snapshot");
    let never = site.run(["restore", "latest", "--to-cluster", "--dry-run"]).ok();
    assert!(!String::from_utf8_lossy(&never.out).contains("config-update-secrets"), "it is never restored");
    // The undo.
    let safety = site.repo.run(["list", "--tag", "safety", "--json"]).ok().object();
    let id = safety["id"].as_str().expect("an id").to_owned();
    site.run(["restore", &id, "--to-cluster", "--overwrite", "--yes"]).ok();
    let after = secret(&site, "logserver-keys").expect("it is there");
    assert_ne!(after["data"]["priv"], secret(&site, "zuul-ssh-key").expect("it is there")["data"]["priv"]);
}

#[test]
fn keys_are_not_restored_beside_a_password_that_does_not_open_them() {
    let site = Site::start();
    snapshot(&site);
    site.factory.change_password_secret("another-password-that-is-none");
    let ran = site.run(["restore", "latest", "--to-cluster", "--only", "keys", "--yes"]).ends(1);
    ran.says("the keystore's password here is not the one of the snapshot");
}

#[test]
fn folders_and_files_go_back_into_their_pods() {
    let site = Site::start();
    snapshot(&site);
    let logs = site.factory.folder().join("logs");
    let output = logs.join("local/07/job-output.txt");
    let before = std::fs::read_to_string(&output).expect("readable");
    let time = std::fs::metadata(&output).and_then(|data| data.modified()).expect("a time");
    std::fs::write(&output, "cut").expect("written");
    std::fs::write(logs.join("later"), "later").expect("written");
    let restore = ["restore", "latest", "--to-cluster", "--yes", "--only"];
    site.run([&restore[..], &["logs", "--path", "local/07/job-output.txt"]].concat()).ok();
    assert_eq!(std::fs::read_to_string(&output).expect("readable"), before);
    assert!(logs.join("later").exists(), "one file is one file");

    std::fs::remove_dir_all(logs.join("local")).expect("removed");
    site.run([&restore[..], &["logs"]].concat()).ok().says("kept: folder");
    assert_eq!(std::fs::read_to_string(&output).expect("readable"), before);
    assert_eq!(std::fs::metadata(&output).and_then(|data| data.modified()).expect("a time"), time);
    assert!(!logs.join("later").exists(), "what came later is kept beside it");
    site.run([&restore[..], &["logs", "--drop-old"]].concat()).ok();
    let left: Vec<_> =
        std::fs::read_dir(&logs).expect("readable").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(left, ["local"]);

    let hosts = site.factory.folder().join("nodepool/known_hosts");
    let before = std::fs::read(&hosts).expect("readable");
    std::fs::write(&hosts, "").expect("written");
    site.run([&restore[..], &["known-hosts"]].concat()).ok();
    assert_eq!(std::fs::read(&hosts).expect("readable"), before);
}

#[test]
fn names_that_mean_nothing_are_refused() {
    let site = Site::start();
    snapshot(&site);
    let restore = ["restore", "latest", "--to-cluster", "--dry-run", "--only"];
    site.run([&restore[..], &["databse"]].concat()).ends(2).says("no `databse`").says("database");
    site.run([&restore[..], &["secret/none"]].concat()).ends(2).says("no none");
    site.run(["restore", "latest", "--dry-run"]).ends(2).says("--to");
    for object in site.run(["restore", "latest", "--to-cluster", "--dry-run", "--json"]).ok().json() {
        assert_documented("restore", &object);
    }
}

/// The whole of it with real services, by the account that is shipped, killed again and again.
#[test]
fn a_killed_restore_is_completed_by_the_next() {
    let rules = Rule::from_role(ROLES, "sfarc-restore", "sf");
    let admin = ("admin".to_owned(), vec![Rule::all()]);
    let accounts = vec![admin, ("restorer".to_owned(), rules)];
    let mut factory = Factory::start(Options { builds: 300, real: true, accounts, ..Options::default() });
    if !factory.has_real_database() || !factory.has_real_keys() {
        println!("MariaDB, ZooKeeper or Zuul are not installed: not tested");
        return;
    }
    let repo = Repo::new();
    let run = |factory: &Factory, account: &str, args: &[&str]| {
        let mut command = repo.command(args);
        command.args(["-n", "sf"]).env("KUBECONFIG", factory.kubeconfig(account));
        command
    };
    let ran = |factory: &Factory, account: &str, args: &[&str]| {
        Ran::from(run(factory, account, args).output().expect("the program starts"))
    };
    ran(&factory, "admin", &["snapshot"]).ok();
    let id = repo.ids().first().cloned().expect("a snapshot");
    let before = factory.dump();
    let restore =
        ["restore", &id, "--to-cluster", "--overwrite", "--yes", "--drop-old", "--only", "objects,database,keys"];
    for millis in [200, 600, 1200, 2000, 3000] {
        factory.add_builds(3);
        factory.set_secret("zuul-ssh-key", "priv", &format!("not-a-real-key-{millis}"));
        let old = factory.dump();
        let mut child =
            run(&factory, "restorer", &restore).stdout(std::process::Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(millis));
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        let left = factory.dump();
        assert!(left == old || left == before, "after {millis} ms the database is neither old nor new");
        ran(&factory, "restorer", &restore).ok();
        assert!(factory.dump() == before, "after {millis} ms");
    }
    repo.run(["verify", &id]).ok().says("every key opens");
    repo.check();
}

#[test]
fn another_namespace_gets_no_certificates_of_the_first() {
    let site = Site::with(Vec::new(), |setup| setup.namespace("other"));
    snapshot(&site);
    let restore = |more: &[&str]| {
        let args = ["restore", "latest", "--to-cluster", "-n", "other", "--yes"];
        let mut command = site.repo.command([&args[..], more].concat());
        Ran::from(command.env("KUBECONFIG", site.factory.kubeconfig("admin")).output().expect("the program starts"))
    };
    let ran = restore(&[]).ends(3);
    ran.says("the snapshot is of the namespace sf, not of other")
        .says("Secret zookeeper-client-tls: the certificates name");
    let secret = |name: &str| {
        let like = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "namespace": "other" } });
        site.factory.cluster.object(&like)
    };
    let owned = secret("zuul-ssh-key").expect("it is there");
    let owner = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "sf-standalone-owner", "namespace": "other" } });
    let owner = site.factory.cluster.object(&owner).expect("the owner comes first");
    assert_eq!(owned["metadata"]["ownerReferences"][0]["uid"], owner["metadata"]["uid"], "its owner is the one here");
    assert!(secret("gerrit-ssh").expect("it is there")["metadata"]["ownerReferences"].is_null());
    assert_eq!(secret("zookeeper-client-tls"), None);
    // The database and the keys still wait for their services.
    restore(&["--only", "secret/zookeeper-client-tls"]).ends(3);
    assert!(secret("zookeeper-client-tls").is_some(), "who names it means it");
}
