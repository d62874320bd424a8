//! The scale of StatefulSets and Deployments.

use http::Method;
use serde_json::{Value, json};

use super::patch::merge;
use super::rest::Call;
use super::status::{Reply, Status, json as reply};

/// Reads or changes the scale of a workload.
pub(super) fn answer(call: &Call<'_>, method: &Method) -> Result<Reply, Status> {
    let mut object = call.object()?;
    let mut scale = of(&object);
    match method.as_str() {
        "GET" => return Ok(reply(200, &scale)),
        "PATCH" if call.content_type.ends_with("merge-patch+json") => merge(&mut scale, &call.body),
        "PUT" => scale = call.body.clone(),
        _ => return Err(Status::method_not_allowed()),
    }
    if !scale.is_object() {
        return Err(Status::bad_request("the body of the request is not built like a scale"));
    }
    let replicas = match scale.pointer("/spec/replicas") {
        None | Some(Value::Null) => 0,
        Some(replicas) => replicas.as_u64().ok_or_else(|| Status::bad_request("spec.replicas is no count"))?,
    };
    if object["spec"]["replicas"] != replicas {
        object["spec"]["replicas"] = json!(replicas);
        let generation = object["metadata"]["generation"].as_u64().unwrap_or(1);
        object["metadata"]["generation"] = json!(generation + 1);
        if !call.is_rehearsal() {
            object = call.state.store().put(call.key(), object);
        }
    }
    Ok(reply(200, &of(&object)))
}

/// What is wanted is left out when it is none; what there is, is not.
fn of(object: &Value) -> Value {
    let wanted = object.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
    let metadata = &object["metadata"];
    let mut scale = json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {},
        "status": {
            "replicas": object.pointer("/status/replicas").and_then(Value::as_u64).unwrap_or(0),
            "selector": selector(object),
        },
    });
    if wanted > 0 {
        scale["spec"]["replicas"] = json!(wanted);
    }
    scale
}

fn selector(object: &Value) -> String {
    let labels = object.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let pairs = labels.into_iter().flatten().map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or("")));
    pairs.collect::<Vec<String>>().join(",")
}
