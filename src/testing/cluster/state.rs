//! What all requests share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::container::{Container, Mark};
use super::exec::faults::Plan;
use super::kinds::Kinds;
use super::rbac::Account;
use super::store::{Key, Store};
use super::target::Target;
use crate::env::{Clock, Entropy};

/// Containers by namespace, pod and name.
type Containers = BTreeMap<(String, String, String), Container>;

/// A cluster, as its requests see it.
pub(super) struct State {
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) kinds: Kinds,
    pub(super) faults: Plan,
    pub(super) mark: Mark,
    /// How long the status of a workload lags behind what is wanted.
    pub(super) lag: Duration,
    store: Mutex<Store>,
    containers: Mutex<Containers>,
    /// Pods that went when their workload was scaled down.
    stopped: Mutex<BTreeMap<Key, Value>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl State {
    pub(super) fn new(mark: Mark, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            accounts: BTreeMap::new(),
            kinds: Kinds::default(),
            faults: Plan::default(),
            mark,
            lag: Duration::from_millis(20),
            store: Mutex::default(),
            containers: Mutex::default(),
            stopped: Mutex::default(),
            clock,
            entropy,
        }
    }

    pub(super) fn set_clock(&mut self, clock: Arc<dyn Clock>) {
        self.clock = clock;
    }

    /// The objects, for as long as the guard lives.
    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The owner of a token.
    pub(super) fn account(&self, token: &str) -> Option<&Account> {
        self.accounts.values().find(|account| account.token == token)
    }

    pub(super) fn pod(&self, namespace: &str, name: &str) -> Option<Value> {
        self.store().get(&Key::core("pods", namespace, name)).cloned()
    }

    pub(super) fn set_container(&self, namespace: &str, pod: &str, container: Container) {
        let key = (namespace.to_owned(), pod.to_owned(), container.name.clone());
        self.containers.lock().unwrap_or_else(PoisonError::into_inner).insert(key, container);
    }

    /// How commands run in a container of a pod; one that nobody described gets a bare environment.
    pub(super) fn container(&self, pod: &Target, name: &str) -> Container {
        let key = (pod.namespace.clone(), pod.name.clone(), name.to_owned());
        let containers = self.containers.lock().unwrap_or_else(PoisonError::into_inner);
        containers.get(&key).cloned().unwrap_or_else(|| Container::new(name))
    }

    pub(super) fn keep_stopped(&self, key: Key, pod: Value) {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).insert(key, pod);
    }

    pub(super) fn take_stopped(&self, key: &Key) -> Option<Value> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).remove(key)
    }

    /// As many random bytes, in hexadecimal.
    pub(super) fn hex(&self, bytes: usize) -> String {
        let mut random = vec![0; bytes];
        self.entropy.fill(&mut random);
        random.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A new identity for an object, in the form of a random UUID.
    pub(super) fn uid(&self) -> String {
        let hex = self.hex(16);
        format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
    }

    /// The present moment, as objects have it.
    pub(super) fn now(&self) -> String {
        let now = jiff::Timestamp::from_nanosecond(self.clock.now().into()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Puts an object in place that is there from the beginning: what it lacks of identity and age is added.
    pub(super) fn place(&self, mut object: Value) {
        let kind = self.kinds.of_object(&object).expect("the type of the object is known to the cluster");
        let metadata = object["metadata"].as_object_mut().expect("the object has metadata");
        metadata.entry("uid").or_insert_with(|| json!(self.uid()));
        metadata.entry("creationTimestamp").or_insert_with(|| json!(self.now()));
        let text = |name: &str| metadata.get(name).and_then(Value::as_str).unwrap_or_default();
        let key = Key::new(kind, text("namespace"), text("name"));
        self.store().put(key, object);
    }
}
