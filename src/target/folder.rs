//! A folder stream into a folder of a container: unpacked beside what is there, then swapped by renaming.

use std::time::Duration;

use super::TargetError;
use super::feed::{FeedError, Patience, Sender};
use super::shell::Shell;
use crate::k8s::PodPlace;
use crate::source::pod::PodCommand;

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
        shell: &impl Shell,
        stamp: &str,
        len: u64,
        patience: Patience,
        give: impl FnOnce(&mut Sender) -> Result<(), E>,
    ) -> Result<(), FeedError<E>> {
        shell.feed(PodCommand::script(LOAD, &[&self.path, stamp]).line(), len, patience, give)
    }

    /// Puts what was unpacked in its place; what was there is kept beside it.
    pub fn swap(&self, shell: &impl Shell, stamp: &str) -> Result<(), TargetError> {
        shell.script(SWAP, &[&self.path, stamp], LIMIT).map(drop)
    }

    /// Removes what restores have kept of before.
    pub fn drop_old(&self, shell: &impl Shell) -> Result<(), TargetError> {
        shell.script(DROP, &[&self.path], LIMIT).map(drop)
    }
}
