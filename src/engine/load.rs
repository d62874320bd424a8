//! Streams out of the repository to where commands run: with progress told, and a dump proven as far as a server can.

use std::convert::Infallible;

use super::name_of;
use crate::content::dump::Gate;
use crate::error::Error;
use crate::event::{Event, Task, Unit};
use crate::format::manifest::StreamEntry;
use crate::pipeline::egress::{Egress, EgressError};
use crate::repo::Repository;
use crate::repo::snapshots::Snapshot;
use crate::target::TargetError;
use crate::target::database::{Database, Expected};
use crate::target::feed::{Closed, FeedError, Patience};
use crate::target::shell::Shell;

/// The line with which newer clients begin a dump, in its two forms.
const SANDBOX: [&[u8]; 2] = [b"/*M!999999\\- ", b"/*!999999\\- "];

/// Bytes in which the first line of a dump must end.
const FIRST_LINE: u64 = 256;

/// One stream of a snapshot.
#[derive(Clone, Copy)]
pub(super) struct Saved<'a> {
    /// Where it is.
    pub(super) repository: &'a Repository,
    /// Its snapshot.
    pub(super) snapshot: &'a Snapshot,
    /// What the snapshot says of it.
    pub(super) entry: &'a StreamEntry,
}

impl<'a> Saved<'a> {
    /// Opens the repository for this stream. What must be proven before any of it is given is proven here: whoever takes it
    /// does not wait for long.
    pub(super) fn open(&self) -> Result<Egress<'a>, Error> {
        let mut egress = Egress::of(self.repository, self.snapshot)?;
        egress.prepare(&self.entry.content).map_err(|error: EgressError<Closed>| self.failed(error))?;
        Ok(egress)
    }

    /// Gives the whole stream, and tells how far it is.
    pub(super) fn give(
        &self,
        egress: &mut Egress<'_>,
        mut send: impl FnMut(&[u8]) -> Result<(), Closed>,
    ) -> Result<(), Error> {
        let (env, name) = (&self.repository.env, name_of(self.entry));
        let total = Some(self.entry.content.len);
        env.tell(&Event::Begin { task: Task::ONLY, what: &name, total, unit: Unit::Bytes });
        let given = egress.write_all(&self.entry.content, |bytes| {
            env.tell(&Event::Advance(Task::ONLY, bytes.len() as u64));
            send(bytes)
        });
        env.tell(&Event::End(Task::ONLY));
        given.map_err(|error: EgressError<Closed>| self.failed(error))
    }

    /// Loads a dump into the scratch database beside the one that it is for, and compares what came of it.
    pub(super) fn load_dump(
        &self,
        database: &Database,
        shell: &impl Shell,
        patience: Patience,
    ) -> Result<(), FeedError<Error>> {
        let mut egress = self.open().map_err(FeedError::Giver)?;
        self.require_harmless(&mut egress)?;
        let understands_sandbox = database.make_scratch(shell).map_err(FeedError::Taker)?;
        let skip = if understands_sandbox { 0 } else { self.sandbox_line(&mut egress).map_err(FeedError::Giver)? };
        let len = self.entry.content.len - skip;
        database.load(shell, len, patience, |sender| {
            let mut left = usize::try_from(skip).unwrap_or(usize::MAX);
            self.give(&mut egress, |bytes| {
                let cut = left.min(bytes.len());
                left -= cut;
                sender.send(&bytes[cut..])
            })
        })?;
        database.compare(shell, &database.scratch(), &Expected::of(&self.entry.facts)).map_err(FeedError::Taker)
    }

    /// Reads a dump and fails if it holds what no dump of a database holds, before any of it is loaded.
    fn require_harmless(&self, egress: &mut Egress<'_>) -> Result<(), FeedError<Error>> {
        let mut gate = Gate::default();
        let read = egress.write_all(&self.entry.content, |bytes| {
            gate.push(bytes);
            Ok::<(), Infallible>(())
        });
        read.map_err(|error| FeedError::Giver(self.failed(error)))?;
        gate.finish().map_err(|refused| {
            let what = "the dump, of which nothing was loaded,".to_owned();
            FeedError::Taker(TargetError::Wrong { what, why: refused.to_string() })
        })
    }

    /// Bytes of the line at the beginning of a dump that older clients take for a command.
    fn sandbox_line(&self, egress: &mut Egress<'_>) -> Result<u64, Error> {
        let mut first = Vec::new();
        let content = &self.entry.content;
        let read = egress.write_range(content, 0, FIRST_LINE.min(content.len), |bytes| {
            first.extend_from_slice(bytes);
            Ok::<(), Infallible>(())
        });
        read.map_err(|error| self.failed(error))?;
        let is_sandbox = SANDBOX.iter().any(|line| first.starts_with(line));
        let end = first.iter().position(|&byte| byte == b'\n').filter(|_| is_sandbox);
        Ok(end.map_or(0, |end| end as u64 + 1))
    }

    fn failed<E: std::error::Error + Send + Sync + 'static>(&self, error: EgressError<E>) -> Error {
        Error::restore(self.snapshot.id.short(), name_of(self.entry), error)
    }
}
