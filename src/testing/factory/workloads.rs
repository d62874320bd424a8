//! Workloads with their pods, and what runs in the containers.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::database::Database;
use super::keys::Keys;
use super::{NAMESPACE, owned};
use crate::testing::cluster::{Container, Setup};

const REGISTRY: &str = "registry.example/software-factory";

/// A `StatefulSet`: its name, the containers with their images, and volumes with their sizes, as mounted in the first.
struct Set {
    name: &'static str,
    containers: Vec<(&'static str, &'static str)>,
    volumes: Vec<(&'static str, &'static str, String)>,
    replicas: u64,
}

/// Says what runs in the containers of all pods, and where it keeps its files.
pub(super) fn describe(setup: &mut Setup, folder: &Path, database: &Database, keys: &Keys) {
    let at = |name: &str| format!("{name}-0");
    let (homes, zookeeper) = (Homes::make(folder), zookeeper_data(folder, keys));
    let nodepool = Container::new("nodepool-builder")
        .folder(&homes.builder)
        .program("nodepool", "[ \"$1\" = export-image-data ] && echo '{\"builds\": {}}' >\"$2\"");
    setup.container(NAMESPACE, &at("mariadb"), database.container());
    setup.container(NAMESPACE, &at("zuul-scheduler"), keys.container());
    setup.container(NAMESPACE, &at("zookeeper"), Container::new("zookeeper").folder(&zookeeper));
    setup.container(NAMESPACE, &at("logserver"), Container::new("logserver").folder(&homes.logs));
    setup.container(NAMESPACE, &at("nodepool-builder"), nodepool);
    setup.image(&format!("{REGISTRY}/zuul-scheduler:14.1.0"), keys.container());
}

/// All workloads with their claims.
pub(super) fn all(folder: &Path, keys: &Keys) -> Vec<Value> {
    let homes = Homes::make(folder);
    let mut all = Vec::new();
    for set in sets(&homes.logs, &homes.builder, &zookeeper_data(folder, keys)) {
        for (volume, size, _) in &set.volumes {
            all.extend((0..set.replicas).map(|number| claim(&format!("{volume}-{}-{number}", set.name), size)));
        }
        all.push(stateful_set(&set));
    }
    all.extend(DEPLOYMENTS.iter().map(|(name, container, image)| deployment(name, container, image)));
    all
}

/// The pods of all StatefulSets, as they are when they run.
pub(super) fn pods(folder: &Path, keys: &Keys) -> Vec<Value> {
    let homes = Homes::make(folder);
    let sets = sets(&homes.logs, &homes.builder, &zookeeper_data(folder, keys));
    sets.iter().flat_map(|set| (0..set.replicas).map(|number| pod(set, number))).collect()
}

/// Fills the volumes, as a deployment does that has run for a while.
pub(super) fn fill_volumes(folder: &Path) {
    let homes = Homes::make(folder);
    fill(&homes.logs, &homes.builder);
}

/// Where containers keep files.
struct Homes {
    logs: PathBuf,
    builder: PathBuf,
}

impl Homes {
    fn make(folder: &Path) -> Self {
        let home = |name: &str| {
            let home = folder.join(name);
            std::fs::create_dir_all(&home).expect("a folder can be made");
            home
        };
        Self { logs: home("logs"), builder: home("nodepool") }
    }
}

fn zookeeper_data(folder: &Path, keys: &Keys) -> PathBuf {
    if let Some(data) = keys.data() {
        return data.to_owned();
    }
    let data = folder.join("zookeeper-data");
    std::fs::create_dir_all(data.join("version-2")).expect("a folder can be made");
    std::fs::write(data.join("version-2/snapshot.0"), "not a real snapshot").expect("written");
    data
}

fn fill(logs: &Path, builder: &Path) {
    for number in 0..20 {
        let build = logs.join(format!("local/{number:02}"));
        std::fs::create_dir_all(&build).expect("a folder can be made");
        let text: String = (0..200).map(|line| format!("{line:05} build {number}: all is well\n")).collect();
        std::fs::write(build.join("job-output.txt"), text).expect("written");
    }
    std::fs::write(builder.join("known_hosts"), "images.example ssh-ed25519 not-a-real-key\n").expect("written");
}

fn sets(logs: &Path, builder: &Path, zookeeper: &Path) -> Vec<Set> {
    let text = |path: &Path| path.display().to_string();
    let set = |name, containers: &[(&'static str, &'static str)], volumes, replicas| Set {
        name,
        containers: containers.to_vec(),
        volumes,
        replicas,
    };
    let of = |path: &str| path.to_owned();
    vec![
        set(
            "mariadb",
            &[("mariadb", "mariadb:11.4-ubi9-1"), ("mariadb-nodeexporter", "node-exporter:v1.9.1")],
            vec![("mariadb", "5Gi", of("/var/lib/mysql")), ("mariadb-logs", "1Gi", of("/var/log/mariadb"))],
            1,
        ),
        set("zookeeper", &[("zookeeper", "zookeeper:3.9.4")], vec![("zookeeper-data", "2Gi", text(zookeeper))], 1),
        set(
            "zuul-scheduler",
            &[("zuul-scheduler", "zuul-scheduler:14.1.0"), ("zuul-statsd", "statsd-exporter:v0.28.0")],
            vec![("zuul-scheduler", "1Gi", of("/var/lib/zuul"))],
            1,
        ),
        set(
            "zuul-executor",
            &[("zuul-executor", "zuul-executor:14.1.0")],
            vec![("zuul-executor", "10Gi", of("/var/lib/zuul"))],
            2,
        ),
        set(
            "zuul-merger",
            &[("zuul-merger", "zuul-merger:14.1.0")],
            vec![("zuul-merger", "1Gi", of("/var/lib/zuul"))],
            1,
        ),
        set(
            "nodepool-builder",
            &[("nodepool-builder", "nodepool-builder:11.0.0"), ("build-logs-httpd", "httpd-24:1")],
            vec![("nodepool-builder", "1Gi", text(builder))],
            1,
        ),
        set("git-server", &[("git-server", "git-daemon:2.39.3")], vec![("git-server", "1Gi", of("/git"))], 1),
        set(
            "logserver",
            &[("logserver", "httpd-24:1"), ("logserver-sshd", "sshd:0.2"), ("purgelogs", "purgelogs:0.2.4")],
            vec![("logserver", "20Gi", text(logs))],
            1,
        ),
    ]
}

const DEPLOYMENTS: [(&str, &str, &str); 4] = [
    ("zuul-web", "zuul-web", "zuul-web:14.1.0"),
    ("zuul-weeder", "zuul-weeder", "zuul-weeder:0.1.3"),
    ("nodepool-launcher", "launcher", "nodepool-launcher:11.0.0"),
    ("gateway", "gateway", "httpd-24:1"),
];

fn labels(name: &str) -> Value {
    json!({ "app": "sf", "run": name })
}

fn pod_spec(set: &Set) -> Value {
    let mounts: Vec<Value> =
        set.volumes.iter().map(|(volume, _, path)| json!({ "name": volume, "mountPath": path })).collect();
    let container = |(place, (name, image)): (usize, &(&str, &str))| {
        let mounts = if place == 0 { mounts.clone() } else { Vec::new() };
        json!({ "name": name, "image": format!("{REGISTRY}/{image}"), "volumeMounts": mounts })
    };
    let containers: Vec<Value> = set.containers.iter().enumerate().map(container).collect();
    json!({ "automountServiceAccountToken": false, "securityContext": { "runAsUser": 1001 }, "containers": containers })
}

fn stateful_set(set: &Set) -> Value {
    let claims = set.volumes.iter().map(|(volume, size, _)| {
        json!({
            "metadata": { "name": volume },
            "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": size } } },
        })
    });
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": owned(set.name),
        "spec": {
            "replicas": set.replicas,
            "serviceName": set.name,
            "selector": { "matchLabels": labels(set.name) },
            "template": {
                "metadata": { "labels": labels(set.name), "annotations": { "serial": "6" } },
                "spec": pod_spec(set),
            },
            "volumeClaimTemplates": claims.collect::<Vec<_>>(),
        },
        "status": { "replicas": set.replicas, "readyReplicas": set.replicas },
    })
}

fn pod(set: &Set, number: u64) -> Value {
    let ready = |(name, _): &(&str, &str)| json!({ "name": name, "ready": true, "restartCount": 0 });
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("{}-{number}", set.name), "namespace": NAMESPACE, "labels": labels(set.name),
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": set.name, "uid": "1", "controller": true }],
        },
        "spec": pod_spec(set),
        "status": {
            "phase": "Running",
            "conditions": [{ "type": "Ready", "status": "True" }],
            "containerStatuses": set.containers.iter().map(ready).collect::<Vec<_>>(),
        },
    })
}

fn claim(name: &str, size: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "standard",
            "resources": { "requests": { "storage": size } },
        },
        "status": { "phase": "Bound" },
    })
}

fn deployment(name: &str, container: &str, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": owned(name),
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": labels(name) },
            "template": {
                "metadata": { "labels": labels(name) },
                "spec": { "containers": [{ "name": container, "image": format!("{REGISTRY}/{image}") }] },
            },
        },
        "status": { "replicas": 1, "readyReplicas": 1 },
    })
}
