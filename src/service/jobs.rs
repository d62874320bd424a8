//! What is done when it is due: a target's run, and the works of upkeep.

use std::collections::{BTreeMap, HashSet};

use super::hooks;
use super::ledger::{self, Ledger};
use super::state::{Ending, Run};
use crate::backend::Kind;
use crate::config::{Config, Hooks, Target, Upkeep};
use crate::engine::check::{ReadData, check};
use crate::engine::collect::{self, collect};
use crate::engine::drill::{self, drill};
use crate::engine::retention::{Rules, TARGET, decide};
use crate::engine::snapshot::{Input, Options, snapshot};
use crate::engine::{name_of, pin};
use crate::env::{Cancel, Env, UnixNanos};
use crate::error::{Error, chain};
use crate::format::manifest::{Manifest, OWN_LABEL};
use crate::ids::ObjectId;
use crate::repo::snapshots::Snapshot;
use crate::repo::{RepoError, Repository};
use crate::schedule::{in_words, nanos};

/// Says what a target consists of at this moment.
pub type Inputs = dyn Fn(&Target) -> Result<Vec<Input>, Error> + Send + Sync;

/// What came of a run of a target.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The run.
    pub run: Run,
    /// Streams of its snapshot: name, bytes, proof.
    pub streams: Vec<(String, u64, String)>,
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
            run.snapshot = id.map(|id| id.to_string());
            run.bytes = manifest.streams.iter().map(|stream| stream.content.len).sum();
            run.new = manifest.streams.iter().map(|stream| stream.new_bytes).sum();
            run.added = manifest.added;
            run.error = manifest
                .findings
                .first()
                .cloned()
                .or_else(|| (!manifest.complete).then(|| "not everything could be read".to_owned()));
            streams = manifest.streams.iter().map(|s| (name_of(s), s.content.len, s.proof.to_string())).collect();
        }
        Err(error) => {
            run.cause = Some(cause(&error).to_owned());
            run.error = Some(chain(&error));
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
        error: Some(chain(error)),
        cause: Some(cause(error).to_owned()),
    };
    Outcome { run, streams: Vec::new(), warnings: Vec::new() }
}

fn attempt(
    repository: &Repository,
    target: &Target,
    inputs: &Inputs,
    host: &str,
) -> Result<(Option<ObjectId>, Manifest), Error> {
    let variables = [("SFARC_TARGET", target.name.clone())];
    if let Some(line) = &target.hooks.before {
        hooks::run("before", line, &variables, &repository.env, &repository.env.cancel)?;
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
    let variables = [
        ("SFARC_TARGET", target.name.clone()),
        ("SFARC_OUTCOME", outcome.to_owned()),
        ("SFARC_SNAPSHOT", run.snapshot.clone().unwrap_or_default()),
        ("SFARC_ERROR", run.error.clone().unwrap_or_default()),
    ];
    let failed = on_failure.as_ref().filter(|_| run.ending != Ending::Good).map(|line| ("on-failure", line));
    for (name, line) in failed.into_iter().chain(after.as_ref().map(|line| ("after", line))) {
        if let Err(error) = hooks::run(name, line, &variables, env, &env.cancel) {
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

/// What came of a work of upkeep.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// What was done, in words.
    pub did: String,
    /// When every byte had been read, if that is known now.
    pub read_since: Option<UnixNanos>,
    /// When a drill has proven something, if it has now.
    pub drilled: Option<UnixNanos>,
    /// Stored bytes, and bytes of the streams of all snapshots.
    pub size: Option<(u64, u64)>,
    /// How many snapshots the rules of each target keep, if they were applied.
    pub kept: Option<BTreeMap<String, u64>>,
}

/// Forgets the snapshots that no rule keeps, and collects garbage.
///
/// Both are done together, and not after each run: who only takes snapshots need not be allowed to remove any, and
/// each time that something is forgotten is written down for ever.
pub fn prune(repository: &Repository, config: &Config) -> Result<Done, Error> {
    let listing = repository.snapshots()?;
    let target_of = |manifest: &Manifest| {
        let name = manifest.label(TARGET)?;
        config.targets.iter().find(|target| target.name == name)
    };
    // Snapshots of targets that the file does not name, or of nobody's, are not ours to thin out.
    let mut decisions = decide(&listing, repository.env.clock.now(), Some(&config.own), |manifest| {
        target_of(manifest).map(|target| Rules { policy: &target.retention, zone: &target.zone })
    });
    let superseded = Ledger::read(repository)?.superseded();
    decisions.iter_mut().filter(|one| superseded.contains(&one.id)).for_each(|one| one.reasons.clear());
    let gone = pin::forget_unkept(repository, &listing, &decisions)?;
    let upkeep = &config.upkeep;
    let options =
        collect::Options { max_unused: upkeep.max_unused, repack_at_most: upkeep.rewrite_at_most, dry_run: false };
    let mut bounded = repository.clone();
    bounded.env.cancel = enough(repository, upkeep);
    let report = collect(&bounded, options).map_err(|error| match error {
        Error::Repo(RepoError::Cancelled) if !repository.env.cancel.is_cancelled() => Error::Refused(format!(
            "collecting garbage took longer than `time-at-most` and was given up; nothing is lost, and what was done \
             stays: allow more than {}, or less with `rewrite-at-most`",
            in_words(nanos(upkeep.time_at_most))
        )),
        error => error,
    })?;
    let mut did = format!(
        "forgot {}; removed {} of {} bytes; {} waiting",
        counted(gone as u64, "snapshot"),
        counted(report.deleted, "pack"),
        report.deleted_bytes,
        report.waiting
    );
    if report.retained > 0 {
        did += &format!("; {} kept by the store for now", counted(report.retained, "object"));
    }
    if report.renewed > 0 {
        did += &format!("; renewed {}", counted(report.renewed, "lock"));
    }
    let kept: HashSet<ObjectId> = decisions.iter().filter(|one| one.is_kept()).map(|one| one.id).collect();
    let mut counts: BTreeMap<String, u64> = config.targets.iter().map(|target| (target.name.clone(), 0)).collect();
    for snapshot in listing.snapshots.iter().filter(|snapshot| kept.contains(&snapshot.id)) {
        let target = target_of(&snapshot.manifest);
        target.into_iter().for_each(|target| *counts.entry(target.name.clone()).or_default() += 1);
    }
    Ok(Done { did, size: Some(size(repository)?), kept: Some(counts), ..Done::default() })
}

fn counted(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// A request to stop that comes when a work of upkeep that begins now has taken its time.
fn enough(repository: &Repository, upkeep: &Upkeep) -> Cancel {
    let env = &repository.env;
    env.cancel.until(&env.clock, env.clock.now().saturating_add(nanos(upkeep.time_at_most)))
}

/// Stored bytes of all packs, and bytes of the streams of all snapshots.
pub fn size(repository: &Repository) -> Result<(u64, u64), Error> {
    let stored = repository.list(Kind::Packs)?.iter().map(|listed| listed.len).sum();
    let snapshots = repository.snapshots()?.snapshots;
    let streams = snapshots.iter().flat_map(|snapshot| &snapshot.manifest.streams);
    Ok((stored, streams.map(|stream| stream.content.len).sum()))
}

/// Checks the structure, and reads the part that was not read for longest. Damage is an error.
pub fn check_part(repository: &Repository, config: &Config, host: &str) -> Result<Done, Error> {
    let upkeep = &config.upkeep;
    let now = repository.env.clock.now();
    let mut ledger = Ledger::read(repository)?;
    let every = upkeep.check_every.map_or(i64::MAX, nanos);
    let part = ledger.part(now, every, nanos(upkeep.read_all_within), upkeep.read_at_most);
    let wanted = part.packs.len();
    let report = check(repository, &ReadData::These(part.packs, enough(repository, upkeep)))?;
    let is_good = report.problems.is_empty();
    ledger::write(repository, &report.packs_read, is_good, host)?;
    if let Some(problem) = report.problems.first() {
        let hit: HashSet<ObjectId> = report.hits.iter().map(|hit| hit.snapshot).collect();
        let (object, what, count) = (&problem.object, &problem.what, report.problems.len());
        return Err(Error::Refused(format!(
            "the repository is damaged in {count} places, the first: {object}: {what}; {} snapshots are hit; \
             `sfarc check --read-data` names all",
            hit.len()
        )));
    }
    ledger.add(&report.packs_read, now);
    let mut did = format!("read {} of {} bytes", counted(report.packs_read.len() as u64, "pack"), report.bytes_read);
    if part.overdue > 0 {
        did += &format!("; {} packs are overdue: raise `read-at-most`", part.overdue);
    }
    let unread = wanted.saturating_sub(report.packs_read.len());
    if unread > 0 {
        did += &format!("; {unread} more were due and its time was over: raise `time-at-most`");
    }
    Ok(Done { did, read_since: ledger.all_since(), ..Done::default() })
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
