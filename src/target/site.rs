//! One namespace of a cluster, asked and changed one request at a time.

use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;

use super::TargetError;
use super::shell::PodShell;
use crate::env::Env;
use crate::k8s::{Cluster, ClusterError, Place, PodPlace, Resource};

const POLL: Duration = Duration::from_millis(250);

/// A namespace, and a connection to its cluster.
pub struct Site<'a> {
    /// The cluster.
    pub place: &'a Place,
    /// The namespace.
    pub namespace: &'a str,
    /// The world.
    pub env: &'a Env,
    cluster: Cluster,
    runtime: Runtime,
}

impl<'a> Site<'a> {
    /// Prepares a connection.
    pub fn connect(place: &'a Place, namespace: &'a str, env: &'a Env) -> Result<Self, TargetError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let cluster = runtime.block_on(Cluster::connect(place))?;
        Ok(Self { place, namespace, env, cluster, runtime })
    }

    /// A container of one of its pods, where commands run.
    pub fn shell<'b>(&'b self, pod: &'b PodPlace) -> PodShell<'b>
    where
        'a: 'b,
    {
        PodShell { site: self, pod }
    }

    fn ask<T>(&self, answer: impl Future<Output = Result<T, ClusterError>>) -> Result<T, TargetError> {
        if self.env.cancel.is_cancelled() {
            return Err(TargetError::Interrupted);
        }
        Ok(self.runtime.block_on(answer)?)
    }

    /// The object of this name, if there is one.
    pub fn get(&self, of: &Resource, name: &str) -> Result<Option<Value>, TargetError> {
        self.ask(self.cluster.get(of, self.namespace, name))
    }

    /// All objects of a type; nothing if the cluster does not know the type.
    pub fn list(&self, of: &Resource, labels: &str) -> Result<Option<Vec<Value>>, TargetError> {
        self.ask(self.cluster.list(of, self.namespace, labels))
    }

    /// Creates an object. Fine if it exists already because an answer got lost: whoever asks looks at it afterwards.
    pub fn create(&self, of: &Resource, object: &Value) -> Result<(), TargetError> {
        match self.ask(self.cluster.create(of, self.namespace, object)) {
            Err(TargetError::Cluster(ClusterError::Refused { code: 409, .. })) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Replaces an object, if it is still the one of its `resourceVersion`.
    pub fn replace(&self, of: &Resource, name: &str, object: &Value) -> Result<(), TargetError> {
        self.ask(self.cluster.replace(of, self.namespace, name, object)).map(drop)
    }

    /// Deletes an object, and lets it end in its own time.
    pub fn delete(&self, of: &Resource, name: &str) -> Result<(), TargetError> {
        self.ask(self.cluster.delete_gently(of, self.namespace, name))
    }

    /// Deletes an object at once.
    pub fn delete_now(&self, of: &Resource, name: &str) -> Result<(), TargetError> {
        self.ask(self.cluster.delete(of, self.namespace, name))
    }

    /// Sets how many pods a workload has.
    pub fn scale(&self, of: &Resource, name: &str, replicas: u64) -> Result<(), TargetError> {
        self.ask(self.cluster.scale(of, self.namespace, name, replicas))
    }

    /// Waits until `look` finds nothing left to wait for, and says what it is waiting for.
    pub fn wait(
        &self,
        limit: Duration,
        mut look: impl FnMut(&Self) -> Result<Option<String>, TargetError>,
    ) -> Result<(), TargetError> {
        let mut left = limit;
        let mut said = String::new();
        while let Some(what) = look(self)? {
            if left.is_zero() {
                return Err(TargetError::Late { what, seconds: limit.as_secs() });
            }
            if what != said {
                self.env.tell(&crate::event::Event::Doing(&what));
                said = what;
            }
            std::thread::sleep(POLL);
            left = left.saturating_sub(POLL);
        }
        Ok(())
    }
}
