//! Objects of the cluster: one file each, in a form in which an unchanged object is an unchanged byte.

pub(crate) mod canonical;
mod workloads;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::members::Members;
use super::zuul_keys::{PASSWORD, PASSWORD_FACT};
use super::{SourceError, Verdict, block_on};
use crate::format::manifest::Proof;
use crate::k8s::exec::ExecError;
use crate::k8s::{Cluster, ClusterError, Place, Resource};
use crate::pipeline::lanes::Lanes;
use crate::tar::{Entry, EntryKind};

/// Which objects of a type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    /// The one of this name.
    Named(String),
    /// All, or those with these labels (`key=value,...`).
    Labelled(String),
}

/// What it means if an object is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IfAbsent {
    /// The snapshot would be worth nothing.
    Fail,
    /// Something is wrong with the deployment: it is said.
    Tell,
    /// Nothing: not every deployment has it.
    Ignore,
    /// It must not be there: its presence is a finding.
    Expected,
}

/// Objects that are wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// Their type.
    pub resource: Resource,
    /// Which of them.
    pub which: Which,
    /// What it means if they are not there.
    pub if_absent: IfAbsent,
}

/// A stream of objects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// Their namespace.
    pub namespace: String,
    /// Which objects.
    pub wanted: Vec<Wanted>,
    /// Files that are stored beside them, as they are: name and content.
    pub files: Vec<(String, Vec<u8>)>,
    /// What is remarkable about the query itself, one sentence each.
    pub notes: Vec<String>,
    /// What is known of the deployment, by name.
    pub facts: Vec<(String, String)>,
    /// Also tells replicas, images and volumes of all workloads (`workloads.json`).
    pub workloads: bool,
}

/// Asks for the objects and writes them.
pub(super) fn take(place: &Place, query: &Query, lanes: &mut Lanes) -> Result<Verdict, SourceError> {
    let mut found = Found::default();
    let asked: Result<(), ClusterError> = block_on(async {
        let cluster = Cluster::connect(place).await?;
        found.ask(&cluster, query).await
    })?;
    asked.map_err(ExecError::from)?;
    if let Some(absent) = found.fatal.take() {
        return Err(SourceError::Absent(absent));
    }
    found.files.extend(query.files.iter().cloned());
    found.facts.extend(query.facts.iter().cloned());
    found.notes.extend(query.notes.iter().cloned());
    write(&found.files, lanes).map_err(SourceError::Member)?;
    let proof = Proof::P3;
    let facts = found.counts.into_iter().map(|(of, count)| (of, count.to_string())).chain(found.facts).collect();
    Ok(Verdict { facts, changed: found.notes, findings: found.findings, ..Verdict::proven(proof) })
}

#[derive(Default)]
struct Found {
    files: BTreeMap<String, Vec<u8>>,
    counts: BTreeMap<String, usize>,
    facts: Vec<(String, String)>,
    notes: Vec<String>,
    findings: Vec<String>,
    /// Something without which there is no snapshot.
    fatal: Option<String>,
}

impl Found {
    async fn ask(&mut self, cluster: &Cluster, query: &Query) -> Result<(), ClusterError> {
        for wanted in &query.wanted {
            let resource = &wanted.resource;
            match &wanted.which {
                Which::Named(name) => match cluster.get(resource, &query.namespace, name).await? {
                    Some(object) => self.take(wanted, &object),
                    None => self.absent(wanted, &format!("{} {name}", canonical::kind(resource))),
                },
                Which::Labelled(labels) => match cluster.list(resource, &query.namespace, labels).await? {
                    Some(objects) => objects.iter().for_each(|object| self.take(wanted, object)),
                    None => self.absent(wanted, &format!("the type {resource}")),
                },
            }
        }
        if query.workloads {
            let workloads = workloads::describe(cluster, &query.namespace).await?;
            self.files.insert("workloads.json".to_owned(), canonical::bytes(&workloads));
        }
        Ok(())
    }

    fn take(&mut self, wanted: &Wanted, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let plural = wanted.resource.to_string();
        if wanted.if_absent == IfAbsent::Expected {
            let kind = canonical::kind(&wanted.resource);
            self.findings.push(format!("{kind} {name} exists: a change is half done"));
        }
        if plural == "secrets" && name == PASSWORD {
            let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            self.facts.push((PASSWORD_FACT.to_owned(), version.to_owned()));
        }
        if let Some(version) = object["metadata"]["annotations"]["sf-operator-version"].as_str() {
            self.facts.push(("sf-operator-version".to_owned(), version.to_owned()));
        }
        let object = canonical::object(object, &wanted.resource);
        if self.files.insert(format!("{plural}/{name}.json"), canonical::bytes(&object)).is_none() {
            *self.counts.entry(plural).or_default() += 1;
        }
    }

    fn absent(&mut self, wanted: &Wanted, what: &str) {
        match wanted.if_absent {
            IfAbsent::Fail => self.fatal = Some(what.to_owned()),
            IfAbsent::Tell => self.notes.push(format!("{what} is not there")),
            IfAbsent::Ignore | IfAbsent::Expected => {}
        }
    }
}

/// Writes files as a folder stream that depends on nothing but their names and contents.
pub(crate) fn write(files: &BTreeMap<String, Vec<u8>>, lanes: &mut Lanes) -> Result<(), crate::tar::WriteError> {
    let mut members = Members::new(lanes);
    let mut folders = BTreeSet::new();
    members.append(&Entry { mode: 0o700, ..Entry::new(".", EntryKind::Dir) }, &mut std::io::empty())?;
    for (path, bytes) in files {
        if let Some((folder, _)) = path.split_once('/')
            && folders.insert(folder)
        {
            members.append(&Entry { mode: 0o700, ..Entry::new(folder, EntryKind::Dir) }, &mut std::io::empty())?;
        }
        let len = bytes.len() as u64;
        let entry = Entry { mode: 0o600, size: len, stored: len, ..Entry::new(&path[..], EntryKind::File) };
        members.append(&entry, &mut &bytes[..])?;
    }
    members.finish()
}
