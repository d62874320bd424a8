//! Jobs: pods that run to their end.
//!
//! One pod at a time, without the growing pauses between them; a Job that has ended stays.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::state::State;
use super::store::{Change, Key};
use super::workloads::pod_of;

/// Starts a Job that came.
pub(super) fn react(state: &Arc<State>, change: &Change) {
    let (None, Some(job)) = (&change.old, &change.new) else { return };
    follow(state, change.key.clone());
    if let Some(seconds) = job["spec"]["activeDeadlineSeconds"].as_u64() {
        let (state, key, uid) = (Arc::clone(state), change.key.clone(), job["metadata"]["uid"].clone());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            stop(&state, &key, &uid);
        });
    }
}

/// Lets a Job follow what becomes of its pods.
pub(super) fn react_to_pod(state: &Arc<State>, change: &Change) {
    let pod = change.new.as_ref().or(change.old.as_ref());
    let owners = pod.and_then(|pod| pod["metadata"]["ownerReferences"].as_array()).into_iter().flatten();
    for owner in owners.filter(|owner| owner["kind"] == "Job" && owner["controller"] == true) {
        let name = owner["name"].as_str().unwrap_or_default();
        follow(state, Key::of("batch", "jobs", &change.key.namespace, name));
    }
}

fn follow(state: &Arc<State>, key: Key) {
    let state = Arc::clone(state);
    tokio::spawn(async move {
        tokio::time::sleep(state.lag).await;
        settle(&state, &key);
    });
}

/// How many pods of a Job are in which phase.
#[derive(Default)]
struct Count {
    succeeded: u64,
    failed: u64,
    active: Vec<Key>,
}

fn count(state: &State, key: &Key, job: &Value) -> Count {
    let mut count = Count::default();
    let Some(kind) = state.kinds.by_plural("", "v1", "pods") else { return count };
    let owned = |pod: &Value| {
        let owners = pod["metadata"]["ownerReferences"].as_array();
        owners.into_iter().flatten().any(|owner| owner["uid"] == job["metadata"]["uid"])
    };
    for (key, pod) in state.store().of(kind, &key.namespace).filter(|(_, pod)| owned(pod)) {
        match pod["status"]["phase"].as_str() {
            Some("Succeeded") => count.succeeded += 1,
            Some("Failed") => count.failed += 1,
            _ => count.active.push(key.clone()),
        }
    }
    // Pods that are gone have ended none the less.
    count.succeeded = count.succeeded.max(job["status"]["succeeded"].as_u64().unwrap_or(0));
    count.failed = count.failed.max(job["status"]["failed"].as_u64().unwrap_or(0));
    count
}

fn settle(state: &State, key: &Key) {
    let Some(job) = state.store().get(key).filter(|job| !has_ended(job)).cloned() else { return };
    let count = count(state, key, &job);
    let number = |field: &str, default: u64| job["spec"][field].as_u64().unwrap_or(default);
    if count.succeeded >= number("completions", 1) {
        return write_status(state, key, job, &count, Some(("Complete", "CompletionsReached")));
    }
    if count.failed > number("backoffLimit", 6) {
        return write_status(state, key, job, &count, Some(("Failed", "BackoffLimitExceeded")));
    }
    if count.active.is_empty() {
        start(state, key, &job);
    }
    write_status(state, key, job, &Count { active: vec![key.clone()], ..count }, None);
}

fn start(state: &State, key: &Key, job: &Value) {
    let pod_key = Key::core("pods", &key.namespace, &format!("{}-{}", key.name, &state.hex(3)[..5]));
    let mut pod = pod_of("batch/v1", "Job", job, &pod_key);
    let labels = &mut pod["metadata"]["labels"];
    if !labels.is_object() {
        *labels = json!({});
    }
    for (name, value) in [("job-name", json!(key.name)), ("controller-uid", job["metadata"]["uid"].clone())] {
        labels[name] = value.clone();
        labels[format!("batch.kubernetes.io/{name}")] = value;
    }
    pod["status"] = json!({ "phase": "Pending" });
    state.add(pod_key, pod);
}

/// Ends a Job that took too long.
fn stop(state: &State, key: &Key, uid: &Value) {
    let job = state.store().get(key).filter(|job| !has_ended(job) && &job["metadata"]["uid"] == uid).cloned();
    let Some(job) = job else { return };
    let count = count(state, key, &job);
    for pod in &count.active {
        state.remove(pod);
    }
    let failed = count.failed + count.active.len() as u64;
    let count = Count { failed, active: Vec::new(), ..count };
    write_status(state, key, job, &count, Some(("Failed", "DeadlineExceeded")));
}

fn has_ended(job: &Value) -> bool {
    let conditions = job["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| condition["status"] == "True")
}

/// The counts, as far as there are any, and how the Job ended.
fn write_status(state: &State, key: &Key, mut job: Value, count: &Count, end: Option<(&str, &str)>) {
    let mut status = json!({ "startTime": job["status"]["startTime"].as_str().unwrap_or(&state.now()) });
    let counts = [("active", count.active.len() as u64), ("succeeded", count.succeeded), ("failed", count.failed)];
    for (name, number) in counts.into_iter().filter(|(_, number)| *number > 0) {
        status[name] = json!(number);
    }
    if let Some((how, reason)) = end {
        let now = state.now();
        status["conditions"] = json!([{ "type": how, "status": "True", "reason": reason, "lastTransitionTime": now }]);
        if how == "Complete" {
            status["completionTime"] = json!(now);
        }
    }
    if job["status"] != status {
        job["status"] = status;
        state.store().put(key.clone(), job);
    }
}
