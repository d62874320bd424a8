//! The objects of the cluster, and what happened to them lately.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::kinds::Kind;

/// How many changes are remembered. A real server remembers those of some minutes.
const MEMORY: usize = 5000;

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
        Self::of(&kind.group, &kind.plural, namespace, name)
    }

    /// A type of the core group.
    pub(super) fn core(plural: &str, namespace: &str, name: &str) -> Self {
        Self::of("", plural, namespace, name)
    }

    /// A type of any group.
    pub(super) fn of(group: &str, plural: &str, namespace: &str, name: &str) -> Self {
        Self {
            group: group.to_owned(),
            plural: plural.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// The group and the plural of its type.
    pub(super) fn resource(&self) -> (&str, &str) {
        (&self.group, &self.plural)
    }

    /// True if it is of this type, and in this namespace unless that is empty.
    pub(super) fn is_of(&self, kind: &Kind, namespace: &str) -> bool {
        self.resource() == (&kind.group, &kind.plural) && (namespace.is_empty() || self.namespace == namespace)
    }
}

/// What happened to an object: it came, changed, or went.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) key: Key,
    pub(super) old: Option<Value>,
    /// If it went, nothing.
    pub(super) new: Option<Value>,
}

/// Objects by their places, and the counter of changes.
#[derive(Debug, Default)]
pub(super) struct Store {
    objects: BTreeMap<Key, Value>,
    version: u64,
    changes: VecDeque<Change>,
    /// Nobody is told of changes before this one any more.
    forgotten: u64,
    news: watch::Sender<()>,
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
        let old = self.objects.insert(key.clone(), object.clone());
        self.record(key, old, Some(object.clone()));
        object
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Value> {
        let removed = self.objects.remove(key)?;
        self.version += 1;
        self.record(key.clone(), Some(removed.clone()), None);
        Some(removed)
    }

    fn record(&mut self, key: Key, old: Option<Value>, new: Option<Value>) {
        if self.changes.len() == MEMORY {
            self.forgotten = self.forgotten.max(self.changes.pop_front().map_or(0, |change| change.version));
        }
        self.changes.push_back(Change { version: self.version, key, old, new });
        self.news.send_replace(());
    }

    /// The changes after this version.
    pub(super) fn changes(&self, after: u64) -> Vec<Change> {
        let first = self.changes.partition_point(|change| change.version <= after);
        self.changes.range(first..).cloned().collect()
    }

    /// True if all changes after this version may still be asked for.
    pub(super) fn remembers(&self, version: u64) -> bool {
        version >= self.forgotten
    }

    /// Forgets all that happened up to now, as real servers do after some minutes.
    pub(super) fn forget(&mut self) {
        self.forgotten = self.version;
    }

    /// Tells of each change that comes.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    /// The objects of a type, in one namespace or, if that is empty, in all.
    pub(super) fn of<'a>(&'a self, kind: &'a Kind, namespace: &'a str) -> impl Iterator<Item = (&'a Key, &'a Value)> {
        self.objects.iter().filter(move |(key, _)| key.is_of(kind, namespace))
    }

    /// All objects.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.objects.iter()
    }
}
