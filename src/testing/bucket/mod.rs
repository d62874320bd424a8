//! A stand-in for a bucket's servers: as much of S3 as sfarc speaks, in memory, with everything that goes wrong there.
//!
//! What it answers follows <https://docs.aws.amazon.com/AmazonS3/latest/API/>; it is compared with a real server by
//! the contract that both must keep (`tests/it/buckets.rs`). Signatures are not looked at.

mod faults;
mod locks;
mod objects;
mod proxy;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;

pub use faults::{Fault, Faults};
pub use objects::Locked;
use objects::Objects;
pub use proxy::Proxy;

/// The name of the bucket.
pub const BUCKET: &str = "bucket";

/// How the servers behave.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Added to each request before it is looked at.
    pub latency: Duration,
    /// Names in a page of a listing; 0: a thousand.
    pub page: usize,
    /// Listings show what there was so long ago.
    pub stale: Duration,
    /// Objects may be created, and neither replaced nor removed.
    pub append_only: bool,
    /// Puts replace objects, whatever they say.
    pub ignores_conditions: bool,
    /// The bucket has Object Lock: every object has versions, and each may be locked.
    pub object_lock: bool,
    /// What is put is locked for so long by the bucket itself.
    pub default_lock: Duration,
    /// Objects can be neither replaced nor removed for so long, as with immutable blobs.
    pub worm: Duration,
    /// The port, or any that is free.
    pub port: u16,
}

/// Running servers. They end when this is dropped; the objects stay as long as a copy of `state` does.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
    runtime: Runtime,
}

#[derive(Debug)]
struct State {
    options: Options,
    objects: Objects,
    faults: Faults,
}

impl Server {
    /// Starts servers on the loopback.
    pub fn start(options: Options) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", options.port)))?;
        let address = listener.local_addr()?;
        let objects = Objects::new(options.object_lock, options.worm);
        let state = Arc::new(State { options, objects, faults: Faults::default() });
        runtime.spawn(server::serve(listener, Arc::clone(&state)));
        Ok(Self { address, state, runtime })
    }

    /// The URL of the servers.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.state.faults
    }

    /// Names and lengths of all objects.
    pub fn objects(&self) -> Vec<(String, usize)> {
        self.state.objects.all()
    }

    /// Sets the servers' clock forward: hours pass.
    pub fn advance(&self, by: Duration) {
        self.state.objects.advance(by);
    }

    /// Gives an object other bytes than it was stored with.
    pub fn spoil(&self, name: &str) {
        let Some(object) = self.state.objects.get(name) else { return };
        let mut bytes = object.bytes.to_vec();
        if let Some(byte) = bytes.last_mut() {
            *byte ^= 1;
        }
        self.overwrite(name, &bytes);
    }

    /// Gives an object these bytes behind everybody's back, or makes it.
    pub fn overwrite(&self, name: &str, bytes: &[u8]) {
        let lock = self.state.objects.get(name).and_then(|object| object.lock);
        self.state.objects.put(name, bytes.to_vec().into(), lock, true);
    }

    /// When it is by the servers' clock, in nanoseconds since 1970.
    pub fn now(&self) -> i64 {
        self.state.objects.now()
    }

    /// The versions of an object, oldest first: number, lock, and whether it is the current one.
    pub fn versions(&self, name: &str) -> Vec<(u64, Option<Locked>, bool)> {
        self.state.objects.versions(name)
    }

    /// Takes an object away, as a store does that loses what it has acknowledged.
    pub fn lose(&self, name: &str) {
        self.state.objects.lose(name);
    }
}
