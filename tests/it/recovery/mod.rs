//! Deployments brought back: snapshots of the stand-in cluster with real services, restored into it.

use std::time::Duration;

use sfarc::engine::recovery::{Options, Patience, Plan, RECORD, Recovery, Report};
use sfarc::error::chain;
use sfarc::format::manifest::Manifest;
use sfarc::ids::ObjectId;
use sfarc::repo::Repository;
use sfarc::testing::cluster::Setup;
use sfarc::testing::factory::{self, Factory, NAMESPACE};
use sfarc::testing::world::World;

use crate::factory::{make_plan, place, take, wishes};

mod crash;
mod database;
mod drill;
mod swap;
mod traps;
mod whole;

pub(crate) const WAIT: Duration = Duration::from_secs(30);

/// A factory with real services, and a repository.
pub(crate) struct Scene {
    pub(crate) factory: Factory,
    pub(crate) repository: Repository,
    _world: World,
}

impl Scene {
    /// Nothing where the services are not installed.
    pub(crate) fn start(options: factory::Options) -> Option<Self> {
        Self::start_with(options, |_| {})
    }

    /// The same, with more in the cluster than the deployment.
    pub(crate) fn start_with(options: factory::Options, more: impl FnOnce(&mut Setup)) -> Option<Self> {
        let factory = Factory::start_with(factory::Options { real: true, ..options }, more);
        if !factory.has_real_database() || !factory.has_real_keys() {
            println!("MariaDB, ZooKeeper or Zuul are not installed: not tested");
            return None;
        }
        let world = World::new(1);
        let repository = world.init().expect("a repository");
        Some(Self { factory, repository, _world: world })
    }

    /// Takes a snapshot of everything that is taken by default.
    pub(crate) fn capture(&self) -> (ObjectId, Manifest) {
        capture(&self.repository, &self.factory)
    }

    pub(crate) fn options(&self) -> Options {
        options(&self.factory)
    }

    pub(crate) fn restore(&self, id: ObjectId, options: &Options) -> Result<Report, String> {
        restore(&self.repository, id, options)
    }
}

pub(crate) fn capture(repository: &Repository, factory: &Factory) -> (ObjectId, Manifest) {
    let place = place(factory, "admin");
    let plan = make_plan(&place, Some(&factory.cr_file()), &wishes()).expect("a plan");
    let report = take(repository, &place, plan).expect("a snapshot");
    (report.id.expect("it is stored"), report.manifest)
}

pub(crate) fn options(factory: &Factory) -> Options {
    Options {
        place: place(factory, "admin"),
        namespace: NAMESPACE.to_owned(),
        only: Vec::new(),
        with: Vec::new(),
        path: None,
        overwrite: true,
        safety: true,
        drop_old: false,
        classes: Vec::new(),
        wait: WAIT,
        patience: Patience { silence: Duration::from_secs(8), limit: Duration::from_secs(120) },
        host: "test".to_owned(),
    }
}

pub(crate) fn plan(repository: &Repository, id: ObjectId, options: &Options) -> Result<Plan, String> {
    let snapshot = repository.read_snapshot(id).expect("readable");
    let recovery = Recovery::open(repository, &snapshot, options).map_err(|error| chain(&error))?;
    recovery.plan().map_err(|error| chain(&error))
}

pub(crate) fn restore(repository: &Repository, id: ObjectId, options: &Options) -> Result<Report, String> {
    let snapshot = repository.read_snapshot(id).expect("readable");
    let recovery = Recovery::open(repository, &snapshot, options).map_err(|error| chain(&error))?;
    let plan = recovery.plan().map_err(|error| chain(&error))?;
    recovery.carry_out(&plan).map_err(|error| chain(&error))
}

/// Two snapshots of the same deployment: the same streams to the last byte.
pub(crate) fn assert_same(one: &Manifest, other: &Manifest, context: &str) {
    assert_eq!(one.streams.len(), other.streams.len(), "{context}");
    for (one, other) in one.streams.iter().zip(&other.streams) {
        let name = String::from_utf8_lossy(&one.name);
        assert!(
            one.content.hash == other.content.hash,
            "{context}: stream {name} differs: {:?} {:?}",
            one.facts,
            other.facts
        );
    }
}
