//! A stand-in for a Kubernetes cluster: HTTPS and WebSockets on 127.0.0.1, local processes in place of containers,
//! faults on demand.
//!
//! It answers as a recorded cluster did (Kubernetes 1.32, containerd 1.6); `tests/it/cluster` replays the recordings.
//! Where it simplifies, the file that does so says it.

mod container;
mod controller;
mod delete;
mod discovery;
mod exec;
mod failures;
mod fields;
mod garbage;
mod images;
mod jobs;
mod journal;
mod kinds;
mod mark;
mod ownership;
mod patch;
mod pods;
mod rbac;
mod rest;
mod reviews;
mod roles;
mod scale;
mod selector;
mod server;
mod setup;
mod state;
mod status;
mod store;
mod target;
mod tls;
mod validate;
mod volumes;
mod watch;
mod workloads;
mod write;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use k8s_openapi::ByteString;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

pub use self::container::Container;
pub use self::exec::faults::{Fault, Planned};
pub use self::failures::RequestFault;
pub use self::rbac::Rule;
pub use self::setup::Setup;

use self::mark::Mark;
use self::state::State;
use self::store::Key;
use super::clock::FixedClock;
use super::entropy::SeededEntropy;

/// A running cluster. Its end is also that of all processes in its containers.
pub struct Cluster {
    state: Arc<State>,
    address: SocketAddr,
    ca_pem: String,
    running: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Cluster {
    /// Starts a cluster as it is described; it accepts connections when this returns.
    pub fn start(describe: impl FnOnce(&mut Setup)) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of 127.0.0.1 is free");
        listener.set_nonblocking(true).expect("sockets can be asynchronous");
        let address = listener.local_addr().expect("a bound socket has an address");
        let entropy = Arc::new(SeededEntropy::new(address.port().into()));
        let mark = Mark::cluster(std::process::id(), address.port());
        let mut setup = Setup::new(State::new(mark, Arc::new(FixedClock::default()), entropy));
        describe(&mut setup);
        let state = Arc::new(setup.done());
        let identity = tls::identity();
        let running = Some(run(listener, identity.acceptor, Arc::clone(&state)));
        Self { state, address, ca_pem: identity.ca_pem, running }
    }

    /// The address of the server.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificate of the cluster's authority.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The secret of a token that was set up under this name.
    pub fn token(&self, name: &str) -> &str {
        &self.state.accounts.get(name).expect("the token was set up").token
    }

    /// A kubeconfig that connects with this token.
    pub fn kubeconfig(&self, token: &str) -> String {
        let ca = ByteString(self.ca_pem.clone().into_bytes());
        let ca = serde_json::to_string(&ca).expect("base64 is a JSON string");
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
             clusters: [{{name: test, cluster: {{server: \"{}\", certificate-authority-data: {ca}}}}}]\n\
             users: [{{name: test, user: {{token: \"{}\"}}}}]\n\
             contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n",
            self.url(),
            self.token(token),
        )
    }

    /// Plans a fault for a session to come.
    pub fn fault(&self, planned: Planned) {
        self.state.faults.add(planned);
    }

    /// Forgets the faults that are planned for sessions in this container.
    pub fn forget_faults(&self, container: &str) {
        self.state.faults.forget(container);
    }

    /// Lets the next requests of this method (`*` stands for all) go wrong whose path and query contain this text, as
    /// many times. Exec sessions have other faults: see [`Self::fault`].
    pub fn fail_requests(&self, method: &str, path_contains: &str, fault: impl Into<RequestFault>, times: usize) {
        self.state.failures.add(method, path_contains, fault.into(), times);
    }

    /// From now on, requests with this token are answered with 401. Sessions and watches that run go on.
    pub fn expire_token(&self, name: &str) {
        assert!(self.state.accounts.contains_key(name), "the token {name} was set up");
        self.state.expired().insert(name.to_owned());
    }

    /// Makes an expired token valid again. A real cluster would give out another one.
    pub fn renew_token(&self, name: &str) {
        self.state.expired().remove(name);
    }

    /// Forgets all changes up to now, as real servers do after some minutes: watches from before, and the rest of lists
    /// that were asked for in parts, are refused with 410.
    pub fn forget_changes(&self) {
        self.state.store().forget();
    }

    /// Methods and paths, with their queries, of the REST requests up to now, also of those that failed. Exec sessions
    /// are none of them.
    pub fn requests(&self) -> Vec<(String, String)> {
        self.state.journal.requests()
    }

    /// Answers this many more requests, exec sessions among them, and then none, until [`Self::answer_again`].
    pub fn stop_after(&self, requests: u64) {
        self.state.failures.stop_after(Some(requests));
    }

    /// Answers all requests again.
    pub fn answer_again(&self) {
        self.state.failures.stop_after(None);
    }

    /// Pods, containers and commands of the exec sessions up to now, also of those that a fault refused.
    pub fn sessions(&self) -> Vec<(String, String, Vec<String>)> {
        self.state.journal.sessions()
    }

    /// Deletes a pod at once: its processes are killed. A pod of a workload comes back as another one.
    pub fn delete_pod(&self, namespace: &str, name: &str) {
        self.state.remove(&Key::core("pods", namespace, name));
    }

    /// The object of this type and name (`apiVersion`, `kind` and `metadata` of `like`), if it is there.
    pub fn object(&self, like: &Value) -> Option<Value> {
        self.state.store().get(&self.key(like)).cloned()
    }

    /// Puts an object in place, as somebody with all rights would, or one in the place of another.
    pub fn put_object(&self, object: Value) {
        self.state.place(object);
    }

    /// Says anew how a container of a pod runs, for sessions to come.
    pub fn describe(&self, namespace: &str, pod: &str, container: Container) {
        self.state.set_container(namespace, pod, container);
    }

    /// Removes an object.
    pub fn remove_object(&self, like: &Value) {
        self.state.remove(&self.key(like));
    }

    /// Removes a namespace and everything in it; what that was.
    pub fn remove_namespace(&self, name: &str) -> Vec<Value> {
        let is_of = |key: &Key| key.namespace == name || key.resource() == ("", "namespaces") && key.name == name;
        let store = self.state.store();
        let found = store.all().filter(|(key, _)| is_of(key)).map(|(key, object)| (key.clone(), object.clone()));
        let found: Vec<(Key, Value)> = found.collect();
        drop(store);
        found.iter().for_each(|(key, _)| self.state.remove(key));
        found.into_iter().map(|(_, object)| object).collect()
    }

    fn key(&self, like: &Value) -> Key {
        let kind = self.state.kinds.of_object(like).expect("the type of the object is known to the cluster");
        let text = |name: &str| like["metadata"][name].as_str().unwrap_or_default();
        Key::new(kind, text("namespace"), text("name"))
    }

    /// How many processes run in a pod.
    pub fn processes(&self, namespace: &str, pod: &str) -> usize {
        self.state.mark.pod(namespace, pod).processes().len()
    }

    /// Ends the server, its connections and all processes.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            // A thread that has ended by itself waits for no word.
            let _ = running.stop.send(());
            let _ = running.thread.join();
            self.state.mark.kill();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(listener: std::net::TcpListener, acceptor: TlsAcceptor, state: Arc<State>) -> Running {
    let (stop, stopped) = oneshot::channel();
    let settled = state.store().version();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("the system has a reactor for the cluster").block_on(async {
            let listener = TcpListener::from_std(listener).expect("the socket is asynchronous");
            tokio::select! {
                () = controller::run(Arc::clone(&state), settled) => {}
                () = server::serve(listener, acceptor, state) => {}
                _ = stopped => {}
            }
        });
    };
    let thread = std::thread::Builder::new().name("stand-in cluster".to_owned()).spawn(work);
    Running { stop, thread: thread.expect("the system has room for a thread") }
}
