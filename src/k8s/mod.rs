//! The cluster. The only module that names `kube`.

mod access;
mod client;
pub mod exec;
mod objects;
mod pods;
mod status;

pub use k8s_openapi::ByteString;

pub use access::Permission;
pub use client::{Cluster, Place, default_namespace};
pub use objects::Resource;
pub use pods::{PodChoice, PodPlace, is_running, labels_of};

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
    /// The account lacks a permission.
    #[error(
        "cannot {doing}: not permitted; the account needs {permission} in the namespace {namespace} (deploy/rbac.yaml)"
    )]
    Forbidden {
        /// What was being done.
        doing: String,
        /// What is missing.
        permission: Box<Permission>,
        /// Where.
        namespace: String,
    },
    /// No pod fits the description.
    #[error("no pod to run commands in for {place}: {why}")]
    NoPod {
        /// Which pod was meant.
        place: String,
        /// What is missing.
        why: &'static str,
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
    /// The API server answered with something else than a list.
    #[error("cannot {doing}: the answer of the cluster is no list")]
    NoList {
        /// What was being done.
        doing: String,
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
            Self::Connection { .. } | Self::NoPod { .. } => true,
            Self::Refused { code, .. } => *code == 429 || *code >= 500,
            Self::Config(_)
            | Self::Name(_)
            | Self::NoProtocol { .. }
            | Self::NoList { .. }
            | Self::Forbidden { .. } => false,
        }
    }

    /// True if the cluster may have done what was asked for, although its answer is of no use.
    pub fn may_be_done(&self) -> bool {
        matches!(self, Self::Connection { .. } | Self::NoProtocol { .. })
    }

    /// Names the permission that a refusal is about.
    fn needing(self, verb: &str, of: &Resource, namespace: &str, name: Option<&str>) -> Self {
        match self {
            Self::Refused { doing, code: 403, .. } => {
                let permission = Box::new(Permission::new(verb, &of.group, &of.plural, name));
                Self::Forbidden { doing, permission, namespace: namespace.to_owned() }
            }
            other => other,
        }
    }
}

/// True if a text can be the name of a namespace, pod or container: nothing in it has a meaning in a path.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    name.bytes().all(is_plain) && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
}
