//! Recorded REST requests, one by one, through the client that the program itself uses.

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use sfarc::testing::cluster::{Cluster, Container, Rule, Setup};

use super::trace;
use super::wire::{Session, V5};

/// What differs between any two runs.
const VOLATILE: &[&str] = &["uid", "resourceVersion", "creationTimestamp", "time", "continue"];

pub(crate) async fn client(cluster: &Cluster, token: &str) -> Client {
    client_of(&cluster.kubeconfig(token)).await
}

async fn client_of(kubeconfig: &str) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    // The tests are to see each answer, also those that a client is asked to try again.
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

/// An answer: its code, its content type and its body.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    content_type: String,
    pub(crate) body: Value,
}

impl Answer {
    fn recorded(trace: &Value) -> Self {
        let content_type = trace["headers"]["Content-Type"].as_str().unwrap_or("application/json").to_owned();
        let code = u16::try_from(trace["status"].as_u64().unwrap()).unwrap();
        Self { code, content_type, body: masked(&trace["body"]) }
    }
}

/// The same without what differs between runs, and without the contents of secrets, which the recordings hide.
fn masked(body: &Value) -> Value {
    match body {
        Value::Array(items) => items.iter().map(masked).collect(),
        Value::Object(fields) => fields.iter().filter(|(name, _)| *name != "data").map(masked_field).collect(),
        other => other.clone(),
    }
}

fn masked_field((name, value): (&String, &Value)) -> (String, Value) {
    let given = !value.is_null() && value != "";
    let hidden = VOLATILE.contains(&name.as_str()) && given;
    (name.clone(), if hidden { json!("masked") } else { masked(value) })
}

/// Sends a request with a body of JSON, or none, and reads the answer to its end.
pub(crate) async fn ask(client: &Client, method: &str, path: &str, body: &Value) -> Answer {
    let content_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    send(client, method, path, content_type, body).await
}

async fn send(client: &Client, method: &str, path: &str, content_type: &str, body: &Value) -> Answer {
    let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", content_type)
        .header("user-agent", "python-requests/2.28.1")
        .body(Body::from(bytes))
        .unwrap();
    let response = client.send(request).await.unwrap();
    let (code, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!({ "text": String::from_utf8_lossy(&bytes) }));
    let content_type = headers["content-type"].to_str().unwrap().to_owned();
    Answer { code, content_type, body }
}

/// The query of a recorded request.
fn query(trace: &Value) -> String {
    let fields = trace["request"]["query"].as_object();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), |text| text.replace('=', "%3D"));
    let pairs = fields.into_iter().flatten().map(|(name, value)| format!("{name}={}", text(value)));
    pairs.collect::<Vec<String>>().join("&")
}

/// Sends a recorded request, with another secret if one is given, and compares the answers.
async fn replay_with(client: &Client, name: &str, secret: Option<&str>) -> Value {
    let trace = trace(name);
    let request = &trace["request"];
    let path = format!("{}?{}", request["path"].as_str().unwrap(), query(&trace));
    let mut body = request["body"].clone();
    if let Some(secret) = secret {
        body["data"]["a"] = json!(secret);
    }
    let content_type = request["content_type"].as_str().unwrap_or("application/json");
    let answer = send(client, request["method"].as_str().unwrap(), &path, content_type, &body).await;
    let whole = answer.body.clone();
    let answer = Answer { body: masked(&answer.body), ..answer };
    assert_eq!(answer, Answer::recorded(&trace), "{name}");
    super::traces::replayed(name);
    whole
}

async fn replay(client: &Client, name: &str) -> Value {
    replay_with(client, name, None).await
}

fn describe(setup: &mut Setup) {
    setup.namespace("sf");
    setup.token("admin", [Rule::all()]);
    setup.token("sf:nobody", []);
    setup.custom_resource("sf.softwarefactory-project.io", "v1", "softwarefactories", "SoftwareFactory");
    for name in ["get-secret", "get-statefulset", "get-pvc"] {
        setup.object(trace(name)["body"].clone());
    }
    for (list, kind) in [("list-pods", "Pod"), ("list-secrets-limit-1", "Secret")] {
        for item in trace(list)["body"]["items"].as_array().unwrap() {
            let mut item = item.clone();
            (item["kind"], item["apiVersion"]) = (json!(kind), json!("v1"));
            setup.object(item);
        }
    }
}

fn cluster() -> Cluster {
    Cluster::start(describe)
}

#[tokio::test]
async fn objects_are_read() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    let names = ["get-secret", "get-statefulset", "get-pvc", "get-secret-missing", "list-pods", "list-pods-by-label"];
    for name in names {
        replay(&client, name).await;
    }
    for name in ["list-softwarefactories", "list-unknown-group", "namespace-missing"] {
        replay(&client, name).await;
    }
}

#[tokio::test]
async fn the_cluster_describes_itself() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    for name in ["version", "api-groups", "self-subject-access-review", "self-subject-rules-review"] {
        replay(&client, name).await;
    }
}

#[tokio::test]
async fn who_has_no_right_is_refused() {
    let cluster = cluster();
    let nobody = client(&cluster, "sf:nobody").await;
    replay(&nobody, "get-secret-forbidden").await;
    replay(&nobody, "list-secrets-forbidden").await;
    let wrong = cluster.kubeconfig("admin").replace(cluster.token("admin"), "wrong");
    let stranger = client_of(&wrong).await;
    let answer = send(&stranger, "GET", "/version", "application/json", &Value::Null).await;
    assert_eq!(answer, Answer::recorded(&trace("unauthorized")));
    super::traces::replayed("unauthorized");
}

/// An expired token is no token; what it began goes on.
#[tokio::test]
async fn tokens_expire() {
    let cluster = Cluster::start(|setup| {
        describe(setup);
        setup.pod("sf", "mariadb-0", [Container::new("mariadb")]);
    });
    let client = client(&cluster, "admin").await;
    let mut session = Session::sh(&cluster, "read line; echo $line", &[V5]).await.unwrap();
    session.next().await.unwrap();
    cluster.expire_token("admin");
    let answer = send(&client, "GET", "/version", "application/json", &Value::Null).await;
    assert_eq!(answer, Answer::recorded(&trace("unauthorized")));
    assert_eq!(Session::sh(&cluster, "true", &[V5]).await.err().map(|refused| refused.code), Some(401));
    session.send(0, b"still here\n").await;
    assert_eq!(session.hear().await.text(1), "still here\n");
    cluster.renew_token("admin");
    replay(&client, "version").await;
}

/// The recordings follow one secret through its life; of its contents they tell only where they differ.
#[tokio::test]
async fn a_secret_lives() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    let created = replay_with(&client, "create-secret", Some("b25l")).await;
    for name in ["create-secret-again", "create-secret-bad-name", "create-in-missing-namespace", "dry-run-create"] {
        replay(&client, name).await;
    }
    let applied = replay_with(&client, "apply-secret", Some("dHdv")).await;
    assert_eq!(applied["data"]["a"], "dHdv");
    assert_eq!(applied["metadata"]["uid"], created["metadata"]["uid"]);
    let version = |object: &Value| object["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();
    assert_eq!(version(&applied), version(&created) + 1, "a rehearsal changed something");
    let again = replay_with(&client, "apply-secret", Some("dHdv")).await;
    assert_eq!(version(&again), version(&applied), "the same again is a change");
    replay_with(&client, "apply-secret-conflict", Some("dGhyZWU=")).await;
    replay(&client, "replace-secret-stale-resource-version").await;
    replay_with(&client, "replace-secret-immutable-type", Some("dHdv")).await;
    replay(&client, "delete-secret").await;
    let path = "/api/v1/namespaces/sf/secrets/trace-demo";
    assert_eq!(send(&client, "GET", path, "application/json", &Value::Null).await.code, 404);
}

#[tokio::test]
async fn a_workload_is_scaled() {
    let cluster = Cluster::start(|setup| {
        describe(setup);
        // In the recording, no controller was as quick as its requests.
        setup.lag(Duration::from_secs(3600));
        setup.object(json!({
            "kind": "Deployment",
            "apiVersion": "apps/v1",
            "metadata": { "name": "zuul-web", "namespace": "sf" },
            "spec": { "replicas": 1, "selector": { "matchLabels": { "run": "zuul-web" } } },
            "status": { "replicas": 1 },
        }));
    });
    let client = client(&cluster, "admin").await;
    for name in ["scale-get", "scale-to-0", "scale-to-1"] {
        replay(&client, name).await;
    }
}

/// A pod that goes takes its processes with it; it comes back as another one of the same name.
#[tokio::test]
async fn pods_follow_the_scale() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    let scale = "/apis/apps/v1/namespaces/sf/statefulsets/mariadb/scale";
    let pods = "/api/v1/namespaces/sf/pods?labelSelector=run%3Dmariadb";
    let scaled = async |replicas: usize| {
        let body = json!({ "spec": { "replicas": replicas } });
        assert_eq!(send(&client, "PATCH", scale, "application/merge-patch+json", &body).await.code, 200);
        loop {
            let scale = send(&client, "GET", scale, "application/json", &Value::Null).await.body;
            if scale["status"]["replicas"] == replicas {
                return send(&client, "GET", pods, "application/json", &Value::Null).await.body["items"].clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let before = send(&client, "GET", pods, "application/json", &Value::Null).await.body["items"].clone();
    let mut session = Session::sh(&cluster, "sleep 1000", &[V5]).await.unwrap();
    session.next().await.unwrap();
    assert_eq!(scaled(0).await, json!([]));
    assert!(session.hear().await.text(3).contains("exit code 137"));
    let after = scaled(2).await;
    assert_eq!(masked(&after[0]), masked(&before[0]));
    assert_ne!(after[0]["metadata"]["uid"], before[0]["metadata"]["uid"]);
    assert_eq!(after[1]["metadata"]["name"], "mariadb-1");
}

/// The tests of this file that replay recordings.
pub(crate) const REPLAYS: &[fn()] = &[
    objects_are_read,
    the_cluster_describes_itself,
    who_has_no_right_is_refused,
    a_secret_lives,
    a_workload_is_scaled,
    long_lists_come_in_parts,
];

fn secret(name: &str) -> Value {
    let metadata = json!({ "name": name, "namespace": "sf" });
    json!({ "kind": "Secret", "apiVersion": "v1", "metadata": metadata, "type": "Opaque" })
}

#[tokio::test]
async fn long_lists_come_in_parts() {
    let cluster = Cluster::start(|setup| {
        describe(setup);
        // The recorded cluster had fourteen of them.
        for number in 0..12 {
            setup.object(secret(&format!("secret-{number:02}")));
        }
    });
    let client = client(&cluster, "admin").await;
    let first = replay(&client, "list-secrets-limit-1").await;
    let mut names = vec![first["items"][0]["metadata"]["name"].clone()];
    let mut token = first["metadata"]["continue"].as_str().map(str::to_owned);
    while let Some(next) = token.take().filter(|token| !token.is_empty()) {
        let path = format!("/api/v1/namespaces/sf/secrets?limit=5&continue={}", next.replace('+', "%2B"));
        let part = send(&client, "GET", &path, "application/json", &Value::Null).await.body;
        names.extend(part["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].clone()));
        token = part["metadata"]["continue"].as_str().map(str::to_owned);
    }
    assert_eq!(names.len(), 14);
    assert!(names.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()), "{names:?}");
}

#[tokio::test]
async fn bad_requests_are_refused_and_harm_nothing() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    let secrets = "/api/v1/namespaces/sf/secrets";
    let one = "/api/v1/namespaces/sf/secrets/zuul-ssh-key";
    let (plain, merge, apply) = ("application/json", "application/merge-patch+json", "application/apply-patch+yaml");
    let requests = [
        ("POST", secrets, plain, json!([1])),
        ("POST", secrets, plain, json!("text")),
        ("POST", secrets, plain, json!({})),
        ("POST", secrets, plain, json!({ "metadata": 1 })),
        ("POST", secrets, plain, json!({ "metadata": { "name": "a" }, "data": "x", "stringData": { "a": "b" } })),
        ("POST", secrets, plain, json!({ "metadata": { "name": "a", "namespace": "other" } })),
        ("POST", secrets, plain, json!({ "kind": "Pod", "metadata": { "name": "a" } })),
        ("POST", secrets, plain, json!({ "metadata": { "name": "a", "resourceVersion": "1" } })),
        ("PUT", one, plain, json!({ "metadata": { "name": "other" } })),
        ("PUT", one, plain, Value::Null),
        ("PATCH", one, merge, json!({ "metadata": "x" })),
        ("PATCH", one, apply, json!({ "metadata": {} })),
        ("PATCH", one, "application/json-patch+json", json!([])),
        ("POST", one, plain, json!({})),
        ("DELETE", "/api/v1/namespaces", plain, Value::Null),
        ("DELETE", one, plain, json!({ "preconditions": { "uid": "other" } })),
        ("DELETE", one, plain, json!({ "preconditions": { "resourceVersion": "0" } })),
        ("GET", "/api/v1/namespaces/sf/secrets?continue=odd", plain, Value::Null),
        ("GET", "/api/v1/namespaces/sf/secrets?labelSelector=%3D", plain, Value::Null),
        ("GET", "/api/v1/namespaces/sf/secrets?watch=true&resourceVersion=odd", plain, Value::Null),
        ("POST", "/apis/batch/v1/namespaces/sf/jobs", plain, json!({ "metadata": { "name": "a" } })),
        ("GET", "/api/v1/namespaces/sf/pods/mariadb-0/exec?command=true&stdout=true", plain, Value::Null),
        ("GET", "/api/v1/namespaces/sf/pods/mariadb-0/exec?command=true", plain, Value::Null),
        ("GET", "/api/v1/namespaces/sf/pods/mariadb-0/exec?stdout=true", plain, Value::Null),
        ("GET", "/api/v1/namespaces/sf/pods/mariadb-0/odd", plain, Value::Null),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/sf/statefulsets/mariadb/scale",
            merge,
            json!({ "spec": { "replicas": -1 } }),
        ),
        ("PATCH", "/apis/apps/v1/namespaces/sf/statefulsets/mariadb/scale", merge, json!([])),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", plain, json!({ "spec": 1 })),
        ("GET", "/api/v1/%ff%", plain, Value::Null),
        ("GET", "/", plain, Value::Null),
    ];
    for (method, path, content_type, body) in requests {
        let answer = send(&client, method, path, content_type, &body).await;
        assert!(
            (400..500).contains(&answer.code) || answer.code == 500 && body.to_string().contains("resourceV"),
            "{method} {path} {body}: {answer:?}"
        );
    }
    replay(&client, "get-secret").await;
}

#[tokio::test]
async fn rules_are_as_narrow_as_they_say() {
    let cluster = Cluster::start(|setup| {
        describe(setup);
        let named = Rule::new(&[""], &["secrets"], &["get"]).named(&["zuul-ssh-key"]).within("sf");
        setup.token("backup", [named, Rule::new(&[""], &["pods"], &["list"])]);
        setup.pod("sf", "mariadb-0", [Container::new("mariadb")]);
    });
    let client = client(&cluster, "backup").await;
    let code = async |path: &str| send(&client, "GET", path, "application/json", &Value::Null).await.code;
    assert_eq!(code("/api/v1/namespaces/sf/secrets/zuul-ssh-key").await, 200);
    assert_eq!(code("/api/v1/namespaces/other/secrets/zuul-ssh-key").await, 403);
    assert_eq!(code("/api/v1/namespaces/sf/secrets/logserver-keys").await, 403);
    assert_eq!(code("/api/v1/namespaces/sf/secrets").await, 403);
    assert_eq!(code("/api/v1/pods").await, 200);
    assert_eq!(code("/api/v1/namespaces/sf/pods/mariadb-0/exec?command=true&stdout=true").await, 403);
}
