//! What a cluster has from the beginning.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::container::Container;
use super::exec::faults::Planned;
use super::kinds::Kind;
use super::rbac::{Account, Rule};
use super::state::State;
use super::store::Key;
use crate::env::Clock;

/// Describes a cluster before it starts.
///
/// What is described wrongly, such as an object of an unknown type, ends the test.
pub struct Setup {
    state: State,
}

impl Setup {
    pub(super) fn new(state: State) -> Self {
        Self { state }
    }

    pub(super) fn done(self) -> State {
        self.state
    }

    /// The time of the cluster; without it, the clock stands still.
    pub fn clock(&mut self, clock: Arc<dyn Clock>) {
        self.state.set_clock(clock);
    }

    /// How long the pods and the status of a workload lag behind its scale; without it, some milliseconds.
    pub fn lag(&mut self, lag: Duration) {
        self.state.lag = lag;
    }

    /// A namespace.
    pub fn namespace(&mut self, name: &str) {
        let labels = json!({ "kubernetes.io/metadata.name": name });
        self.state.place(json!({
            "kind": "Namespace",
            "apiVersion": "v1",
            "metadata": { "name": name, "labels": labels },
            "spec": { "finalizers": ["kubernetes"] },
            "status": { "phase": "Active" },
        }));
    }

    /// A token with its rights. `NAME` is a service account of the namespace `default`, `NAMESPACE:NAME` one of that
    /// namespace.
    pub fn token(&mut self, name: &str, rules: impl IntoIterator<Item = Rule>) {
        self.state.accounts.insert(name.to_owned(), Account::new(name, rules.into_iter().collect()));
    }

    /// A type of custom resources, such as `sf.example.com`, `v1`, `forges`, `Forge`.
    pub fn custom_resource(&mut self, group: &str, version: &str, plural: &str, kind: &str) {
        self.state.kinds.add(Kind::custom(group, version, plural, kind));
    }

    /// An object, with its type, name and namespace. Identity and age are added where they are missing.
    pub fn object(&mut self, object: Value) {
        self.state.place(object);
    }

    /// A pod that runs these containers. An object of this name that is already there is left as it is: so the pod
    /// can have labels and owners, too.
    pub fn pod(&mut self, namespace: &str, name: &str, containers: impl IntoIterator<Item = Container>) {
        let containers: Vec<Container> = containers.into_iter().collect();
        if !self.state.store().contains(&Key::core("pods", namespace, name)) {
            self.state.place(pod(namespace, name, &containers));
        }
        for container in containers {
            self.state.set_container(namespace, name, container);
        }
    }

    /// How a container of a pod runs, whenever there is a pod of this name.
    pub fn container(&mut self, namespace: &str, pod: &str, container: Container) {
        self.state.set_container(namespace, pod, container);
    }

    /// What an image stands for: a pod that is created with it has containers like this one, with their own names
    /// and with the variables of the pod's specification.
    ///
    /// Pods that are there from the beginning or belong to a Deployment or a StatefulSet have such containers, too,
    /// unless [`Self::pod`] described theirs. Of other images, created pods wait in vain.
    pub fn image(&mut self, image: &str, template: Container) {
        self.state.images.insert(image.to_owned(), template);
    }

    /// An exec session that goes wrong.
    pub fn fault(&mut self, planned: Planned) {
        self.state.faults.add(planned);
    }
}

fn pod(namespace: &str, name: &str, containers: &[Container]) -> Value {
    let specs: Vec<Value> = containers.iter().map(Container::as_json).collect();
    let status = |container: &Container| json!({ "name": container.name, "ready": true, "restartCount": 0 });
    let statuses: Vec<Value> = containers.iter().map(status).collect();
    json!({
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": { "name": name, "namespace": namespace },
        "spec": { "containers": specs, "restartPolicy": "Always" },
        "status": {
            "phase": "Running",
            "conditions": [{ "type": "Ready", "status": "True" }],
            "containerStatuses": statuses,
        },
    })
}
