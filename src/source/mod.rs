//! Where streams come from. A source writes into lanes and then gives its verdict: the end of its bytes is not
//! the end of the stream until it has returned without an error.

pub mod cluster;
pub mod command;
pub mod database;
pub mod file;
pub mod folder;
pub mod helper_pod;
pub(crate) mod last_lines;
mod members;
pub mod objects;
pub mod pod;
mod pod_folder;
pub mod prepared;
pub mod retry;
pub mod zuul_keys;

pub use pod::TrailerError;

use std::io;
use std::process::ExitStatus;

use crate::format::manifest::Proof;

/// Why a stream cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A file or pipe failed.
    #[error("cannot read it")]
    Io(#[from] io::Error),
    /// The input cannot be opened.
    #[error("cannot open {path}")]
    Open {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A command did not start.
    #[error("cannot start the command `{command}`")]
    Start {
        /// The command.
        command: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A command did not succeed.
    #[error("the command {}{}", describe(*status), last_lines(stderr))]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote to its standard error.
        stderr: Vec<String>,
    },
    /// A command in a container did not start, or its connection ended before it.
    #[error(transparent)]
    Session(#[from] crate::k8s::exec::ExecError),
    /// A command in a container did not succeed.
    #[error("the command in {target} {how}, after {received} bytes{}", last_lines(stderr))]
    Exec {
        /// Namespace, pod and container.
        target: String,
        /// How it ended.
        how: String,
        /// Bytes of standard output that arrived.
        received: u64,
        /// True if it was ended from outside, so that another attempt may end better.
        killed: bool,
        /// The end of what it wrote to its standard error.
        stderr: Vec<String>,
    },
    /// What arrived from a container is not what was sent.
    #[error("the stream from {target} is not whole")]
    Trailer {
        /// Namespace, pod and container.
        target: String,
        /// What is wrong.
        #[source]
        source: TrailerError,
    },
    /// A command in a container succeeded, but less is known of its output than was asked for.
    #[error(
        "the stream from {target} has proof {reached} only, not {wanted}: {lacks}; --min-proof {reached} would take it"
    )]
    Unproven {
        /// Namespace, pod and container.
        target: String,
        /// The proof that there is.
        reached: Proof,
        /// The proof that was asked for.
        wanted: Proof,
        /// Why there is no better one.
        lacks: &'static str,
    },
    /// A folder out of a container is no sound tar stream.
    #[error("what the container's tar sent cannot be read")]
    Tar(#[source] crate::tar::TarError),
    /// An entry of a folder out of a cluster cannot be stored.
    #[error("an entry cannot be stored")]
    Member(#[source] crate::tar::WriteError),
    /// The stream arrived whole, but is not what it should be.
    #[error("the content is not what it should be")]
    Content(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Something changed that belongs to the stream.
    #[error("{0}")]
    Moved(String),
    /// Something is not in the cluster.
    #[error("{0} is not there")]
    Absent(String),
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// Whoever was to take the stream takes no more.
    #[error("the repository takes no more")]
    Unwanted,
    /// A folder cannot be read at all.
    #[error("cannot read the folder")]
    Folder(#[source] crate::tar::FolderError),
}

/// What a source says of a stream that is not worthless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How well the end of the stream is proven.
    pub proof: Proof,
    /// Things that are missing from the stream, one sentence each.
    pub missing: Vec<String>,
    /// Things that changed while they were read, or are remarkable, one sentence each.
    pub changed: Vec<String>,
    /// What is known of the content, by name.
    pub facts: Vec<(String, String)>,
    /// What does not fit together, one sentence each.
    pub findings: Vec<String>,
}

impl Verdict {
    /// Nothing to remark on.
    pub fn proven(proof: Proof) -> Self {
        Self { proof, missing: Vec::new(), changed: Vec::new(), facts: Vec::new(), findings: Vec::new() }
    }
}

impl SourceError {
    /// True if trying again may help.
    fn is_transient(&self) -> bool {
        match self {
            Self::Session(error) => error.is_transient(),
            Self::Exec { killed, .. } => *killed,
            Self::Trailer { .. } | Self::Moved(_) => true,
            _ => false,
        }
    }
}

/// Runs something that needs the network, to its end.
fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future))
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

fn last_lines(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!("; its last words were:\n  {}", lines.join("\n  ")) }
}
