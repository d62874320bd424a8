//! Errors of whole operations, and what kind of failure each is.

pub use crate::event::chain;
use crate::pipeline::egress::EgressError;
use crate::repo::RepoError;

/// What kind of failure it is: decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// Something failed.
    Failed,
    /// The caller asked for something that makes no sense.
    Usage,
    /// There is no repository.
    NoRepository,
    /// The password or key file opens nothing.
    WrongKey,
    /// Stored bytes are damaged or missing.
    Damaged,
    /// Somebody asked to stop.
    Interrupted,
}

/// A failed operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The repository failed.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A stream could not be taken.
    #[error("cannot take stream `{name}`: no snapshot was made")]
    Source {
        /// The stream's name.
        name: String,
        /// Why.
        #[source]
        source: Box<crate::source::SourceError>,
    },
    /// It cannot be said what is to be taken.
    #[error(transparent)]
    Plan(#[from] crate::plan::PlanError),
    /// A stream could not be given back.
    #[error("cannot {doing} stream `{stream}` of snapshot {snapshot}")]
    Restore {
        /// What was being done: restoring, or copying.
        doing: &'static str,
        /// The snapshot, shortened.
        snapshot: String,
        /// The stream's name.
        stream: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
        /// True if stored bytes are damaged.
        damaged: bool,
    },
    /// Something failed in the other of two repositories.
    #[error("in the repository that is copied to")]
    There(#[source] Box<Error>),
    /// A place from which something was to be taken failed.
    #[error("cannot take anything from {place}")]
    Place {
        /// Which.
        place: String,
        /// Why.
        #[source]
        source: RepoError,
    },
    /// Something could not be done in a cluster.
    #[error("cannot {doing}")]
    Target {
        /// What was being done.
        doing: String,
        /// Why it failed.
        #[source]
        source: Box<crate::target::TargetError>,
    },
    /// The file system or a pipe failed.
    #[error("cannot {action}")]
    Io {
        /// What was being done, to what.
        action: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The caller asked for something that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Going on would do harm, or cannot be done.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// A failed action on the file system.
    pub fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    /// Something that could not be done in a cluster.
    pub fn target(doing: impl Into<String>, source: crate::target::TargetError) -> Self {
        match source {
            crate::target::TargetError::Interrupted => Self::Repo(RepoError::Cancelled),
            source => Self::Target { doing: doing.into(), source: Box::new(source) },
        }
    }

    /// A stream that could not be given back.
    pub fn restore<E>(snapshot: impl Into<String>, stream: impl Into<String>, error: EgressError<E>) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        Self::read("restore", snapshot.into(), stream.into(), error)
    }

    /// A stream that could not be copied.
    pub fn copy<E>(snapshot: impl Into<String>, stream: impl Into<String>, error: EgressError<E>) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        Self::read("copy", snapshot.into(), stream.into(), error)
    }

    fn read<E>(doing: &'static str, snapshot: String, stream: String, error: EgressError<E>) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let damaged = match &error {
            EgressError::Repo { source: RepoError::Cancelled, .. } => return Self::Repo(RepoError::Cancelled),
            EgressError::Repo { source, .. } => source.is_damage(),
            EgressError::WrongHash | EgressError::WrongFile { .. } => true,
            EgressError::Sink(_) => false,
        };
        Self::Restore { doing, snapshot, stream, source: Box::new(error), damaged }
    }

    /// What kind of failure it is.
    pub fn category(&self) -> Category {
        match self {
            Self::Repo(error) => repo_category(error),
            Self::There(error) => error.category(),
            Self::Usage(_) => Category::Usage,
            Self::Plan(error) if error.is_usage() => Category::Usage,
            Self::Restore { damaged: true, .. } => Category::Damaged,
            Self::Refused(_)
            | Self::Place { .. }
            | Self::Restore { .. }
            | Self::Source { .. }
            | Self::Plan(_)
            | Self::Target { .. }
            | Self::Io { .. } => Category::Failed,
        }
    }
}

fn repo_category(error: &RepoError) -> Category {
    match error {
        RepoError::NoRepository { .. } => Category::NoRepository,
        RepoError::WrongKey
        | RepoError::OtherRepository { .. }
        | RepoError::WriterClosed
        | RepoError::NoKeyFile(_)
        | RepoError::Role(_) => Category::WrongKey,
        RepoError::Cancelled => Category::Interrupted,
        error if error.is_damage() => Category::Damaged,
        _ => Category::Failed,
    }
}
