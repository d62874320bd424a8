//! The whole of a deployment, over a live one.

use super::{Scene, assert_same, capture, options, plan, restore};
use serde_json::json;
use sfarc::testing::cluster::Container;
use sfarc::testing::factory::{Factory, NAMESPACE, Options, PASSWORD};

#[test]
fn a_live_deployment_goes_back_to_its_snapshot_and_forward_again() {
    let Some(mut scene) = Scene::start(Options { builds: 50, ..Options::default() }) else { return };
    let (id, before) = scene.capture();
    scene.factory.add_builds(7);
    scene.factory.set_secret("zuul-ssh-key", "priv", "another-key-that-is-none");
    let (_, after) = scene.capture();

    let options = scene.options();
    let planned = plan(&scene.repository, id, &options).expect("a plan");
    planned.actions().iter().for_each(|action| println!("{:8} {}", action.verb, action.what));
    let report = scene.restore(id, &options).expect("restored");
    let (_, restored) = scene.capture();
    assert_same(&before, &restored, "after the restore");

    let safety = report.safety.expect("a safety snapshot");
    let safety = scene.repository.resolve(&safety).expect("it is there").id;
    scene.restore(safety, &options).expect("undone");
    let (_, undone) = scene.capture();
    assert_same(&after, &undone, "after the undo");
}

#[test]
fn an_empty_namespace_becomes_the_same_deployment() {
    let Some(scene) = Scene::start(Options { builds: 30, ..Options::default() }) else { return };
    let (id, before) = scene.capture();
    let target = Factory::start(Options { real: true, empty: true, builds: 0, ..Options::default() });
    let options = options(&target);

    let first = restore(&scene.repository, id, &options).expect("the objects are restored");
    assert!(first.is_open && first.safety.is_none(), "{first:?}");
    target.deploy();
    let second = restore(&scene.repository, id, &options).expect("the rest is restored");
    assert!(!second.is_open, "{second:?}");

    let (_, after) = capture(&scene.repository, &target);
    assert_same(&before, &after, "the other cluster");
    let again = plan(&scene.repository, id, &super::Options { only: vec!["objects".into(), "keys".into()], ..options });
    let again = again.expect("a plan");
    assert!(again.is_empty(), "nothing is left to do: {:?}", again.actions());
}

/// A client that takes the first line of newer dumps for a command, as those before 10.11.8 do.
const OLDER: &str = r#"
for word; do [ "$word" = -e ] && exec /usr/bin/mariadb "$@"; done
IFS= read -r first
case $first in *sandbox*) echo "ERROR at line 1: Unknown command '\-'." >&2; exit 1 ;; esac
{ printf '%s\n' "$first"; cat; } | exec /usr/bin/mariadb "$@"
"#;

#[test]
fn an_older_client_gets_a_dump_that_it_understands() {
    let Some(scene) = Scene::start(Options { builds: 5, ..Options::default() }) else { return };
    let (id, before) = scene.capture();
    let dump = scene.factory.dump();
    if !dump.starts_with("/*M!999999") && !dump.starts_with("/*!999999") {
        println!("the client here writes no such line: not tested");
        return;
    }
    let home = scene.factory.folder().join("mysql");
    let older = Container::new("mariadb").env("HOME", &home).folder(&home).program("mariadb", OLDER);
    scene.factory.cluster.describe(NAMESPACE, "mariadb-0", older);
    scene.factory.sql("DELETE FROM zuul_artifact");
    scene.restore(id, &scene.options()).expect("restored");
    let (_, after) = scene.capture();
    assert_same(&before, &after, "by an older client");
}

#[test]
fn the_rendered_password_follows_even_if_an_earlier_attempt_came_no_further_than_the_secret() {
    let Some(scene) = Scene::start(Options { builds: 1, ..Options::default() }) else { return };
    let (id, _) = scene.capture();
    let conf = "[keystore]\npassword=of-another-time\n\n[database]\ndburi=kept\n";
    scene.factory.set_secret("zuul-config", "zuul.conf", conf);
    let options = super::Options { only: vec!["objects".into()], ..scene.options() };
    scene.restore(id, &options).expect("restored");
    let like =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "zuul-config", "namespace": NAMESPACE } });
    let secret = scene.factory.cluster.object(&like).expect("it is there");
    let conf: sfarc::k8s::ByteString = serde_json::from_value(secret["data"]["zuul.conf"].clone()).expect("base64");
    let expected = format!("[keystore]\npassword={PASSWORD}\n\n[database]\ndburi=kept\n");
    assert_eq!(String::from_utf8_lossy(&conf.0), expected);
}
