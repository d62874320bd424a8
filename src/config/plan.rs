//! What a file says is to be taken: the plan of a Software Factory, and a `[[stream]]` table for each further stream
//! (docs/capture.md).

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::tables::FileTable;
use super::values::{Command, Size, Span, parse_resource};
use crate::content::Expected;
use crate::engine::snapshot::Input;
use crate::format::manifest::Proof;
use crate::k8s::{Place, PodChoice, PodPlace};
use crate::pipeline::profile::Profile;
use crate::plan::custom_resource::CustomResource;
use crate::plan::discovery::discover;
use crate::plan::software_factory::{self, Wishes};
use crate::plan::{Plan, PlanError, Planned};
use crate::source::cluster::Take;
use crate::source::database;
use crate::source::objects::{IfAbsent, Query, Wanted, Which};
use crate::source::pod::Bounds;

/// What is taken.
#[derive(Debug, Clone, Default)]
pub struct FilePlan {
    /// The namespace of all streams that name none.
    pub namespace: Option<String>,
    /// True if the Software Factory's own plan is wanted too.
    pub software_factory: bool,
    /// The custom resource of it.
    pub cr: Option<PathBuf>,
    /// What is wanted of it.
    pub wishes: Wishes,
    streams: Vec<(usize, StreamTable)>,
    path: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ProofName {
    P0,
    P1,
    P2,
    P3,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ProfileName {
    Dump,
    Bulk,
    Auto,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct StreamTable {
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) pod: Option<String>,
    pub(super) workload: Option<String>,
    pub(super) selector: Option<String>,
    pub(super) container: Option<String>,
    pub(super) command: Option<Command>,
    pub(super) path: Option<String>,
    pub(super) mariadb: Option<String>,
    #[serde(default)]
    pub(super) zuul_keys: bool,
    pub(super) objects: Option<Vec<String>>,
    pub(super) verify: Option<String>,
    profile: Option<ProfileName>,
    silence: Option<Span>,
    timeout: Option<Span>,
    attempts: Option<u32>,
    spill: Option<Size>,
    min_proof: Option<ProofName>,
    #[serde(default)]
    pub(super) here: bool,
    #[serde(default)]
    pub(super) exclude: Vec<PathBuf>,
}

impl FilePlan {
    /// The Software Factory's own plan, where there is no file.
    pub fn software_factory() -> Self {
        Self { software_factory: true, ..Self::default() }
    }

    /// What a table says; `file` is where it is, and `line` says on which line a place of it is.
    pub(super) fn of(table: &FileTable, file: &Path, line: impl Fn(usize) -> usize) -> Result<Self, PlanError> {
        let path = file.display().to_string();
        let wrong = |why: String| PlanError::File { path: path.clone(), why };
        let software_factory = match &table.plan {
            None => false,
            Some(plan) if plan.get_ref() == "software-factory" => true,
            Some(plan) => {
                let at = line(plan.span().start);
                return Err(wrong(format!("line {at}: the only plan is `software-factory`, not `{}`", plan.get_ref())));
            }
        };
        if !software_factory && (table.cr.is_some() || !table.with.is_empty() || table.configmaps || table.helper_pod) {
            let why = "`cr`, `with`, `configmaps` and `helper-pod` say how to take a Software Factory: that needs `plan = \"software-factory\"`";
            return Err(wrong(why.to_owned()));
        }
        let usual = Bounds::default();
        let relative = |cr: &PathBuf| file.parent().map_or(cr.clone(), |folder| folder.join(cr));
        let bounds = over(&usual, [table.silence, table.timeout], table.attempts, table.spill, table.min_proof);
        let with = table.with.clone();
        let streams = table.stream.iter().map(|stream| (line(stream.span().start), stream.get_ref().clone()));
        Ok(Self {
            namespace: table.namespace.clone(),
            software_factory,
            cr: table.cr.as_ref().map(relative),
            wishes: Wishes { config_maps: table.configmaps, helper_pod: table.helper_pod, with, bounds },
            streams: streams.collect(),
            path: path.clone(),
        })
    }

    /// What is to be taken; asks the cluster for what it does not say.
    pub fn plan(&self, place: &Place, namespace: &str) -> Result<Plan, PlanError> {
        let mut plan = Plan::default();
        if self.software_factory || self.cr.is_some() {
            let cr = self.cr.as_deref().map(CustomResource::read).transpose()?;
            plan = software_factory::plan(&discover(place, namespace)?, cr, &self.wishes)?;
        }
        plan.streams.extend(self.streams(namespace)?);
        Ok(plan)
    }

    /// The streams that the file describes; `namespace` is for those that name none.
    pub fn streams(&self, namespace: &str) -> Result<Vec<Planned>, PlanError> {
        let planned = |(line, table): &(usize, StreamTable)| {
            table.planned(namespace, &self.wishes.bounds).map_err(|why| PlanError::File {
                path: self.path.clone(),
                why: format!("stream `{}` (line {line}): {why}", table.name),
            })
        };
        self.streams.iter().filter(|(_, table)| !table.is_here()).map(planned).collect()
    }

    /// The streams of this machine that the file describes.
    pub fn here(&self) -> Result<Vec<Input>, PlanError> {
        let input = |(line, table): &(usize, StreamTable)| {
            table.input().map_err(|why| PlanError::File {
                path: self.path.clone(),
                why: format!("stream `{}` (line {line}): {why}", table.name),
            })
        };
        self.streams.iter().filter(|(_, table)| table.is_here()).map(input).collect()
    }

    /// True if anything is taken out of a cluster.
    pub fn needs_cluster(&self) -> bool {
        self.software_factory || self.cr.is_some() || self.streams.iter().any(|(_, table)| !table.is_here())
    }
}

/// Bounds as usual, but for what a table says.
fn over(
    usual: &Bounds,
    [silence, timeout]: [Option<Span>; 2],
    attempts: Option<u32>,
    spill: Option<Size>,
    min_proof: Option<ProofName>,
) -> Bounds {
    Bounds {
        silence: silence.map_or(usual.silence, |span| span.0),
        timeout: timeout.map_or(usual.timeout, |span| span.0),
        attempts: attempts.unwrap_or(usual.attempts),
        pause: usual.pause,
        spill: spill.map_or(usual.spill, |size| size.0),
        min_proof: min_proof.map_or(usual.min_proof, ProofName::proof),
    }
}

impl ProofName {
    fn proof(self) -> Proof {
        match self {
            Self::P0 => Proof::P0,
            Self::P1 => Proof::P1,
            Self::P2 => Proof::P2,
            Self::P3 => Proof::P3,
        }
    }
}

impl StreamTable {
    fn planned(&self, namespace: &str, usual: &Bounds) -> Result<Planned, String> {
        let namespace = self.namespace.as_deref().unwrap_or(namespace);
        let bounds = over(usual, [self.silence, self.timeout], self.attempts, self.spill, self.min_proof);
        let take = self.take(namespace)?;
        let (name, why) = (self.name.clone(), "the file describes it".to_owned());
        Ok(Planned { name, take, bounds, profile: self.profile(), why })
    }

    pub(super) fn profile(&self) -> Profile {
        match self.profile {
            Some(ProfileName::Dump) => Profile::Dump,
            Some(ProfileName::Bulk) => Profile::Bulk,
            Some(ProfileName::Auto) | None => Profile::Auto,
        }
    }

    /// True if it says how long or how often something in a cluster is tried, or how well it must be proven.
    pub(super) fn has_bounds(&self) -> bool {
        let times = self.silence.is_some() || self.timeout.is_some() || self.attempts.is_some();
        times || self.spill.is_some() || self.min_proof.is_some()
    }

    fn take(&self, namespace: &str) -> Result<Take, String> {
        let given = [
            self.command.is_some(),
            self.path.is_some(),
            self.mariadb.is_some(),
            self.zuul_keys,
            self.objects.is_some(),
        ];
        if given.iter().filter(|given| **given).count() != 1 {
            return Err("it needs one of `command`, `path`, `mariadb`, `zuul-keys`, `objects`".to_owned());
        }
        if !self.exclude.is_empty() {
            return Err("`exclude` is for a folder of this machine (`here = true`)".to_owned());
        }
        if self.verify.is_some() && self.command.is_none() {
            return Err("`verify` is for a `command`; the others have checks of their own".to_owned());
        }
        if let Some(objects) = &self.objects {
            return self.query(namespace, objects).map(Take::Objects);
        }
        let pod = self.pod(namespace)?;
        if let Some(command) = &self.command {
            if command.is_empty() {
                return Err("its command is empty".to_owned());
            }
            let unknown =
                |name: &String| format!("no check is called `{name}`; there are {}", Expected::NAMES.join(", "));
            let expected =
                self.verify.as_ref().map(|name| Expected::named(name).ok_or_else(|| unknown(name))).transpose()?;
            return Ok(Take::Command(pod, command.clone().into(), expected));
        }
        if let Some(path) = &self.path {
            if !path.starts_with('/') {
                return Err(format!("`{path}` is no absolute path in the container"));
            }
            return Ok(Take::Folder(pod, path.clone()));
        }
        match &self.mariadb {
            Some(name) if database::is_name(name) => Ok(Take::Database(pod, name.clone())),
            Some(name) => {
                Err(format!("`{name}` cannot be the name of a database here: letters, digits, `_` and `-` only"))
            }
            None => Ok(Take::ZuulKeys(pod, None)),
        }
    }

    fn pod(&self, namespace: &str) -> Result<PodPlace, String> {
        let choice = match (&self.pod, &self.workload, &self.selector) {
            (Some(pod), None, None) => PodChoice::Named(pod.clone()),
            (None, Some(workload), None) => PodChoice::workload(workload)
                .ok_or_else(|| format!("`{workload}` is neither statefulset/NAME nor deployment/NAME"))?,
            (None, None, Some(labels)) => PodChoice::Labelled(labels.clone()),
            _ => return Err("it needs one of `pod`, `workload`, `selector`, or `here = true`".to_owned()),
        };
        Ok(PodPlace { namespace: namespace.to_owned(), pod: choice, container: self.container.clone() })
    }

    fn query(&self, namespace: &str, objects: &[String]) -> Result<Query, String> {
        if self.pod.is_some() || self.workload.is_some() || self.container.is_some() {
            return Err("`objects` are not in a pod".to_owned());
        }
        if objects.is_empty() {
            return Err("`objects` names none".to_owned());
        }
        let labels = self.selector.clone().unwrap_or_default();
        let wanted = |text: &String| {
            let (resource, name) = parse_resource(text)?;
            let which = name.map_or(Which::Labelled(labels.clone()), Which::Named);
            let if_absent = if matches!(which, Which::Named(_)) { IfAbsent::Fail } else { IfAbsent::Tell };
            Ok(Wanted { resource, which, if_absent })
        };
        let wanted = objects.iter().map(wanted).collect::<Result<_, String>>()?;
        Ok(Query { namespace: namespace.to_owned(), wanted, ..Query::default() })
    }
}
