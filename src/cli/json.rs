//! What programs read. docs/json.md documents every field; a test compares the two.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::exit::Exit;
use super::text::utc_time;
use crate::engine::doctor::{Health, Look};
use crate::format::manifest::{Content, Manifest, Origin, StreamEntry};
use crate::plan::{LeftOut, Planned};
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

fn origin(origin: &Origin) -> Value {
    match origin {
        Origin::Stdin => json!({ "kind": "stdin" }),
        Origin::File(path) => json!({ "kind": "file", "path": bytes(path) }),
        Origin::Folder(path) => json!({ "kind": "dir", "path": bytes(path) }),
        Origin::Command(command) => json!({ "kind": "command", "command": command }),
        Origin::Pod { namespace, pod, container, command } => json!({
            "kind": "pod", "namespace": namespace, "pod": pod, "container": container, "command": command,
        }),
        Origin::PodFolder { namespace, pod, container, path } => json!({
            "kind": "pod-dir", "namespace": namespace, "pod": pod, "container": container, "path": path,
        }),
        Origin::Objects { namespace } => json!({ "kind": "objects", "namespace": namespace }),
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
        "proof": entry.proof.to_string(),
        "chunk_bytes": [entry.content.sizes.min, entry.content.sizes.avg, entry.content.sizes.max],
        "problems": entry.problems,
        "facts": entry.facts.iter().cloned().collect::<BTreeMap<_, _>>(),
    })
}

fn manifest(manifest: &Manifest) -> Value {
    json!({
        "time": utc_time(manifest.time),
        "duration_seconds": manifest.duration as f64 / 1e9,
        "host": manifest.host,
        "tags": manifest.tags,
        "labels": manifest.labels.iter().cloned().collect::<BTreeMap<_, _>>(),
        "program": manifest.program,
        "complete": manifest.complete,
        "findings": manifest.findings,
        "bytes": manifest.streams.iter().map(|stream| stream.content.len).sum::<u64>(),
        "added_bytes": manifest.added,
        "streams": manifest.streams.iter().map(stream).collect::<Vec<_>>(),
    })
}

/// A stream that would be taken.
pub(super) fn planned(planned: &Planned) -> Value {
    json!({
        "type": "planned",
        "name": planned.name,
        "origin": origin(&planned.take.origin()),
        "best_proof": planned.take.best_proof().to_string(),
        "why": planned.why,
    })
}

/// Something that would not be taken.
pub(super) fn left_out(left_out: &LeftOut) -> Value {
    json!({ "type": "left_out", "what": left_out.what, "why": left_out.why })
}

/// One look of the doctor.
pub(super) fn look(look: &Look) -> Value {
    let health = match look.health {
        Health::Good => "good",
        Health::Poor => "poor",
        Health::Bad => "bad",
    };
    json!({ "type": "look", "what": look.what, "health": health, "seen": look.seen, "cure": look.cure })
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
    let mut value = snapshot(Some(of.id.to_string()), &of.manifest);
    value["writer"] = of.maker.as_ref().map(|maker| maker.to_string()).into();
    value
}

/// What of a snapshot cannot be restored, as `check` and `repair` say it.
pub(super) fn hit(hit: &crate::engine::check::Hit) -> Value {
    serde_json::json!({
        "type": "hit",
        "snapshot": hit.snapshot.to_string(),
        "stream": bytes(&hit.stream),
        "offset": hit.offset,
        "bytes": hit.len,
    })
}
