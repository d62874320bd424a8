//! Deleting objects: at once, there are no finalizers here; of periods of grace, `State::end` says more.

use serde_json::{Value, json};

use super::garbage;
use super::rest::{Call, item, list_of};
use super::selector::Selector;
use super::status::{Details, Reply, Status, json as reply};
use super::store::Key;

/// Deletes the object that the path names.
pub(super) fn one(call: &Call<'_>) -> Result<Reply, Status> {
    let mut object = call.object()?;
    check_preconditions(call, &object)?;
    remove(call, &call.key(), &object);
    if call.kind.plural != "pods" {
        let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        return Ok(Status::deleted(Details { uid, ..call.details() }).reply());
    }
    object["metadata"]["deletionTimestamp"] = json!(call.state.now());
    object["metadata"]["deletionGracePeriodSeconds"] = json!(0);
    Ok(reply(200, &object))
}

/// Deletes all objects of a list; the answer has them as they were.
pub(super) fn many(call: &Call<'_>) -> Result<Reply, Status> {
    let selector = Selector::parse(call.query.get("labelSelector"), call.query.get("fieldSelector"))?;
    if !call.kind.namespaced {
        return Err(Status::method_not_allowed());
    }
    let found: Vec<(Key, Value)> = {
        let store = call.state.store();
        let objects = store.of(call.kind, &call.target.namespace).filter(|(_, object)| selector.matches(object));
        objects.map(|(key, object)| (key.clone(), object.clone())).collect()
    };
    for (key, object) in &found {
        remove(call, key, object);
    }
    let metadata = json!({ "resourceVersion": call.state.store().version().to_string() });
    let items = found.iter().map(|(_, object)| item(call.kind, object)).collect();
    Ok(reply(200, &list_of(call.kind, metadata, items)))
}

fn remove(call: &Call<'_>, key: &Key, object: &Value) {
    if call.is_rehearsal() || call.body["dryRun"] == json!(["All"]) {
        return;
    }
    if option(call, "propagationPolicy") == Some("Orphan") {
        garbage::orphan(call.state, object);
    }
    let is_forced = call.query.get("gracePeriodSeconds") == Some("0") || call.body["gracePeriodSeconds"] == 0;
    if is_forced { call.state.remove(key) } else { call.state.end(key) }
}

/// What the body or the query says of the deletion.
fn option<'a>(call: &'a Call<'_>, name: &str) -> Option<&'a str> {
    call.body[name].as_str().or_else(|| call.query.get(name))
}

fn check_preconditions(call: &Call<'_>, object: &Value) -> Result<(), Status> {
    let differs = |name: &&&str| {
        let wanted = &call.body["preconditions"][**name];
        !wanted.is_null() && *wanted != object["metadata"][**name]
    };
    let Some(name) = ["uid", "resourceVersion"].iter().find(differs) else { return Ok(()) };
    let what = if *name == "uid" { "UID" } else { "ResourceVersion" };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (wanted, found) = (text(&call.body["preconditions"][*name]), text(&object["metadata"][*name]));
    let why = format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}");
    Err(call.conflict(&why))
}
