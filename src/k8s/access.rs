//! What this program's account may do, and what the cluster is.

use serde_json::json;

use super::{Cluster, ClusterError};

/// A permission, as a Role grants it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// What is done.
    pub verb: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// To what, with the subresource: `pods/exec`.
    pub resource: String,
    /// To which one; to all, if nothing is said.
    pub name: Option<String>,
}

impl Permission {
    /// A permission.
    pub fn new(verb: &str, group: &str, resource: &str, name: Option<&str>) -> Self {
        let [verb, group, resource] = [verb, group, resource].map(str::to_owned);
        Self { verb, group, resource, name: name.map(str::to_owned) }
    }
}

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` on `{}`", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, " of `{}`", self.group)?;
        }
        self.name.iter().try_for_each(|name| write!(f, " named {name}"))
    }
}

impl Cluster {
    /// Whether this account has a permission in a namespace.
    pub async fn may(&self, permission: &Permission, namespace: &str) -> Result<bool, ClusterError> {
        let (resource, subresource) = permission.resource.split_once('/').unwrap_or((&permission.resource, ""));
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "namespace": namespace,
                "verb": permission.verb,
                "group": permission.group,
                "resource": resource,
                "subresource": subresource,
                "name": permission.name.as_deref().unwrap_or_default(),
            } },
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = self.ask("POST", path, Some(&review), "ask for own permissions").await?;
        Ok(answer["status"]["allowed"] == true)
    }

    /// The version of the API server, such as `v1.32.2`.
    pub async fn version(&self) -> Result<String, ClusterError> {
        let version = self.ask("GET", "/version", None, "ask for the version of the cluster").await?;
        Ok(version["gitVersion"].as_str().unwrap_or("unknown").to_owned())
    }
}
