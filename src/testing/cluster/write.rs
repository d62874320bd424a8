//! Creating and replacing objects.

use serde_json::{Value, json};

use super::ownership::{Author, Ownership};
use super::rest::Call;
use super::status::{Details, Reply, Status, json as reply};
use super::store::Key;
use super::validate;

impl Call<'_> {
    pub(super) fn author<'a>(&'a self, api_version: &'a str) -> Author<'a> {
        Author { manager: &self.manager, api_version, time: self.state.now() }
    }

    /// The answer to a change that is for another state of the object.
    pub(super) fn conflict(&self, why: &str) -> Status {
        let message = format!("Operation cannot be fulfilled on {} \"{}\": {why}", qualified(self), self.target.name);
        Status::failure(409, "Conflict", message).about(self.details())
    }
}

pub(super) fn create(call: &Call<'_>) -> Result<Reply, Status> {
    let mut object = prepare(call, call.body.clone())?;
    let version = call.kind.api_version();
    let mut ownership = Ownership::default();
    validate::complete(call.kind, &mut object);
    ownership.update(&call.author(&version), &json!({}), &object);
    ownership.write(&mut object);
    Ok(reply(201, &insert(call, object)?))
}

/// Puts a new object in its place.
pub(super) fn insert(call: &Call<'_>, mut object: Value) -> Result<Value, Status> {
    let namespace = &call.target.namespace;
    if call.kind.namespaced && !call.state.store().contains(&Key::core("namespaces", "", namespace)) {
        return Err(Status::not_found(Details::of("", "namespaces", namespace)));
    }
    if !object["metadata"]["resourceVersion"].is_null() {
        // Not wrapped into a reason: so the real server lets it through from its store.
        return Err(Status::failure(500, "", "resourceVersion should not be set on objects to be created"));
    }
    validate::check(call.kind, None, &object)?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let key = Key::new(call.kind, namespace, &name);
    if call.state.store().contains(&key) {
        let details = Details { name: name.clone(), ..call.details() };
        let message = format!("{} \"{name}\" already exists", qualified(call));
        return Err(Status::failure(409, "AlreadyExists", message).about(details));
    }
    object["metadata"]["uid"] = json!(call.state.uid());
    object["metadata"]["creationTimestamp"] = json!(call.state.now());
    if has_generation(call) {
        object["metadata"]["generation"] = json!(1);
    }
    if call.kind.plural == "pods" {
        object["status"] = json!({ "phase": "Pending" });
    }
    Ok(if call.is_rehearsal() { object } else { call.state.store().put(key, object) })
}

pub(super) fn replace(call: &Call<'_>) -> Result<Reply, Status> {
    let old = call.object()?;
    let object = prepare(call, call.body.clone())?;
    Ok(reply(200, &update(call, &old, object)?))
}

/// Puts an object in the place of an old one.
pub(super) fn update(call: &Call<'_>, old: &Value, mut new: Value) -> Result<Value, Status> {
    let version = call.kind.api_version();
    validate::complete(call.kind, &mut new);
    check_precondition(call, old, &new)?;
    let mut ownership = Ownership::of(old);
    inherit(old, &mut new);
    ownership.update(&call.author(&version), old, &new);
    store(call, old, new, ownership)
}

/// Stores a changed object, unless nothing has changed.
pub(super) fn store(call: &Call<'_>, old: &Value, mut new: Value, ownership: Ownership) -> Result<Value, Status> {
    inherit(old, &mut new);
    validate::check(call.kind, Some(old), &new)?;
    if has_generation(call) && old["spec"] != new["spec"] {
        let generation = old["metadata"]["generation"].as_u64().unwrap_or(1);
        new["metadata"]["generation"] = json!(generation + 1);
    }
    let owners = new["metadata"]["managedFields"].clone();
    ownership.write(&mut new);
    let same_owners = without_times(&owners) == without_times(&new["metadata"]["managedFields"]);
    if same_owners {
        new["metadata"]["managedFields"] = owners;
    }
    let unchanged = new == *old;
    Ok(if unchanged || call.is_rehearsal() { new } else { call.state.store().put(call.key(), new) })
}

fn without_times(owners: &Value) -> Value {
    let mut owners = owners.clone();
    for owner in owners.as_array_mut().into_iter().flatten() {
        owner["time"] = json!("");
    }
    owners
}

/// What a client cannot change: identity, age, and the status, which has a path of its own.
fn inherit(old: &Value, new: &mut Value) {
    for name in ["uid", "creationTimestamp", "resourceVersion", "generation", "managedFields", "namespace"] {
        match old["metadata"].get(name) {
            Some(value) => new["metadata"][name] = value.clone(),
            None => {
                new["metadata"].as_object_mut().map(|metadata| metadata.remove(name));
            }
        }
    }
    if let Some(status) = old.get("status") {
        new["status"] = status.clone();
    }
}

fn check_precondition(call: &Call<'_>, old: &Value, new: &Value) -> Result<(), Status> {
    let differs = |name: &str| {
        let wanted = &new["metadata"][name];
        !wanted.is_null() && wanted != "" && *wanted != old["metadata"][name]
    };
    let why = if differs("uid") {
        let uid = |of: &Value| of["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        format!("Precondition failed: UID in precondition: {}, UID in object meta: {}", uid(new), uid(old))
    } else if differs("resourceVersion") {
        let advice = "please apply your changes to the latest version and try again";
        format!("the object has been modified; {advice}")
    } else {
        return Ok(());
    };
    Err(call.conflict(&why))
}

/// Checks an object that came with a request against its path, and gives it its full name and type.
pub(super) fn prepare(call: &Call<'_>, mut object: Value) -> Result<Value, Status> {
    let version = call.kind.api_version();
    let is_map = |part: Option<&Value>| part.is_none_or(|part| part.is_object() || part.is_null());
    if !object.is_object() || !["metadata", "spec", "status", "data"].iter().all(|part| is_map(object.get(*part))) {
        return Err(Status::bad_request("the body of the request is not built like an object"));
    }
    if !object["kind"].is_null() && object["kind"] != call.kind.kind.as_str() {
        let message = format!("{} in the body does not match the expected kind {}", object["kind"], call.kind.kind);
        return Err(Status::bad_request(message));
    }
    if !object["apiVersion"].is_null() && object["apiVersion"] != version.as_str() {
        let sent = object["apiVersion"].as_str().unwrap_or_default();
        let what = "does not match the expected API version";
        return Err(Status::bad_request(format!("the API version in the data ({sent}) {what} ({version})")));
    }
    (object["kind"], object["apiVersion"]) = (json!(call.kind.kind), json!(version));
    if object["metadata"].is_null() {
        object["metadata"] = json!({});
    }
    name(call, &mut object)?;
    Ok(object)
}

fn name(call: &Call<'_>, object: &mut Value) -> Result<(), Status> {
    let metadata = &mut object["metadata"];
    let namespace = metadata["namespace"].as_str().unwrap_or_default();
    if !namespace.is_empty() && namespace != call.target.namespace {
        let what = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(Status::bad_request(what));
    }
    if call.kind.namespaced {
        metadata["namespace"] = json!(call.target.namespace);
    }
    let name = metadata["name"].as_str().unwrap_or_default().to_owned();
    if !call.target.name.is_empty() {
        if !name.is_empty() && name != call.target.name {
            let url = format!("the name on the URL ({})", call.target.name);
            return Err(Status::bad_request(format!("the name of the object ({name}) does not match {url}")));
        }
        metadata["name"] = json!(call.target.name);
    } else if let ("", Some(prefix)) = (name.as_str(), metadata["generateName"].as_str()) {
        metadata["name"] = json!(format!("{prefix}{}", &call.state.hex(3)[..5]));
    }
    Ok(())
}

/// Types whose changes of `spec` are counted.
fn has_generation(call: &Call<'_>) -> bool {
    call.kind.custom || ["apps", "batch", "networking.k8s.io"].contains(&call.kind.group.as_str())
}

/// The type as messages name it.
fn qualified(call: &Call<'_>) -> String {
    let group = &call.target.group;
    if group.is_empty() { call.target.resource.clone() } else { format!("{}.{group}", call.target.resource) }
}
