//! The cluster. The only module that names `kube`.

mod client;
pub mod exec;
mod status;

pub use client::{Cluster, Place, default_namespace};

/// Why the cluster did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// There is no usable description of a cluster.
    #[error("no cluster is known here: name a --kubeconfig or a --context")]
    Config(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What should name an object of the cluster cannot.
    #[error("`{0}` is no name of a namespace, pod or container")]
    Name(String),
    /// The connection could not be made, or broke.
    #[error("cannot {doing}: the connection to the cluster failed")]
    Connection {
        /// What was being done.
        doing: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The API server answered with an error.
    #[error("cannot {doing}: the cluster answers {code}: {message}")]
    Refused {
        /// What was being done.
        doing: String,
        /// The HTTP status.
        code: u16,
        /// The server's own words.
        message: String,
    },
    /// The server speaks no protocol that tells how a command ended.
    #[error(
        "cannot {doing}: the server offers neither v5 nor v4 of the exec protocol, so no end of a stream could be proven"
    )]
    NoProtocol {
        /// What was being done.
        doing: String,
    },
}

impl ClusterError {
    /// True if trying again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connection { .. } => true,
            Self::Refused { code, .. } => *code == 429 || *code >= 500,
            Self::Config(_) | Self::Name(_) | Self::NoProtocol { .. } => false,
        }
    }
}
