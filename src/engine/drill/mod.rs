//! A restore for practice: what a snapshot holds is loaded into a scratch, proven, and removed again.
//!
//! What came of it is stored as a snapshot of its own, sealed by the repository's key like everything in it: nobody without
//! that key can make one up.

//! | file | what it knows |
//! |---|---|
//! | `bench/` | where scratch servers run: on this machine, or in a pod of a scratch namespace |
//! | `tries.rs` | what is tried with them |

mod bench;
mod tries;

use std::ffi::OsString;

use serde_json::{Value, json};

use self::bench::{Bench, Here, Part, Pod};
use super::deployment::{SavedObjects, fact, read_small};
use super::load::Saved;
use super::name_of;
use super::record::{self, Record};
use super::verify::{Check, Outcome, verify};
use crate::content::zuul_keys::ZuulKeys;
use crate::env::UnixNanos;
use crate::error::Error;
use crate::event::Event;
use crate::format::manifest::{Manifest, OWN_LABEL, StreamEntry};
use crate::ids::ObjectId;
use crate::k8s::Place;
use crate::pipeline::egress::Egress;
use crate::repo::Repository;
use crate::repo::snapshots::Snapshot;
use crate::target::feed::Patience;
use crate::target::site::Site;

pub use self::bench::Images;

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

/// How a snapshot is tried.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where.
    pub at: At,
    /// How long a load may take.
    pub patience: Patience,
    /// The host that the record is marked with.
    pub host: String,
}

/// Where scratch servers run.
#[derive(Debug, Clone)]
pub enum At {
    /// On this machine, by programs in these folders, separated as in the variable `PATH`.
    Here(OsString),
    /// In a pod.
    Cluster {
        /// The cluster.
        place: Place,
        /// A namespace in which nothing else matters.
        namespace: String,
        /// Images other than those that the snapshot names.
        images: Images,
    },
}

/// Tries whether a snapshot can be restored, and records what came of it.
pub fn drill(repository: &Repository, snapshot: &Snapshot, options: &Options) -> Result<Report, Error> {
    repository.require_write()?;
    let mut report = Report { checks: verify(repository, snapshot)?.checks, is_proven: true, record: None };
    // What is damaged or does not open need not be tried.
    if !report.is_bad() {
        report.is_proven = attempt(repository, snapshot, options, &mut report.checks)?;
    }
    report.is_proven &= !report.is_bad();
    report.record = record_drill(repository, snapshot, &report, &options.host)?;
    Ok(report)
}

fn is_dump(stream: &StreamEntry) -> bool {
    stream.facts.iter().any(|(name, _)| name.starts_with("rows/"))
}

fn is_keys(stream: &StreamEntry) -> bool {
    fact(stream, "keys").is_some()
}

/// Tries everything that a server is needed for. False if something could not be tried.
fn attempt(
    repository: &Repository,
    snapshot: &Snapshot,
    options: &Options,
    checks: &mut Vec<Check>,
) -> Result<bool, Error> {
    let streams = &snapshot.manifest.streams;
    let needs = |part| match part {
        Part::Database => streams.iter().any(is_dump),
        Part::ZooKeeper | Part::Zuul => streams.iter().any(is_keys),
    };
    if !needs(Part::Database) && !needs(Part::Zuul) {
        return Ok(true);
    }
    let env = &repository.env;
    let objects = SavedObjects::read(&mut Egress::of(repository, snapshot)?, snapshot)?;
    let work = Work { repository, snapshot, objects: &objects, patience: options.patience };
    env.tell(&Event::Doing("starting scratch servers"));
    match &options.at {
        At::Here(path) => {
            let bench = Here::start(env, path, needs).map_err(Error::io("start scratch servers"))?;
            work.on(&bench, checks)
        }
        At::Cluster { place, namespace, images } => {
            let connected = Site::connect(place, namespace, env);
            let site = connected.map_err(|error| Error::target("reach the scratch namespace", error))?;
            let images = images.or_saved(&objects.workloads());
            let bench = Pod::start(&site, &images, options.patience.limit, needs)?;
            work.on(&bench, checks)
        }
    }
}

struct Work<'a> {
    repository: &'a Repository,
    snapshot: &'a Snapshot,
    objects: &'a SavedObjects,
    patience: Patience,
}

impl Work<'_> {
    fn on(&self, bench: &impl Bench, checks: &mut Vec<Check>) -> Result<bool, Error> {
        let mut is_tried = true;
        for entry in &self.snapshot.manifest.streams {
            let saved = Saved { repository: self.repository, snapshot: self.snapshot, entry };
            if is_dump(entry) {
                is_tried &= tries::dump(&saved, bench, self.patience, checks)?;
            }
            if is_keys(entry) {
                let bytes = read_small(&mut Egress::of(self.repository, self.snapshot)?, self.snapshot, entry)?;
                let wrong = |error| Error::Refused(format!("stream {} is no export: {error}", name_of(entry)));
                let keys = ZuulKeys::parse(&bytes).map_err(wrong)?;
                is_tried &= tries::keys(&saved, self.objects, &keys, bench, checks)?;
            }
        }
        Ok(is_tried)
    }
}

fn record_drill(
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
    let label = |key: &str, value: String| (format!("{OWN_LABEL}{key}"), value);
    let labels = vec![label("drill-of", snapshot.id.to_string()), label("proven", report.is_proven.to_string())];
    record::write(repository, Record { name: "drill.json", bytes: text, tag: TAG, labels, host })
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
