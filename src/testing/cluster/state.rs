//! What all requests share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::container::Container;
use super::exec::faults::Plan;
use super::failures::Failures;
use super::journal::Journal;
use super::kinds::Kinds;
use super::mark::Mark;
use super::rbac::Account;
use super::store::{Key, Store};
use crate::env::{Clock, Entropy};

/// Containers by namespace, pod and name.
type Containers = BTreeMap<(String, String, String), Container>;

/// A cluster, as its requests see it.
pub(super) struct State {
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) kinds: Kinds,
    pub(super) faults: Plan,
    pub(super) failures: Failures,
    pub(super) journal: Journal,
    pub(super) mark: Mark,
    /// How long the status of a workload lags behind what is wanted.
    pub(super) lag: Duration,
    /// What images stand for.
    pub(super) images: BTreeMap<String, Container>,
    store: Mutex<Store>,
    containers: Mutex<Containers>,
    /// Names of accounts whose tokens are of no use for now.
    expired: Mutex<BTreeSet<String>>,
    /// Pods of workloads that went.
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
            failures: Failures::default(),
            journal: Journal::default(),
            mark,
            lag: Duration::from_millis(20),
            images: BTreeMap::new(),
            store: Mutex::default(),
            containers: Mutex::default(),
            expired: Mutex::default(),
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

    /// The owner of a token that has not expired.
    pub(super) fn account(&self, token: &str) -> Option<&Account> {
        let expired = self.expired();
        let mut valid = self.accounts.iter().filter(|(name, _)| !expired.contains(*name));
        valid.find(|(_, account)| account.token == token).map(|(_, account)| account)
    }

    /// The names of the accounts whose tokens have expired.
    pub(super) fn expired(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.expired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pod(&self, namespace: &str, name: &str) -> Option<Value> {
        self.store().get(&Key::core("pods", namespace, name)).cloned()
    }

    pub(super) fn set_container(&self, namespace: &str, pod: &str, container: Container) {
        let key = (namespace.to_owned(), pod.to_owned(), container.name.clone());
        self.containers.lock().unwrap_or_else(PoisonError::into_inner).insert(key, container);
    }

    /// The container that was described for a pod under this name.
    pub(super) fn described(&self, namespace: &str, pod: &str, name: &str) -> Option<Container> {
        let key = (namespace.to_owned(), pod.to_owned(), name.to_owned());
        self.containers.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    /// Adds an object, with an identity of its own.
    pub(super) fn add(&self, key: Key, mut object: Value) {
        object["metadata"]["uid"] = json!(self.uid());
        object["metadata"]["creationTimestamp"] = json!(self.now());
        self.store().put(key, object);
    }

    /// Asks an object to end. All do at once, but pods with an hour of grace or more: they take all of it, so that no
    /// test sees their end unless somebody forces it.
    pub(super) fn end(&self, key: &Key) {
        const PATIENT: u64 = 3600;
        let pod = self.store().get(key).filter(|_| key.resource() == ("", "pods")).cloned();
        let is_patient = |pod: &Value| pod["spec"]["terminationGracePeriodSeconds"].as_u64() >= Some(PATIENT);
        match pod.filter(is_patient) {
            None => self.remove(key),
            Some(pod) if !pod["metadata"]["deletionTimestamp"].is_null() => {}
            Some(mut pod) => {
                pod["metadata"]["deletionTimestamp"] = json!(self.now());
                self.store().put(key.clone(), pod);
            }
        }
    }

    /// Removes an object; with a pod, its processes end.
    pub(super) fn remove(&self, key: &Key) {
        let removed = self.store().remove(key);
        if removed.is_some() && key.resource() == ("", "pods") {
            self.mark.pod(&key.namespace, &key.name).kill();
        }
    }

    pub(super) fn keep_stopped(&self, key: Key, mut pod: Value) {
        pod["metadata"].as_object_mut().map(|metadata| metadata.remove("deletionTimestamp"));
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
