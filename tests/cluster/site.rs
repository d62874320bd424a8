//! A cluster with a pod in it, real or not.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use sfarc::engine::snapshot::{From, Input, Options, Report, snapshot};
use sfarc::engine::{drill, recovery};
use sfarc::k8s::exec::{self, Answer, Target};
use sfarc::k8s::{Cluster, Place, PodChoice, PodPlace, Resource, default_namespace, is_running};
use sfarc::repo::Repository;
use sfarc::source::cluster::{ClusterStream, Take};
use sfarc::source::pod::Bounds;
use sfarc::testing::cluster::{self, Container, Rule};
use sfarc::testing::services::MariaDb;
use sfarc::testing::world::{World, read_stream};

const NAMESPACE: &str = "sf";
const IMAGE: &str = "docker.io/library/busybox:1.37";
const MARIADB: &str = "docker.io/library/mariadb:11.4";
const CONTAINER: &str = "main";

/// A pod that waits for commands, its end included.
pub(crate) struct Site {
    pub(crate) place: Place,
    pub(crate) namespace: String,
    /// The name of the pod, and the value of its label `run`.
    pub(crate) pod: String,
    pub(crate) repository: Repository,
    made: Mutex<Vec<(&'static str, String)>>,
    stand_in: Option<(cluster::Cluster, tempfile::TempDir)>,
}

impl Site {
    /// The cluster that `KUBECONFIG` names.
    pub(crate) fn real() -> Self {
        assert!(std::env::var_os("KUBECONFIG").is_some(), "KUBECONFIG names no cluster");
        let place = Place::default();
        let namespace = std::env::var("SFARC_TEST_NAMESPACE");
        let namespace = namespace.unwrap_or_else(|_| default_namespace(&place).unwrap());
        Self::start(place, namespace, std::env::var("SFARC_TEST_IMAGE").unwrap_or_else(|_| IMAGE.to_owned()), None)
    }

    /// The stand-in.
    pub(crate) fn stand_in() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cluster = cluster::Cluster::start(|setup| {
            setup.namespace(NAMESPACE);
            setup.token("admin", [Rule::all()]);
            setup.image(IMAGE, Container::new(CONTAINER));
            setup.image(MARIADB, Container::new(CONTAINER));
        });
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, cluster.kubeconfig("admin")).unwrap();
        let place = Place { kubeconfig: Some(kubeconfig), context: None };
        Self::start(place, NAMESPACE.to_owned(), IMAGE.to_owned(), Some((cluster, folder)))
    }

    fn start(
        place: Place,
        namespace: String,
        image: String,
        stand_in: Option<(cluster::Cluster, tempfile::TempDir)>,
    ) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let seed = (u64::from(std::process::id()) << 32) + NUMBER.fetch_add(1, Ordering::Relaxed);
        let pod = format!("sfarc-test-{seed:x}");
        let repository = World::new(seed).init().unwrap();
        let site = Self { place, namespace, pod: pod.clone(), repository, made: Mutex::default(), stand_in };
        site.create(
            "pods",
            &pod,
            &json!({ "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": 600,
            "terminationGracePeriodSeconds": 0,
            "containers": [{ "name": CONTAINER, "image": image, "command": ["sleep", "600"] }],
        } }),
        );
        site.wait_for("the pod to run", || site.get("pods", &pod).is_some_and(|pod| is_running(&pod)));
        site
    }

    /// Runs something that asks the cluster.
    fn ask<T>(&self, ask: impl AsyncFnOnce(Cluster) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { ask(Cluster::connect(&self.place).await.unwrap()).await })
    }

    /// Makes an object that is removed at the end. Its name is to begin like that of the pod.
    pub(crate) fn create(&self, plural: &'static str, name: &str, fields: &Value) {
        let mut object = fields.clone();
        object["apiVersion"] = "v1".into();
        object["kind"] = match plural {
            "pods" => "Pod",
            "secrets" => "Secret",
            _ => "ConfigMap",
        }
        .into();
        object["metadata"] = json!({ "name": name, "labels": { "run": self.pod } });
        self.made.lock().unwrap().push((plural, name.to_owned()));
        let namespace = &self.namespace;
        self.ask(async |cluster| cluster.create(&Resource::core(plural), namespace, &object).await).unwrap();
    }

    pub(crate) fn get(&self, plural: &str, name: &str) -> Option<Value> {
        self.ask(async |cluster| cluster.get(&Resource::core(plural), &self.namespace, name).await).unwrap()
    }

    pub(crate) fn delete(&self, plural: &str, name: &str) {
        self.ask(async |cluster| cluster.delete(&Resource::core(plural), &self.namespace, name).await).unwrap();
    }

    /// Runs a line for a shell in the pod and gives what it writes.
    pub(crate) fn run(&self, line: &str) -> Answer {
        let target =
            Target { namespace: self.namespace.clone(), pod: self.pod.clone(), container: Some(CONTAINER.to_owned()) };
        let argv = ["sh", "-c", line].map(str::to_owned);
        let limit = Duration::from_secs(30);
        self.ask(async |cluster| exec::answer(&cluster, &target, &argv, 1 << 20, limit).await).unwrap()
    }

    /// Waits until a line for a shell has exit code 0.
    pub(crate) fn wait_until(&self, line: &str) {
        self.wait_for(line, || self.run(line).verdict == exec::Verdict::Success);
    }

    fn wait_for(&self, what: &str, is_so: impl Fn() -> bool) {
        let pause = Duration::from_millis(if self.stand_in.is_some() { 50 } else { 500 });
        let came = (0..600).any(|_| {
            is_so() || {
                std::thread::sleep(pause);
                false
            }
        });
        assert!(came, "it never came: {what}");
    }

    /// Restores everything of a snapshot into its namespace.
    pub(crate) fn restore(&self, report: &Report) -> Result<recovery::Report, String> {
        let options = recovery::Options {
            place: self.place.clone(),
            namespace: self.namespace.clone(),
            only: Vec::new(),
            with: Vec::new(),
            path: None,
            overwrite: true,
            safety: true,
            drop_old: true,
            classes: Vec::new(),
            wait: Duration::from_secs(60),
            patience: recovery::Patience { silence: Duration::from_secs(60), limit: Duration::from_secs(300) },
            host: "test".to_owned(),
        };
        let snapshot = self.repository.read_snapshot(report.id.unwrap()).unwrap();
        let recovery = recovery::Recovery::open(&self.repository, &snapshot, &options);
        let restored = recovery.and_then(|recovery| recovery.carry_out(&recovery.plan()?));
        restored.map_err(|error| sfarc::error::chain(&error))
    }

    /// Drills a snapshot in its namespace.
    pub(crate) fn drill(&self, report: &Report) -> Result<drill::Report, String> {
        let mariadb = std::env::var("SFARC_TEST_MARIADB").unwrap_or_else(|_| MARIADB.to_owned());
        let images = drill::Images { mariadb: Some(mariadb), ..drill::Images::default() };
        let at = drill::At::Cluster { place: self.place.clone(), namespace: self.namespace.clone(), images };
        let limit = Duration::from_secs(300);
        let patience = recovery::Patience { silence: limit, limit };
        let snapshot = self.repository.read_snapshot(report.id.unwrap()).unwrap();
        let drilled =
            drill::drill(&self.repository, &snapshot, &drill::Options { at, patience, host: "test".to_owned() });
        drilled.map_err(|error| sfarc::error::chain(&error))
    }

    /// True on the stand-in if this machine lacks what the image would have.
    pub(crate) fn lacks_mariadb(&self) -> bool {
        self.stand_in.is_some() && !MariaDb::installed()
    }

    /// The pod, or what else may lead to it.
    pub(crate) fn in_pod(&self, pod: PodChoice) -> PodPlace {
        PodPlace { namespace: self.namespace.clone(), pod, container: Some(CONTAINER.to_owned()) }
    }

    pub(crate) fn this_pod(&self) -> PodPlace {
        self.in_pod(PodChoice::Named(self.pod.clone()))
    }

    /// Takes a snapshot of one stream.
    pub(crate) fn take(&self, take: Take, bounds: Bounds) -> Result<Report, String> {
        let stream = ClusterStream { place: self.place.clone(), take, bounds };
        let options = Options { inputs: vec![Input::new("s", From::Cluster(stream))], ..Options::default() };
        let before = self.repository.snapshot_ids().unwrap().len();
        let result = snapshot(&self.repository, &options).map_err(|error| sfarc::error::chain(&error));
        let after = self.repository.snapshot_ids().unwrap().len();
        assert_eq!(after - before, usize::from(result.is_ok()), "a false snapshot");
        result
    }

    /// What the stream of a snapshot holds.
    pub(crate) fn kept(&self, report: &Report) -> Vec<u8> {
        let snapshot = self.repository.read_snapshot(report.id.unwrap()).unwrap();
        read_stream(&self.repository, &snapshot, "s").unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for (plural, name) in std::mem::take(self.made.get_mut().unwrap()) {
            self.delete(plural, &name);
        }
    }
}
