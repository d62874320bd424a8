//! The form in which objects are stored: what the user said, without what the cluster adds.

use serde_json::{Map, Value};

use crate::k8s::Resource;

/// Fields of the metadata that the cluster makes up and that mean nothing elsewhere.
const MADE_UP: [&str; 9] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generateName",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The object without what belongs to this one cluster. Type, labels and annotations stay exactly as they are.
pub(super) fn object(object: &Value, of: &Resource) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
        // Items of lists come without them.
        let version = if of.group.is_empty() { of.version.clone() } else { format!("{}/{}", of.group, of.version) };
        fields.entry("apiVersion").or_insert_with(|| version.into());
        if let Some(kind) = known_kind(&of.plural) {
            fields.entry("kind").or_insert_with(|| kind.into());
        }
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        MADE_UP.iter().for_each(|field| drop(metadata.remove(*field)));
        let owners = metadata.get_mut("ownerReferences").and_then(Value::as_array_mut);
        owners.into_iter().flatten().filter_map(Value::as_object_mut).for_each(|owner: &mut Map<_, _>| {
            owner.remove("uid");
        });
    }
    object
}

/// The kind of objects of a type, where it is a usual one; else the type.
pub(super) fn kind(of: &Resource) -> String {
    known_kind(&of.plural).map_or_else(|| of.to_string(), str::to_owned)
}

/// The kind of objects that lists give without one.
fn known_kind(plural: &str) -> Option<&'static str> {
    Some(match plural {
        "secrets" => "Secret",
        "configmaps" => "ConfigMap",
        "statefulsets" => "StatefulSet",
        "deployments" => "Deployment",
        "services" => "Service",
        "persistentvolumeclaims" => "PersistentVolumeClaim",
        "softwarefactories" => "SoftwareFactory",
        _ => return None,
    })
}

/// JSON for people and for `kubectl`: keys in order, two spaces a level.
pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("JSON values can be written");
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_cluster_makes_up_is_not_kept() {
        let secret = json!({
            "type": "Opaque",
            "metadata": {
                "name": "zookeeper-client-tls", "namespace": "sf", "uid": "1", "resourceVersion": "2",
                "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{}],
                "annotations": { "serial": "2" },
                "ownerReferences": [{ "apiVersion": "v1", "kind": "ConfigMap", "name": "sf-standalone-owner", "uid": "3" }],
            },
            "data": { "tls.crt": "eA==" },
        });
        let kept = object(&secret, &Resource::core("secrets"));
        let expected = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {
                "name": "zookeeper-client-tls", "namespace": "sf", "annotations": { "serial": "2" },
                "ownerReferences": [{ "apiVersion": "v1", "kind": "ConfigMap", "name": "sf-standalone-owner" }],
            },
            "data": { "tls.crt": "eA==" },
        });
        assert_eq!(kept, expected);
        assert!(bytes(&kept).starts_with(b"{\n  \"apiVersion\""));
    }
}
