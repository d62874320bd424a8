//! Streams that are made up from something else than a single file, command or folder.

use std::fmt;
use std::sync::Arc;

use super::{SourceError, Verdict};
use crate::format::manifest::Origin;
use crate::pipeline::lanes::Lanes;

type Take = dyn Fn(&mut Lanes) -> Result<Verdict, SourceError> + Send + Sync;

/// A stream that writes itself.
#[derive(Clone)]
pub struct Prepared {
    /// Where it comes from.
    pub origin: Origin,
    /// True if it is a folder stream: it has a catalog.
    pub is_folder: bool,
    /// True if it is taken beside others, like streams out of a cluster.
    pub is_remote: bool,
    take: Arc<Take>,
}

impl Prepared {
    /// A stream that `take` writes.
    pub fn new(
        origin: Origin,
        is_folder: bool,
        take: impl Fn(&mut Lanes) -> Result<Verdict, SourceError> + Send + Sync + 'static,
    ) -> Self {
        Self { origin, is_folder, is_remote: false, take: Arc::new(take) }
    }

    pub(crate) fn take(&self, lanes: &mut Lanes) -> Result<Verdict, SourceError> {
        (self.take)(lanes)
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prepared({:?})", self.origin)
    }
}
