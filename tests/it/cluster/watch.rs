//! Watches, and what is deleted by lists.

use futures_util::TryStreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use sfarc::testing::cluster::{Cluster, Rule};

use super::rest::{ask, client};

const SECRETS: &str = "/api/v1/namespaces/sf/secrets";

fn secret(name: &str, labels: &Value) -> Value {
    let metadata = json!({ "name": name, "namespace": "sf", "labels": labels });
    json!({ "kind": "Secret", "apiVersion": "v1", "metadata": metadata, "type": "Opaque" })
}

fn cluster() -> Cluster {
    Cluster::start(|setup| {
        setup.namespace("sf");
        setup.namespace("other");
        setup.token("admin", [Rule::all()]);
        setup.object(secret("old", &json!({ "run": "zuul" })));
    })
}

async fn version(client: &Client) -> String {
    let list = ask(client, "GET", SECRETS, &Value::Null).await.body;
    list["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}

/// The events of a watch, to its end, each as its type and the name of its object.
async fn watched(client: &Client, query: &str) -> Vec<(String, String)> {
    let path = format!("{SECRETS}?watch=1&timeoutSeconds=1&{query}");
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    let text = client.request_text(request).await.unwrap();
    let event = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let code = event["object"]["code"].as_u64().map(|code| code.to_string());
        (text(&event["type"]), code.unwrap_or_else(|| text(&event["object"]["metadata"]["name"])))
    };
    text.lines().map(event).collect()
}

fn events(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(kind, name)| ((*kind).to_owned(), (*name).to_owned())).collect()
}

/// Makes one change of each sort.
async fn change(client: &Client) {
    let path = |name: &str| format!("{SECRETS}/{name}");
    let label = |run: &str| json!({ "metadata": { "labels": { "run": run } } });
    assert_eq!(ask(client, "POST", SECRETS, &secret("new", &json!({ "run": "web" }))).await.code, 201);
    assert_eq!(ask(client, "PATCH", &path("new"), &label("zuul")).await.code, 200);
    assert_eq!(ask(client, "PATCH", &path("old"), &label("web")).await.code, 200);
    assert_eq!(ask(client, "DELETE", &path("new"), &Value::Null).await.code, 200);
}

#[tokio::test]
async fn a_watch_tells_what_happened_since() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    let since = format!("resourceVersion={}", version(&client).await);
    change(&client).await;
    let all = [("ADDED", "new"), ("MODIFIED", "new"), ("MODIFIED", "old"), ("DELETED", "new")];
    assert_eq!(watched(&client, &since).await, events(&all));
    // What is selected no more is gone, for the watcher.
    let zuul = [("ADDED", "new"), ("DELETED", "old"), ("DELETED", "new")];
    assert_eq!(watched(&client, &format!("{since}&labelSelector=run%3Dzuul")).await, events(&zuul));
    let old = format!("{since}&fieldSelector=metadata.name%3Dold");
    assert_eq!(watched(&client, &old).await, events(&[("MODIFIED", "old")]));
}

#[tokio::test]
async fn a_watch_without_a_version_begins_with_what_is_there() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    for query in ["", "resourceVersion=0"] {
        assert_eq!(watched(&client, query).await, events(&[("ADDED", "old")]));
    }
    assert_eq!(watched(&client, "allowWatchBookmarks=true").await, events(&[("ADDED", "old"), ("BOOKMARK", "")]));
}

#[tokio::test]
async fn what_is_forgotten_is_gone() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    let since = version(&client).await;
    change(&client).await;
    assert_eq!(ask(&client, "POST", SECRETS, &secret("second", &json!({}))).await.code, 201);
    let part = ask(&client, "GET", &format!("{SECRETS}?limit=1"), &Value::Null).await.body;
    assert_eq!(ask(&client, "POST", SECRETS, &secret("third", &json!({}))).await.code, 201);
    cluster.forget_changes();
    assert_eq!(watched(&client, &format!("resourceVersion={since}")).await, events(&[("ERROR", "410")]));
    let rest = format!("{SECRETS}?limit=1&continue={}", part["metadata"]["continue"].as_str().unwrap());
    assert_eq!(ask(&client, "GET", &rest, &Value::Null).await.code, 410);
    let now = version(&client).await;
    assert_eq!(watched(&client, &format!("resourceVersion={now}")).await, events(&[]));
}

/// The client that the program uses sees events as they come, and learns of changes elsewhere by bookmarks.
#[tokio::test]
async fn the_kube_client_watches() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "sf");
    let since = version(&client).await;
    let mut stream = Box::pin(secrets.watch(&WatchParams::default(), &since).await.unwrap());
    change(&client).await;
    let mut names = Vec::new();
    for _ in 0..4 {
        names.push(match stream.try_next().await.unwrap().unwrap() {
            WatchEvent::Added(secret) => ("added", secret.metadata.name.unwrap()),
            WatchEvent::Modified(secret) => ("modified", secret.metadata.name.unwrap()),
            WatchEvent::Deleted(secret) => ("deleted", secret.metadata.name.unwrap()),
            other => panic!("{other:?}"),
        });
    }
    let expected = [("added", "new"), ("modified", "new"), ("modified", "old"), ("deleted", "new")];
    assert_eq!(names, expected.map(|(what, name)| (what, name.to_owned())));
    let elsewhere = json!({ "metadata": { "name": "a" } });
    assert_eq!(ask(&client, "POST", "/api/v1/namespaces/other/secrets", &elsewhere).await.code, 201);
    let WatchEvent::Bookmark(bookmark) = stream.try_next().await.unwrap().unwrap() else { panic!("no bookmark") };
    assert_eq!(bookmark.metadata.resource_version, version(&client).await);
}

#[tokio::test]
async fn lists_are_deleted_as_they_are_selected() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    for name in ["a", "b"] {
        assert_eq!(ask(&client, "POST", SECRETS, &secret(name, &json!({ "run": name }))).await.code, 201);
    }
    let names = async || {
        let list = ask(&client, "GET", SECRETS, &Value::Null).await.body;
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<String>>()
    };
    let selected = format!("{SECRETS}?labelSelector=run%20in%20(a,zuul)");
    assert_eq!(ask(&client, "DELETE", &format!("{selected}&dryRun=All"), &Value::Null).await.code, 200);
    assert_eq!(names().await, ["a", "b", "old"]);
    let deleted = ask(&client, "DELETE", &selected, &Value::Null).await.body;
    assert_eq!((&deleted["kind"], deleted["items"].as_array().unwrap().len()), (&json!("SecretList"), 2));
    assert_eq!(names().await, ["b"]);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "sf");
    secrets.delete_collection(&DeleteParams::default(), &kube::api::ListParams::default()).await.unwrap();
    assert!(names().await.is_empty());
}
