//! Reading and deleting objects.
//!
//! A list that is asked for in parts shows each part as it is then, not as it was when the first one was asked for.

use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value, json};

use super::kinds::Kind;
use super::selector::Selector;
use super::state::State;
use super::status::{Details, Reply, Status, json as reply};
use super::store::{Key, Store};
use super::target::{Query, Target};
use super::{delete, patch, watch, write};

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

    pub(super) fn details(&self) -> Details {
        Details::of(&self.target.group, &self.target.resource, &self.target.name)
    }
}

pub(super) fn answer(call: &Call<'_>, method: &Method) -> Result<Reply, Status> {
    match (method.as_str(), call.target.name.is_empty()) {
        ("GET", false) => Ok(reply(200, &call.object()?)),
        ("GET", true) if call.query.flag("watch") => watch::answer(call),
        ("GET", true) => list(call),
        ("POST", true) => write::create(call),
        ("PUT", false) => write::replace(call),
        ("PATCH", false) => patch::answer(call),
        ("DELETE", false) => delete::one(call),
        ("DELETE", true) => delete::many(call),
        _ => Err(Status::method_not_allowed()),
    }
}

fn list(call: &Call<'_>) -> Result<Reply, Status> {
    let selector = Selector::parse(call.query.get("labelSelector"), call.query.get("fieldSelector"))?;
    let limit = call.query.get("limit").and_then(|limit| limit.parse().ok()).filter(|limit| *limit > 0);
    let limit: usize = limit.unwrap_or(usize::MAX);
    let store = call.state.store();
    let start = call.query.get("continue").map(|token| start_of(token, &store)).transpose()?;
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
    let items = items.into_iter().map(|(_, item)| item).collect();
    Ok(reply(200, &list_of(call.kind, metadata, items)))
}

/// A list as answers have it.
pub(super) fn list_of(kind: &Kind, metadata: Value, items: Vec<Value>) -> Value {
    json!({
        "kind": format!("{}List", kind.kind),
        "apiVersion": kind.api_version(),
        "metadata": metadata,
        "items": items,
    })
}

/// Where an object stands in a list.
fn place(key: &Key, namespace: &str) -> String {
    if namespace.is_empty() { format!("{}/{}", key.namespace, key.name) } else { key.name.clone() }
}

/// An object as lists have it: its type stands only at the list, except with custom resources.
pub(super) fn item(kind: &Kind, object: &Value) -> Value {
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

fn start_of(token: &str, store: &Store) -> Result<String, Status> {
    let bytes: Option<k8s_openapi::ByteString> = serde_json::from_value(json!(token)).ok();
    let parsed: Option<Map<String, Value>> = bytes.and_then(|bytes| serde_json::from_slice(&bytes.0).ok());
    let (version, start) = parsed
        .and_then(|parsed| Some((parsed.get("rv")?.as_u64()?, parsed.get("start")?.as_str()?.to_owned())))
        .ok_or_else(|| Status::bad_request("continue key is not valid"))?;
    if store.remembers(version) {
        return Ok(start);
    }
    let advice = "You can start a new list without the continue parameter.";
    Err(Status::expired(format!(
        "The provided continue parameter is too old to display a consistent list result. {advice}"
    )))
}
