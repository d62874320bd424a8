//! The permissions that a plan needs, and the Role that grants just those.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::Plan;
use super::discovery::OWNER;
use crate::k8s::{Permission, PodChoice, PodPlace};
use crate::source::cluster::Take;
use crate::source::objects::{Query, Which};
use crate::source::zuul_keys;

impl Plan {
    /// Every permission that the plan needs, by namespace. With it, discovery works too.
    pub fn permissions(&self) -> BTreeMap<String, BTreeSet<Permission>> {
        let mut all: BTreeMap<String, BTreeSet<Permission>> = BTreeMap::new();
        for stream in &self.streams {
            let (namespace, needed) = match &stream.take {
                Take::Objects(query) => (&query.namespace, of_query(query)),
                Take::Command(pod, ..) | Take::Folder(pod, _) | Take::Database(pod, _) => (&pod.namespace, of_pod(pod)),
                Take::ZuulKeys(pod, helper) => {
                    let mut needed = if helper.is_some() { of_helper() } else { of_pod(pod) };
                    needed.push(Permission::new("get", "", "secrets", Some(zuul_keys::PASSWORD)));
                    (&pod.namespace, needed)
                }
            };
            all.entry(namespace.clone()).or_default().extend(needed);
        }
        all
    }
}

fn of_query(query: &Query) -> Vec<Permission> {
    let mut needed: Vec<Permission> = Vec::new();
    for wanted in &query.wanted {
        let (verb, name) = match &wanted.which {
            Which::Named(name) => ("get", Some(&name[..])),
            Which::Labelled(_) => ("list", None),
        };
        needed.push(Permission::new(verb, &wanted.resource.group, &wanted.resource.plural, name));
    }
    if query.workloads {
        needed.push(Permission::new("get", "", "configmaps", Some(OWNER)));
        needed.push(Permission::new("list", "", "persistentvolumeclaims", None));
        needed.extend(["statefulsets", "deployments"].map(|plural| Permission::new("list", "apps", plural, None)));
    }
    needed
}

fn of_pod(pod: &PodPlace) -> Vec<Permission> {
    let name = match &pod.pod {
        PodChoice::Named(name) => Some(&name[..]),
        PodChoice::Workload { .. } | PodChoice::Labelled(_) => None,
    };
    // Servers before 1.35 want `get` for an exec session over WebSockets, those from then on `create`.
    let mut needed: Vec<Permission> = ["get", "create"].map(|verb| Permission::new(verb, "", "pods/exec", name)).into();
    match &pod.pod {
        PodChoice::Named(_) => {}
        PodChoice::Labelled(_) => needed.push(Permission::new("list", "", "pods", None)),
        PodChoice::Workload { plural, name } => {
            needed.push(Permission::new("list", "", "pods", None));
            needed.push(Permission::new("get", "apps", plural, Some(name)));
        }
    }
    needed
}

/// What making a pod, running a command in it and removing it takes.
fn of_helper() -> Vec<Permission> {
    let of_pods = ["get", "create", "delete"].map(|verb| Permission::new(verb, "", "pods", None));
    let of_exec = ["get", "create"].map(|verb| Permission::new(verb, "", "pods/exec", None));
    of_pods.into_iter().chain(of_exec).collect()
}

/// A Role that grants these permissions and no more.
pub fn role(namespace: &str, permissions: &BTreeSet<Permission>) -> String {
    let mut rules: BTreeMap<(&str, &str, Option<&str>), BTreeSet<&str>> = BTreeMap::new();
    for permission in permissions {
        let key = (&permission.group[..], &permission.resource[..], permission.name.as_deref());
        rules.entry(key).or_default().insert(&permission.verb);
    }
    let mut merged: BTreeMap<(&str, &str, Vec<&str>, bool), Vec<&str>> = BTreeMap::new();
    for ((group, resource, name), verbs) in rules {
        let names = merged.entry((group, resource, verbs.into_iter().collect(), name.is_none())).or_default();
        names.extend(name);
    }
    let mut text = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: sfarc-backup\n  namespace: \"{namespace}\"\nrules:\n"
    );
    for ((group, resource, verbs, _), names) in merged {
        let _ =
            write!(text, "- apiGroups: [\"{group}\"]\n  resources: [{resource}]\n  verbs: [{}]\n", verbs.join(", "));
        if !names.is_empty() {
            // A name may look like a number or like `true`.
            let _ = writeln!(text, "  resourceNames: [\"{}\"]", names.join("\", \""));
        }
    }
    text
}
