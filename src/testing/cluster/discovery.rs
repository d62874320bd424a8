//! What the cluster is and has: its version, groups and resources.

use http::Method;
use serde_json::{Value, json};

use super::state::State;
use super::status::{Reply, Status, json as json_reply, page_not_found};

/// The groups of a fresh cluster with their versions, the preferred one first, in the server's order.
const GROUPS: &[(&str, &[&str])] = &[
    ("apiregistration.k8s.io", &["v1"]),
    ("apps", &["v1"]),
    ("events.k8s.io", &["v1"]),
    ("authentication.k8s.io", &["v1"]),
    ("authorization.k8s.io", &["v1"]),
    ("autoscaling", &["v2", "v1"]),
    ("batch", &["v1"]),
    ("certificates.k8s.io", &["v1"]),
    ("networking.k8s.io", &["v1"]),
    ("policy", &["v1"]),
    ("rbac.authorization.k8s.io", &["v1"]),
    ("storage.k8s.io", &["v1"]),
    ("admissionregistration.k8s.io", &["v1"]),
    ("apiextensions.k8s.io", &["v1"]),
    ("scheduling.k8s.io", &["v1"]),
    ("coordination.k8s.io", &["v1"]),
    ("node.k8s.io", &["v1"]),
    ("discovery.k8s.io", &["v1"]),
    ("flowcontrol.apiserver.k8s.io", &["v1"]),
];

/// Answers for paths that name no resource.
pub(super) fn answer(state: &State, method: &Method, path: &str) -> Result<Reply, Status> {
    if method != Method::GET {
        return Err(Status::method_not_allowed());
    }
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let found = match parts.as_slice() {
        ["version"] => Some(version()),
        ["api"] => Some(json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] })),
        ["apis"] => Some(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups(state) })),
        ["apis", name] => group_by_name(state, name),
        ["api", version] => resources(state, "", version),
        ["apis", group, version] => resources(state, group, version),
        _ => None,
    };
    Ok(found.map_or_else(page_not_found, |found| json_reply(200, &found)))
}

fn version() -> Value {
    json!({
        "major": "1",
        "minor": "32",
        "gitVersion": "v1.32.13",
        "gitCommit": "$Format:%H$",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "go1.26.10",
        "compiler": "gc",
        "platform": "linux/amd64",
    })
}

fn groups(state: &State) -> Vec<Value> {
    let builtin = GROUPS.iter().map(|(name, versions)| group(name, versions));
    builtin.chain(state.kinds.custom_groups().into_iter().map(|(name, version)| group(name, &[version]))).collect()
}

fn group(name: &str, versions: &[&str]) -> Value {
    let version = |version: &&str| json!({ "groupVersion": format!("{name}/{version}"), "version": version });
    let versions: Vec<Value> = versions.iter().map(version).collect();
    json!({ "name": name, "versions": versions, "preferredVersion": versions[0] })
}

fn group_by_name(state: &State, name: &str) -> Option<Value> {
    let mut group = groups(state).into_iter().find(|group| group["name"] == name)?;
    group["kind"] = json!("APIGroup");
    group["apiVersion"] = json!("v1");
    Some(group)
}

/// True if there is such a version of such a group, even if this cluster keeps nothing of it.
pub(super) fn knows(state: &State, group: &str, version: &str) -> bool {
    state.kinds.has(group, version) || GROUPS.iter().any(|(of, versions)| *of == group && versions.contains(&version))
}

fn resources(state: &State, group: &str, version: &str) -> Option<Value> {
    let name = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    knows(state, group, version).then(|| {
        json!({
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": name,
            "resources": state.kinds.resources(group, version),
        })
    })
}
