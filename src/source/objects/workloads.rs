//! What runs: replicas, images and volumes of all workloads of a namespace. For information, and for a restore that
//! brings everything back to its size; the workloads themselves are made by their operator.

use serde_json::{Map, Value, json};

use crate::k8s::{Cluster, ClusterError, Resource};

/// Replicas, images and annotations of workloads; size and class of volumes.
pub(super) async fn describe(cluster: &Cluster, namespace: &str) -> Result<Value, ClusterError> {
    let mut all = Map::new();
    for (group, plural) in [("apps", "statefulsets"), ("apps", "deployments"), ("", "persistentvolumeclaims")] {
        let found = cluster.list(&Resource::of(group, "v1", plural), namespace, "").await?.unwrap_or_default();
        let describe = if group.is_empty() { claim } else { workload };
        let named = |object: &Value| Some((object["metadata"]["name"].as_str()?.to_owned(), describe(object)));
        all.insert(plural.to_owned(), found.iter().filter_map(named).collect::<Map<_, _>>().into());
    }
    all.insert("kubernetes".to_owned(), cluster.version().await?.into());
    Ok(all.into())
}

fn workload(object: &Value) -> Value {
    let template = &object["spec"]["template"];
    let images = |containers: &Value| -> Value {
        let containers = containers.as_array().into_iter().flatten();
        let image = |container: &Value| Some((container["name"].as_str()?.to_owned(), container["image"].clone()));
        containers.filter_map(image).collect::<Map<_, _>>().into()
    };
    json!({
        "replicas": object["spec"]["replicas"].as_u64().unwrap_or(1),
        "labels": object["metadata"]["labels"],
        "images": images(&template["spec"]["containers"]),
        "init-images": images(&template["spec"]["initContainers"]),
        "template-annotations": template["metadata"]["annotations"],
    })
}

fn claim(object: &Value) -> Value {
    json!({
        "size": object["spec"]["resources"]["requests"]["storage"],
        "class": object["spec"]["storageClassName"],
        "access": object["spec"]["accessModes"],
    })
}
