//! What programs read. docs/json.md documents every field; a test compares the two.

use serde_json::{Value, json};

use super::exit::Exit;
use super::text::utc_time;
use crate::format::manifest::{Content, Manifest, Origin, Proof, StreamEntry};
use crate::repo::snapshots::Snapshot;

/// A failed command, on standard error.
pub(super) fn error(text: &str, exit: Exit) -> String {
    json!({ "type": "error", "message": text, "exit_code": exit.code() }).to_string()
}

/// Bytes as text where they are text, else as an object with hexadecimal digits.
pub(super) fn bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => json!({ "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() }),
    }
}

pub(super) fn proof(proof: Proof) -> &'static str {
    match proof {
        Proof::P0 => "p0",
        Proof::P1 => "p1",
        Proof::P2 => "p2",
        Proof::P3 => "p3",
    }
}

fn origin(origin: &Origin) -> Value {
    match origin {
        Origin::Stdin => json!({ "kind": "stdin" }),
        Origin::File(path) => json!({ "kind": "file", "path": bytes(path) }),
        Origin::Folder(path) => json!({ "kind": "dir", "path": bytes(path) }),
        Origin::Command(command) => json!({ "kind": "command", "command": command }),
        Origin::Pod { namespace, pod, container, command } => json!({
            "kind": "pod", "namespace": namespace, "pod": pod, "container": container, "command": command,
        }),
    }
}

pub(super) fn hash(content: &Content) -> String {
    crate::ids::ObjectId::new(content.hash).to_string()
}

fn stream(entry: &StreamEntry) -> Value {
    json!({
        "name": bytes(&entry.name),
        "bytes": entry.content.len,
        "new_bytes": entry.new_bytes,
        "blake3": hash(&entry.content),
        "origin": origin(&entry.origin),
        "proof": proof(entry.proof),
        "chunk_bytes": [entry.content.sizes.min, entry.content.sizes.avg, entry.content.sizes.max],
        "problems": entry.problems,
    })
}

fn manifest(manifest: &Manifest) -> Value {
    json!({
        "time": utc_time(manifest.time),
        "duration_seconds": manifest.duration as f64 / 1e9,
        "host": manifest.host,
        "tags": manifest.tags,
        "labels": manifest.labels.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "program": manifest.program,
        "complete": manifest.complete,
        "bytes": manifest.streams.iter().map(|stream| stream.content.len).sum::<u64>(),
        "added_bytes": manifest.added,
        "streams": manifest.streams.iter().map(stream).collect::<Vec<_>>(),
    })
}

/// A snapshot; `id` is nothing for a dry run.
pub(super) fn snapshot(id: Option<String>, of: &Manifest) -> Value {
    let mut value = manifest(of);
    value["type"] = "snapshot".into();
    value["id"] = id.into();
    value
}

/// A committed snapshot.
pub(super) fn committed(of: &Snapshot) -> Value {
    snapshot(Some(of.id.to_string()), &of.manifest)
}
