//! Patching objects: merge patches and server-side apply.
//!
//! A strategic merge patch is taken as a merge patch: its lists are replaced, not merged.

use serde_json::{Value, json};

use super::fields::{Fields, remove_at};
use super::ownership::{Ownership, refuse};
use super::rest::Call;
use super::status::{Cause, Details, Reply, Status, json as reply};
use super::write;

pub(super) fn answer(call: &Call<'_>) -> Result<Reply, Status> {
    match call.content_type.as_str() {
        "application/merge-patch+json" | "application/strategic-merge-patch+json" => {
            let old = call.object()?;
            let mut new = old.clone();
            merge(&mut new, &call.body);
            let new = write::prepare(call, new)?;
            Ok(reply(200, &write::update(call, &old, new)?))
        }
        "application/apply-patch+yaml" => apply(call),
        other => Err(unsupported(other)),
    }
}

/// RFC 7396.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if !value.is_null() {
            merge(&mut target[name], value);
        } else if let Some(target) = target.as_object_mut() {
            target.remove(name);
        }
    }
}

fn apply(call: &Call<'_>) -> Result<Reply, Status> {
    if call.query.get("fieldManager").is_none() {
        return Err(no_manager());
    }
    let wanted = write::prepare(call, call.body.clone())?;
    let fields = Fields::applied(&wanted);
    let version = call.kind.api_version();
    let found = call.object();
    let Ok(old) = found else {
        let (mut ownership, mut object) = (Ownership::default(), wanted);
        ownership.apply(&call.author(&version), fields);
        ownership.write(&mut object);
        super::validate::complete(call.kind, &mut object);
        return Ok(reply(201, &write::insert(call, object)?));
    };
    let mut ownership = Ownership::of(&old);
    let conflicts = ownership.conflicts(&call.manager, &fields, &old, &wanted);
    if !conflicts.is_empty() && !call.query.flag("force") {
        return Err(refuse(&conflicts));
    }
    ownership.force(&call.manager, &conflicts);
    let mut new = old.clone();
    merge(&mut new, &wanted);
    for path in ownership.apply(&call.author(&version), fields) {
        remove_at(&mut new, &path);
    }
    Ok(reply(200, &write::store(call, &old, new, ownership)?))
}

fn no_manager() -> Status {
    let text = "Required value: is required for apply patch";
    let cause = Cause { reason: "FieldValueRequired", message: text.to_owned(), field: "fieldManager".to_owned() };
    let details = Details { causes: vec![cause], ..Details::of("meta.k8s.io", "PatchOptions", "") };
    let message = format!("PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: {text}");
    Status::failure(422, "Invalid", message).about(details)
}

fn unsupported(content_type: &str) -> Status {
    let known = "application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml";
    let message = format!(
        "the body of the request was in an unknown format ({content_type}) - accepted media types include: {known}"
    );
    Status::failure(415, "UnsupportedMediaType", message).about(Details::default())
}
