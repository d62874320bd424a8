//! What is done when it is due: a target's run, and a drill.

use super::hooks;
use super::plain::PlainText;
use super::state::{Ending, Run};
use super::upkeep::Done;
use crate::config::{Config, Hooks, Target};
use crate::engine::drill::{self, drill};
use crate::engine::name_of;
use crate::engine::retention::TARGET;
use crate::engine::snapshot::{Input, Options, snapshot};
use crate::env::{Env, UnixNanos};
use crate::error::{Error, chain};
use crate::format::manifest::{Manifest, OWN_LABEL, StreamEntry};
use crate::ids::ObjectId;
use crate::repo::snapshots::Snapshot;
use crate::repo::{RepoError, Repository};

/// Says what a target consists of at this moment.
pub type Inputs = dyn Fn(&Target) -> Result<Vec<Input>, Error> + Send + Sync;

/// What came of a run of a target.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The run.
    pub run: Run,
    /// Streams of its snapshot: name, bytes, proof.
    pub streams: Vec<(PlainText, u64, PlainText)>,
    /// What should be known besides, a sentence each.
    pub warnings: Vec<String>,
}

/// Takes a snapshot of a target.
pub fn run_target(repository: &Repository, target: &Target, inputs: &Inputs, host: &str) -> Outcome {
    let began = repository.env.clock.now();
    let mut warnings = Vec::new();
    let taken = attempt(repository, target, inputs, host);
    let mut run = Run {
        began,
        took: 0,
        ending: Ending::Failed,
        snapshot: None,
        bytes: 0,
        new: 0,
        added: 0,
        error: None,
        cause: None,
    };
    let mut streams = Vec::new();
    match taken {
        Ok((id, manifest)) => {
            run.ending = if manifest.is_good() { Ending::Good } else { Ending::Flawed };
            run.snapshot = id.map(|id| id.to_string().into());
            run.bytes = manifest.streams.iter().map(|stream| stream.content.len).sum();
            run.new = manifest.streams.iter().map(|stream| stream.new_bytes).sum();
            run.added = manifest.added;
            run.error = manifest
                .findings
                .first()
                .map(|finding| PlainText::from(&finding[..]))
                .or_else(|| (!manifest.complete).then(|| "not everything could be read".into()));
            let known = |s: &StreamEntry| (name_of(s).into(), s.content.len, s.proof.to_string().into());
            streams = manifest.streams.iter().map(known).collect();
        }
        Err(error) => {
            run.cause = Some(cause(&error).into());
            run.error = Some(chain(&error).into());
        }
    }
    run.took = u64::try_from(repository.env.clock.now() - began).unwrap_or(0);
    after(&repository.env, target, &run, &mut warnings);
    Outcome { run, streams, warnings }
}

/// A run of a target whose repository does not open.
pub fn without_repository(target: &Target, env: &Env, began: UnixNanos, error: &Error) -> Outcome {
    let mut outcome = not_begun(began, env.clock.now(), error);
    after(env, target, &outcome.run, &mut outcome.warnings);
    outcome
}

/// A run that could not even begin.
pub fn not_begun(began: UnixNanos, now: UnixNanos, error: &Error) -> Outcome {
    let run = Run {
        began,
        took: u64::try_from(now - began).unwrap_or(0),
        ending: Ending::Failed,
        snapshot: None,
        bytes: 0,
        new: 0,
        added: 0,
        error: Some(chain(error).into()),
        cause: Some(cause(error).into()),
    };
    Outcome { run, streams: Vec::new(), warnings: Vec::new() }
}

fn attempt(
    repository: &Repository,
    target: &Target,
    inputs: &Inputs,
    host: &str,
) -> Result<(Option<ObjectId>, Manifest), Error> {
    if let Some(line) = &target.hooks.before {
        let variables = [("SFARC_TARGET", PlainText::from(&target.name[..]))];
        hooks::run("before", line, variables, &repository.env, &repository.env.cancel)?;
    }
    let options = Options {
        inputs: inputs(target)?,
        tags: target.tags.clone(),
        labels: vec![(TARGET.to_owned(), target.name.clone())],
        host: host.to_owned(),
        ..Options::default()
    };
    let report = snapshot(repository, &options)?;
    Ok((report.id, report.manifest))
}

fn after(env: &Env, target: &Target, run: &Run, warnings: &mut Vec<String>) {
    let Hooks { after, on_failure, .. } = &target.hooks;
    let outcome = match run.ending {
        Ending::Good => "good",
        Ending::Flawed => "flawed",
        Ending::Failed => "failed",
    };
    let variables: [(&str, PlainText); 4] = [
        ("SFARC_TARGET", (&target.name[..]).into()),
        ("SFARC_OUTCOME", outcome.into()),
        ("SFARC_SNAPSHOT", run.snapshot.clone().unwrap_or_default()),
        ("SFARC_ERROR", run.error.clone().unwrap_or_default()),
    ];
    let failed = on_failure.as_ref().filter(|_| run.ending != Ending::Good).map(|line| ("on-failure", line));
    for (name, line) in failed.into_iter().chain(after.as_ref().map(|line| ("after", line))) {
        if let Err(error) = hooks::run(name, line, variables.clone(), env, &env.cancel) {
            warnings.push(chain(&error));
        }
    }
}

/// What kind of failure it was, in a word.
pub fn cause(error: &Error) -> &'static str {
    match error {
        Error::Repo(RepoError::Cancelled) => "interrupted",
        Error::Repo(_) => "repository",
        Error::Plan(_) => "cluster",
        Error::Source { .. } => "stream",
        Error::Target { doing, .. } if doing.starts_with("run the hook") => "hook",
        Error::Target { .. } => "cluster",
        Error::Restore { .. } => "restore",
        Error::Usage(_) => "configuration",
        _ => "other",
    }
}

/// Restores the newest good snapshot of the target that was not drilled for longest, for practice. A drill that cannot
/// prove it is an error.
pub fn drill_next(repository: &Repository, config: &Config, host: &str) -> Result<Done, Error> {
    let all = repository.snapshots()?.snapshots;
    let now = repository.env.clock.now();
    let come: Vec<Snapshot> = all.into_iter().filter(|snapshot| !snapshot.is_of_the_future(now)).collect();
    let Some(snapshot) = next_to_drill(&come, config) else {
        return Ok(Done { did: "there is nothing to drill yet".to_owned(), ..Done::default() });
    };
    let at = match &config.upkeep.drill_namespace {
        None => drill::At::Here(std::env::var_os("PATH").unwrap_or_default()),
        Some(namespace) => drill::At::Cluster {
            place: place_of(snapshot, config),
            namespace: namespace.clone(),
            images: drill::Images::default(),
        },
    };
    let limit = config.upkeep.time_at_most;
    let patience = crate::target::feed::Patience { silence: limit, limit };
    let report = drill(repository, snapshot, &drill::Options { at, patience, host: host.to_owned() })?;
    let short = snapshot.id.short();
    if report.is_proven {
        let drilled = Some(repository.env.clock.now());
        return Ok(Done { did: format!("proven: snapshot {short}"), drilled, ..Done::default() });
    }
    use crate::engine::verify::Outcome;
    let why = report.checks.iter().find_map(|check| match &check.outcome {
        Outcome::Bad(why) => Some(why.clone()),
        Outcome::Note(why) if why.starts_with("not tried") => Some(why.clone()),
        _ => None,
    });
    Err(Error::Refused(format!("snapshot {short} is not proven: {}", why.unwrap_or_default())))
}

fn place_of(snapshot: &Snapshot, config: &Config) -> crate::k8s::Place {
    let name = snapshot.manifest.label(TARGET);
    let target = config.targets.iter().find(|target| Some(&target.name[..]) == name);
    target.map(|target| target.place.clone()).unwrap_or_default()
}

fn next_to_drill<'a>(all: &'a [Snapshot], config: &Config) -> Option<&'a Snapshot> {
    let newest = |target: &Target| {
        let of = all.iter().filter(|snapshot| snapshot.manifest.label(TARGET) == Some(&target.name[..]));
        of.filter(|snapshot| snapshot.manifest.is_good()).max_by_key(|snapshot| snapshot.manifest.time)
    };
    let label = format!("{OWN_LABEL}drill-of");
    // Records name snapshots, and these their targets; of those that are gone, nobody knows.
    let last = |target: &Target| {
        let is_of = |id: &str| {
            let drilled = all.iter().find(|snapshot| snapshot.id.to_string() == id);
            drilled.is_some_and(|snapshot| snapshot.manifest.label(TARGET) == Some(&target.name[..]))
        };
        let records = all.iter().filter(|record| record.manifest.label(&label).is_some_and(is_of));
        records.map(|record| record.manifest.time).max()
    };
    let targets = config.targets.iter().filter_map(|target| Some((last(target), newest(target)?)));
    targets.min_by_key(|(last, _)| *last).map(|(_, snapshot)| snapshot)
}
