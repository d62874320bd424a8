//! Streams out of the stand-in cluster: whole and proven, or no snapshot.

mod consistency;
mod faults;
mod helper_pod;
mod helpers;
mod permissions;
mod product;
mod proof;
mod retries;
mod slow;
mod surroundings;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sfarc::engine::snapshot::{From, Input, Options, Report, snapshot};
use sfarc::env::Env;
use sfarc::event::{Event, Observer};
use sfarc::k8s::{Place, PodChoice, PodPlace};
use sfarc::repo::Repository;
use sfarc::source::cluster::{ClusterStream, Take};
use sfarc::source::pod::{Bounds, PodCommand};
use sfarc::testing::cluster::{Cluster, Rule, Setup};
use sfarc::testing::world::{World, read_stream};

/// One attempt.
pub(crate) fn once() -> Bounds {
    Bounds { attempts: 1, ..Bounds::default() }
}

/// A container of the namespace `sf`.
pub(crate) fn pod(pod: &str, container: &str) -> PodPlace {
    let choice = PodChoice::Named(pod.to_owned());
    PodPlace { namespace: "sf".to_owned(), pod: choice, container: Some(container.to_owned()) }
}

pub(crate) fn shell(line: &str) -> PodCommand {
    PodCommand::Shell(line.to_owned())
}

/// A cluster with the namespace `sf`, and what reaches it with all rights.
pub(crate) struct Bare {
    pub(crate) cluster: Cluster,
    pub(crate) place: Place,
    /// Where containers may keep files.
    pub(crate) folder: tempfile::TempDir,
}

impl Bare {
    pub(crate) fn start(describe: impl FnOnce(&mut Setup, &Path)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cluster = Cluster::start(|setup| {
            setup.namespace("sf");
            setup.token("admin", [Rule::all()]);
            describe(setup, folder.path());
        });
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, cluster.kubeconfig("admin")).expect("written");
        Self { cluster, place: Place { kubeconfig: Some(kubeconfig), context: None }, folder }
    }
}

/// The seed of a world that runs beside no other one with the same: what ends a command knows it by random digits, and
/// containers of the stand-in see the processes of all tests.
pub(crate) fn seed() -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    (u64::from(std::process::id()) << 32) + NUMBER.fetch_add(1, Ordering::Relaxed)
}

pub(crate) fn world() -> World {
    World::new(seed())
}

/// Remembers warnings.
#[derive(Default)]
pub(crate) struct Warnings(Mutex<Vec<String>>);

impl Warnings {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Observer for Warnings {
    fn event(&self, event: &Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push((*text).to_owned());
        }
    }
}

/// A new repository whose warnings are heard.
pub(crate) fn repository(world: &World) -> (Repository, Arc<Warnings>) {
    let warnings = Arc::new(Warnings::default());
    let env = Env { observer: Arc::clone(&warnings) as _, ..world.env() };
    let store = Arc::clone(&world.store) as _;
    (Repository::init(store, &World::credential(), env).expect("a repository"), warnings)
}

/// A snapshot of one stream.
pub(crate) fn take_one(
    repository: &Repository,
    place: &Place,
    name: &str,
    take: Take,
    bounds: Bounds,
) -> Result<Report, String> {
    let from = From::Cluster(ClusterStream { place: place.clone(), take, bounds });
    let options = Options { inputs: vec![Input::new(name, from)], ..Options::default() };
    snapshot(repository, &options).map_err(|error| sfarc::error::chain(&error))
}

/// What a stream holds as it is kept.
pub(crate) fn kept(repository: &Repository, report: &Report, name: &str) -> Vec<u8> {
    let snapshot = repository.read_snapshot(report.id.expect("an id")).expect("readable");
    read_stream(repository, &snapshot, name).expect("restored")
}

/// Waits for what must come.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let came = (0..1500).any(|_| {
        is_so() || {
            std::thread::sleep(Duration::from_millis(20));
            false
        }
    });
    assert!(came, "it never came: {what}");
}

/// Nothing runs in a pod any more, or soon.
#[track_caller]
pub(crate) fn assert_quiet(cluster: &Cluster, pod: &str) {
    wait_for(&format!("the end of all processes in {pod}"), || cluster.processes("sf", pod) == 0);
}
