//! Streams out of a cluster.

use serde_json::Value;

use super::helper_pod::{CONTAINER, HelperPod};
use super::objects::{self, Query};
use super::pod::{self, Bounds, PodCommand, Run};
use super::retry::retry;
use super::{SourceError, Verdict, database, pod_folder, zuul_keys};
use crate::content::{Check, Expected, Facts};
use crate::env::Env;
use crate::format::manifest::{Origin, Proof};
use crate::k8s::{Place, PodPlace};
use crate::pipeline::lanes::Lanes;

/// What is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Take {
    /// Objects.
    Objects(Query),
    /// The standard output of a command, which must look like this.
    Command(PodPlace, PodCommand, Option<Expected>),
    /// A folder, by its path.
    Folder(PodPlace, String),
    /// A database of MariaDB or MySQL, by its name.
    Database(PodPlace, String),
    /// Zuul's keys; in a helper pod with this specification, if there is one.
    ZuulKeys(PodPlace, Option<Value>),
}

/// A stream out of a cluster.
#[derive(Debug, Clone)]
pub struct ClusterStream {
    /// The cluster.
    pub place: Place,
    /// What is taken.
    pub take: Take,
    /// How long, how much, how well.
    pub bounds: Bounds,
}

impl Take {
    /// Where it comes from, as the manifest says it.
    pub fn origin(&self) -> Origin {
        match self {
            Self::Objects(query) => Origin::Objects { namespace: query.namespace.clone() },
            Self::Folder(pod, path) => Origin::PodFolder {
                namespace: pod.namespace.clone(),
                pod: pod.pod.to_string(),
                container: pod.container.clone(),
                path: path.clone(),
            },
            Self::Command(pod, command, _) => command_origin(pod, command.line()),
            Self::Database(pod, name) => command_origin(pod, format!("mariadb-dump {name}")),
            Self::ZuulKeys(pod, _) => command_origin(pod, zuul_keys::command().line()),
        }
    }

    /// Where it comes from, for people.
    pub fn place(&self) -> String {
        match self {
            Self::Objects(query) => query.namespace.clone(),
            Self::Command(pod, ..) | Self::Folder(pod, _) | Self::Database(pod, _) | Self::ZuulKeys(pod, _) => {
                pod.to_string()
            }
        }
    }

    /// True if it is a folder stream: it has a catalog.
    pub fn is_folder(&self) -> bool {
        matches!(self, Self::Objects(_) | Self::Folder(..))
    }

    /// The best proof that it can have.
    pub fn best_proof(&self) -> Proof {
        match self {
            Self::Objects(_) | Self::Database(..) | Self::ZuulKeys(..) | Self::Command(_, _, Some(_)) => Proof::P3,
            Self::Command(_, _, None) | Self::Folder(..) => Proof::P2,
        }
    }
}

fn command_origin(pod: &PodPlace, command: String) -> Origin {
    let (namespace, container) = (pod.namespace.clone(), pod.container.clone());
    Origin::Pod { namespace, pod: pod.pod.to_string(), container, command }
}

/// Takes a stream; tries again where the reason of a failure passes. Nothing is taken that cannot be proven as well as
/// is asked for.
pub fn take(name: &str, stream: &ClusterStream, env: &Env, lanes: &mut Lanes) -> Result<Verdict, SourceError> {
    let (best, wanted) = (stream.take.best_proof(), stream.bounds.min_proof);
    if best < wanted {
        let (target, lacks) = (stream.take.place(), "nothing checks its content");
        return Err(SourceError::Unproven { target, reached: best, wanted, lacks });
    }
    retry(name, &stream.bounds, env, lanes, |lanes| attempt(stream, env, lanes))
}

fn attempt(stream: &ClusterStream, env: &Env, lanes: &mut Lanes) -> Result<Verdict, SourceError> {
    let run = |pod, command| Run { place: &stream.place, pod, command, bounds: &stream.bounds, tolerated: &[] };
    match &stream.take {
        Take::Objects(query) => objects::take(&stream.place, query, lanes),
        Take::Command(pod, command, expected) => checked(&run(pod, command), *expected, &env.random(), lanes),
        Take::Folder(pod, path) => pod_folder::take(&run(pod, &pod_folder::command(path)), &env.random(), lanes),
        Take::Database(pod, name) => {
            database::take(&run(pod, &database::command(name)), name, &mut || env.random(), lanes)
        }
        Take::ZuulKeys(pod, helper) => {
            let helper = helper
                .as_ref()
                .map(|spec| HelperPod::start(&stream.place, &pod.namespace, "keys", spec, env, lanes.cancel()));
            let helper = helper.transpose()?;
            let helper = helper.map(|helper| (helper.container(CONTAINER), helper));
            let pod = helper.as_ref().map_or(pod, |(pod, _)| pod);
            zuul_keys::take(&run(pod, &zuul_keys::command()), &env.random(), lanes)
        }
    }
}

/// Takes what a command writes, as it is, and looks at it on the way.
fn checked(
    run: &Run<'_>,
    expected: Option<Expected>,
    random: &[u8; 48],
    lanes: &mut Lanes,
) -> Result<Verdict, SourceError> {
    let cancel = lanes.cancel().clone();
    let mut check = expected.map(Expected::check);
    let ((), whole) = pod::run(run, random, &cancel, |arriving| {
        arriving.copy_to(|part| {
            check.iter_mut().for_each(|check| check.push(part));
            Ok(lanes.write(0, part)?)
        })
    })?;
    let facts = check.map(Check::finish).transpose().map_err(|error| SourceError::Content(Box::new(error)))?;
    let proven = facts.is_some() && whole.proof == Proof::P2;
    let mut verdict = Verdict::proven(if proven { Proof::P3 } else { whole.proof });
    if let Some(Facts::Dump(dump)) = &facts {
        verdict.facts = database::rows(dump);
    }
    Ok(verdict)
}
