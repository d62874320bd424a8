//! What a restore has done up to now, kept in the namespace itself: whoever goes on, goes on from there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::k8s::Resource;
use crate::target::TargetError;
use crate::target::site::Site;

/// The `ConfigMap` that is there while a restore is under way.
pub const NAME: &str = "sfarc-restore";

/// The record of a restore. It holds no secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// The snapshot that is restored, in full.
    pub snapshot: String,
    /// Tells this restore from others in the names of what it keeps: the moment when it began.
    pub stamp: String,
    /// The safety snapshot, once it is taken.
    pub safety: Option<String>,
    /// Replicas of the workloads that were stopped, from before: `statefulsets/NAME`.
    pub replicas: BTreeMap<String, u64>,
    /// The steps that it consists of.
    pub steps: BTreeSet<String>,
    /// Those that are done.
    pub done: BTreeSet<String>,
    /// The version of the `ConfigMap` that this was read from or written to.
    version: Option<String>,
}

fn config_maps() -> Resource {
    Resource::core("configmaps")
}

impl Record {
    /// The record of a restore that begins.
    pub(super) fn begin(snapshot: &str, stamp: &str) -> Self {
        Self { snapshot: snapshot.to_owned(), stamp: stamp.to_owned(), ..Self::default() }
    }

    /// The record of a restore that takes the place of this one, which was not finished: what was stopped for it is to
    /// be started.
    pub(super) fn superseded(&self, snapshot: &str, stamp: &str) -> Self {
        let (replicas, version) = (self.replicas.clone(), self.version.clone());
        Self { replicas, version, ..Self::begin(snapshot, stamp) }
    }

    /// That of the restore under way in a namespace, if there is one.
    pub(super) fn read(site: &Site<'_>) -> Result<Option<Self>, TargetError> {
        let Some(map) = site.get(&config_maps(), NAME)? else { return Ok(None) };
        let text = map["data"]["record"].as_str().unwrap_or_default();
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let words = |field: &str| -> BTreeSet<String> {
            let words = value[field].as_array().into_iter().flatten();
            words.filter_map(|word| word.as_str().map(str::to_owned)).collect()
        };
        let replicas = value["replicas"].as_object().into_iter().flatten();
        Ok(Some(Self {
            snapshot: value["snapshot"].as_str().unwrap_or_default().to_owned(),
            stamp: value["stamp"].as_str().unwrap_or_default().to_owned(),
            safety: value["safety"].as_str().map(str::to_owned),
            replicas: replicas.filter_map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect(),
            steps: words("steps"),
            done: words("done"),
            version: map["metadata"]["resourceVersion"].as_str().map(str::to_owned),
        }))
    }

    /// Writes it down. Fails if somebody else has meanwhile: two restores at once help nobody.
    pub(super) fn write(&mut self, site: &Site<'_>) -> Result<(), TargetError> {
        let mut map = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": NAME, "namespace": site.namespace },
            "data": { "record": self.text() },
        });
        match &self.version {
            Some(version) => {
                map["metadata"]["resourceVersion"] = version.clone().into();
                site.replace(&config_maps(), NAME, &map)?;
            }
            None => site.create(&config_maps(), &map)?,
        }
        // The answer of an earlier attempt may have been lost, or somebody else was quicker.
        let found = Self::read(site)?;
        let same = found.as_ref().is_some_and(|found| found.text() == self.text());
        let Some(found) = found.filter(|_| same) else {
            let (what, why) = (format!("ConfigMap {NAME}"), "another restore is at work in the namespace".to_owned());
            return Err(TargetError::Wrong { what, why });
        };
        self.version = found.version;
        Ok(())
    }

    /// Writes down that a step is done.
    pub(super) fn finish(&mut self, site: &Site<'_>, step: &str) -> Result<(), TargetError> {
        self.done.insert(step.to_owned());
        self.write(site)
    }

    /// The restore is over.
    pub(super) fn remove(&self, site: &Site<'_>) -> Result<(), TargetError> {
        site.delete_now(&config_maps(), NAME)
    }

    fn text(&self) -> String {
        let Self { snapshot, stamp, safety, replicas, steps, done, .. } = self;
        let (program, safety) = (crate::PROGRAM, safety.as_deref());
        json!({
            "program": program, "snapshot": snapshot, "stamp": stamp, "safety": safety,
            "replicas": replicas, "steps": steps, "done": done,
        })
        .to_string()
    }
}
