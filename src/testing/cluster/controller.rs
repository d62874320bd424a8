//! What the controllers of a cluster do after a workload was scaled: pods go, pods come, the status follows.
//!
//! Pods that went come back as they were, with a new identity; others are made of the workload's template. They are
//! ready at once. Pods that are deleted do not come back.

use std::sync::Arc;

use serde_json::{Value, json};

use super::kinds::Kind;
use super::selector::matches_labels;
use super::state::State;
use super::store::Key;

/// Lets the pods of a workload follow its scale, a little later.
pub(super) fn follow(state: &Arc<State>, kind: &Kind, key: Key) {
    let (state, kind) = (Arc::clone(state), kind.kind.clone());
    tokio::spawn(async move {
        tokio::time::sleep(state.lag).await;
        settle(&state, &kind, &key);
    });
}

fn settle(state: &State, kind: &str, key: &Key) {
    let Some(workload) = state.store().get(key).cloned() else { return };
    let wanted = workload.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).min(MAX_PODS);
    let pods = pods(state, &workload, key);
    for pod in pods.iter().skip(wanted) {
        stop(state, pod);
    }
    let mut number = 0;
    for _ in pods.len()..wanted {
        while state.store().contains(&pod_key(key, number)) {
            number += 1;
        }
        start(state, kind, &workload, &pod_key(key, number));
    }
    write_status(state, workload, key, wanted);
}

/// More pods than any test means to have.
const MAX_PODS: usize = 100;

fn pod_key(workload: &Key, number: usize) -> Key {
    Key::core("pods", &workload.namespace, &format!("{}-{number}", workload.name))
}

/// The pods of a workload in the order of their names.
fn pods(state: &State, workload: &Value, key: &Key) -> Vec<Key> {
    let Some(kind) = state.kinds.by_plural("", "v1", "pods") else { return Vec::new() };
    let labels = &workload["spec"]["selector"]["matchLabels"];
    let store = state.store();
    store.of(kind, &key.namespace).filter(|(_, pod)| matches_labels(pod, labels)).map(|(key, _)| key.clone()).collect()
}

fn stop(state: &State, key: &Key) {
    if let Some(pod) = state.store().remove(key) {
        state.keep_stopped(key.clone(), pod);
    }
    state.mark.pod(&key.namespace, &key.name).kill();
}

fn start(state: &State, kind: &str, workload: &Value, key: &Key) {
    let mut pod = state.take_stopped(key).unwrap_or_else(|| from_template(kind, workload, key));
    pod["metadata"]["uid"] = json!(state.uid());
    pod["metadata"]["creationTimestamp"] = json!(state.now());
    state.store().put(key.clone(), pod);
}

fn from_template(kind: &str, workload: &Value, key: &Key) -> Value {
    let owner = json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "name": workload["metadata"]["name"],
        "uid": workload["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    });
    let labels = workload.pointer("/spec/template/metadata/labels");
    json!({
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": labels.unwrap_or(&workload["spec"]["selector"]["matchLabels"]),
            "ownerReferences": [owner],
        },
        "spec": workload.pointer("/spec/template/spec").cloned().unwrap_or_else(|| json!({})),
        "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] },
    })
}

/// The counts; those that are none are left out, as a real controller does, except for the first.
fn write_status(state: &State, mut workload: Value, key: &Key, replicas: usize) {
    if !workload["status"].is_object() {
        workload["status"] = json!({});
    }
    let Some(status) = workload["status"].as_object_mut() else { return };
    status.insert("replicas".to_owned(), json!(replicas));
    for name in ["readyReplicas", "availableReplicas", "updatedReplicas", "currentReplicas"] {
        status.remove(name);
        if replicas > 0 {
            status.insert(name.to_owned(), json!(replicas));
        }
    }
    let generation = workload["metadata"]["generation"].clone();
    workload["status"]["observedGeneration"] = generation;
    state.store().put(key.clone(), workload);
}
