//! A small Software Factory in the stand-in cluster: its objects as the operator makes them, and its services as real
//! processes where they are installed. Where they are not, scripts answer in their place.

mod config_maps;
mod database;
mod keys;
mod secrets;
mod workloads;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use self::database::Database;
use self::keys::Keys;
use super::cluster::{Cluster, Rule, Setup};
use super::services::{Certificates, MariaDb, ZooKeeper, Zuul};

/// The namespace of the deployment.
pub const NAMESPACE: &str = "sf";

/// The keystore password at the beginning.
pub const PASSWORD: &str = "00000000-0000-4000-8000-000000000000";

/// What a factory is like.
pub struct Options {
    /// Builds in Zuul's database.
    pub builds: u64,
    /// Uses real services where they are installed.
    pub real: bool,
    /// Accounts and their rights; the names are for [`Factory::kubeconfig`].
    pub accounts: Vec<(String, Vec<Rule>)>,
    /// The type SoftwareFactory is installed, and there is an object of it.
    pub custom_resource: bool,
    /// The namespace is empty, and so are database and ZooKeeper, until [`Factory::deploy`].
    pub empty: bool,
}

impl Default for Options {
    fn default() -> Self {
        let accounts = vec![("admin".to_owned(), vec![Rule::all()])];
        Self { builds: 200, real: false, accounts, custom_resource: false, empty: false }
    }
}

/// A running deployment.
pub struct Factory {
    /// The cluster that it is in.
    pub cluster: Cluster,
    database: Database,
    keys: Keys,
    certificates: Certificates,
    /// Held for its end, after that of the services.
    folder: TempDir,
}

impl Factory {
    /// Starts everything, and returns when it answers.
    pub fn start(options: Options) -> Self {
        Self::start_with(options, |_| {})
    }

    /// The same, with more in the cluster than the deployment.
    pub fn start_with(options: Options, more: impl FnOnce(&mut Setup)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let certificates = Certificates::generate();
        let zuul = Zuul::installed().filter(|_| options.real);
        let database =
            Database::start(folder.path(), options.builds, options.real && MariaDb::installed(), zuul.as_ref());
        let zookeeper = options.real && ZooKeeper::installed();
        let zookeeper = zookeeper.then(|| ZooKeeper::start(folder.path(), &certificates));
        let keys = Keys::start(folder.path(), zookeeper, zuul, options.empty);
        std::fs::write(folder.path().join("cr.yaml"), CUSTOM_RESOURCE).expect("written");
        let cluster = Cluster::start(|setup| {
            setup.namespace(NAMESPACE);
            options.accounts.into_iter().for_each(|(name, rules)| setup.token(&name, rules));
            if options.custom_resource {
                let group = "sf.softwarefactory-project.io";
                setup.custom_resource(group, "v1", "softwarefactories", "SoftwareFactory");
                setup.object(json!({
                    "apiVersion": format!("{group}/v1"), "kind": "SoftwareFactory",
                    "metadata": { "name": "my-sf", "namespace": NAMESPACE }, "spec": { "fqdn": "sfop.example" },
                    "status": { "ready": true },
                }));
            }
            workloads::describe(setup, folder.path(), &database, &keys);
            if !options.empty {
                workloads::fill_volumes(folder.path());
                let workloads = [workloads::all(folder.path(), &keys), workloads::pods(folder.path(), &keys)].concat();
                let objects = [config_maps::all(), secrets::all(&certificates), workloads].concat();
                objects.into_iter().for_each(|object| setup.object(object));
            }
            more(setup);
        });
        Self { cluster, database, keys, certificates, folder }
    }

    /// Does what the operator does: makes what is missing of its own, and lets be what there is. Nothing of the user's
    /// is made.
    pub fn deploy(&self) {
        let made = [config_maps::of_operator(), secrets::of_operator(&self.certificates)].concat();
        for mut object in made.into_iter().chain(workloads::all(self.folder.path(), &self.keys)) {
            if self.cluster.object(&object).is_none() {
                // What it generates is different each time.
                if object["data"]["priv"].is_string() {
                    object["data"]["priv"] = secrets::base64(b"made-by-another-deploy");
                }
                // What runs is for the cluster to say.
                object.as_object_mut().map(|object| object.remove("status"));
                self.cluster.put_object(object);
            }
        }
    }

    /// The file of the custom resource.
    pub fn cr_file(&self) -> PathBuf {
        self.folder.path().join("cr.yaml")
    }

    /// Where containers keep their files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a kubeconfig for an account and says where it is.
    pub fn kubeconfig(&self, account: &str) -> PathBuf {
        let path = self.folder.path().join(format!("kubeconfig-{account}"));
        std::fs::write(&path, self.cluster.kubeconfig(account)).expect("written");
        path
    }

    /// True if the database is a real server.
    pub fn has_real_database(&self) -> bool {
        self.database.is_real()
    }

    /// True if the keys are in a real ZooKeeper, and Zuul's own program exports them.
    pub fn has_real_keys(&self) -> bool {
        self.keys.is_real()
    }

    /// Runs SQL in Zuul's database; only in a real one.
    pub fn sql(&self, sql: &str) -> String {
        self.database.sql(sql)
    }

    /// All rows of Zuul's database, as its own tool writes them; only of a real one.
    pub fn dump(&self) -> String {
        self.database.dump()
    }

    /// Adds builds to the database.
    pub fn add_builds(&mut self, count: u64) {
        self.database.add_builds(count);
    }

    /// Adds the keys of one more project.
    pub fn add_project_key(&mut self) {
        self.keys.add();
    }

    /// Removes all keys from a real ZooKeeper.
    pub fn forget_keys(&self) {
        self.keys.forget();
    }

    /// Gives Zuul another keystore password, for the Secret only: the keys stay as they are, as in a rotation that is
    /// half done.
    pub fn change_password_secret(&self, password: &str) {
        self.set_secret("zuul-keystore-password", "zuul-keystore-password", password);
    }

    /// Sets one value of a Secret, which is made if it is missing.
    pub fn set_secret(&self, name: &str, key: &str, value: &str) {
        let mut secret = self.cluster.object(&secrets::like(name)).unwrap_or_else(|| secrets::secret(name, &[]));
        secret["data"][key] = secrets::base64(value.as_bytes());
        self.cluster.put_object(secret);
    }

    /// Removes a Secret.
    pub fn remove_secret(&self, name: &str) {
        self.cluster.remove_object(&secrets::like(name));
    }
}

/// What everything that the operator makes belongs to.
fn owned(name: &str) -> Value {
    json!({
        "name": name,
        "namespace": NAMESPACE,
        "ownerReferences": [
            { "apiVersion": "v1", "kind": "ConfigMap", "name": "sf-standalone-owner", "uid": config_maps::OWNER_UID },
        ],
        "managedFields": [{ "manager": "sf-operator", "operation": "Update", "apiVersion": "v1" }],
    })
}

/// Uses every kind of connection.
const CUSTOM_RESOURCE: &str = include_str!("cr.yaml");
