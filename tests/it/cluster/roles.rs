//! Rights from the text of a Role, and rules that name objects.

use serde_json::{Value, json};
use sfarc::testing::cluster::{Cluster, Container, Rule};

use super::rest::{ask, client};
use super::wire::{Session, V5};

const ROLES: &str = "
# First something else of the same name.
apiVersion: v1
kind: ServiceAccount
metadata: {name: backup, namespace: elsewhere}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: other}
rules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: backup
rules:
- apiGroups: ['']
  resources: [secrets]
  resourceNames: [mine]
  verbs: [get, list, watch, create, update, patch, delete, deletecollection]
- apiGroups: ['']
  resources: [pods]
  verbs: [list]
- apiGroups: ['']
  resources: [pods/exec]
  resourceNames: [mariadb-0]
  verbs: [get]
- apiGroups: ['']
  resources: [namespaces]
  verbs: [get]
---
";

fn secret(name: &str) -> Value {
    json!({ "kind": "Secret", "apiVersion": "v1", "metadata": { "name": name, "namespace": "sf" }, "type": "Opaque" })
}

fn cluster(rules: Vec<Rule>) -> Cluster {
    Cluster::start(|setup| {
        setup.namespace("sf");
        setup.namespace("other");
        setup.token("sf:backup", rules);
        setup.object(secret("mine"));
        setup.object(secret("yours"));
        setup.pod("sf", "mariadb-0", [Container::new("mariadb")]);
        setup.pod("sf", "zookeeper-0", [Container::new("zookeeper")]);
    })
}

fn backup() -> Vec<Rule> {
    Rule::from_role(ROLES, "backup", "sf")
}

#[tokio::test]
async fn a_role_permits_what_it_says() {
    let cluster = cluster(backup());
    let client = client(&cluster, "sf:backup").await;
    let code = async |method: &str, path: &str, body: Value| ask(&client, method, path, &body).await.code;
    let secrets = "/api/v1/namespaces/sf/secrets";
    let mine = "/api/v1/namespaces/sf/secrets/mine";
    let yours = "/api/v1/namespaces/sf/secrets/yours";
    for method in ["GET", "PATCH", "PUT"] {
        let body = if method == "GET" { Value::Null } else { json!({ "type": "Opaque" }) };
        assert_eq!(code(method, mine, body.clone()).await, 200, "{method}");
        assert_eq!(code(method, yours, body).await, 403, "{method}");
    }
    assert_eq!(code("DELETE", yours, Value::Null).await, 403);
    assert_eq!(code("DELETE", mine, Value::Null).await, 200);
    // A new object has no name yet when the rule is asked.
    assert_eq!(code("POST", secrets, secret("mine")).await, 403);
    assert_eq!(code("GET", "/api/v1/namespaces/sf/pods", Value::Null).await, 200);
    assert_eq!(code("GET", "/api/v1/namespaces/other/pods", Value::Null).await, 403);
    assert_eq!(code("GET", "/api/v1/pods", Value::Null).await, 403);
    assert_eq!(code("GET", "/api/v1/namespaces/sf", Value::Null).await, 200);
    assert_eq!(code("GET", "/api/v1/namespaces/other", Value::Null).await, 403);
}

#[tokio::test]
async fn a_list_must_ask_for_the_name_that_a_rule_permits() {
    let cluster = cluster(backup());
    let client = client(&cluster, "sf:backup").await;
    let secrets = "/api/v1/namespaces/sf/secrets";
    for (method, query) in [("GET", ""), ("GET", "&watch=1&timeoutSeconds=0"), ("DELETE", "")] {
        let code = async |selector: &str| {
            ask(&client, method, &format!("{secrets}?{selector}{query}"), &Value::Null).await.code
        };
        assert_eq!(code("").await, 403, "{method} {query}");
        assert_eq!(code("fieldSelector=metadata.name%3Dyours").await, 403, "{method} {query}");
        assert_eq!(code("fieldSelector=metadata.name!%3Dmine").await, 403, "{method} {query}");
        assert_eq!(code("fieldSelector=metadata.name%3Dmine").await, 200, "{method} {query}");
    }
}

#[tokio::test]
async fn commands_run_in_the_pods_that_a_rule_names() {
    let cluster = cluster(backup());
    let exec = |pod: &str| format!("/api/v1/namespaces/sf/pods/{pod}/exec?command=true&stdout=true");
    assert!(Session::open(&cluster, "sf:backup", &exec("mariadb-0"), &[V5]).await.is_ok());
    let refused = Session::open(&cluster, "sf:backup", &exec("zookeeper-0"), &[V5]).await.err().unwrap();
    assert_eq!(refused.code, 403);
}

#[tokio::test]
async fn without_a_rule_its_right_is_gone() {
    let mut rules = backup();
    assert_eq!(rules.len(), 4);
    rules.remove(1);
    let cluster = cluster(rules);
    let client = client(&cluster, "sf:backup").await;
    assert_eq!(ask(&client, "GET", "/api/v1/namespaces/sf/pods", &Value::Null).await.code, 403);
    assert_eq!(ask(&client, "GET", "/api/v1/namespaces/sf/secrets/mine", &Value::Null).await.code, 200);
}

#[test]
#[should_panic = "there is no Role none"]
fn a_role_must_be_there() {
    let _ = Rule::from_role(ROLES, "none", "sf");
}
