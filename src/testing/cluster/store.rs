//! The objects of the cluster.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::kinds::Kind;

/// Where an object lies. The order is that of lists: by namespace, then by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    group: String,
    plural: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(kind: &Kind, namespace: &str, name: &str) -> Self {
        let namespace = if kind.namespaced { namespace } else { "" };
        Self {
            group: kind.group.clone(),
            plural: kind.plural.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// A type of the core group.
    pub(super) fn core(plural: &str, namespace: &str, name: &str) -> Self {
        Self { group: String::new(), plural: plural.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// Objects by their places, and the counter of changes.
#[derive(Debug, Default)]
pub(super) struct Store {
    objects: BTreeMap<Key, Value>,
    version: u64,
}

impl Store {
    /// The number of the latest change.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.objects.contains_key(key)
    }

    /// Puts an object in its place, with the number of this change; gives it as it is now.
    pub(super) fn put(&mut self, key: Key, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(key, object.clone());
        object
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Value> {
        let removed = self.objects.remove(key);
        self.version += u64::from(removed.is_some());
        removed
    }

    /// The objects of a type, in one namespace or, if that is empty, in all.
    pub(super) fn of<'a>(&'a self, kind: &'a Kind, namespace: &'a str) -> impl Iterator<Item = (&'a Key, &'a Value)> {
        let of_kind = |key: &Key| key.group == kind.group && key.plural == kind.plural;
        self.objects.iter().filter(move |(key, _)| of_kind(key) && (namespace.is_empty() || key.namespace == namespace))
    }
}
