//! A restore for practice: what a snapshot holds is loaded into a scratch, proven, and removed again.
//!
//! What came of it is stored as a snapshot of its own, sealed by the repository's key like everything in it: nobody without
//! that key can make one up.

mod scratch;

use serde_json::{Value, json};

use self::scratch::Scratch;
use super::deployment::fact;
use super::name_of;
use super::snapshot::{self, From, Input};
use super::verify::{Check, Outcome, verify};
use crate::env::UnixNanos;
use crate::error::Error;
use crate::event::{Event, Task, Unit};
use crate::format::manifest::{Manifest, OWN_LABEL, Origin, Proof, StreamEntry};
use crate::ids::ObjectId;
use crate::pipeline::egress::{Egress, EgressError};
use crate::repo::Repository;
use crate::repo::snapshots::Snapshot;
use crate::source::Verdict;
use crate::source::prepared::Prepared;
use crate::target::database::Expected;

/// The tag of records of drills.
pub const TAG: &str = "drill";

/// What came of a drill.
#[derive(Debug)]
pub struct Report {
    /// What was looked at.
    pub checks: Vec<Check>,
    /// True if everything was loaded that a server is needed for, and nothing was wrong.
    pub is_proven: bool,
    /// The snapshot that records it.
    pub record: Option<ObjectId>,
}

impl Report {
    /// True if something is not as it must be.
    pub fn is_bad(&self) -> bool {
        self.checks.iter().any(|check| matches!(check.outcome, Outcome::Bad(_)))
    }
}

/// Tries whether a snapshot can be restored, and records what came of it.
pub fn drill(repository: &Repository, snapshot: &Snapshot, host: &str) -> Result<Report, Error> {
    repository.require_write()?;
    let mut report = Report { checks: verify(repository, snapshot)?.checks, is_proven: true, record: None };
    for stream in &snapshot.manifest.streams {
        if stream.facts.iter().any(|(name, _)| name.starts_with("rows/")) {
            report.is_proven &= load(repository, snapshot, stream, &mut report.checks)?;
        }
        if fact(stream, "keys").is_some() {
            let text = "proven to open with their password; not imported into a ZooKeeper".to_owned();
            let what = "the import of the keys".to_owned();
            report.checks.push(Check { stream: name_of(stream), what, outcome: Outcome::Note(text) });
        }
    }
    report.is_proven &= !report.is_bad();
    report.record = record(repository, snapshot, &report, host)?;
    Ok(report)
}

/// Loads a dump into a server of its own. False if it could not be tried.
fn load(
    repository: &Repository,
    snapshot: &Snapshot,
    stream: &StreamEntry,
    checks: &mut Vec<Check>,
) -> Result<bool, Error> {
    let mut say = |what: &str, outcome| {
        checks.push(Check { stream: name_of(stream), what: what.to_owned(), outcome });
    };
    if !scratch::is_installed() {
        say("the load", Outcome::Note("not tried: there is no MariaDB server on this machine".to_owned()));
        return Ok(false);
    }
    repository.env.tell(&Event::Doing("starting a scratch server"));
    let scratch = Scratch::start(&repository.env).map_err(Error::io("start a scratch server"))?;
    let doing = format!("load stream {} into the scratch server in {}", name_of(stream), scratch.folder().display());
    let mut egress = Egress::open(repository)?;
    let (task, total) = (Task::ONLY, Some(stream.content.len));
    repository.env.tell(&Event::Begin { task, what: &name_of(stream), total, unit: Unit::Bytes });
    let loaded = scratch.load(|send| {
        egress.write_all(&stream.content, |bytes| {
            repository.env.tell(&Event::Advance(task, bytes.len() as u64));
            send(bytes)
        })
    });
    repository.env.tell(&Event::End(task));
    match loaded.map_err(Error::io(doing.clone()))? {
        Err(words) => say("the load", Outcome::Bad(words)),
        Ok(Err(EgressError::Sink(error))) => say("the load", Outcome::Bad(error.to_string())),
        Ok(Err(error)) => {
            let error = Error::restore(snapshot.id.short(), name_of(stream), error);
            if error.category() != crate::Category::Damaged {
                return Err(error);
            }
            say("the load", Outcome::Bad(crate::error::chain(&error)));
        }
        Ok(Ok(())) => {
            let mismatch = scratch.mismatch(&Expected::of(&stream.facts)).map_err(Error::io(doing))?;
            let outcome = mismatch.map_or(Outcome::Good, Outcome::Bad);
            say("it loads, and every table has its rows", outcome);
        }
    }
    Ok(true)
}

fn record(
    repository: &Repository,
    snapshot: &Snapshot,
    report: &Report,
    host: &str,
) -> Result<Option<ObjectId>, Error> {
    let text = json!({
        "snapshot": snapshot.id.to_string(),
        "proven": report.is_proven,
        "checks": report.checks.iter().map(described).collect::<Vec<_>>(),
    });
    let text = format!("{text:#}\n").into_bytes();
    let stream = Prepared::new(Origin::Stdin, false, move |lanes| {
        lanes.write(0, &text)?;
        Ok(Verdict::proven(Proof::P3))
    });
    let label = |key: &str, value: String| (format!("{OWN_LABEL}{key}"), value);
    let options = snapshot::Options {
        inputs: vec![Input::new("drill.json", From::Prepared(stream))],
        tags: vec![TAG.to_owned()],
        labels: vec![label("drill-of", snapshot.id.to_string()), label("proven", report.is_proven.to_string())],
        host: host.to_owned(),
        ..snapshot::Options::default()
    };
    Ok(snapshot::snapshot(repository, &options)?.id)
}

fn described(check: &Check) -> Value {
    let (outcome, why) = match &check.outcome {
        Outcome::Good => ("ok", None),
        Outcome::Bad(why) => ("bad", Some(why)),
        Outcome::Note(why) => ("note", Some(why)),
    };
    json!({ "stream": check.stream, "what": check.what, "outcome": outcome, "why": why })
}

/// The newest drill among snapshots that has proven its snapshot: when it was, and of which.
pub fn last_proven<'a>(manifests: impl Iterator<Item = &'a Manifest>) -> Option<(UnixNanos, &'a str)> {
    let of = |manifest: &'a Manifest| {
        let drilled = manifest.label(&format!("{OWN_LABEL}drill-of"))?;
        (manifest.label(&format!("{OWN_LABEL}proven")) == Some("true")).then_some((manifest.time, drilled))
    };
    manifests.filter_map(of).max()
}
