//! What can be proven of a snapshot without the systems that it came from.
//!
//! Every byte is read and proven; then what it is: a dump whole and with the rows that were counted, every key open with
//! the password beside it, the objects there without which nothing can be rebuilt.

mod objects;
mod streams;

use crate::error::Error;
use crate::format::manifest::{Content, StreamEntry};
use crate::pipeline::egress::{Egress, EgressError};
use crate::repo::Repository;
use crate::repo::snapshots::Snapshot;

use super::name_of;

/// What a check says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it must be.
    Good,
    /// It is not, and why.
    Bad(String),
    /// Something to know.
    Note(String),
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The stream; nothing for the snapshot as a whole.
    pub stream: String,
    /// What of it.
    pub what: String,
    /// What was found.
    pub outcome: Outcome,
}

/// What was found in a snapshot.
#[derive(Debug, Default)]
pub struct Report {
    /// All checks, in the order of the streams.
    pub checks: Vec<Check>,
}

impl Report {
    /// True if something is not as it must be.
    pub fn is_bad(&self) -> bool {
        self.checks.iter().any(|check| matches!(check.outcome, Outcome::Bad(_)))
    }

    fn add(&mut self, stream: &str, what: impl Into<String>, outcome: Outcome) {
        self.checks.push(Check { stream: stream.to_owned(), what: what.into(), outcome });
    }

    fn good_if(&mut self, stream: &str, what: impl Into<String>, fault: Option<String>) {
        self.add(stream, what, fault.map_or(Outcome::Good, Outcome::Bad));
    }
}

/// Proves what can be proven of a snapshot. Damage is in the report; an error means that it could not be looked at.
pub fn verify(repository: &Repository, snapshot: &Snapshot) -> Result<Report, Error> {
    let mut report = Report::default();
    let manifest = &snapshot.manifest;
    for finding in &manifest.findings {
        report.add("", "the streams fit together", Outcome::Bad(finding.clone()));
    }
    if !manifest.complete {
        report.add("", "complete", Outcome::Note("not everything could be read when it was taken".to_owned()));
    }
    let mut egress = Egress::of(repository, snapshot)?;
    for stream in &manifest.streams {
        repository.check_cancel()?;
        streams::verify(&mut egress, snapshot, stream, &mut report)?;
    }
    if super::deployment::objects_stream(snapshot).is_some() {
        objects::verify(&mut egress, snapshot, &mut report)?;
    }
    Ok(report)
}

/// Reads all of a content; says what is wrong with it.
fn read(
    egress: &mut Egress<'_>,
    snapshot: &Snapshot,
    stream: &StreamEntry,
    content: &Content,
    mut take: impl FnMut(&[u8]),
) -> Result<Option<String>, Error> {
    let read = egress.write_aside(content, |bytes| {
        take(bytes);
        Ok::<(), std::convert::Infallible>(())
    });
    match read {
        Ok(()) => Ok(None),
        Err(error @ (EgressError::WrongHash | EgressError::WrongFile { .. })) => Ok(Some(error.to_string())),
        Err(EgressError::Repo { source, .. }) if source.is_damage() => Ok(Some(crate::error::chain(&source))),
        Err(error) => Err(Error::restore(snapshot.id.short(), name_of(stream), error)),
    }
}
