//! Finding the pod that is meant.

use serde_json::Value;

use super::exec::Target;
use super::objects::Resource;
use super::{Cluster, ClusterError};

/// Which pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodChoice {
    /// The one of this name.
    Named(String),
    /// A running one of a `StatefulSet` or `Deployment`.
    Workload {
        /// `statefulsets` or `deployments`.
        plural: &'static str,
        /// The name of the workload.
        name: String,
    },
    /// A running one with these labels (`key=value,...`).
    Labelled(String),
}

impl PodChoice {
    /// Reads `statefulset/NAME` or `deployment/NAME`; nothing if it is neither.
    pub fn workload(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once('/')?;
        let plural = match kind {
            "statefulset" | "statefulsets" | "sts" => "statefulsets",
            "deployment" | "deployments" | "deploy" => "deployments",
            _ => return None,
        };
        Some(Self::Workload { plural, name: name.to_owned() })
    }
}

impl std::fmt::Display for PodChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Workload { plural, name } => write!(f, "{}/{name}", plural.trim_end_matches('s')),
            Self::Labelled(labels) => write!(f, "pods with {labels}"),
        }
    }
}

/// A container of a pod that is still to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodPlace {
    /// The namespace.
    pub namespace: String,
    /// Which pod there.
    pub pod: PodChoice,
    /// The container; the pod's default one, if nothing is said.
    pub container: Option<String>,
}

impl std::fmt::Display for PodPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.pod)?;
        self.container.iter().try_for_each(|container| write!(f, "/{container}"))
    }
}

impl Cluster {
    /// The container that is meant, in a pod that runs.
    pub async fn find(&self, place: &PodPlace) -> Result<Target, ClusterError> {
        let (namespace, container) = (place.namespace.clone(), place.container.clone());
        let labels = match &place.pod {
            PodChoice::Named(pod) => return Ok(Target { namespace, pod: pod.clone(), container }),
            PodChoice::Labelled(labels) => labels.clone(),
            PodChoice::Workload { plural, name } => {
                let workload = self.get(&Resource::of("apps", "v1", plural), &namespace, name).await?;
                let none = || ClusterError::NoPod { place: place.to_string(), why: "there is no such workload" };
                labels_of(&workload.ok_or_else(none)?)
            }
        };
        let pods = self.list(&Resource::core("pods"), &namespace, &labels).await?.unwrap_or_default();
        let running = pods.iter().filter(|pod| is_running(pod));
        // A ready one if there is one, the first of them: the choice is the same every time.
        let pod = running.max_by_key(|pod| (is_ready(pod), std::cmp::Reverse(name_of(pod).to_owned())));
        let none = || ClusterError::NoPod { place: place.to_string(), why: "none of its pods runs" };
        Ok(Target { namespace, pod: name_of(pod.ok_or_else(none)?).to_owned(), container })
    }
}

/// The labels by which a workload knows its pods (`key=value,...`).
pub fn labels_of(workload: &Value) -> String {
    let labels = workload["spec"]["selector"]["matchLabels"].as_object();
    let pairs = labels.into_iter().flatten().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    pairs.collect::<Vec<_>>().join(",")
}

fn name_of(pod: &Value) -> &str {
    pod["metadata"]["name"].as_str().unwrap_or_default()
}

/// True if commands can run in a pod.
pub fn is_running(pod: &Value) -> bool {
    pod["status"]["phase"] == "Running" && pod["metadata"]["deletionTimestamp"].is_null()
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
