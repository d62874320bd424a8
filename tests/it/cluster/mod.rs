//! The stand-in cluster answers as a real one did: `tests/kube-traces` holds what an API server and a kubelet
//! (Kubernetes 1.32, containerd 1.6) put on the wire.

#![allow(clippy::unwrap_used, reason = "whatever fails here, fails its test")]

mod containers;
mod exec;
mod faults;
mod jobs;
mod pods;
mod requests;
mod rest;
mod roles;
mod traces;
mod watch;
mod wire;

use std::path::Path;

use serde_json::Value;

/// A recorded exchange.
fn trace(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kube-traces").join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
