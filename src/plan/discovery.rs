//! What there is in a namespace: asked once, before a plan is made.

use serde_json::Value;

use super::PlanError;
use crate::k8s::{Cluster, ClusterError, Place, Resource};

/// The objects that decide what a plan takes.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The namespace.
    pub namespace: String,
    /// All `StatefulSet`s.
    pub statefulsets: Vec<Value>,
    /// The owner of a Software Factory deployment.
    pub owner: Option<Value>,
    /// The type SoftwareFactory is known to the cluster, and may be listed.
    pub knows_custom_resource: bool,
    /// What could not be looked at.
    pub refused: Vec<String>,
}

/// The `ConfigMap` that owns what the operator made.
pub const OWNER: &str = "sf-standalone-owner";

/// The type of the custom resource, where it is installed.
pub fn software_factories() -> Resource {
    Resource::of("sf.softwarefactory-project.io", "v1", "softwarefactories")
}

/// Looks around in a namespace.
pub fn discover(place: &Place, namespace: &str) -> Result<Found, PlanError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| ClusterError::Config(Box::new(error)))?;
    runtime.block_on(async {
        let cluster = Cluster::connect(place).await?;
        let statefulsets = cluster.list(&Resource::of("apps", "v1", "statefulsets"), namespace, "").await?;
        let owner = cluster.get(&Resource::core("configmaps"), namespace, OWNER).await?;
        let mut found = Found {
            namespace: namespace.to_owned(),
            statefulsets: statefulsets.unwrap_or_default(),
            owner,
            ..Found::default()
        };
        // Deployments work without the type, and without the right to list it.
        match cluster.list(&software_factories(), namespace, "").await {
            Ok(listed) => found.knows_custom_resource = listed.is_some(),
            Err(error @ ClusterError::Forbidden { .. }) => found.refused.push(error.to_string()),
            Err(error) => return Err(error.into()),
        }
        Ok(found)
    })
}

impl Found {
    /// The `StatefulSet` of this name.
    pub fn statefulset(&self, name: &str) -> Option<&Value> {
        self.statefulsets.iter().find(|set| set["metadata"]["name"] == name)
    }

    /// Where a volume is mounted in a container of a `StatefulSet`.
    pub fn mount(&self, set: &str, container: &str, volume: &str) -> Option<String> {
        let containers = self.statefulset(set)?.pointer("/spec/template/spec/containers")?.as_array()?;
        let mounts = containers.iter().find(|found| found["name"] == container)?["volumeMounts"].as_array()?;
        Some(mounts.iter().find(|mount| mount["name"] == volume)?["mountPath"].as_str()?.to_owned())
    }
}
