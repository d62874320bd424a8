//! A whole small world: a store, a clock, randomness, and streams to keep.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use zeroize::Zeroizing;

use super::clock::{FixedClock, SECOND};
use super::entropy::SeededEntropy;
use super::memory::MemoryBackend;
use crate::backend::Backend;
use crate::engine::snapshot::{self, Input};
use crate::engine::{find_stream, restore};
use crate::env::{Cancel, Env};
use crate::error::Error;
use crate::event::NullObserver;
use crate::format::config::Features;
use crate::repo::snapshots::Snapshot;
use crate::repo::{Credential, RepoError, Repository};

/// Streams by name.
pub type Streams = BTreeMap<String, Vec<u8>>;

/// Everything that a repository needs, without the system.
#[derive(Debug)]
pub struct World {
    /// The store.
    pub store: Arc<MemoryBackend>,
    /// The time.
    pub clock: Arc<FixedClock>,
    /// The randomness.
    pub entropy: Arc<SeededEntropy>,
    scratch: Arc<Scratch>,
}

/// A folder for the bytes of streams, removed at the end.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("sfarc-world-{}-{number}", std::process::id())))
    }

    /// A file with these bytes.
    fn file(&self, bytes: &[u8]) -> std::io::Result<PathBuf> {
        let path = self.0.join(blake3::hash(bytes).to_hex().as_str());
        if !path.exists() {
            fs::create_dir_all(&self.0)?;
            fs::write(&path, bytes)?;
        }
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Best effort: it is in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl World {
    /// An empty world; equal seeds give equal worlds.
    pub fn new(seed: u64) -> Self {
        Self {
            store: Arc::new(MemoryBackend::default()),
            clock: Arc::new(FixedClock::default()),
            entropy: Arc::new(SeededEntropy::new(seed)),
            scratch: Arc::new(Scratch::new()),
        }
    }

    /// The same world with another store.
    pub fn with_store(&self, store: MemoryBackend) -> Self {
        Self {
            store: Arc::new(store),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            scratch: Arc::clone(&self.scratch),
        }
    }

    /// The world as a crash leaves it: the same objects, and every session dead.
    pub fn after_crash(&self) -> Self {
        self.with_store(self.store.after_crash())
    }

    /// Time, randomness and one worker.
    pub fn env(&self) -> Env {
        Env {
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::clone(&self.entropy) as _,
            observer: Arc::new(NullObserver),
            cancel: Cancel::default(),
            workers: 1,
        }
    }

    /// The key file that opens every repository of every world.
    pub fn credential() -> Credential {
        Credential::KeyFile(Zeroizing::new([7; 32]))
    }

    /// Makes a repository in this world's store.
    pub fn init(&self) -> Result<Repository, RepoError> {
        self.init_on(Arc::clone(&self.store) as _)
    }

    /// Makes one that hides sizes.
    pub fn init_hiding(&self) -> Result<Repository, RepoError> {
        let features = Features::HIDDEN_SIZES;
        Repository::init_with(Arc::clone(&self.store) as _, &Self::credential(), features, self.env())
    }

    /// Makes a repository in another store.
    pub fn init_on(&self, backend: Arc<dyn Backend>) -> Result<Repository, RepoError> {
        Repository::init(backend, &Self::credential(), self.env())
    }

    /// Opens the repository in this world's store.
    pub fn open(&self) -> Result<Repository, RepoError> {
        self.open_on(Arc::clone(&self.store) as _)
    }

    /// Opens the repository in another store.
    pub fn open_on(&self, backend: Arc<dyn Backend>) -> Result<Repository, RepoError> {
        Repository::open(backend, "memory", || Ok(Self::credential()), self.env())
    }

    /// Takes a snapshot of these streams, one second later than the last.
    pub fn take(&self, repository: &Repository, streams: &Streams) -> Result<snapshot::Report, Error> {
        self.clock.advance(SECOND);
        let mut inputs = Vec::new();
        for (name, bytes) in streams {
            let path = self.scratch.file(bytes).map_err(Error::io("write a scratch file"))?;
            inputs.push(Input::new(name.clone(), snapshot::From::File(path)));
        }
        snapshot::snapshot(repository, &snapshot::Options { inputs, ..Default::default() })
    }
}

/// Reads a whole stream of a snapshot.
pub fn read_stream(repository: &Repository, snapshot: &Snapshot, name: &str) -> Result<Vec<u8>, Error> {
    let stream = find_stream(snapshot, name.as_bytes())?;
    let mut bytes = Vec::new();
    restore::cat(repository, snapshot, stream, b"", |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(bytes)
}

/// Reads all streams of a snapshot.
pub fn read_streams(repository: &Repository, snapshot: &Snapshot) -> Result<Streams, Error> {
    let names = snapshot.manifest.streams.iter().map(crate::engine::name_of);
    names.map(|name| Ok((name.clone(), read_stream(repository, snapshot, &name)?))).collect()
}
