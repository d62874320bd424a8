//! The objects: those are there without which a deployment cannot be rebuilt.

use serde_json::json;

use super::{Outcome, Report};
use crate::engine::deployment::{SavedObjects, objects_stream};
use crate::engine::name_of;
use crate::error::Error;
use crate::pipeline::egress::Egress;
use crate::plan::custom_resource::CustomResource;
use crate::plan::discovery::OWNER;
use crate::plan::software_factory::{CERTIFICATES, usual_secrets};
use crate::repo::snapshots::Snapshot;

pub(super) fn verify(egress: &mut Egress<'_>, snapshot: &Snapshot, report: &mut Report) -> Result<(), Error> {
    let name = objects_stream(snapshot).map(name_of).unwrap_or_default();
    let saved = match SavedObjects::read(egress, snapshot) {
        Ok(saved) => saved,
        // Named already, where its bytes were read.
        Err(error) if error.category() == crate::Category::Damaged => return Ok(()),
        Err(error) => return Err(error),
    };
    let broken: Vec<&str> = saved.unreadable().collect();
    report.good_if(&name, "every object is JSON", broken.first().map(|path| format!("{path} is not")));
    // Other deployments have no such list.
    if saved.of("configmaps").all(|(config_map, _)| config_map != OWNER) {
        report.add(&name, "what a deployment needs", Outcome::Note(format!("ConfigMap {OWNER} is not in it")));
        return Ok(());
    }
    let has = |secret: &str| saved.of("secrets").any(|(name, _)| name == secret);
    let missing: Vec<&str> = usual_secrets().filter(|secret| !has(secret)).collect();
    report.good_if(&name, "the operator's Secrets", list(&missing));
    let wanted = cr(&saved).map(|cr| cr.secrets).unwrap_or_default();
    let missing: Vec<&str> = wanted.iter().map(|(secret, _)| &secret[..]).filter(|secret| !has(secret)).collect();
    report.good_if(&name, "the Secrets that the custom resource names", list(&missing));
    if saved.file("cr.yaml").is_none() {
        let text = "it is not in it: keep its file elsewhere, or take snapshots with --cr";
        report.add(&name, "the custom resource", Outcome::Note(text.to_owned()));
    }
    for (secret, object) in saved.of("secrets").filter(|(name, _)| CERTIFICATES.contains(name)) {
        let is_right = object["metadata"]["annotations"] == json!({ "serial": "2" });
        let fault = || "without exactly the annotation serial=2 the operator makes others".to_owned();
        report.good_if(&name, format!("Secret {secret}"), (!is_right).then(fault));
    }
    Ok(())
}

fn list(missing: &[&str]) -> Option<String> {
    (!missing.is_empty()).then(|| format!("missing: {}", missing.join(", ")))
}

/// The custom resource as the operator remembers it.
fn cr(saved: &SavedObjects) -> Option<CustomResource> {
    let (_, owner) = saved.of("configmaps").find(|(name, _)| *name == OWNER)?;
    CustomResource::remembered(owner["data"]["spec"].as_str()?)
}
