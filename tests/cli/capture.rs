//! Snapshots out of a cluster as people take them: by the plan of a Software Factory.

use sfarc::testing::cluster::Rule;

use crate::json::assert_documented;
use crate::site::Site;

#[test]
fn a_software_factory_is_taken_and_shown() {
    let site = Site::start();
    let args = ["snapshot", "--cr", &site.cr()[1], "--with", "all", "--skip", "zookeeper"];
    site.run(args).ok().says("database").says("p3").says("saved");
    site.repo
        .run(["show", "latest"])
        .ok()
        .says("in sf/mariadb-0/mariadb: mariadb-dump zuul")
        .says("rows/zuul_build = 20");
    site.repo.run(["ls", "latest:objects/secrets"]).ok().says("zuul-keystore-password.json");
    assert_eq!(site.repo.cat("latest", "objects/cr.yaml"), std::fs::read(site.factory.cr_file()).expect("readable"));
    assert!(String::from_utf8_lossy(&site.repo.cat("latest", "database")).contains("-- Dump completed"));
    site.repo.check();
}

#[test]
fn the_plan_says_what_is_taken_and_why_the_rest_is_not() {
    let site = Site::start();
    let ran = site.run(["plan"]).ok();
    ran.says("sf/mariadb-0/mariadb").says("--cr does not name its file").says("--with logs takes it");
    let objects = site.run(["plan", "--json", "--only", "keys"]).ok().json();
    objects.iter().for_each(|object| assert_documented("plan", object));
    let planned: Vec<_> = objects.iter().filter(|object| object["type"] == "planned").collect();
    assert!(planned.len() == 1 && planned[0]["name"] == "keys", "{objects:?}");
    let skipped = objects.iter().find(|object| object["what"] == "database").expect("left out");
    assert_eq!(skipped["why"], "--only does not name it");
}

#[test]
fn names_that_the_plan_does_not_have_are_refused_with_those_that_it_has() {
    let site = Site::start();
    for command in ["plan", "snapshot"] {
        site.run([command, "--only", "databse"]).ends(2).says("no stream `databse`").says("objects, database, keys");
        site.run([command, "--skip", "logs"]).ends(2).says("no stream `logs`").says("objects, database, keys");
        let ran = site.run([command, "--with", "log"]).ends(2).says("no stream `log`");
        ran.says("zookeeper, zookeeper-data, nodepool, known-hosts, logs");
    }
    let ran = site.repo.run(["snapshot", "--command", "a=true", "--only", "keys"]).ends(2);
    ran.says("name one with -n");
    assert_eq!(site.repo.ids().len(), 0);
}

#[test]
fn what_does_not_fit_together_is_kept_and_marked() {
    let site = Site::start();
    site.edit("counts", |counts| counts.replace("rows/7A75756C5F6275696C64\t20", "rows/7A75756C5F6275696C64\t21"));
    site.factory.set_secret("zuul-keystore-password-new", "zuul-keystore-password-new", "another");
    let finding = "the dump has 20 rows of table zuul_build, which had at least 21";
    let ran = site.run(["snapshot"]).ends(3).says("saved").says(&format!("inconsistent: stream `database`: {finding}"));
    ran.says("zuul-keystore-password-new exists: a change is half done");
    site.repo
        .run(["show", "latest"])
        .ok()
        .says(&format!("conflict  stream `database`: {finding}"))
        .says("complete  yes");
    site.repo.run(["list"]).ok().says("(inconsistent)");
    let shown = site.repo.run(["show", "latest", "--json"]).ok().object();
    assert_eq!(shown["findings"].as_array().map(Vec::len), Some(2), "{shown}");
    let taken = site.run(["snapshot", "--json"]).ends(3).object();
    assert_eq!(taken["findings"], shown["findings"]);
}

#[test]
fn the_role_that_the_plan_prints_is_enough() {
    let site = Site::start();
    let cr = site.cr();
    let wishes =
        [&["--with", "nodepool,known-hosts,logs,zookeeper-data", "--configmaps"][..], &[&cr[0], &cr[1]]].concat();
    let helper = [&wishes[..], &["--helper-pod"]].concat();
    let role = |args: &[&str]| {
        let text = site.run([&["plan", "--role"][..], args].concat()).ok().text();
        Rule::from_role(&text, "sfarc-backup", "sf")
    };
    let accounts = vec![("plain", role(&wishes)), ("helper", role(&helper))];
    let other = Site::with(accounts, |_| {});
    let cr = other.cr();
    let same = |args: &[&str]| {
        let args = args.iter().map(|&arg| if arg.ends_with("cr.yaml") { cr[1].clone() } else { arg.to_owned() });
        args.collect::<Vec<String>>()
    };
    for (account, args) in [("plain", &wishes), ("helper", &helper)] {
        let args = same(args);
        other.run_as(account, [&["snapshot".to_owned()], &args[..]].concat()).ok().says("saved");
        other.run_as(account, [&["doctor".to_owned()], &args[..]].concat()).ok().says("are granted");
    }
    other.run_as("plain", ["snapshot", "--helper-pod"]).ends(1).says("`create` on `pods`");
}

#[test]
fn a_stream_of_the_command_line_is_taken() {
    let site = Site::start();
    let ran = site.run(["snapshot", "--pod", "hosts=nodepool-builder-0/nodepool-builder:cat known_hosts"]).ok();
    ran.says("hosts").says("p2");
    assert_eq!(site.repo.cat("latest", "hosts"), b"images.example ssh-ed25519 not-a-real-key\n");
    for wrong in ["hosts", "hosts=pod", "hosts=pod:", "hosts=pod: "] {
        site.run(["snapshot", "--pod", wrong]).ends(2).says("--pod wants NAME=POD[/CONTAINER]:COMMAND");
    }
    site.run(["snapshot", "--pod", "x=mariadb-0/none:true"]).ends(1).says("none");
    site.run(["snapshot", "--pod", "x=../secrets:true"]).ends(1).says("is no name of a namespace, pod or container");
}
