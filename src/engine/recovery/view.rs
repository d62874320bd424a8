//! The cluster as it is before a restore.

use serde_json::Value;

use super::aim::Aim;
use super::record::Record;
use super::workloads::Workload;
use crate::k8s::{PodChoice, PodPlace, Resource, is_running};
use crate::plan::custom_resource::CustomResource;
use crate::plan::discovery::OWNER;
use crate::target::TargetError;
use crate::target::site::Site;

/// What there is in a namespace.
#[derive(Debug, Default)]
pub(super) struct View {
    /// The restore that is under way, if one is.
    pub record: Option<Record>,
    /// Its `StatefulSet`s and `Deployment`s.
    pub workloads: Vec<Workload>,
    /// The `StatefulSet` of the scheduler.
    pub scheduler: Option<Value>,
    /// The owner of the deployment.
    pub owner: Option<Value>,
    /// True if a rotation of the keystore's password is half done.
    pub rotates: bool,
}

impl View {
    /// Looks around.
    pub(super) fn take(site: &Site<'_>) -> Result<Self, TargetError> {
        let mut view = Self { record: Record::read(site)?, ..Self::default() };
        for plural in ["statefulsets", "deployments"] {
            let found = site.list(&Resource::of("apps", "v1", plural), "")?.unwrap_or_default();
            view.workloads.extend(found.iter().filter_map(|object| Workload::new(plural, object)));
            let scheduler = found.into_iter().find(|object| object["metadata"]["name"] == "zuul-scheduler");
            view.scheduler = view.scheduler.or(scheduler);
        }
        view.owner = site.get(&Resource::core("configmaps"), OWNER)?;
        view.rotates = site.get(&Resource::core("secrets"), "zuul-keystore-password-new")?.is_some();
        Ok(view)
    }

    /// The workload of this name.
    pub(super) fn workload(&self, name: &str) -> Option<&Workload> {
        self.workloads.iter().find(|workload| workload.name == name)
    }

    /// What the operator remembers of the custom resource.
    pub(super) fn remembered(&self) -> Option<CustomResource> {
        CustomResource::remembered(self.owner.as_ref()?["data"]["spec"].as_str()?)
    }

    /// The image of the scheduler that runs here.
    pub(super) fn zuul_image(&self) -> Option<&str> {
        let containers = self.scheduler.as_ref()?.pointer("/spec/template/spec/containers")?.as_array()?;
        containers.iter().find(|container| container["name"] == "zuul-scheduler")?["image"].as_str()
    }

    /// The workload that a pod is of, by its name: `Err` if that cannot be said.
    fn workload_of(&self, place: &PodPlace) -> Result<Option<&Workload>, ()> {
        match &place.pod {
            PodChoice::Workload { name, .. } => Ok(self.workload(name)),
            // A pod of a StatefulSet is named after it.
            PodChoice::Named(name) => match name.rsplit_once('-') {
                Some((set, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => Ok(self.workload(set)),
                _ => Err(()),
            },
            PodChoice::Labelled(_) => Err(()),
        }
    }

    /// True if what a pod belongs to is not there yet.
    pub(super) fn is_missing(&self, place: &PodPlace) -> bool {
        matches!(self.workload_of(place), Ok(None))
    }

    /// The workloads that must answer for a stream to be restored.
    pub(super) fn needed_for(&self, aim: &Aim) -> Vec<&Workload> {
        match aim {
            // The scheduler is stopped for that, and a pod of its own does it.
            Aim::Keys(_) => self.workload("zookeeper").into_iter().collect(),
            aim => aim.pod().and_then(|pod| self.workload_of(pod).ok().flatten()).into_iter().collect(),
        }
    }
}

/// True if commands can run in a pod now.
pub(super) fn runs(site: &Site<'_>, place: &PodPlace) -> Result<bool, TargetError> {
    let PodChoice::Named(name) = &place.pod else { return Ok(true) };
    Ok(site.get(&Resource::core("pods"), name)?.is_some_and(|pod| is_running(&pod)))
}
