//! Where streams come from. A source writes into lanes and then gives its verdict: the end of its bytes is not
//! the end of the stream until it has returned without an error.

pub mod command;
pub mod file;
pub mod folder;
mod last_lines;
pub mod pod;
mod trailer;

pub use trailer::TrailerError;

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
    #[error("the command in {target} {how}{}", last_lines(stderr))]
    Exec {
        /// Namespace, pod and container.
        target: String,
        /// How it ended.
        how: String,
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
    /// Things that changed while they were read, one sentence each.
    pub changed: Vec<String>,
}

impl Verdict {
    /// Nothing to remark on.
    pub fn proven(proof: Proof) -> Self {
        Self { proof, missing: Vec::new(), changed: Vec::new() }
    }
}

impl From<TrailerError> for SourceError {
    fn from(source: TrailerError) -> Self {
        Self::Trailer { target: "a container".to_owned(), source }
    }
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
