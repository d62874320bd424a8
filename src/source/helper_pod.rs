//! A pod that exists for one piece of work, such as an export by the scheduler's image; removed when it is done with.
//!
//! Its name must not begin with `zuul-` or `nodepool-` (the operator kills such pods when certificates change), and it
//! has no label that a Service or the operator looks for. If this program dies, the cluster ends the pod in time.

use std::time::Duration;

use serde_json::{Value, json};

use super::{SourceError, block_on};
use crate::env::{Cancel, Env};
use crate::event::{Event, chain};
use crate::k8s::exec::ExecError;
use crate::k8s::{Cluster, ClusterError, Place, PodChoice, PodPlace, Resource, is_running};

/// How long the image may take to be there.
const START_LIMIT: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(500);

/// After this many seconds the cluster ends the pod, whatever became of this program.
const DEADLINE: u64 = 900;

/// The container of [`spec`].
pub const CONTAINER: &str = "zuul-admin";

/// The specification of a helper pod, after that of the scheduler.
pub fn spec(scheduler: &Value) -> Value {
    let template = &scheduler["spec"]["template"]["spec"];
    let containers = template["containers"].as_array();
    let scheduler = containers.into_iter().flatten().find(|container| container["name"] == "zuul-scheduler");
    let of_scheduler = |field: &str| scheduler.map_or(Value::Null, |container| container[field].clone());
    let mut spec = json!({
        "restartPolicy": "Never",
        "activeDeadlineSeconds": DEADLINE,
        "automountServiceAccountToken": false,
        "containers": [{
            "name": CONTAINER,
            "image": of_scheduler("image"),
            "command": ["sleep", DEADLINE.to_string()],
            "env": [{ "name": "HOME", "value": "/var/lib/zuul" }],
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "runAsNonRoot": true,
                "capabilities": { "drop": ["ALL"] },
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "volumeMounts": [
                { "name": "zuul-config", "mountPath": "/etc/zuul", "readOnly": true },
                { "name": "zookeeper-client-tls", "mountPath": "/tls/client", "readOnly": true },
                { "name": "home", "mountPath": "/var/lib/zuul" },
            ],
        }],
        "volumes": [
            { "name": "zuul-config", "secret": { "secretName": "zuul-config" } },
            { "name": "zookeeper-client-tls", "secret": { "secretName": "zookeeper-client-tls" } },
            { "name": "home", "emptyDir": {} },
        ],
    });
    // Who it runs as depends on the cluster: as the scheduler does.
    for field in ["securityContext", "imagePullSecrets", "hostAliases"] {
        if !template[field].is_null() {
            spec[field] = template[field].clone();
        }
    }
    spec
}

/// A running helper pod; its end removes it.
pub struct HelperPod<'a> {
    place: &'a Place,
    env: &'a Env,
    namespace: String,
    name: String,
    /// After this time the cluster ends it.
    deadline: u64,
}

impl<'a> HelperPod<'a> {
    /// Makes a pod for `work`, which becomes part of its name, and waits until commands can run in it.
    pub fn start(
        place: &'a Place,
        namespace: &str,
        work: &str,
        spec: &Value,
        env: &'a Env,
        cancel: &Cancel,
    ) -> Result<Self, SourceError> {
        let name = format!("sfarc-{work}-{}", env.random::<5>().map(|byte| format!("{byte:02x}")).concat());
        let deadline = spec["activeDeadlineSeconds"].as_u64().unwrap_or(DEADLINE);
        // From here on it is removed, also if the answer to its creation gets lost.
        let helper = Self { place, env, namespace: namespace.to_owned(), name, deadline };
        block_on(helper.create(spec, cancel))??;
        Ok(helper)
    }

    /// Where commands run in one of its containers.
    pub fn container(&self, name: &str) -> PodPlace {
        PodPlace {
            namespace: self.namespace.clone(),
            pod: PodChoice::Named(self.name.clone()),
            container: Some(name.to_owned()),
        }
    }

    async fn create(&self, spec: &Value, cancel: &Cancel) -> Result<(), SourceError> {
        let failed = |error: ClusterError| SourceError::from(ExecError::from(error));
        let object = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": self.name, "labels": { "app.kubernetes.io/managed-by": "sfarc" } },
            "spec": spec,
        });
        let cluster = Cluster::connect(self.place).await.map_err(failed)?;
        let pods = Resource::core("pods");
        cluster.create(&pods, &self.namespace, &object).await.map_err(failed)?;
        let running = async {
            loop {
                match cluster.get(&pods, &self.namespace, &self.name).await.map_err(failed)? {
                    Some(pod) if is_running(&pod) => return Ok(()),
                    Some(pod) if pod["status"]["phase"] == "Failed" => {
                        return Err(SourceError::Moved(format!("the helper pod {} has failed", self.name)));
                    }
                    _ if cancel.is_cancelled() => return Err(SourceError::Interrupted),
                    _ => tokio::time::sleep(POLL).await,
                }
            }
        };
        let late = |_| {
            let seconds = START_LIMIT.as_secs();
            SourceError::Moved(format!("the helper pod {} does not run after {seconds} seconds", self.name))
        };
        tokio::time::timeout(START_LIMIT, running).await.map_err(late)?
    }

    async fn remove(&self) -> Result<(), ClusterError> {
        let cluster = Cluster::connect(self.place).await?;
        cluster.delete(&Resource::core("pods"), &self.namespace, &self.name).await
    }
}

impl Drop for HelperPod<'_> {
    fn drop(&mut self) {
        if let Ok(Err(error)) = block_on(self.remove()) {
            let Self { name, deadline, .. } = self;
            let why = chain(&error);
            let text = format!("the helper pod {name} was not removed: {why}; the cluster ends it after {deadline} s");
            self.env.tell(&Event::Warning(&text));
        }
    }
}
