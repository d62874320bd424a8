//! What to take out of a cluster, from where, and why something is left out.
//!
//! A plan is made by discovery ([`software_factory`]) or read from a file ([`crate::config`]). It asks nothing and takes nothing
//! itself: `sfarc plan` prints it, `sfarc snapshot` follows it.

pub mod custom_resource;
pub mod discovery;
pub mod role;
pub mod software_factory;

use crate::k8s::ClusterError;
use crate::pipeline::profile::Profile;
use crate::source::cluster::Take;
use crate::source::pod::Bounds;

/// One stream of a plan.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its name in the snapshot.
    pub name: String,
    /// What is taken, from where.
    pub take: Take,
    /// How long, how much, how well.
    pub bounds: Bounds,
    /// How it is cut.
    pub profile: Profile,
    /// Why it is taken, in a few words.
    pub why: String,
}

/// Something that a plan does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// What it is: the name of a stream, or of an object.
    pub what: String,
    /// Why it is not taken, and what would take it.
    pub why: String,
    /// True if the account lacks a permission to look whether it is there.
    pub forbidden: bool,
}

impl LeftOut {
    /// Something that is left out because of what it is, or because nobody asked for it.
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), forbidden: false }
    }
}

/// What is taken and what is not.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The streams, in the order of the snapshot.
    pub streams: Vec<Planned>,
    /// What is left out.
    pub left_out: Vec<LeftOut>,
}

/// Why a plan cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file says something that cannot be meant.
    #[error("{path}: {why}")]
    File {
        /// Its path.
        path: String,
        /// What is wrong, with the line where that is known.
        why: String,
    },
    /// The cluster did not answer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The namespace does not hold what the plan is for.
    #[error("{0}")]
    NotThere(String),
    /// A stream is named that the plan does not have.
    #[error("there is no stream `{name}` in the plan; it has: {known}")]
    NoStream {
        /// The name.
        name: String,
        /// What there is.
        known: String,
    },
}

impl PlanError {
    /// True if whoever asked has to ask for something else.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Cluster(ClusterError::Config(_) | ClusterError::Name(_))
            | Self::File { .. }
            | Self::NoStream { .. } => true,
            Self::Cluster(_) | Self::Read { .. } | Self::NotThere(_) => false,
        }
    }
}

impl Plan {
    /// Leaves out what is not named by `only` (if that names anything) and what is named by `skip`.
    pub fn pick(mut self, only: &[String], skip: &[String]) -> Result<Self, PlanError> {
        let known = || self.streams.iter().map(|stream| &stream.name[..]).collect::<Vec<_>>().join(", ");
        let has = |name: &String| self.streams.iter().any(|stream| stream.name == *name);
        if let Some(name) = only.iter().chain(skip).find(|name| !has(name)) {
            return Err(PlanError::NoStream { name: name.clone(), known: known() });
        }
        let why = |name: &String| match () {
            () if skip.contains(name) => Some("--skip names it"),
            () if !only.is_empty() && !only.contains(name) => Some("--only does not name it"),
            () => None,
        };
        for stream in std::mem::take(&mut self.streams) {
            match why(&stream.name) {
                Some(why) => self.left_out.push(LeftOut::new(stream.name, why)),
                None => self.streams.push(stream),
            }
        }
        Ok(self)
    }
}
