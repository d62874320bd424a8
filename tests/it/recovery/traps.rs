//! What a Software Factory expects of whoever restores it: each test is a trap that somebody fell into.

use serde_json::{Value, json};
use sfarc::testing::cluster::Cluster;
use sfarc::testing::factory::{Factory, NAMESPACE, Options};
use sfarc::testing::world::World;

use super::{Plan, capture, options, plan, restore};

/// A deployment, and a snapshot of it. Its services are scripts: objects are all that is restored here.
struct Trap {
    factory: Factory,
    repository: sfarc::repo::Repository,
    id: sfarc::ids::ObjectId,
    _world: World,
}

impl Trap {
    fn set() -> Self {
        Self::set_in(Options::default())
    }

    fn set_in(options: Options) -> Self {
        let factory = Factory::start(options);
        let world = World::new(1);
        let repository = world.init().expect("a repository");
        let (id, _) = capture(&repository, &factory);
        Self { factory, repository, id, _world: world }
    }

    fn options(&self, only: &str) -> super::Options {
        super::Options { only: vec![only.to_owned()], ..options(&self.factory) }
    }

    fn plan(&self, only: &str) -> Plan {
        plan(&self.repository, self.id, &self.options(only)).expect("a plan")
    }

    fn restore(&self, only: &str) {
        restore(&self.repository, self.id, &self.options(only)).expect("restored");
    }

    fn cluster(&self) -> &Cluster {
        &self.factory.cluster
    }

    /// What the plan does, a line each.
    fn actions(&self, only: &str) -> Vec<String> {
        self.plan(only).actions().iter().map(|action| format!("{} {}", action.verb, action.what)).collect()
    }
}

fn named(api_version: &str, kind: &str, name: &str) -> Value {
    json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name, "namespace": NAMESPACE } })
}

fn secret(name: &str) -> Value {
    named("v1", "Secret", name)
}

const WORKLOADS: [(&str, &str); 8] = [
    ("StatefulSet", "zuul-scheduler"),
    ("Deployment", "zuul-web"),
    ("StatefulSet", "zuul-executor"),
    ("StatefulSet", "zuul-merger"),
    ("Deployment", "zuul-weeder"),
    ("StatefulSet", "nodepool-builder"),
    ("Deployment", "nodepool-launcher"),
    ("StatefulSet", "zookeeper"),
];

/// Templates and replicas of all workloads.
fn workloads(cluster: &Cluster) -> Vec<Value> {
    let spec = |(kind, name): &(&str, &str)| {
        let object = cluster.object(&named("apps/v1", kind, name)).expect("it is there");
        json!([object["spec"]["template"], object["spec"]["replicas"]])
    };
    WORKLOADS.iter().map(spec).collect()
}

#[test]
fn with_certificates_zookeeper_and_all_its_clients_start_anew_and_no_template_changes() {
    let trap = Trap::set();
    let before =
        [secret("zookeeper-client-tls"), secret("zookeeper-server-tls")].map(|like| trap.cluster().object(&like));
    let old = workloads(trap.cluster());
    trap.factory.set_secret("zookeeper-client-tls", "tls.crt", "another-one");
    trap.factory.set_secret("zookeeper-server-tls", "0-tls.crt", "another-one");
    let from = trap.cluster().requests().len();
    trap.restore("secrets");
    let requests: Vec<String> =
        trap.cluster().requests()[from..].iter().map(|(method, path)| format!("{method} {path}")).collect();
    let at =
        |what: &str| requests.iter().position(|request| request.contains(what)).unwrap_or_else(|| panic!("no {what}"));
    for (kind, name) in &WORKLOADS[..7] {
        let plural = format!("{}s", kind.to_lowercase());
        let scale = format!("PATCH /apis/apps/v1/namespaces/sf/{plural}/{name}/scale");
        let first = at(&scale);
        let last = requests.iter().rposition(|request| request.contains(&scale)).expect("it is started again");
        let put = at("PUT /api/v1/namespaces/sf/secrets/zookeeper-client-tls");
        let zookeeper = at("DELETE /api/v1/namespaces/sf/pods/zookeeper-0");
        assert!(first < put && put < zookeeper && zookeeper < last, "{name}: {requests:#?}");
    }
    assert_eq!(workloads(trap.cluster()), old, "nothing that the operator would take for a change");
    for (like, before) in [secret("zookeeper-client-tls"), secret("zookeeper-server-tls")].iter().zip(before) {
        let (after, before) = (trap.cluster().object(like).expect("there"), before.expect("there"));
        assert_eq!(after["data"], before["data"]);
        assert_eq!(after["metadata"]["annotations"], json!({ "serial": "2" }));
    }
}

#[test]
fn with_the_keystores_password_the_operator_is_told_to_configure_zuul_anew() {
    let trap = Trap::set();
    trap.factory.change_password_secret("another-password-that-is-none");
    let job = |name: &str, status: Value| {
        let mut job = named("batch/v1", "Job", name);
        job["spec"] = json!({ "template": { "spec": { "containers": [], "restartPolicy": "Never" } } });
        job["status"] = status;
        trap.cluster().put_object(job);
    };
    job("config-base-secret-1-100-sf", json!({ "succeeded": 1 }));
    job("zuul-db-provision", json!({ "succeeded": 1 }));
    trap.cluster().put_object(named("v1", "ConfigMap", "zs-internal-tenant-reconfigure"));
    trap.restore("secret/zuul-keystore-password");
    let is_there = |like: &Value| trap.cluster().object(like).is_some();
    assert!(!is_there(&named("batch/v1", "Job", "config-base-secret-1-100-sf")));
    assert!(is_there(&named("batch/v1", "Job", "zuul-db-provision")), "not ours to remove");
    assert!(!is_there(&named("v1", "ConfigMap", "zs-internal-tenant-reconfigure")));
    assert!(is_there(&named("v1", "ConfigMap", "zuul-needs-full-reconfigure-config-map")));
    assert!(!is_there(&named("v1", "ConfigMap", sfarc::engine::recovery::RECORD)));
}

#[test]
fn keys_of_uploads_are_pushed_by_the_operator_and_restart_nothing() {
    let trap = Trap::set();
    trap.factory.set_secret("logserver-uploader-keys", "priv", "another-one");
    let actions = trap.actions("secret/logserver-uploader-keys");
    assert!(actions.iter().any(|action| action == "replace Secret logserver-uploader-keys"), "{actions:?}");
    assert!(!actions.iter().any(|action| action.starts_with("restart") || action.starts_with("stop")), "{actions:?}");
    assert!(trap.plan("secret/logserver-uploader-keys").by_hand[0].contains("sf-operator deploy"));
}

#[test]
fn who_keeps_a_secret_as_it_was_at_the_start_is_restarted() {
    for (name, key, readers) in [
        ("logserver-keys", "priv", &["logserver"][..]),
        ("zuul-ssh-key", "priv", &["zuul-scheduler", "zuul-executor", "zuul-merger"]),
        ("zuul-auth-secret", "zuul-auth-secret", &["zuul-scheduler", "zuul-web"]),
        ("nodepool-providers-secrets", "clouds.yaml", &["nodepool-builder", "nodepool-launcher"]),
        ("gerrit-ssh", "priv", &["zuul-scheduler", "zuul-executor", "zuul-merger"]),
        ("nodepool-builder-ssh-key", "priv", &[]),
    ] {
        let trap = Trap::set();
        trap.factory.set_secret(name, key, "another-one");
        let actions = trap.actions(&format!("secret/{name}"));
        let restarts: Vec<&str> = actions.iter().filter_map(|action| action.strip_prefix("restart ")).collect();
        assert!(
            readers.iter().all(|reader| restarts.iter().any(|restart| restart.contains(reader))),
            "{name}: {actions:?}"
        );
        assert_eq!(restarts.is_empty(), readers.is_empty(), "{name}: {actions:?}");
    }
}

#[test]
fn an_executor_that_would_take_hours_to_end_is_waited_for_and_then_killed() {
    let trap = Trap::set();
    trap.factory.change_password_secret("another-password-that-is-none");
    let mut pod = trap.cluster().object(&named("v1", "Pod", "zuul-executor-0")).expect("it is there");
    pod["spec"]["terminationGracePeriodSeconds"] = json!(7200);
    trap.cluster().put_object(pod);
    let options =
        super::Options { wait: std::time::Duration::from_secs(2), ..trap.options("secret/zuul-keystore-password") };
    restore(&trap.repository, trap.id, &options).expect("restored");
    let requests = trap.cluster().requests();
    assert!(
        requests
            .iter()
            .any(|(method, path)| method == "DELETE" && path.contains("/pods/zuul-executor-0?gracePeriodSeconds=0")),
        "{requests:?}"
    );
    let executors = trap.cluster().object(&named("apps/v1", "StatefulSet", "zuul-executor")).expect("it is there");
    assert_eq!(executors["spec"]["replicas"], 2, "as many as the snapshot says");
}

#[test]
fn what_endangers_a_restore_is_said_before() {
    let trap = Trap::set();
    trap.factory.set_secret("zuul-keystore-password-new", "zuul-keystore-password", "half-done");
    let mut job = named("batch/v1", "Job", "zuul-db-provision");
    job["spec"] = json!({ "template": { "spec": { "containers": [], "restartPolicy": "Never" } } });
    job["status"] = json!({ "failed": 1 });
    trap.cluster().put_object(job);
    trap.cluster().remove_object(&named("apps/v1", "StatefulSet", "zookeeper"));
    let notes = trap.plan("objects").notes.join("\n");
    for words in [
        "a rotation is half done",
        "Job zuul-db-provision has failed",
        "the volume zookeeper-data-zookeeper-0 is of an older deployment",
    ] {
        assert!(notes.contains(words), "{words}: {notes}");
    }
}

#[test]
fn what_is_never_restored_stays_away() {
    let trap = Trap::set();
    for name in ["config-update-secrets", "zuul-ssh-key", "mariadb-root-password"] {
        trap.factory.remove_secret(name);
    }
    trap.restore("objects");
    let is_there = |name: &str| trap.cluster().object(&secret(name)).is_some();
    assert!(!is_there("config-update-secrets"), "it is bound to an account of another cluster");
    assert!(is_there("zuul-ssh-key"));
    trap.factory.set_secret("zuul-db-connection", "password", "another-one");
    let left = trap.plan("objects").left_objects().collect::<Vec<_>>().join("\n");
    assert!(left.contains("Secret zuul-db-connection: it belongs to the database that runs here"), "{left}");
}

#[test]
fn an_object_that_is_going_away_is_waited_for_and_made_again() {
    let trap = Trap::set();
    let like = secret("zuul-ssh-key");
    let before = trap.cluster().object(&like).expect("it is there");
    let mut going = before.clone();
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    trap.cluster().put_object(going);
    let (plan, cluster) = (trap.actions("secret/zuul-ssh-key"), trap.cluster());
    assert!(plan.iter().any(|action| action == "create Secret zuul-ssh-key"), "{plan:?}");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(600));
            cluster.remove_object(&like);
        });
        trap.restore("secret/zuul-ssh-key");
    });
    let after = cluster.object(&like).expect("it is back");
    assert_eq!(after["data"], before["data"]);
    assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"], "a new one");
}

#[test]
fn a_custom_resource_gets_the_storage_classes_of_this_cluster() {
    let trap = Trap::set_in(Options { custom_resource: true, ..Options::default() });
    let like = named("sf.softwarefactory-project.io/v1", "SoftwareFactory", "my-sf");
    let mut resource = trap.cluster().object(&like).expect("it is there");
    resource["spec"]["mariadb"] = json!({ "dbStorage": { "size": "5Gi", "className": "standard" } });
    resource["spec"]["storageDefault"] = json!({ "className": "fast" });
    trap.cluster().put_object(resource);
    let (id, _) = capture(&trap.repository, &trap.factory);
    trap.cluster().remove_object(&like);
    let classes = vec![("standard".to_owned(), "gp3".to_owned())];
    let options = super::Options { classes, ..trap.options("objects") };
    restore(&trap.repository, id, &options).expect("restored");
    let spec = &trap.cluster().object(&like).expect("it is back")["spec"];
    assert_eq!(spec["mariadb"], json!({ "dbStorage": { "size": "5Gi", "className": "gp3" } }));
    assert_eq!(spec["storageDefault"], json!({ "className": "fast" }), "nobody named that");
}
