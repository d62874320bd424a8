//! Reading and deleting objects.

use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value, json};

use super::kinds::Kind;
use super::selector::Selector;
use super::state::State;
use super::status::{Details, Reply, Status, json as reply};
use super::store::Key;
use super::target::{Query, Target};
use super::{patch, write};

/// A request about objects of one type.
pub(super) struct Call<'a> {
    pub(super) state: &'a Arc<State>,
    pub(super) kind: &'a Kind,
    pub(super) target: &'a Target,
    pub(super) query: &'a Query,
    /// Who asks, as managed fields name it.
    pub(super) manager: String,
    pub(super) content_type: String,
    pub(super) body: Value,
}

impl Call<'_> {
    /// The place of the object that the path names.
    pub(super) fn key(&self) -> Key {
        Key::new(self.kind, &self.target.namespace, &self.target.name)
    }

    /// True if nothing is to be changed.
    pub(super) fn is_rehearsal(&self) -> bool {
        self.query.get("dryRun") == Some("All")
    }

    /// The object that the path names.
    pub(super) fn object(&self) -> Result<Value, Status> {
        self.state.store().get(&self.key()).cloned().ok_or_else(|| Status::not_found(self.details()))
    }

    /// How many pods the workload is to have that the path names; nothing if it is gone, or no workload.
    pub(super) fn replicas(&self) -> Option<Value> {
        self.state.store().get(&self.key())?.pointer("/spec/replicas").cloned()
    }

    pub(super) fn details(&self) -> Details {
        Details::of(&self.target.group, &self.target.resource, &self.target.name)
    }
}

pub(super) fn answer(call: &Call<'_>, method: &Method) -> Result<Reply, Status> {
    match (method.as_str(), call.target.name.is_empty()) {
        ("GET", false) => Ok(reply(200, &call.object()?)),
        // Nothing is sent to watchers.
        ("GET", true) if !call.query.flag("watch") => list(call),
        ("POST", true) => write::create(call),
        ("PUT", false) => write::replace(call),
        ("PATCH", false) => patch::answer(call),
        ("DELETE", false) => delete(call),
        _ => Err(Status::method_not_allowed()),
    }
}

fn list(call: &Call<'_>) -> Result<Reply, Status> {
    let selector = Selector::parse(call.query.get("labelSelector"), call.query.get("fieldSelector"))?;
    let limit = call.query.get("limit").and_then(|limit| limit.parse().ok()).filter(|limit| *limit > 0);
    let limit: usize = limit.unwrap_or(usize::MAX);
    let start = call.query.get("continue").map(start_of).transpose()?;
    let store = call.state.store();
    let mut items: Vec<(String, Value)> = store
        .of(call.kind, &call.target.namespace)
        .filter(|(_, object)| selector.matches(object))
        .map(|(key, object)| (place(key, &call.target.namespace), item(call.kind, object)))
        .filter(|(place, _)| start.as_ref().is_none_or(|start| place >= start))
        .collect();
    let rest = items.split_off(limit.min(items.len())).len();
    let mut metadata = json!({ "resourceVersion": store.version().to_string() });
    if call.kind.custom {
        metadata["continue"] = json!("");
    }
    if let (Some((last, _)), true) = (items.last(), rest > 0) {
        metadata["continue"] = continuation(store.version(), last);
        if selector.is_empty() {
            metadata["remainingItemCount"] = json!(rest);
        }
    }
    let items: Vec<Value> = items.into_iter().map(|(_, item)| item).collect();
    let (kind, version) = (format!("{}List", call.kind.kind), call.kind.api_version());
    Ok(reply(200, &json!({ "kind": kind, "apiVersion": version, "metadata": metadata, "items": items })))
}

/// Where an object stands in a list.
fn place(key: &Key, namespace: &str) -> String {
    if namespace.is_empty() { format!("{}/{}", key.namespace, key.name) } else { key.name.clone() }
}

/// An object as lists have it: its type stands only at the list, except with custom resources.
fn item(kind: &Kind, object: &Value) -> Value {
    let mut item = object.clone();
    if let (false, Some(item)) = (kind.custom, item.as_object_mut()) {
        item.remove("kind");
        item.remove("apiVersion");
    }
    item
}

fn continuation(version: u64, last: &str) -> Value {
    let token = json!({ "v": "meta.k8s.io/v1", "rv": version, "start": format!("{last}\0") });
    json!(k8s_openapi::ByteString(token.to_string().into_bytes()))
}

fn start_of(token: &str) -> Result<String, Status> {
    let bytes: Option<k8s_openapi::ByteString> = serde_json::from_value(json!(token)).ok();
    let parsed: Option<Map<String, Value>> = bytes.and_then(|bytes| serde_json::from_slice(&bytes.0).ok());
    let start = parsed.and_then(|parsed| parsed.get("start")?.as_str().map(str::to_owned));
    start.ok_or_else(|| Status::bad_request("continue key is not valid"))
}

/// Deletes at once: there are no finalizers and no periods of grace here.
fn delete(call: &Call<'_>) -> Result<Reply, Status> {
    let mut object = call.object()?;
    if !call.is_rehearsal() {
        call.state.store().remove(&call.key());
    }
    if call.kind.plural != "pods" {
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        return Ok(Status::deleted(Details { uid, ..call.details() }).reply());
    }
    if !call.is_rehearsal() {
        call.state.mark.pod(&call.target.namespace, &call.target.name).kill();
    }
    object["metadata"]["deletionTimestamp"] = json!(call.state.now());
    object["metadata"]["deletionGracePeriodSeconds"] = json!(0);
    Ok(reply(200, &object))
}
