//! Where the servers of a drill run: processes on this machine, or containers of one pod.
//!
//! Both run the same scripts. Each has two folders of its own: `$HOME`, in memory, for keys and configurations, and
//! `$DATA` for what the servers keep.

mod here;
mod pod;

use std::time::Duration;

use crate::source::pod::PodCommand;
use crate::target::TargetError;
use crate::target::database::CLIENT;
use crate::target::feed::{FeedError, Patience};
use crate::target::shell::Shell;

pub(super) use here::Here;
pub use pod::Images;
pub(super) use pod::Pod;

/// Runs a MariaDB.
const MARIADB: &str = include_str!("mariadb.sh");
/// Runs a ZooKeeper, once its certificates are there.
const ZOOKEEPER: &str = include_str!("zookeeper.sh");
/// Finds the libraries of a ZooKeeper.
const JARS: &str = include_str!("jars.sh");
/// Makes a file that others see whole or not at all.
const PUT: &str = "umask 077; cat >\"$HOME/$1.part\" && mv -f \"$HOME/$1.part\" \"$HOME/$1\"";

/// How long a server may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(200);
const ASK_LIMIT: Duration = Duration::from_secs(30);

/// What a drill needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A MariaDB, and its client.
    Database,
    /// A ZooKeeper.
    ZooKeeper,
    /// Zuul's program for administrators.
    Zuul,
}

/// Servers of a drill. Their end removes everything.
pub(super) trait Bench {
    /// Why something cannot run there; nothing if it does.
    fn lacks(&self, part: Part) -> Option<&str>;

    /// Where commands for a part run.
    fn shell(&self, part: Part) -> impl Shell;

    /// The folder `$HOME`.
    fn home(&self) -> &str;

    /// Where ZooKeeper listens.
    fn port(&self) -> u16;

    /// Writes a small file into `$HOME`.
    fn put(&self, part: Part, name: &str, bytes: &[u8]) -> Result<(), TargetError> {
        let patience = Patience { silence: ASK_LIMIT, limit: ASK_LIMIT };
        let line = PodCommand::script(PUT, &[name]).line();
        match self.shell(part).feed(line, bytes.len() as u64, patience, |sender| sender.send(bytes)) {
            Ok(()) => Ok(()),
            Err(FeedError::Giver(_)) => Err(TargetError::Interrupted),
            Err(FeedError::Taker(error)) => Err(error),
        }
    }

    /// Waits until the database answers.
    fn wait_for_database(&self) -> Result<(), TargetError> {
        /// Says `ready`; or what the server has said last.
        const LOOK: &str = "if \"$client\" -N -e \"SELECT 'ready'\" 2>/dev/null; then exit 0; fi
            tail -n 1 \"$HOME/mariadb.log\" 2>/dev/null || echo 'it has said nothing'";
        let (shell, mut left) = (self.shell(Part::Database), START_LIMIT);
        loop {
            let said = shell.script(&format!("{CLIENT}{LOOK}"), &[], ASK_LIMIT)?;
            if said == b"ready\n" {
                return Ok(());
            }
            if left.is_zero() {
                let said = String::from_utf8_lossy(&said).trim().to_owned();
                let what = format!("the scratch server does not answer ({said})");
                return Err(TargetError::Late { what, seconds: START_LIMIT.as_secs() });
            }
            std::thread::sleep(POLL);
            left = left.saturating_sub(POLL);
        }
    }
}
