//! Objects of the snapshot and objects of the cluster: which are restored, what differs, and how they are put there.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::engine::deployment::SavedObjects;
use crate::k8s::Resource;
use crate::plan::discovery::{OWNER, software_factories};
use crate::plan::software_factory::{CERTIFICATES, GENERATED};
use crate::source::zuul_keys::PASSWORD;
use crate::target::TargetError;
use crate::target::site::Site;

/// Belong to the database that runs, which has other passwords than the one of the snapshot.
const OF_DATABASE: [&str; 2] = ["mariadb-root-password", "zuul-db-connection"];

/// A saved object, and what becomes of it. It may be secret, so it is not to be printed.
#[derive(Clone)]
pub struct PlannedObject {
    /// Its type.
    pub resource: Resource,
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub change: Change,
    saved: Value,
}

/// What becomes of a saved object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is not there.
    Create,
    /// It is another one, which is replaced.
    Replace,
    /// It is there as it was saved.
    Same,
    /// It is not touched, and why.
    Leave(String),
}

/// How objects are to be treated.
#[derive(Debug, Clone, Default)]
pub(super) struct Treatment {
    /// Replaces objects that differ.
    pub overwrite: bool,
    /// Only these, by kind and name; all that are worth it if empty.
    pub named: Vec<(String, String)>,
    /// Storage classes that have another name here.
    pub classes: Vec<(String, String)>,
    /// The deployment has another name or namespace than the one that was saved: its certificates do not fit.
    pub moved: bool,
}

impl PlannedObject {
    /// True for a Secret of this name.
    pub fn is_secret(&self, name: &str) -> bool {
        self.resource.plural == "secrets" && self.name == name
    }

    /// True if it is to be created or replaced.
    pub fn is_put(&self) -> bool {
        matches!(self.change, Change::Create | Change::Replace)
    }

    /// True for what everything else depends on: the owner, the keystore's password, the certificates.
    pub fn is_first(&self) -> bool {
        self.name == OWNER || self.is_secret(PASSWORD) || CERTIFICATES.iter().any(|name| self.is_secret(name))
    }

    /// Kind and name, for people.
    pub fn title(&self) -> String {
        let kind = self.saved["kind"].as_str().map_or_else(|| self.resource.to_string(), str::to_owned);
        format!("{kind} {}", self.name)
    }

    /// The object of its name, once one that is going away has gone.
    fn settled(&self, site: &Site<'_>) -> Result<Option<Value>, TargetError> {
        site.wait(GOING, |site| {
            let is_going = site.get(&self.resource, &self.name)?.as_ref().is_some_and(is_going);
            Ok(is_going.then(|| format!("{} was deleted and is still there", self.title())))
        })?;
        site.get(&self.resource, &self.name)
    }

    /// Creates or replaces it, and looks whether it is there then.
    pub fn put(&self, site: &Site<'_>) -> Result<(), TargetError> {
        if !self.is_put() {
            return Ok(());
        }
        let existing = self.settled(site)?;
        if existing.as_ref().is_some_and(|existing| is_same(&self.saved, existing)) {
            return Ok(());
        }
        let mut object = wanted(&self.saved, site)?;
        match existing {
            None => site.create(&self.resource, &object)?,
            Some(existing) if is_fixed(&object, &existing) => {
                site.delete_now(&self.resource, &self.name)?;
                site.create(&self.resource, &object)?;
            }
            Some(existing) => {
                for field in ["resourceVersion", "ownerReferences", "finalizers"] {
                    if !existing["metadata"][field].is_null() {
                        object["metadata"][field] = existing["metadata"][field].clone();
                    }
                }
                site.replace(&self.resource, &self.name, &object)?;
            }
        }
        let found = site.get(&self.resource, &self.name)?;
        if found.is_some_and(|found| is_same(&self.saved, &found)) {
            return Ok(());
        }
        let why = "somebody changes it at the same time".to_owned();
        Err(TargetError::Wrong { what: self.title(), why })
    }
}

/// How long an object may take that is going away.
const GOING: Duration = Duration::from_secs(120);

/// True for an object that was deleted and is still there: what is written to it goes with it.
fn is_going(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// True if an object cannot become another one without being deleted.
fn is_fixed(object: &Value, existing: &Value) -> bool {
    object["type"] != existing["type"] || existing["immutable"] == true
}

/// Decides about all saved objects, those first on which others depend.
pub(super) fn plan(
    site: &Site<'_>,
    saved: &SavedObjects,
    treatment: &Treatment,
) -> Result<Vec<PlannedObject>, TargetError> {
    let mut planned = Vec::new();
    for (plural, name, mut object) in saved.all() {
        if plural == software_factories().to_string() {
            rename_classes(&mut object["spec"], &treatment.classes);
        }
        let Some(resource) = resource(plural, &object) else { continue };
        let is_named = treatment.named.iter().any(|(kind, named)| *kind == plural && named == name);
        if !treatment.named.is_empty() && !is_named {
            continue;
        }
        let existing = site.get(&resource, name)?.filter(|existing| !is_going(existing));
        let same = existing.as_ref().map(|existing| is_same(&object, existing));
        let change = match (reason_to_leave(plural, name, &object, treatment), same) {
            (_, Some(true)) => Change::Same,
            (Some(why), None) if !is_named && why.is_never() => Change::Leave(why.words()),
            (Some(why), Some(false)) if !is_named => Change::Leave(why.words()),
            (_, None) => Change::Create,
            (_, Some(false)) if treatment.overwrite => Change::Replace,
            (_, Some(false)) => Change::Leave("it differs; --overwrite replaces it".to_owned()),
        };
        planned.push(PlannedObject { resource, name: name.to_owned(), change, saved: object });
    }
    planned.sort_by_key(|object| (!object.is_first(), object.name != OWNER));
    Ok(planned)
}

/// Names other storage classes wherever a custom resource names one.
fn rename_classes(value: &mut Value, classes: &[(String, String)]) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let new = classes.iter().find(|(old, _)| name == "className" && value == &old[..]);
                match new {
                    Some((_, new)) => *value = Value::from(&new[..]),
                    None => rename_classes(value, classes),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| rename_classes(value, classes)),
        _ => {}
    }
}

/// The type of a saved object.
fn resource(plural: &str, object: &Value) -> Option<Resource> {
    let (plural, group) = plural.split_once('.').unwrap_or((plural, ""));
    let version = object["apiVersion"].as_str()?;
    Some(Resource::of(group, version.rsplit('/').next()?, plural))
}

/// Why a saved object is left alone.
enum Why {
    /// Always.
    Never(&'static str),
    /// Only where there is one already.
    IfThere(&'static str),
}

impl Why {
    fn is_never(&self) -> bool {
        matches!(self, Self::Never(_))
    }

    fn words(&self) -> String {
        let (Self::Never(words) | Self::IfThere(words)) = self;
        (*words).to_owned()
    }
}

fn reason_to_leave(plural: &str, name: &str, object: &Value, treatment: &Treatment) -> Option<Why> {
    let why = match plural {
        "secrets" if object["type"] == "kubernetes.io/service-account-token" => {
            Why::Never("the cluster makes it for one account; it is worth nothing anywhere else")
        }
        "secrets" if name == "zuul-keystore-password-new" => Why::Never("it belongs to a rotation that was half done"),
        "secrets" if name == "ca-cert" => Why::Never("the operator deletes it at every run"),
        "secrets" if OF_DATABASE.contains(&name) => Why::IfThere("it belongs to the database that runs here"),
        "secrets" if treatment.moved && CERTIFICATES.contains(&name) => {
            Why::Never("the certificates name the deployment that was saved; the next `deploy` makes others")
        }
        "configmaps" if name == OWNER => Why::IfThere("the operator's own notes"),
        "configmaps" if GENERATED.contains(&name) => Why::Never("the operator renders it at every run"),
        _ if plural == software_factories().to_string() => Why::IfThere("the deployment's own description"),
        _ => return None,
    };
    Some(why)
}

/// The fields that make up an object, apart from where it is and to whom it belongs.
const FIELDS: [&str; 6] = ["type", "data", "binaryData", "stringData", "immutable", "spec"];

/// True if an object of the cluster is the saved one.
fn is_same(saved: &Value, existing: &Value) -> bool {
    let none = Value::Object(Map::new());
    let of = |value: &Value| if value.is_null() { none.clone() } else { value.clone() };
    FIELDS.iter().all(|field| of(&saved[field]) == of(&existing[field]))
        && ["labels", "annotations"]
            .iter()
            .all(|field| of(&saved["metadata"][field]) == of(&existing["metadata"][field]))
}

/// The saved object as this namespace is to have it: its owners are those of the same name here.
fn wanted(saved: &Value, site: &Site<'_>) -> Result<Value, TargetError> {
    let mut object = saved.clone();
    let mut owners = Vec::new();
    for owner in saved["metadata"]["ownerReferences"].as_array().into_iter().flatten() {
        if let Some(uid) = uid_of(owner, site)? {
            let mut owner = owner.clone();
            owner["uid"] = uid;
            owners.push(owner);
        }
    }
    let metadata = object["metadata"].as_object_mut();
    metadata.into_iter().for_each(|metadata| {
        metadata.remove("ownerReferences");
    });
    object["metadata"]["namespace"] = site.namespace.into();
    if !owners.is_empty() {
        object["metadata"]["ownerReferences"] = json!(owners);
    }
    Ok(object)
}

fn uid_of(owner: &Value, site: &Site<'_>) -> Result<Option<Value>, TargetError> {
    let resource = match owner["kind"].as_str() {
        Some("ConfigMap") => Resource::core("configmaps"),
        Some("Secret") => Resource::core("secrets"),
        Some("SoftwareFactory") => software_factories(),
        // A reference to nobody would make the cluster delete the object.
        _ => return Ok(None),
    };
    let found = site.get(&resource, owner["name"].as_str().unwrap_or_default())?;
    Ok(found.map(|found| found["metadata"]["uid"].clone()).filter(Value::is_string))
}
