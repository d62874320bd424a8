//! A folder stream into a folder of a container: unpacked beside what is there, then swapped by renaming.

use std::time::Duration;

use super::TargetError;
use super::feed::{Feed, FeedError, Patience, Sender, feed};
use super::site::Site;
use crate::k8s::PodPlace;
use crate::source::pod::{self, Bounds, PodCommand, Run};

const LOAD: &str = include_str!("folder_load.sh");
const SWAP: &str = include_str!("folder_swap.sh");
const DROP: &str = include_str!("folder_drop.sh");

/// Renaming is quick, but there may be much of it.
const LIMIT: Duration = Duration::from_secs(600);

/// A folder in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodFolder {
    /// The container.
    pub pod: PodPlace,
    /// The path in it.
    pub path: String,
}

impl PodFolder {
    /// Unpacks a tar stream of `len` bytes beside what is in the folder.
    pub fn load<E: Send>(
        &self,
        site: &Site<'_>,
        stamp: &str,
        len: u64,
        patience: Patience,
        give: impl FnOnce(&mut Sender) -> Result<(), E>,
    ) -> Result<(), FeedError<E>> {
        let line = self.command(LOAD, stamp).line();
        feed(
            &Feed { place: site.place, pod: &self.pod, line, len, patience },
            site.env.random(),
            &site.env.cancel,
            give,
        )
    }

    /// Puts what was unpacked in its place; what was there is kept beside it.
    pub fn swap(&self, site: &Site<'_>, stamp: &str) -> Result<(), TargetError> {
        self.run(site, SWAP, stamp)
    }

    /// Removes what restores have kept of before.
    pub fn drop_old(&self, site: &Site<'_>) -> Result<(), TargetError> {
        self.run(site, DROP, "")
    }

    fn command(&self, script: &str, stamp: &str) -> PodCommand {
        PodCommand::Program(["sh", "-c", script, "sh", &self.path, stamp].map(str::to_owned).into())
    }

    fn run(&self, site: &Site<'_>, script: &str, stamp: &str) -> Result<(), TargetError> {
        let (command, bounds) = (self.command(script, stamp), Bounds::default());
        let run = Run { place: site.place, pod: &self.pod, command: &command, bounds: &bounds, tolerated: &[] };
        pod::ask(&run, LIMIT, &site.env.random(), &site.env.cancel)?;
        Ok(())
    }
}
