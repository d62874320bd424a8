//! Streams that a `sfarc.toml` describes.

use sfarc::testing::cluster::Container;

use crate::site::Site;

/// One stream of every kind.
const EVERYTHING: &str = r#"
namespace = "sf"
attempts = 1
timeout = "10m"

[[stream]]
name = "line"
pod = "plain-0"
container = "plain"
command = "printf 'a  b'; echo"

[[stream]]
name = "words"
workload = "deployment/web"
command = ["printf", "%s\n", "a  b", "$HOME"]
silence = "1m"
spill = "1MiB"

[[stream]]
name = "checked"
selector = "run=logserver"
container = "logserver"
command = "echo '{\"a\": 1}'"
verify = "json"
min-proof = "p3"
profile = "dump"

[[stream]]
name = "folder"
workload = "statefulset/nodepool-builder"
container = "nodepool-builder"
path = "@FOLDER@/nodepool"

[[stream]]
name = "db"
pod = "mariadb-0"
container = "mariadb"
mariadb = "zuul"

[[stream]]
name = "keys"
pod = "zuul-scheduler-0"
container = "zuul-scheduler"
zuul-keys = true

[[stream]]
name = "named"
objects = ["secrets/gerrit-ssh", "configmaps/gateway-extra", "statefulsets.apps/mariadb"]

[[stream]]
name = "labelled"
objects = ["pods"]
selector = "run=mariadb"
"#;

fn site() -> Site {
    Site::with(Vec::new(), |setup| {
        setup.pod("sf", "plain-0", [Container::new("plain")]);
        let labels = serde_json::json!({ "run": "web" });
        setup.object(serde_json::json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "sf" },
            "spec": { "replicas": 1, "selector": { "matchLabels": labels }, "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "web", "image": "registry.example/web:1" }] },
            } },
        }));
        setup.object(serde_json::json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web-1", "namespace": "sf", "labels": labels },
            "spec": { "containers": [{ "name": "web", "image": "registry.example/web:1" }] },
            "status": { "phase": "Running" },
        }));
    })
}

#[test]
fn every_kind_of_stream_is_taken() {
    let site = site();
    site.config(&EVERYTHING.replace("@FOLDER@", &site.factory.folder().display().to_string()));
    site.run(["plan", "--config", "sfarc.toml"]).ok().says("the file describes it").says("sf/deployment/web");
    site.run(["snapshot", "--config", "sfarc.toml"]).ok().says("saved");
    let cat = |name: &str| String::from_utf8(site.repo.cat("latest", name)).expect("text");
    assert_eq!(cat("line"), "a  b\n");
    assert_eq!(cat("words"), "a  b\n$HOME\n");
    assert_eq!(cat("checked"), "{\"a\": 1}\n");
    assert_eq!(cat("folder/known_hosts"), "images.example ssh-ed25519 not-a-real-key\n");
    assert!(cat("db").contains("-- Dump completed"));
    assert!(cat("keys").contains("/keystorage"));
    assert!(cat("named/secrets/gerrit-ssh.json").contains("\"kind\": \"Secret\""));
    assert!(cat("named/statefulsets.apps/mariadb.json").contains("\"kind\": \"StatefulSet\""));
    let pods = site.repo.run(["ls", "latest:labelled/pods"]).ok();
    assert_eq!(pods.text().matches(".json").count(), 1, "{}", pods.text());
    let shown = site.repo.run(["show", "latest", "--json"]).ok().object();
    let proofs: Vec<&str> =
        shown["streams"].as_array().expect("streams").iter().filter_map(|stream| stream["proof"].as_str()).collect();
    assert_eq!(proofs, ["p2", "p2", "p3", "p2", "p3", "p3", "p3", "p3"]);
}

#[test]
fn a_file_may_ask_for_a_software_factory_too() {
    let site = site();
    let cr = std::fs::read(site.factory.cr_file()).expect("readable");
    site.repo.write("my-sf.yaml", &cr);
    site.config(
        "namespace = \"sf\"\nplan = \"software-factory\"\ncr = \"my-sf.yaml\"\nwith = [\"known-hosts\"]\nconfigmaps = true\n\
         [[stream]]\nname = \"more\"\npod = \"plain-0\"\ncommand = \"echo more\"\n",
    );
    site.run(["snapshot", "--config", "sfarc.toml", "--skip", "database"]).ok();
    assert_eq!(site.repo.cat("latest", "more"), b"more\n");
    assert_eq!(site.repo.cat("latest", "objects/cr.yaml"), cr);
    site.repo.run(["ls", "latest:objects/configmaps"]).ok().says("logserver-config-map.json");
    let ran = site.run(["snapshot", "--config", "sfarc.toml", "--only", "mor"]).ends(2);
    ran.says("objects, database, keys, known-hosts, more");
}

/// The file, where in it, and what is wrong with it.
#[test]
fn what_a_file_says_wrongly_is_refused_with_its_place() {
    let site = Site::start();
    let stream = |lines: &str| format!("\n[[stream]]\nname = \"s\"\n{lines}\n");
    let pod = |lines: &str| stream(&format!("pod = \"p\"\n{lines}"));
    for (text, says) in [
        ("colour = 1\n".to_owned(), &["line 1", "unknown field `colour`"][..]),
        (pod("command = \"true\"\ncolour = 1"), &["line 6", "unknown field `colour`"]),
        ("a = [".to_owned(), &["line 1"]),
        ("\nplan = \"openstack\"".to_owned(), &["line 2", "only plan is `software-factory`"]),
        ("with = [\"logs\"]".to_owned(), &["`plan = \"software-factory\"`"]),
        ("timeout = \"soon\"".to_owned(), &["line 1", "`soon` is no length of time"]),
        ("spill = \"1GB\"".to_owned(), &["line 1", "`1GB` is no size"]),
        ("min-proof = \"p9\"".to_owned(), &["line 1", "p9"]),
        (pod("command = 5"), &["line 5", "a line for a shell, or a list"]),
        (pod("command = \"\""), &["stream `s` (line 2)", "command is empty"]),
        (pod("command = []"), &["stream `s`", "command is empty"]),
        (pod("command = [\"\"]"), &["stream `s`", "command is empty"]),
        (pod("path = \"\""), &["stream `s`", "no absolute path"]),
        (pod("path = \"data\""), &["stream `s`", "no absolute path"]),
        (pod(""), &["stream `s`", "it needs one of `command`, `path`, `mariadb`, `zuul-keys`, `objects`"]),
        (pod("command = \"true\"\npath = \"/\""), &["stream `s`", "it needs one of `command`"]),
        (stream("command = \"true\""), &["stream `s`", "it needs one of `pod`, `workload`, `selector`"]),
        (pod("selector = \"a=b\"\ncommand = \"true\""), &["it needs one of `pod`, `workload`, `selector`"]),
        (stream("workload = \"job/x\"\ncommand = \"true\""), &["neither statefulset/NAME nor deployment/NAME"]),
        (pod("mariadb = \"a;b\""), &["cannot be the name of a database"]),
        (pod("command = \"true\"\nverify = \"xml\""), &["no check is called `xml`", "mariadb-dump, json"]),
        (pod("path = \"/\"\nverify = \"json\""), &["`verify` is for a `command`"]),
        (stream("objects = [\"Secret\"]"), &["`Secret` is no type of objects"]),
        (stream("objects = []"), &["`objects` names none"]),
        (pod("objects = [\"secrets\"]"), &["`objects` are not in a pod"]),
        (String::new(), &["nothing to take"]),
        ([pod("command = \"true\""), pod("command = \"true\"")].concat(), &["two streams are named `s`"]),
    ] {
        site.config(&text);
        let ran = site.run(["snapshot", "--config", "sfarc.toml"]).ends(2);
        let about_the_file = !["nothing to take", "two streams are named `s`"].contains(&says[0]);
        assert!(!about_the_file || ran.err.contains("sfarc.toml"), "{text}: {}", ran.err);
        says.iter().for_each(|says| assert!(ran.err.contains(says), "no `{says}` for\n{text}\nin: {}", ran.err));
    }
    site.run(["snapshot", "--config", "none.toml"]).ends(1).says("cannot read none.toml");
    site.config("[[stream]]\nname = \"s\"\npod = \"p\"\ncommand = \"true\"\n");
    let wishes: [&[&str]; 3] = [&["--with", "logs"], &["--configmaps"], &["--helper-pod"]];
    for wish in wishes {
        let ran = site.run([&["snapshot", "--config", "sfarc.toml"], wish].concat()).ends(2);
        ran.says("are for a Software Factory");
    }
    assert_eq!((site.repo.ids().len(), site.factory.cluster.sessions().len()), (0, 0));
}

#[test]
fn bounds_of_a_file_are_kept_and_the_command_line_goes_before() {
    let site = site();
    let stream = |bounds: &str, command: &str| {
        site.config(&format!(
            "namespace = \"sf\"\nattempts = 1\n[[stream]]\nname = \"s\"\npod = \"plain-0\"\n{bounds}\ncommand = \"{command}\"\n"
        ));
    };
    let run = |args: &[&str]| site.run([&["snapshot", "--config", "sfarc.toml"], args].concat());
    stream("silence = \"1s\"", "echo x; sleep 1000");
    run(&[]).ends(1).says("nothing came from sf/plain-0 for 1 seconds, after");
    stream("timeout = \"1s\"", "while :; do echo x; sleep 0.1; done");
    run(&[]).ends(1).says("did not end within 1 seconds");
    stream("min-proof = \"p3\"", "echo x");
    run(&[]).ends(1).says("nothing checks its content");
    stream("", "echo x");
    run(&["--min-proof", "p3"]).ends(1).says("nothing checks its content");
    run(&["--min-proof", "p2"]).ok();
    stream("", "echo x; sleep 1000");
    run(&["--silence", "1"]).ends(1).says("for 1 seconds");
    run(&["--timeout", "1"]).ends(1).says("did not end within 1 seconds");
}
