//! Servers as containers of one pod in a scratch namespace.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Bench, JARS, MARIADB, Part, ZOOKEEPER};
use crate::error::Error;
use crate::k8s::exec::ExecError;
use crate::k8s::{ClusterError, PodPlace};
use crate::source::SourceError;
use crate::source::helper_pod::HelperPod;
use crate::target::shell::Shell;
use crate::target::site::Site;

/// Where ZooKeeper listens: nothing else does in this pod.
const PORT: u16 = 2281;

/// As whom it runs where the cluster does not say that by itself.
const USER: u32 = 1001;

/// Images of the servers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Images {
    /// With MariaDB, server and client.
    pub mariadb: Option<String>,
    /// With ZooKeeper and Java.
    pub zookeeper: Option<String>,
    /// With `zuul-admin`.
    pub zuul: Option<String>,
}

impl Images {
    /// Those that ran when a snapshot was taken, after its list of workloads; what is named here goes before.
    pub(in crate::engine::drill) fn or_saved(&self, workloads: &Value) -> Self {
        let saved = |name: &str| {
            let image = &workloads["statefulsets"][name]["images"][name];
            image.as_str().map(str::to_owned)
        };
        Self {
            mariadb: self.mariadb.clone().or_else(|| saved("mariadb")),
            zookeeper: self.zookeeper.clone().or_else(|| saved("zookeeper")),
            zuul: self.zuul.clone().or_else(|| saved("zuul-scheduler")),
        }
    }
}

/// A running pod.
pub(in crate::engine::drill) struct Pod<'a> {
    site: &'a Site<'a>,
    home: String,
    places: [PodPlace; 3],
    /// Held for its end.
    _pod: HelperPod<'a>,
}

fn name(part: Part) -> &'static str {
    match part {
        Part::Database => "mariadb",
        Part::ZooKeeper => "zookeeper",
        Part::Zuul => "zuul-admin",
    }
}

impl<'a> Pod<'a> {
    /// Makes a pod with what is needed. It lives for `deadline` at most.
    pub(in crate::engine::drill) fn start(
        site: &'a Site<'a>,
        images: &Images,
        deadline: Duration,
        needs: impl Fn(Part) -> bool,
    ) -> Result<Self, Error> {
        let folder = format!("/tmp/sfarc-drill-{:016x}", u64::from_le_bytes(site.env.random()));
        let (home, data) = (format!("{folder}-home"), format!("{folder}-data"));
        let parts =
            [(Part::Database, &images.mariadb), (Part::ZooKeeper, &images.zookeeper), (Part::Zuul, &images.zuul)];
        let mut containers = Vec::new();
        for (part, image) in parts.into_iter().filter(|(part, _)| needs(*part)) {
            let image = image.as_ref().ok_or_else(|| {
                let name = name(part);
                Error::Usage(format!("the snapshot names no image that has {name}: --image {name}=IMAGE does"))
            })?;
            containers.push(container(part, image, &home, &data));
        }
        let mut spec = json!({
            "restartPolicy": "Never",
            "activeDeadlineSeconds": deadline.as_secs(),
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": USER, "fsGroup": USER, "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": containers,
            "volumes": [
                { "name": "home", "emptyDir": { "medium": "Memory" } },
                { "name": "data", "emptyDir": {} },
            ],
        });
        let start =
            |spec: &Value| HelperPod::start(site.place, site.namespace, "drill", spec, site.env, &site.env.cancel);
        let pod = match start(&spec) {
            // OpenShift gives each namespace users of its own, and refuses others.
            Err(SourceError::Session(ExecError::Cluster(ClusterError::Refused { code: 403, .. }))) => {
                for field in ["runAsUser", "fsGroup"] {
                    spec["securityContext"].as_object_mut().map(|context| context.remove(field));
                }
                start(&spec)
            }
            other => other,
        };
        let pod = pod.map_err(|error| Error::target("make a pod for the drill", error.into()))?;
        let places = parts.map(|(part, _)| pod.container(name(part)));
        Ok(Self { site, home, places, _pod: pod })
    }
}

fn container(part: Part, image: &str, home: &str, data: &str) -> Value {
    let script = |script: &str| json!(["sh", "-c", format!("{JARS}{script}"), "sh", PORT.to_string()]);
    json!({
        "name": name(part),
        "image": image,
        "command": match part {
            Part::Database => script(MARIADB),
            Part::ZooKeeper => script(ZOOKEEPER),
            Part::Zuul => json!(["sh", "-c", "while :; do sleep 60; done"]),
        },
        "env": [{ "name": "HOME", "value": home }, { "name": "DATA", "value": data }],
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
        "volumeMounts": [{ "name": "home", "mountPath": home }, { "name": "data", "mountPath": data }],
    })
}

impl Bench for Pod<'_> {
    fn lacks(&self, _part: Part) -> Option<&str> {
        None
    }

    fn shell(&self, part: Part) -> impl Shell {
        self.site.shell(&self.places[part as usize])
    }

    fn home(&self) -> &str {
        &self.home
    }

    fn port(&self) -> u16 {
        PORT
    }
}
