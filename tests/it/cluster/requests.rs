//! REST requests that go wrong on demand, and what the cluster remembers of them.

use http::Request;
use kube::client::Body;
use serde_json::{Value, json};
use sfarc::testing::cluster::{Cluster, Container, Fault, Planned, RequestFault, Rule};

use super::rest::{ask, client};
use super::wire::{Session, V5};

const SECRETS: &str = "/api/v1/namespaces/sf/secrets";

fn cluster() -> Cluster {
    Cluster::start(|setup| {
        setup.namespace("sf");
        setup.token("admin", [Rule::all()]);
        setup.pod("sf", "mariadb-0", [Container::new("mariadb")]);
    })
}

#[tokio::test]
async fn requests_are_refused_as_often_as_planned() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    for (code, reason) in [(429, "TooManyRequests"), (503, "ServiceUnavailable"), (500, "InternalError")] {
        cluster.fail_requests("GET", "/secrets", code, 2);
        assert_eq!(ask(&client, "GET", "/version", &Value::Null).await.code, 200);
        assert_eq!(ask(&client, "DELETE", SECRETS, &Value::Null).await.code, 200);
        for _ in 0..2 {
            let answer = ask(&client, "GET", SECRETS, &Value::Null).await;
            assert_eq!((answer.code, &answer.body["reason"]), (code, &json!(reason)));
        }
        assert_eq!(ask(&client, "GET", SECRETS, &Value::Null).await.code, 200);
    }
    cluster.fail_requests("*", "", 429, 1);
    let response = client.send(Request::get(SECRETS).body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.headers()["retry-after"], "1");
}

#[tokio::test]
async fn connections_are_reset_before_or_after_the_work() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    let send = async |name: &str| {
        let body = json!({ "metadata": { "name": name } }).to_string().into_bytes();
        let request = Request::post(SECRETS).header("content-type", "application/json").body(Body::from(body));
        client.send(request.unwrap()).await.map(|response| response.status().as_u16())
    };
    cluster.fail_requests("POST", "/secrets", RequestFault::Reset, 1);
    assert!(send("a").await.is_err());
    assert_eq!(ask(&client, "GET", &format!("{SECRETS}/a"), &Value::Null).await.code, 404);
    cluster.fail_requests("POST", "/secrets", RequestFault::LoseAnswer, 1);
    assert!(send("a").await.is_err());
    assert_eq!(send("a").await.unwrap(), 409);
}

#[tokio::test]
async fn requests_and_sessions_are_remembered() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    cluster.fail_requests("GET", "limit=1", 500, 1);
    cluster.fault(Planned::once("mariadb", "true", Fault::Refuse(500)));
    ask(&client, "GET", &format!("{SECRETS}?limit=1"), &Value::Null).await;
    assert!(Session::run(&cluster, "mariadb-0", "mariadb", &["true", "a b"]).await.is_err());
    Session::sh(&cluster, "echo", &[V5]).await.unwrap().hear().await;
    ask(&client, "DELETE", &format!("{SECRETS}/a"), &Value::Null).await;
    let requests = [("GET", format!("{SECRETS}?limit=1")), ("DELETE", format!("{SECRETS}/a"))];
    assert_eq!(cluster.requests(), requests.map(|(method, path)| (method.to_owned(), path)));
    let session = |command: &[&str]| {
        let command = command.iter().map(|&word| word.to_owned()).collect();
        ("mariadb-0".to_owned(), "mariadb".to_owned(), command)
    };
    assert_eq!(cluster.sessions(), [session(&["true", "a b"]), session(&["sh", "-c", "echo"])]);
}
