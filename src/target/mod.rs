//! Where streams go to in a cluster: the mirror of `source`.
//!
//! Whatever is loaded is loaded beside what is there, proven, and only then put in its place. A container acknowledges
//! what it got with a digest; nothing is believed because it was sent.
//!
//! | file | what it knows |
//! |---|---|
//! | `feed.rs`, `receiver.sh` | bytes into a command in a container, by length and with an acknowledgement |
//! | `shell.rs`, `local.rs` | where commands run: in a container, on this machine |
//! | `site.rs` | one namespace, asked and changed one request at a time |
//! | `database/` | a dump into a database beside the live one, and the swap |
//! | `keys.rs` | Zuul's keys into ZooKeeper |
//! | `folder.rs`, `file.rs` | a tar stream into a folder, bytes into a file |

pub mod database;
pub mod feed;
pub mod file;
pub mod folder;
pub mod keys;
pub mod local;
pub mod shell;
pub mod site;

use crate::k8s::ClusterError;
use crate::k8s::exec::ExecError;
use crate::source::SourceError;

/// Why something could not be put into a cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The cluster did not do what was asked.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A command in a container could not be asked.
    #[error(transparent)]
    Asked(#[from] SourceError),
    /// A connection to a container broke.
    #[error(transparent)]
    Session(#[from] ExecError),
    /// A command in a container did not take what it was given.
    #[error("the command in {target} {how}, after {sent} bytes were sent to it{}", last_lines(stderr))]
    Failed {
        /// Namespace, pod and container.
        target: String,
        /// How it ended.
        how: String,
        /// Bytes that were sent.
        sent: u64,
        /// The end of what it wrote to standard error.
        stderr: Vec<String>,
    },
    /// A container did not get what was sent.
    #[error("{target} did not get what was sent to it: {why}")]
    NotWhole {
        /// Namespace, pod and container.
        target: String,
        /// What differs.
        why: String,
    },
    /// What was loaded is not what it should be.
    #[error("{what} is not what the snapshot says: {why}")]
    Wrong {
        /// What was loaded.
        what: String,
        /// What differs.
        why: String,
    },
    /// Something took too long.
    #[error("{what} after {seconds} s")]
    Late {
        /// What is not so yet.
        what: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A thread or a runtime could not be made.
    #[error("cannot start a thread")]
    Io(#[from] std::io::Error),
}

fn last_lines(stderr: &[String]) -> String {
    if stderr.is_empty() { String::new() } else { format!("; its last words: {}", stderr.join(" | ")) }
}
