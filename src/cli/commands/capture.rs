//! What is to be taken out of a cluster: from the command line, from a file, or by discovery.

use std::time::Duration;

use crate::cli::args;
use crate::cli::output::CliError;
use crate::config::{Config, FilePlan, Target};
use crate::engine::snapshot::{From, Input};
use crate::error::Error;
use crate::format::manifest::Proof;
use crate::k8s::{Place, PodChoice, PodPlace, default_namespace};
use crate::plan::software_factory::Wishes;
use crate::plan::{Plan, PlanError};
use crate::source::cluster::{ClusterStream, Take};
use crate::source::pod::{Bounds, PodCommand};

pub(super) fn place(cluster: &args::Cluster) -> Place {
    Place { kubeconfig: cluster.kubeconfig.clone(), context: cluster.context.clone() }
}

/// The streams of `snapshot`: those of `--pod`, and a plan if one is asked for. `others` says whether the command line
/// names streams of this machine.
pub(super) fn inputs(args: &args::Snapshot, others: bool) -> Result<Vec<Input>, CliError> {
    let mut inputs = pods(args)?;
    let (cluster, wanted) = (&args.cluster, &args.plan);
    let asked = wanted.config.is_some() || wanted.cr.is_some();
    if asked || (cluster.namespace.is_some() && !others && args.pod.is_empty()) {
        inputs.extend(of_target(cluster, wanted)?);
    } else if cluster.namespace.is_some() && args.pod.is_empty() {
        let text = "-n is for streams out of a cluster: with others beside it, --cr or --config takes its plan";
        return Err(Error::Usage(text.to_owned()).into());
    } else if wanted.configmaps
        || wanted.helper_pod
        || [&wanted.with, &wanted.only, &wanted.skip].iter().any(|names| !names.is_empty())
    {
        let text = "--configmaps, --with, --only and --skip are for the plan of a namespace: name one with -n";
        return Err(Error::Usage(text.to_owned()).into());
    }
    Ok(inputs)
}

/// The streams of a plan.
pub(super) fn streams(place: &Place, plan: Plan) -> impl Iterator<Item = Input> {
    plan.streams.into_iter().map(|planned| {
        let (take, bounds) = (planned.take, planned.bounds);
        let from = From::Cluster(ClusterStream { place: place.clone(), take, bounds });
        Input { name: planned.name.into_bytes(), from, profile: Some(planned.profile) }
    })
}

/// The target of the file that the arguments name.
fn target(wanted: &args::Plan) -> Result<Option<Target>, CliError> {
    let Some(path) = &wanted.config else { return Ok(None) };
    let config = Config::read(path)?;
    Ok(Some(config.target(wanted.target.as_deref()).map_err(Error::Usage)?.clone()))
}

/// The streams of a plan, and of this machine where the file describes any.
fn of_target(cluster: &args::Cluster, wanted: &args::Plan) -> Result<Vec<Input>, CliError> {
    let planned = |wanted: &args::Plan| -> Result<Vec<Input>, CliError> {
        let (place, plan) = plan(cluster, wanted)?;
        Ok(streams(&place, plan).collect())
    };
    let Some(target) = target(wanted)? else { return planned(wanted) };
    let picked = |input: &Input| {
        let is = |name: &String| name.as_bytes() == input.name;
        (wanted.only.is_empty() || wanted.only.iter().any(is)) && !wanted.skip.iter().any(is)
    };
    let mut here = target.plan.here()?;
    let mut rest = wanted.clone();
    // What is picked by name here is nothing to look for in the cluster.
    for names in [&mut rest.only, &mut rest.skip] {
        names.retain(|name| !here.iter().any(|input| input.name == name.as_bytes()));
    }
    here.retain(picked);
    let all_here = !wanted.only.is_empty() && rest.only.is_empty();
    let needs_cluster = (target.plan.needs_cluster() || wanted.cr.is_some()) && !all_here;
    if needs_cluster {
        here.extend(planned(&rest)?);
    }
    Ok(here)
}

/// The plan that the arguments describe, and its cluster. Asks the cluster where that is needed.
pub(super) fn plan(cluster: &args::Cluster, wanted: &args::Plan) -> Result<(Place, Plan), CliError> {
    let target = target(wanted)?;
    let said = place(cluster);
    let place = match &target {
        Some(Target { place, .. }) => Place {
            kubeconfig: said.kubeconfig.or_else(|| place.kubeconfig.clone()),
            context: said.context.or_else(|| place.context.clone()),
        },
        None => said,
    };
    let mut file = target.map_or_else(FilePlan::software_factory, |target| target.plan);
    adjust(&mut file.wishes, wanted);
    file.cr = wanted.cr.clone().or(file.cr);
    let is_software_factory = file.software_factory || wanted.cr.is_some();
    if !is_software_factory && (wanted.configmaps || wanted.helper_pod || !wanted.with.is_empty()) {
        let text = "--configmaps, --helper-pod and --with are for a Software Factory, which the file does not ask for";
        return Err(Error::Usage(text.to_owned()).into());
    }
    let namespace = namespace(cluster, file.namespace.as_deref(), &place)?;
    let plan = file.plan(&place, &namespace)?.pick(&wanted.only, &wanted.skip)?;
    Ok((place, plan))
}

/// What is said on the command line comes first.
fn adjust(wishes: &mut Wishes, wanted: &args::Plan) {
    wishes.config_maps |= wanted.configmaps;
    wishes.helper_pod |= wanted.helper_pod;
    wishes.with.extend(wanted.with.iter().cloned());
    wishes.bounds = bounds(wanted, &wishes.bounds);
}

fn bounds(wanted: &args::Plan, usual: &Bounds) -> Bounds {
    let min_proof = wanted.min_proof.map(|proof| match proof {
        args::MinProof::P0 => Proof::P0,
        args::MinProof::P1 => Proof::P1,
        args::MinProof::P2 => Proof::P2,
        args::MinProof::P3 => Proof::P3,
    });
    Bounds {
        silence: wanted.silence.map_or(usual.silence, Duration::from_secs),
        timeout: wanted.timeout.map_or(usual.timeout, Duration::from_secs),
        attempts: wanted.attempts.unwrap_or(usual.attempts),
        min_proof: min_proof.unwrap_or(usual.min_proof),
        pause: usual.pause,
        spill: usual.spill,
    }
}

pub(super) fn namespace(cluster: &args::Cluster, usual: Option<&str>, place: &Place) -> Result<String, CliError> {
    match cluster.namespace.as_deref().or(usual) {
        Some(namespace) => Ok(namespace.to_owned()),
        None => Ok(default_namespace(place).map_err(|error| Error::Usage(crate::error::chain(&error)))?),
    }
}

fn pods(args: &args::Snapshot) -> Result<Vec<Input>, CliError> {
    if args.pod.is_empty() {
        return Ok(Vec::new());
    }
    let place = place(&args.cluster);
    let namespace = namespace(&args.cluster, None, &place)?;
    let bounds = bounds(&args.plan, &Bounds::default());
    let input = |argument: &String| {
        let wrong = || Error::Usage(format!("--pod wants NAME=POD[/CONTAINER]:COMMAND, not `{argument}`"));
        let (name, rest) = argument.split_once('=').ok_or_else(wrong)?;
        let (pod, command) =
            rest.split_once(':').filter(|(_, command)| !command.trim().is_empty()).ok_or_else(wrong)?;
        let (pod, container) = pod.split_once('/').map_or((pod, None), |(pod, c)| (pod, Some(c.to_owned())));
        let pod = PodPlace { namespace: namespace.clone(), pod: PodChoice::Named(pod.to_owned()), container };
        let take = Take::Command(pod, PodCommand::Shell(command.to_owned()), None);
        let (place, bounds) = (place.clone(), bounds.clone());
        Ok(Input::new(name, From::Cluster(ClusterStream { place, take, bounds })))
    };
    args.pod.iter().map(input).collect()
}

impl std::convert::From<PlanError> for CliError {
    fn from(error: PlanError) -> Self {
        Self::Operation(Error::Plan(error))
    }
}
