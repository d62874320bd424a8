//! What runs, and what must not run while its data are replaced.

use std::time::Duration;

use serde_json::Value;

use crate::k8s::{Resource, labels_of};
use crate::target::TargetError;
use crate::target::site::Site;

/// `StatefulSet`s and `Deployment`s in the order in which they are started; they are stopped in the opposite one.
const ZUUL: [(&str, &str); 5] = [
    ("statefulsets", "zuul-scheduler"),
    ("deployments", "zuul-web"),
    ("statefulsets", "zuul-executor"),
    ("statefulsets", "zuul-merger"),
    ("deployments", "zuul-weeder"),
];
const NODEPOOL: [(&str, &str); 2] = [("statefulsets", "nodepool-builder"), ("deployments", "nodepool-launcher")];

/// The only users of the database.
const SQL: [&str; 2] = ["zuul-scheduler", "zuul-web"];

/// What is replaced decides what must stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Replaced {
    /// Zuul's database.
    pub database: bool,
    /// The keys in ZooKeeper, or their password.
    pub keys: bool,
    /// The certificates of ZooKeeper and its clients.
    pub certificates: bool,
}

/// A workload of the namespace.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Its type.
    pub resource: Resource,
    /// Its name.
    pub name: String,
    /// How many pods it is to have.
    pub replicas: u64,
    labels: String,
}

impl Workload {
    /// Reads a workload.
    pub fn new(plural: &str, object: &Value) -> Option<Self> {
        Some(Self {
            resource: Resource::of("apps", "v1", plural),
            name: object["metadata"]["name"].as_str()?.to_owned(),
            replicas: object["spec"]["replicas"].as_u64().unwrap_or(1),
            labels: labels_of(object),
        })
    }

    /// Its name in a record, and in the description of a snapshot.
    pub fn key(&self) -> String {
        format!("{}/{}", self.resource.plural, self.name)
    }

    fn pods(&self, site: &Site<'_>) -> Result<Vec<Value>, TargetError> {
        // Without labels, all pods of the namespace would be its own.
        if self.labels.is_empty() {
            return Ok(Vec::new());
        }
        Ok(site.list(&Resource::core("pods"), &self.labels)?.unwrap_or_default())
    }

    /// Deletes its pods; the cluster makes new ones.
    pub fn restart(&self, site: &Site<'_>) -> Result<(), TargetError> {
        for pod in self.pods(site)? {
            site.delete(&Resource::core("pods"), pod["metadata"]["name"].as_str().unwrap_or_default())?;
        }
        Ok(())
    }

    /// Waits until none of its pods is left. What does not end in time is killed: nothing of Zuul minds that.
    pub fn wait_stopped(&self, site: &Site<'_>, limit: Duration) -> Result<(), TargetError> {
        let waiting = |site: &Site<'_>| {
            let pods = self.pods(site)?.len();
            Ok((pods > 0).then(|| format!("{} does not end; pods left: {pods}", self.name)))
        };
        match site.wait(limit, waiting) {
            Err(TargetError::Late { .. }) => {
                for pod in self.pods(site)? {
                    site.delete_now(&Resource::core("pods"), pod["metadata"]["name"].as_str().unwrap_or_default())?;
                }
                site.wait(limit, waiting)
            }
            other => other,
        }
    }

    /// Waits until as many of its pods are ready as it is to have. Its own status lags behind, so the pods are counted.
    pub fn wait_ready(&self, site: &Site<'_>, replicas: u64, limit: Duration) -> Result<(), TargetError> {
        site.wait(limit, |site| {
            let found = site.get(&self.resource, &self.name)?.unwrap_or_default();
            let said = found["status"]["readyReplicas"].as_u64().unwrap_or(0);
            let pods = self.pods(site)?;
            let is_leaving = |pod: &&Value| !pod["metadata"]["deletionTimestamp"].is_null();
            let leaving = pods.iter().filter(is_leaving).count();
            let seen = pods.iter().filter(|pod| !is_leaving(pod) && is_ready(pod)).count() as u64;
            let ready = if self.labels.is_empty() { said } else { said.min(seen) };
            let is_done = ready >= replicas && leaving == 0;
            Ok((!is_done).then(|| format!("{} is not ready; pods ready: {ready} of {replicas}", self.name)))
        })
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// The workloads that must not run, in the order in which they are started again.
pub(super) fn to_stop(all: &[Workload], replaced: Replaced) -> Vec<Workload> {
    let Replaced { database, keys, certificates } = replaced;
    let zuul = ZUUL.iter().filter(|(_, name)| keys || certificates || (database && SQL.contains(name)));
    let nodepool = NODEPOOL.iter().filter(|_| certificates);
    let find = |(plural, name): &(&str, &str)| {
        all.iter().find(|one| one.resource.plural == *plural && one.name == *name).cloned()
    };
    zuul.chain(nodepool).filter_map(find).collect()
}

/// The workloads that keep a Secret or `ConfigMap` as it was when they started.
pub(super) fn readers(name: &str, is_of_connection: bool) -> &'static [&'static str] {
    const READERS: [(&str, &[&str]); 9] = [
        ("zuul-keystore-password", &["zuul-scheduler", "zuul-web", "zuul-executor", "zuul-merger"]),
        ("zuul-auth-secret", &["zuul-scheduler", "zuul-web"]),
        ("zookeeper-client-tls", CLIENTS),
        ("zookeeper-server-tls", CLIENTS),
        ("zuul-ssh-key", &["zuul-scheduler", "zuul-executor", "zuul-merger"]),
        ("logserver-keys", &["logserver"]),
        ("nodepool-providers-secrets", &["nodepool-launcher", "nodepool-builder"]),
        ("corporate-ca-certs", &["zuul-scheduler", "zuul-web", "zuul-executor", "zuul-merger", "nodepool-launcher"]),
        ("mariadb-root-password", &[]),
    ];
    const CLIENTS: &[&str] = &[
        "zookeeper",
        "zuul-scheduler",
        "zuul-web",
        "zuul-executor",
        "zuul-merger",
        "zuul-weeder",
        "nodepool-launcher",
        "nodepool-builder",
    ];
    match READERS.iter().find(|(secret, _)| *secret == name) {
        Some((_, readers)) => readers,
        None if is_of_connection => &["zuul-scheduler", "zuul-executor", "zuul-merger"],
        None => &[],
    }
}
