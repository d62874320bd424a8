//! What the cluster does not accept. Only names, Secrets and a little of Jobs are checked; a real server knows far more rules.

use serde_json::{Value, json};

use super::kinds::Kind;
use super::status::{Cause, Details, Status};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
    '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// Adds what a type has by default.
pub(super) fn complete(kind: &Kind, object: &mut Value) {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Secret") => complete_secret(object),
        ("", "Pod") => complete_pod(object),
        _ => {}
    }
}

fn complete_pod(pod: &mut Value) {
    if !pod["spec"].is_object() {
        pod["spec"] = json!({});
    }
    if pod["spec"]["restartPolicy"].is_null() {
        pod["spec"]["restartPolicy"] = json!("Always");
    }
}

fn complete_secret(object: &mut Value) {
    if object["type"].as_str().unwrap_or_default().is_empty() {
        object["type"] = json!("Opaque");
    }
    let plain = object.as_object_mut().and_then(|object| object.remove("stringData"));
    for (name, text) in plain.as_ref().and_then(Value::as_object).into_iter().flatten() {
        let bytes = text.as_str().unwrap_or_default().as_bytes().to_vec();
        object["data"][name] = json!(k8s_openapi::ByteString(bytes));
    }
}

/// Checks an object that is to be stored, in place of an old one if there is one.
pub(super) fn check(kind: &Kind, old: Option<&Value>, new: &Value) -> Result<(), Status> {
    let name = new["metadata"]["name"].as_str().unwrap_or_default();
    let mut causes = Vec::new();
    if old.is_none() && !is_subdomain(name) {
        causes.push(invalid("metadata.name", format!("Invalid value: \"{name}\": {SUBDOMAIN}")));
    }
    if kind.kind == "Secret" && kind.group.is_empty() {
        check_secret(old, new, &mut causes);
    }
    if kind.kind == "Job" && old.is_none() {
        check_job(new, &mut causes);
    }
    if causes.is_empty() { Ok(()) } else { Err(refusal(kind, name, causes)) }
}

fn check_secret(old: Option<&Value>, new: &Value, causes: &mut Vec<Cause>) {
    let of = new["type"].as_str().unwrap_or_default();
    if old.is_some_and(|old| old["type"] != new["type"]) {
        causes.push(invalid("type", format!("Invalid value: \"{of}\": field is immutable")));
    }
    if old.is_some_and(|old| old["immutable"] == true && old["data"] != new["data"]) {
        let message = "Forbidden: field is immutable when `immutable` is set".to_owned();
        causes.push(Cause { reason: "FieldValueForbidden", message, field: "data".to_owned() });
    }
    let required = if of == "kubernetes.io/tls" { &["tls.crt", "tls.key"][..] } else { &[] };
    for key in required.iter().filter(|key| new["data"].get(**key).is_none()) {
        let message = "Required value".to_owned();
        causes.push(Cause { reason: "FieldValueRequired", message, field: format!("data[{key}]") });
    }
}

fn check_job(new: &Value, causes: &mut Vec<Cause>) {
    let policy = new.pointer("/spec/template/spec/restartPolicy").and_then(Value::as_str);
    if !policy.is_some_and(|policy| ["OnFailure", "Never"].contains(&policy)) {
        let message = "Required value: valid values: \"OnFailure\", \"Never\"".to_owned();
        let field = "spec.template.spec.restartPolicy".to_owned();
        causes.push(Cause { reason: "FieldValueRequired", message, field });
    }
}

fn invalid(field: &str, message: String) -> Cause {
    Cause { reason: "FieldValueInvalid", message, field: field.to_owned() }
}

pub(super) fn refusal(kind: &Kind, name: &str, causes: Vec<Cause>) -> Status {
    let texts: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
    let text = if let [one] = texts.as_slice() { one.clone() } else { format!("[{}]", texts.join(", ")) };
    let group = if kind.group.is_empty() { String::new() } else { format!(".{}", kind.group) };
    let message = format!("{}{group} \"{name}\" is invalid: {text}", kind.kind);
    let details = Details { causes, ..Details::of(&kind.group, &kind.kind, name) };
    Status::failure(422, "Invalid", message).about(details)
}

fn is_subdomain(name: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().is_some_and(alphanumeric)
            && bytes.last().is_some_and(alphanumeric)
            && bytes.iter().all(|byte| alphanumeric(byte) || *byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}
