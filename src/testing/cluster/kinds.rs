//! The types of objects that the cluster has.

use serde_json::{Value, json};

/// A type of objects.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    /// Empty for the core group.
    pub(super) group: String,
    pub(super) version: String,
    pub(super) plural: String,
    pub(super) kind: String,
    pub(super) namespaced: bool,
    /// Custom resources are listed a little differently.
    pub(super) custom: bool,
}

impl Kind {
    fn new(group: &str, version: &str, plural: &str, kind: &str, namespaced: bool) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            kind: kind.to_owned(),
            namespaced,
            custom: false,
        }
    }

    /// A custom resource, which belongs to namespaces.
    pub(super) fn custom(group: &str, version: &str, plural: &str, kind: &str) -> Self {
        Self { custom: true, ..Self::new(group, version, plural, kind, true) }
    }

    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// How lists of resources describe it.
    fn as_json(&self) -> Value {
        json!({
            "name": self.plural,
            "singularName": self.kind.to_lowercase(),
            "namespaced": self.namespaced,
            "kind": self.kind,
            "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        })
    }
}

/// Group, version, plural, kind, and whether it belongs to namespaces.
const BUILTIN: &[(&str, &str, &str, &str, bool)] = &[
    ("", "v1", "configmaps", "ConfigMap", true),
    ("", "v1", "endpoints", "Endpoints", true),
    ("", "v1", "events", "Event", true),
    ("", "v1", "namespaces", "Namespace", false),
    ("", "v1", "nodes", "Node", false),
    ("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", true),
    ("", "v1", "persistentvolumes", "PersistentVolume", false),
    ("", "v1", "pods", "Pod", true),
    ("", "v1", "secrets", "Secret", true),
    ("", "v1", "serviceaccounts", "ServiceAccount", true),
    ("", "v1", "services", "Service", true),
    ("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", false),
    ("apps", "v1", "daemonsets", "DaemonSet", true),
    ("apps", "v1", "deployments", "Deployment", true),
    ("apps", "v1", "replicasets", "ReplicaSet", true),
    ("apps", "v1", "statefulsets", "StatefulSet", true),
    ("batch", "v1", "cronjobs", "CronJob", true),
    ("batch", "v1", "jobs", "Job", true),
    ("coordination.k8s.io", "v1", "leases", "Lease", true),
    ("networking.k8s.io", "v1", "ingresses", "Ingress", true),
    ("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", true),
    ("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true),
    ("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", false),
    ("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", false),
    ("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", true),
    ("rbac.authorization.k8s.io", "v1", "roles", "Role", true),
    ("storage.k8s.io", "v1", "storageclasses", "StorageClass", false),
];

/// All types of a cluster.
#[derive(Clone, Debug)]
pub(super) struct Kinds(Vec<Kind>);

impl Default for Kinds {
    fn default() -> Self {
        let builtin = BUILTIN.iter();
        Self(
            builtin
                .map(|(group, version, plural, kind, spaced)| Kind::new(group, version, plural, kind, *spaced))
                .collect(),
        )
    }
}

impl Kinds {
    pub(super) fn add(&mut self, kind: Kind) {
        self.0.push(kind);
    }

    /// By the names in a path.
    pub(super) fn by_plural(&self, group: &str, version: &str, plural: &str) -> Option<&Kind> {
        self.of(group, version).find(|kind| kind.plural == plural)
    }

    /// By the names in an object.
    pub(super) fn of_object(&self, object: &Value) -> Option<&Kind> {
        let (version, kind) = (object["apiVersion"].as_str()?, object["kind"].as_str()?);
        self.0.iter().find(|of| of.api_version() == version && of.kind == kind)
    }

    /// True if there is anything in this version of this group.
    pub(super) fn has(&self, group: &str, version: &str) -> bool {
        self.of(group, version).next().is_some()
    }

    /// Groups and versions of custom resources.
    pub(super) fn custom_groups(&self) -> Vec<(&str, &str)> {
        let mut groups: Vec<(&str, &str)> = Vec::new();
        for kind in self.0.iter().filter(|kind| kind.custom) {
            if !groups.contains(&(&kind.group, &kind.version)) {
                groups.push((&kind.group, &kind.version));
            }
        }
        groups
    }

    /// The list of resources of a group's version.
    pub(super) fn resources(&self, group: &str, version: &str) -> Vec<Value> {
        self.of(group, version).flat_map(|kind| std::iter::once(kind.as_json()).chain(subresources(kind))).collect()
    }

    fn of(&self, group: &str, version: &str) -> impl Iterator<Item = &Kind> {
        self.0.iter().filter(move |kind| kind.group == group && kind.version == version)
    }
}

fn subresources(kind: &Kind) -> Option<Value> {
    let (name, of, verbs) = match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "pods") => ("exec", "PodExecOptions", &["create", "get"][..]),
        ("apps", "deployments" | "statefulsets") => ("scale", "Scale", &["get", "patch", "update"][..]),
        _ => return None,
    };
    let name = format!("{}/{name}", kind.plural);
    Some(json!({ "name": name, "singularName": "", "namespaced": true, "kind": of, "verbs": verbs }))
}
