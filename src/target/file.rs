//! Bytes into a file of a container: written beside it, acknowledged, then renamed.

use std::time::Duration;

use super::feed::{FeedError, Patience, Sender};
use super::shell::Shell;
use crate::k8s::PodPlace;
use crate::source::pod::PodCommand;

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
        shell: &impl Shell,
        len: u64,
        patience: Patience,
        give: impl FnOnce(&mut Sender) -> Result<(), E>,
    ) -> Result<(), FeedError<E>> {
        shell.feed(PodCommand::script(WRITE, &[&self.path]).line(), len, patience, give)?;
        shell.script(RENAME, &[&self.path], LIMIT).map(drop).map_err(FeedError::Taker)
    }
}
