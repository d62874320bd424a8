//! Where commands run that load and prove: a container, or this machine.

use std::time::Duration;

use super::TargetError;
use super::feed::{Feed, FeedError, Patience, Sender, feed};
use super::site::Site;
use crate::env::Env;
use crate::k8s::PodPlace;
use crate::source::pod::{self, Bounds, PodCommand, Run};

/// Runs commands, one after the other.
pub trait Shell {
    /// The world.
    fn env(&self) -> &Env;

    /// Runs a command without input; what it printed. Fails unless it succeeds within `limit`.
    fn ask(&self, command: &PodCommand, limit: Duration) -> Result<Vec<u8>, TargetError>;

    /// Runs a line for a shell and gives it the `len` bytes that `give` sends. When this returns without an error, the
    /// command has succeeded and has got every byte.
    fn feed<E: Send>(
        &self,
        line: String,
        len: u64,
        patience: Patience,
        give: impl FnOnce(&mut Sender) -> Result<(), E>,
    ) -> Result<(), FeedError<E>>;

    /// Runs a script with arguments; what it printed.
    fn script(&self, script: &str, arguments: &[&str], limit: Duration) -> Result<Vec<u8>, TargetError> {
        self.ask(&PodCommand::script(script, arguments), limit)
    }
}

/// A container of a pod.
#[derive(Clone, Copy)]
pub struct PodShell<'a> {
    /// The cluster.
    pub site: &'a Site<'a>,
    /// The container.
    pub pod: &'a PodPlace,
}

impl Shell for PodShell<'_> {
    fn env(&self) -> &Env {
        self.site.env
    }

    fn ask(&self, command: &PodCommand, limit: Duration) -> Result<Vec<u8>, TargetError> {
        let bounds = Bounds::default();
        let run = Run { place: self.site.place, pod: self.pod, command, bounds: &bounds, tolerated: &[] };
        Ok(pod::ask(&run, limit, &self.site.env.random(), &self.site.env.cancel)?)
    }

    fn feed<E: Send>(
        &self,
        line: String,
        len: u64,
        patience: Patience,
        give: impl FnOnce(&mut Sender) -> Result<(), E>,
    ) -> Result<(), FeedError<E>> {
        let into = Feed { place: self.site.place, pod: self.pod, line, len, patience };
        feed(&into, self.site.env.random(), &self.site.env.cancel, give)
    }
}
