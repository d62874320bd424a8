//! sfarc: a deduplicating, encrypted archiver for streams.
//!
//! From the bottom up; each module uses only those above it in this list:
//!
//! | module | what it is |
//! |---|---|
//! | [`ids`], [`limits`], [`sync`], [`event`], [`env`](mod@env) | names, bounds, what threads share and how they wait, facts, the world outside |
//! | [`process`] | programs of this machine, and what they find in their environment |
//! | [`format`](mod@format) | bytes to values and back; `format-spec.md` in code |
//! | [`crypto`] | keys, seals, hashes |
//! | [`content`] | proofs of what streams hold: dumps, JSON, Zuul's keys |
//! | [`chunk`] | cutting streams by content |
//! | [`disk`] | the calls that change a file system, by one door |
//! | [`tar`] | folders as pax streams, and safely back |
//! | [`backend`] | objects in, objects out |
//! | [`repo`] | an opened repository: index, packs, sessions, snapshots |
//! | [`pipeline`] | streams in and out, on several cores |
//! | [`k8s`] | the cluster: connection, objects, commands in containers |
//! | [`source`] | where streams come from |
//! | [`target`] | where streams go to in a cluster |
//! | [`plan`] | what to take out of a cluster |
//! | [`engine`] | the verbs: snapshot, restore, check, prune ... |
//! | [`schedule`] | when something is due |
//! | [`config`] | `sfarc.toml` |
//! | [`service`] | the loop: what is due is done, and the world is told |
//! | [`cli`] | the command line: the only code that prints |
//! | [`allocator`] | how memory is handed out, for `main` |
//!
//! docs/architecture.md tells how they work together.

pub mod allocator;
pub mod backend;
pub mod chunk;
pub mod cli;
pub mod config;
pub mod content;
pub mod crypto;
pub mod disk;
pub mod engine;
pub mod env;
pub mod error;
pub mod event;
pub mod format;
pub mod ids;
pub mod k8s;
pub mod limits;
pub mod pipeline;
pub mod plan;
pub mod process;
pub mod repo;
pub mod schedule;
pub mod service;
pub mod source;
pub mod sync;
pub mod tar;
pub mod target;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use error::{Category, Error};

/// The name and version of this program, as manifests record it.
pub const PROGRAM: &str = concat!("sfarc ", env!("CARGO_PKG_VERSION"));
