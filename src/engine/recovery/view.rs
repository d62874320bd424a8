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

/// What services keep: the `StatefulSet`, and the claim of its first pod.
const DATA: [(&str, &str); 2] = [("mariadb", "mariadb-mariadb-0"), ("zookeeper", "zookeeper-data-zookeeper-0")];

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
    /// Jobs of the operator that have failed: it never tries them again.
    pub failed_jobs: Vec<String>,
    /// Volumes of data whose StatefulSet is not there: the next one of its name adopts them.
    pub orphaned_claims: Vec<String>,
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
        view.failed_jobs = failed_jobs(site)?;
        view.orphaned_claims = view.orphaned_claims(site)?;
        Ok(view)
    }

    fn orphaned_claims(&self, site: &Site<'_>) -> Result<Vec<String>, TargetError> {
        let mut orphaned = Vec::new();
        for (set, claim) in DATA {
            let is_there = || site.get(&Resource::core("persistentvolumeclaims"), claim);
            if self.workload(set).is_none() && is_there()?.is_some() {
                orphaned.push(claim.to_owned());
            }
        }
        Ok(orphaned)
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

fn failed_jobs(site: &Site<'_>) -> Result<Vec<String>, TargetError> {
    let jobs = site.list(&Resource::of("batch", "v1", "jobs"), "")?.unwrap_or_default();
    let is_of_operator = |name: &&str| *name == "zuul-db-provision" || name.starts_with("config-base-secret-");
    let has_failed = |job: &&Value| job["status"]["failed"].as_u64() > Some(0) && job["status"]["succeeded"].is_null();
    let names = jobs.iter().filter(has_failed).filter_map(|job| job["metadata"]["name"].as_str());
    Ok(names.filter(is_of_operator).map(str::to_owned).collect())
}
