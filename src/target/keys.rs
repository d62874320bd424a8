//! Zuul's keys into ZooKeeper, by Zuul's own program, proven by another export.
//!
//! `zuul-admin import-keys` may stop half way and still succeed, so its word is not taken. It never removes keys.

use std::time::Duration;

use super::TargetError;
use super::feed::{FeedError, Patience};
use super::shell::Shell;
use crate::content::zuul_keys::ZuulKeys;
use crate::source::SourceError;
use crate::source::pod::PodCommand;
use crate::source::zuul_keys::TIMEOUT;

/// What the program says of a ZooKeeper in which no Zuul has ever been.
const NO_NODE: &str = "NoNode";

/// Zuul's program for administrators, as a shell calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZuulAdmin {
    /// The program, and its options.
    call: String,
    /// It tries for ever to reach a ZooKeeper that is not there.
    limit: Duration,
}

impl Default for ZuulAdmin {
    fn default() -> Self {
        Self { call: "zuul-admin".to_owned(), limit: TIMEOUT }
    }
}

impl ZuulAdmin {
    /// With the configuration in this file, which a shell names.
    pub fn configured(file: &str, limit: Duration) -> Self {
        Self { call: format!("zuul-admin -c {file}"), limit }
    }

    /// All keys that are in ZooKeeper; none if no Zuul has used it yet.
    pub fn export(&self, shell: &impl Shell) -> Result<ZuulKeys, TargetError> {
        let exported = match self.ask(shell, "", "export-keys /dev/stdout") {
            Err(TargetError::Asked(SourceError::Exec { stderr, .. } | SourceError::Failed { stderr, .. }))
                if stderr.iter().any(|line| line.contains(NO_NODE)) =>
            {
                br#"{"keys":{}}"#.to_vec()
            }
            other => other?,
        };
        let exported = zeroize::Zeroizing::new(exported);
        ZuulKeys::parse(&exported).map_err(|error| TargetError::Asked(SourceError::Content(Box::new(error))))
    }

    /// Puts keys into ZooKeeper, over those that are there. No Zuul may be running.
    pub fn import(&self, shell: &impl Shell, keys: &ZuulKeys) -> Result<(), TargetError> {
        let line = format!("exec {} import-keys --force /dev/stdin", self.call);
        let len = keys.canonical().len() as u64;
        let patience = Patience { silence: self.limit, limit: self.limit };
        match shell.feed(line, len, patience, |sender| sender.send(keys.canonical())) {
            Ok(()) => Ok(()),
            Err(FeedError::Giver(_)) => Err(TargetError::Interrupted),
            Err(FeedError::Taker(error)) => Err(error),
        }
    }

    /// Deletes queues, caches and everything else that Zuul makes again, so that nothing stale meets restored keys.
    pub fn delete_state(&self, shell: &impl Shell) -> Result<(), TargetError> {
        self.ask(shell, "echo yes | ", "delete-state").map(drop)
    }

    fn ask(&self, shell: &impl Shell, before: &str, words: &str) -> Result<Vec<u8>, TargetError> {
        shell.ask(&PodCommand::Shell(format!("{before}{} {words}", self.call)), self.limit)
    }
}
