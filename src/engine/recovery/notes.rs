//! Differences that matter, in words.

use serde_json::Value;

use super::view::View;
use crate::content::zuul_keys::{Comparison, ZuulKeys};
use crate::engine::deployment::{SavedObjects, fact, objects_stream};
use crate::format::manifest::Origin;
use crate::repo::snapshots::Snapshot;

/// What is said of a difference.
pub(super) struct Differences<'a> {
    /// The snapshot.
    pub snapshot: &'a Snapshot,
    /// Its objects.
    pub saved: &'a SavedObjects,
    /// The cluster.
    pub view: &'a View,
    /// The namespace that is restored into.
    pub namespace: &'a str,
}

impl Differences<'_> {
    /// True if the deployment here has another name than the one that was saved.
    pub(super) fn is_moved(&self) -> bool {
        self.other_namespace().is_some() || self.other_fqdn().is_some()
    }

    fn other_namespace(&self) -> Option<&str> {
        match &objects_stream(self.snapshot)?.origin {
            Origin::Objects { namespace } if namespace != self.namespace => Some(namespace),
            _ => None,
        }
    }

    fn other_fqdn(&self) -> Option<(String, String)> {
        let saved = fact(objects_stream(self.snapshot)?, "fqdn")?;
        let here = self.view.remembered()?.fqdn;
        (!here.is_empty() && here != saved).then(|| (saved.to_owned(), here))
    }

    /// All of them, but those of keys.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let manifest = &self.snapshot.manifest;
        notes.extend(manifest.findings.iter().map(|finding| format!("the snapshot does not fit together: {finding}")));
        if let Some(saved) = self.other_namespace() {
            notes.push(format!("the snapshot is of the namespace {saved}, not of {}", self.namespace));
        }
        if let Some((saved, here)) = self.other_fqdn() {
            notes.push(format!(
                "the deployment was {saved} and is {here} here: links to logs in the database keep the old name, and \
                 tokens that were issued are worth nothing"
            ));
        }
        if self.view.rotates {
            notes.push(
                "Secret zuul-keystore-password-new exists here: a rotation is half done, finish it or delete the Secret \
                 before keys are restored"
                    .to_owned(),
            );
        }
        notes.extend(self.view.orphaned_claims.iter().map(|claim| {
            format!(
                "the volume {claim} is of an older deployment: the next one adopts it with all that is in it; delete the \
                 claim first if that is not meant"
            )
        }));
        notes.extend(self.view.failed_jobs.iter().map(|job| {
            format!(
                "Job {job} has failed, and the operator never tries it again: delete it before `sf-operator deploy`"
            )
        }));
        notes.extend(self.newer_dump());
        notes.extend(self.other_operator());
        notes
    }

    fn newer_dump(&self) -> Option<String> {
        let saved = self.saved.workloads();
        let saved = saved.pointer("/statefulsets/zuul-scheduler/images/zuul-scheduler")?.as_str()?;
        let here = self.view.zuul_image()?;
        (version(saved)? > version(here)?).then(|| {
            format!(
                "the snapshot is of a newer Zuul ({saved}) than runs here ({here}): its database is not for this one; \
                 bring Zuul up to that version first"
            )
        })
    }

    fn other_operator(&self) -> Option<String> {
        let saved = fact(objects_stream(self.snapshot)?, "sf-operator-version")?;
        let here = self.view.owner.as_ref()?["metadata"]["annotations"]["sf-operator-version"].as_str()?;
        (saved != here).then(|| format!("the snapshot was made under sf-operator {saved}; here it is {here}"))
    }
}

/// The numbers at the beginning of an image's tag.
fn version(image: &str) -> Option<Vec<u64>> {
    let (_, tag) = image.rsplit_once(':')?;
    let numbers = tag.trim_start_matches('v').split('-').next()?;
    numbers.split('.').map(|number| number.parse().ok()).collect()
}

/// What it means that the cluster's keys are others than the snapshot's.
pub(super) fn of_keys(comparison: &Comparison, saved: &ZuulKeys, here: &ZuulKeys) -> Vec<String> {
    let mut notes = Vec::new();
    let Comparison { other, only_there, .. } = comparison;
    if let Some(first) = other.first() {
        let newer = here.newest_created() > saved.newest_created();
        let age = if newer { "; those here are newer" } else { "" };
        notes.push(format!(
            "{} projects or tenants have other keys here than in the snapshot{age} (such as {first}): what was encrypted \
             for the keys of now cannot be read with those of the snapshot",
            other.len()
        ));
    }
    if let Some(first) = only_there.first() {
        notes.push(format!(
            "{} projects or tenants have keys here and none in the snapshot (such as {first}): these keys stay",
            only_there.len()
        ));
    }
    notes
}

/// How many pods a workload had when the snapshot was taken.
pub(super) fn saved_replicas(workloads: &Value, key: &str) -> Option<u64> {
    let (plural, name) = key.split_once('/')?;
    workloads[plural][name]["replicas"].as_u64()
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(version("r/zuul-scheduler:14.10.0-1") > version("r/zuul-scheduler:14.9.3"));
        assert!(version("r:5000/z:v0.3") < version("z:1.0"));
        assert_eq!(version("r/zuul-scheduler:latest"), None);
        assert_eq!(version("zuul-scheduler"), None);
    }
}
