//! Bytes into a file of a container: written beside it, acknowledged, then renamed.

use std::time::Duration;

use super::TargetError;
use super::feed::{Feed, FeedError, Patience, Sender, feed};
use super::site::Site;
use crate::k8s::PodPlace;
use crate::source::pod::{self, Bounds, PodCommand, Run};

const LIMIT: Duration = Duration::from_secs(60);

/// A copy of what is there keeps owner and mode.
const WRITE: &str = "[ ! -e \"$1\" ] || cp -p -- \"$1\" \"$1.sfarc-new\" || exit; exec cat >\"$1.sfarc-new\"";
const RENAME: &str = "mv -f -- \"$1.sfarc-new\" \"$1\"";

/// A file in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodFile {
    /// The container.
    pub pod: PodPlace,
    /// The path in it.
    pub path: String,
}

impl PodFile {
    /// Writes `len` bytes into the file. Whoever opens it sees the old bytes or the new ones.
    pub fn write<E: Send>(
        &self,
        site: &Site<'_>,
        len: u64,
        patience: Patience,
        give: impl FnOnce(&mut Sender) -> Result<(), E>,
    ) -> Result<(), FeedError<E>> {
        let into = Feed { place: site.place, pod: &self.pod, line: self.command(WRITE).line(), len, patience };
        feed(&into, site.env.random(), &site.env.cancel, give)?;
        self.rename(site).map_err(FeedError::Taker)
    }

    fn command(&self, script: &str) -> PodCommand {
        PodCommand::Program(["sh", "-c", script, "sh", &self.path].map(str::to_owned).into())
    }

    fn rename(&self, site: &Site<'_>) -> Result<(), TargetError> {
        let (command, bounds) = (self.command(RENAME), Bounds::default());
        let run = Run { place: site.place, pod: &self.pod, command: &command, bounds: &bounds, tolerated: &[] };
        pod::ask(&run, LIMIT, &site.env.random(), &site.env.cancel)?;
        Ok(())
    }
}
