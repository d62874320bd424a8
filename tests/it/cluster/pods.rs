//! Pods that are created, end, go, and come back.

use kube::Client;
use serde_json::{Value, json};
use sfarc::testing::cluster::{Cluster, Container, Rule, Setup};

use super::rest::{ask, client};
use super::wire::Session;

pub(crate) const PODS: &str = "/api/v1/namespaces/sf/pods";

pub(crate) fn describe(setup: &mut Setup) {
    setup.namespace("sf");
    setup.token("admin", [Rule::all()]);
    setup.image("local/sf:1", Container::new("any").env("FROM", "image").program("tool", "echo $FROM $OWN $SECRET"));
    setup.object(json!({
        "kind": "Secret",
        "apiVersion": "v1",
        "metadata": { "name": "keys", "namespace": "sf" },
        "data": { "one": "cGxhY2Vob2xkZXI=" },
    }));
}

pub(crate) fn cluster() -> Cluster {
    Cluster::start(describe)
}

/// The specification of a pod with one container.
pub(crate) fn spec(command: &[&str], restart: &str) -> Value {
    let env = json!([
        { "name": "OWN", "value": "pod" },
        { "name": "SECRET", "valueFrom": { "secretKeyRef": { "name": "keys", "key": "one" } } },
    ]);
    let container = json!({ "name": "main", "image": "local/sf:1", "command": command, "env": env });
    json!({ "restartPolicy": restart, "containers": [container] })
}

fn pod(name: &str, spec: &Value) -> Value {
    json!({ "kind": "Pod", "apiVersion": "v1", "metadata": { "name": name, "labels": { "run": name } }, "spec": spec })
}

async fn get(client: &Client, path: &str) -> Value {
    ask(client, "GET", path, &Value::Null).await.body
}

/// Asks until the answer is right.
pub(crate) async fn wait(client: &Client, path: &str, is_right: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..4000 {
        let found = get(client, path).await;
        if is_right(&found) {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{path}: {}", get(client, path).await)
}

async fn in_phase(client: &Client, name: &str, phase: &str) -> Value {
    wait(client, &format!("{PODS}/{name}"), |pod| pod["status"]["phase"] == phase).await
}

#[tokio::test]
async fn a_created_pod_runs_and_goes_with_its_processes() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    let created = ask(&client, "POST", PODS, &pod("zuul-kazoo", &spec(&["sleep", "1000"], "Never"))).await;
    assert_eq!((created.code, &created.body["status"]["phase"]), (201, &json!("Pending")));
    let running = in_phase(&client, "zuul-kazoo", "Running").await;
    assert_eq!(running["status"]["containerStatuses"][0]["ready"], true);
    assert_eq!(cluster.processes("sf", "zuul-kazoo"), 1);
    let heard = Session::run(&cluster, "zuul-kazoo", "main", &["tool"]).await.unwrap().hear().await;
    assert_eq!(heard.text(1), "image pod placeholder\n");
    let mut session = Session::run(&cluster, "zuul-kazoo", "main", &["sleep", "1000"]).await.unwrap();
    session.next().await.unwrap();
    assert_eq!(ask(&client, "DELETE", &format!("{PODS}/zuul-kazoo"), &Value::Null).await.code, 200);
    assert!(session.hear().await.text(3).contains("exit code 137"));
    assert_eq!(cluster.processes("sf", "zuul-kazoo"), 0);
    assert_eq!(ask(&client, "GET", &format!("{PODS}/zuul-kazoo"), &Value::Null).await.code, 404);
}

#[tokio::test]
async fn a_pod_that_is_to_run_on_is_a_service() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    ask(&client, "POST", PODS, &pod("service", &spec(&["no-such-program"], "Always"))).await;
    in_phase(&client, "service", "Running").await;
    assert_eq!(cluster.processes("sf", "service"), 0);
    let heard = Session::run(&cluster, "service", "main", &["tool"]).await.unwrap().hear().await;
    assert_eq!(heard.text(1), "image pod placeholder\n");
}

#[tokio::test]
async fn pods_end_as_their_commands_do() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    let cases: [(&str, &[&str], &str, i32); 3] = [
        ("good", &["true"], "Succeeded", 0),
        ("bad", &["sh", "-c", "exit 3"], "Failed", 3),
        ("ugly", &["no-such-program"], "Failed", 128),
    ];
    for (name, command, phase, code) in cases {
        ask(&client, "POST", PODS, &pod(name, &spec(command, "Never"))).await;
        let ended = in_phase(&client, name, phase).await;
        assert_eq!(ended["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], code);
        assert_eq!(Session::run(&cluster, name, "main", &["true"]).await.err().unwrap().code, 500);
    }
    let failed = get(&client, &format!("{PODS}?fieldSelector=status.phase%3DFailed")).await;
    assert_eq!(failed["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn pods_end_at_their_deadline() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    for restart in ["Never", "Always"] {
        let mut spec = spec(&["sleep", "1000"], restart);
        spec["activeDeadlineSeconds"] = json!(1);
        let name = format!("late-{}", restart.to_lowercase());
        ask(&client, "POST", PODS, &pod(&name, &spec)).await;
        let ended = in_phase(&client, &name, "Failed").await;
        assert_eq!(ended["status"]["reason"], "DeadlineExceeded");
        assert_eq!(cluster.processes("sf", &name), 0);
    }
}

#[tokio::test]
async fn a_pod_without_its_image_waits() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    let mut other = spec(&["true"], "Never");
    other["containers"][0]["image"] = json!("local/none:1");
    ask(&client, "POST", PODS, &pod("waiting", &other)).await;
    let reason = |pod: &Value| pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].clone();
    let waiting = wait(&client, &format!("{PODS}/waiting"), |pod| reason(pod) == "ErrImagePull").await;
    assert_eq!(waiting["status"]["phase"], "Pending");
    assert_eq!(Session::run(&cluster, "waiting", "main", &["true"]).await.err().unwrap().code, 400);
}

fn workload(kind: &str, name: &str) -> Value {
    let labels = json!({ "run": name });
    json!({
        "kind": kind,
        "apiVersion": "apps/v1",
        "metadata": { "name": name },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": spec(&["sleep"], "Always") },
        },
    })
}

#[tokio::test]
async fn pods_of_workloads_come_and_come_back() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    for (kind, plural) in [("StatefulSet", "statefulsets"), ("Deployment", "deployments")] {
        let path = format!("/apis/apps/v1/namespaces/sf/{plural}");
        let name = kind.to_lowercase();
        assert_eq!(ask(&client, "POST", &path, &workload(kind, &name)).await.code, 201);
        let list = format!("{PODS}?labelSelector=run%3D{name}");
        let has = |count: usize| move |list: &Value| list["items"].as_array().unwrap().len() == count;
        let before = wait(&client, &list, has(2)).await["items"][0].clone();
        let pod = before["metadata"]["name"].as_str().unwrap();
        let heard = Session::run(&cluster, pod, "main", &["tool"]).await.unwrap().hear().await;
        assert_eq!(heard.text(1), "image pod placeholder\n");
        cluster.delete_pod("sf", pod);
        let after = wait(&client, &list, has(2)).await["items"][0].clone();
        assert_eq!(after["metadata"]["name"], before["metadata"]["name"]);
        assert_ne!(after["metadata"]["uid"], before["metadata"]["uid"]);
        assert_eq!(after["spec"], before["spec"]);
        assert_eq!(ask(&client, "DELETE", &format!("{path}/{name}"), &Value::Null).await.code, 200);
        wait(&client, &list, has(0)).await;
    }
}

#[tokio::test]
async fn what_is_orphaned_stays() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    let path = "/api/v1/namespaces/sf/configmaps";
    let owner = ask(&client, "POST", path, &json!({ "metadata": { "name": "owner" } })).await.body;
    let reference = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "owner",
        "uid": owner["metadata"]["uid"],
    });
    let owned = json!({ "metadata": { "name": "owned", "ownerReferences": [reference] } });
    assert_eq!(ask(&client, "POST", path, &owned).await.code, 201);
    let orphan = format!("{path}/owner?propagationPolicy=Orphan");
    assert_eq!(ask(&client, "DELETE", &orphan, &Value::Null).await.code, 200);
    assert_eq!(get(&client, &format!("{path}/owned")).await["metadata"]["ownerReferences"], json!([]));
}
