//! The pods of Deployments and StatefulSets: as many as are wanted, and the status that follows.
//!
//! Pods that went come back as they were, with the name that they had and a new identity; others are made of the
//! workload's template. They are ready at once.

use std::sync::Arc;

use serde_json::{Value, json};

use super::selector::matches_labels;
use super::state::State;
use super::store::{Change, Key};

/// Lets the pods of a workload that came, or was scaled, follow it.
pub(super) fn react(state: &Arc<State>, change: &Change) {
    let replicas = |workload: &Value| workload.pointer("/spec/replicas").cloned();
    let Some(new) = &change.new else { return };
    if change.old.as_ref().is_none_or(|old| replicas(old) != replicas(new)) {
        follow(state, change.key.clone());
    }
}

/// Replaces a pod that went, if a workload wants it.
pub(super) fn react_to_pod(state: &Arc<State>, change: &Change) {
    let (Some(pod), None) = (&change.old, &change.new) else { return };
    let workloads = of(state, &change.key.namespace, pod);
    if !workloads.is_empty() {
        state.keep_stopped(change.key.clone(), pod.clone());
    }
    for workload in workloads {
        follow(state, workload);
    }
}

/// The workloads that count a pod as theirs.
fn of(state: &State, namespace: &str, pod: &Value) -> Vec<Key> {
    let kinds = ["deployments", "statefulsets"].map(|plural| state.kinds.by_plural("apps", "v1", plural));
    let store = state.store();
    let workloads = kinds.into_iter().flatten().flat_map(|kind| store.of(kind, namespace));
    let wants = |workload: &Value| matches_labels(pod, &workload["spec"]["selector"]["matchLabels"]);
    workloads.filter(|(_, workload)| wants(workload)).map(|(key, _)| key.clone()).collect()
}

fn follow(state: &Arc<State>, key: Key) {
    let state = Arc::clone(state);
    tokio::spawn(async move {
        tokio::time::sleep(state.lag).await;
        settle(&state, &key);
    });
}

fn settle(state: &State, key: &Key) {
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
        start(state, &workload, &pod_key(key, number));
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
    // Kept before anybody sees that it went: the workload may be scaled again at once.
    let pod = state.store().get(key).cloned();
    if let Some(pod) = pod.filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()) {
        state.keep_stopped(key.clone(), pod);
        state.end(key);
    }
}

fn start(state: &State, workload: &Value, key: &Key) {
    let made = || {
        let mut pod = pod_of("apps/v1", workload["kind"].as_str().unwrap_or_default(), workload, key);
        if !pod["metadata"]["labels"].is_object() {
            pod["metadata"]["labels"] = workload["spec"]["selector"]["matchLabels"].clone();
        }
        pod["status"] = json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] });
        pod
    };
    state.add(key.clone(), state.take_stopped(key).unwrap_or_else(made));
}

/// A pod from the template of its owner, without a status.
pub(super) fn pod_of(api_version: &str, kind: &str, workload: &Value, key: &Key) -> Value {
    let owner = json!({
        "apiVersion": api_version,
        "kind": kind,
        "name": workload["metadata"]["name"],
        "uid": workload["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    });
    json!({
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": workload.pointer("/spec/template/metadata/labels").cloned().unwrap_or_default(),
            "ownerReferences": [owner],
        },
        "spec": workload.pointer("/spec/template/spec").cloned().unwrap_or_else(|| json!({})),
    })
}

/// The counts; those that are none are left out, as a real controller does, except for the first.
fn write_status(state: &State, old: Value, key: &Key, replicas: usize) {
    let mut workload = old.clone();
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
    if workload != old {
        state.store().put(key.clone(), workload);
    }
}
