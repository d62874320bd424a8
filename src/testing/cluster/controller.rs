//! What the controllers and the kubelet of a cluster do when something has changed.
//!
//! What was there from the beginning counts as settled: nothing is done about it until it changes.

use std::sync::Arc;

use super::state::State;
use super::store::Change;
use super::{garbage, jobs, pods, workloads};

/// Does what the changes after this version ask for, one after the other, until it is dropped.
pub(super) async fn run(state: Arc<State>, mut seen: u64) {
    let mut news = state.store().news();
    loop {
        let changes = state.store().changes(seen);
        for change in changes {
            seen = change.version;
            react(&state, &change);
        }
        if news.changed().await.is_err() {
            return;
        }
    }
}

fn react(state: &Arc<State>, change: &Change) {
    match change.key.resource() {
        ("", "pods") => {
            pods::react(state, change);
            workloads::react_to_pod(state, change);
            jobs::react_to_pod(state, change);
        }
        ("apps", "deployments" | "statefulsets") => workloads::react(state, change),
        ("batch", "jobs") => jobs::react(state, change),
        _ => {}
    }
    garbage::react(state, change);
}
