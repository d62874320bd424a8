//! Bringing a deployment back from a snapshot, into an empty namespace or over a live one (docs/decisions/0010).
//!
//! | file | what it knows |
//! |---|---|
//! | `aim.rs` | what a stream becomes again |
//! | `view.rs` | the cluster as it is |
//! | `objects.rs` | which saved objects are put there, and how |
//! | `workloads.rs` | what must not run meanwhile, and what must start anew |
//! | `notes.rs` | differences that matter, in words |
//! | `prepare.rs`, `plan.rs` | what would be done, in order |
//! | `safety.rs` | the snapshot of what is about to be replaced |
//! | `record.rs` | what is done already, kept in the namespace |
//! | `execute.rs`, `load.rs` | doing it |
//! | `zuul_conf.rs` | values that the operator has rendered |

mod aim;
mod execute;
mod load;
mod notes;
mod objects;
mod plan;
mod prepare;
mod record;
mod safety;
mod view;
mod workloads;
mod zuul_conf;

use std::time::Duration;

pub use aim::Aim;
pub use execute::Report;
pub use objects::{Change, PlannedObject};
pub use plan::{Action, Plan, PlannedStream};
pub use record::NAME as RECORD;

use crate::engine::deployment::SavedObjects;
use crate::error::Error;
use crate::k8s::Place;
use crate::pipeline::egress::Egress;
use crate::repo::Repository;
use crate::repo::snapshots::Snapshot;
use crate::target::TargetError;
pub use crate::target::feed::Patience;
use crate::target::site::Site;
use record::Record;
use view::View;

/// What is restored, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The cluster.
    pub place: Place,
    /// The namespace that is restored into.
    pub namespace: String,
    /// Only these: `objects`, `secrets`, `configmaps`, `secret/NAME`, `configmap/NAME`, or streams; the usual if empty.
    pub only: Vec<String>,
    /// Optional streams, too.
    pub with: Vec<String>,
    /// Only this file of the one folder stream that `only` names.
    pub path: Option<Vec<u8>>,
    /// Replaces objects that differ.
    pub overwrite: bool,
    /// Takes a safety snapshot before anything is replaced.
    pub safety: bool,
    /// Drops databases and folders of before, once all is done.
    pub drop_old: bool,
    /// Storage classes that have another name here: the old one, and the new.
    pub classes: Vec<(String, String)>,
    /// How long pods may take to end or to become ready.
    pub wait: Duration,
    /// How long a stream may take.
    pub patience: Patience,
    /// The host that the safety snapshot is marked with.
    pub host: String,
}

/// A restore of a snapshot into a cluster.
pub struct Recovery<'a> {
    repository: &'a Repository,
    snapshot: &'a Snapshot,
    options: &'a Options,
    site: Site<'a>,
    saved: SavedObjects,
    view: View,
}

impl<'a> Recovery<'a> {
    /// Reads the objects of the snapshot and looks at the cluster.
    pub fn open(repository: &'a Repository, snapshot: &'a Snapshot, options: &'a Options) -> Result<Self, Error> {
        let saved = SavedObjects::read(&mut Egress::of(repository, snapshot)?, snapshot)?;
        let site = Site::connect(&options.place, &options.namespace, &repository.env).map_err(asked)?;
        let view = View::take(&site).map_err(asked)?;
        Ok(Self { repository, snapshot, options, site, saved, view })
    }

    /// The snapshot that an unfinished restore of this namespace is of, if that is another one.
    pub fn supersedes(&self) -> Option<&str> {
        let other = self.view.record.as_ref().map(|record| &record.snapshot[..]);
        other.filter(|other| *other != self.snapshot.id.to_string())
    }

    /// True if this goes on with an unfinished restore.
    pub fn continues(&self) -> bool {
        self.view.record.is_some() && self.supersedes().is_none()
    }

    /// The record to go on with: what another restore has stopped must be started by this one.
    fn record(&self) -> Record {
        let (id, stamp) = (self.snapshot.id.to_string(), self.stamp());
        match &self.view.record {
            Some(record) if self.continues() => record.clone(),
            Some(other) => other.superseded(&id, &stamp),
            None => Record::begin(&id, &stamp),
        }
    }

    /// The present moment and something random, as part of names: `20261231t235959_c0ffee`.
    fn stamp(&self) -> String {
        let seconds = self.repository.env.clock.now() / 1_000_000_000;
        let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
        let [a, b, c] = self.repository.env.random();
        format!("{}_{a:02x}{b:02x}{c:02x}", time.strftime("%Y%m%dt%H%M%S"))
    }
}

/// Looking failed.
fn asked(source: TargetError) -> Error {
    Error::target("look at the cluster", source)
}
