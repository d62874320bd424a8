//! Streams out of the repository into containers.

use std::convert::Infallible;

use super::Recovery;
use super::aim::Aim;
use super::plan::PlannedStream;
use super::view::runs;
use crate::engine::restore::{cat, cat_len};
use crate::error::Error;
use crate::event::{Event, Task, Unit};
use crate::format::manifest::StreamEntry;
use crate::k8s::PodPlace;
use crate::pipeline::egress::{Egress, EgressError};
use crate::source::helper_pod::{self, HelperPod};
use crate::target::database::{Database, Expected};
use crate::target::feed::{Closed, FeedError};
use crate::target::folder::PodFolder;
use crate::target::{TargetError, keys};

/// The line with which newer clients begin a dump, in its two forms.
const SANDBOX: [&[u8]; 2] = [b"/*M!999999\\- ", b"/*!999999\\- "];

/// Bytes in which the first line of a dump must end.
const FIRST_LINE: u64 = 256;

impl Recovery<'_> {
    /// Loads a stream beside what it replaces.
    pub(super) fn load_beside(&self, stream: &PlannedStream, stamp: &str) -> Result<(), Error> {
        match &stream.aim {
            Aim::Database(database) => self.load_database(stream, database, &database.old(stamp)),
            Aim::Folder(folder) => self.load_folder(stream, folder, stamp),
            _ => Ok(()),
        }
    }

    /// Puts what was loaded in its place.
    pub(super) fn swap_in(&self, stream: &PlannedStream, stamp: &str) -> Result<(), Error> {
        let failed = |error| Error::target(format!("put stream {} in its place", stream.name), error);
        match &stream.aim {
            Aim::Database(database) => {
                let old = database.old(stamp);
                let there = database.look(&self.site).map_err(failed)?;
                if there.contains(&database.scratch()) {
                    database.swap(&self.site, &old).map_err(failed)?;
                }
                database.compare(&self.site, &database.name, &Expected::of(&stream.entry.facts)).map_err(failed)
            }
            Aim::Folder(folder) => folder.swap(&self.site, stamp).map_err(failed),
            Aim::File(_) => self.write_file(stream),
            Aim::Keys(pod) => self.import_keys(stream, pod),
            Aim::Objects => Ok(()),
        }
    }

    fn load_database(&self, stream: &PlannedStream, database: &Database, old: &str) -> Result<(), Error> {
        let failed = |error| Error::target(format!("load stream {} beside {}", stream.name, stream.aim), error);
        let there = database.look(&self.site).map_err(failed)?;
        if there.iter().any(|name| name == old) && !there.contains(&database.scratch()) {
            // An earlier attempt came as far as that, but could not say so any more.
            return Ok(());
        }
        let understands_sandbox = database.make_scratch(&self.site).map_err(failed)?;
        let mut egress = Egress::open(self.repository)?;
        let skip = if understands_sandbox { 0 } else { self.sandbox_line(&mut egress, &stream.entry)? };
        let len = stream.entry.content.len - skip;
        let loaded = database.load(&self.site, len, self.options.patience, |sender| {
            let mut left = usize::try_from(skip).unwrap_or(usize::MAX);
            self.give(&mut egress, stream, |bytes| {
                let cut = left.min(bytes.len());
                left -= cut;
                sender.send(&bytes[cut..])
            })
        });
        self.ended(loaded, stream)?;
        database.compare(&self.site, &database.scratch(), &Expected::of(&stream.entry.facts)).map_err(failed)
    }

    /// Bytes of the line at the beginning of a dump that older clients take for a command.
    fn sandbox_line(&self, egress: &mut Egress<'_>, entry: &StreamEntry) -> Result<u64, Error> {
        let mut first = Vec::new();
        let read = egress.write_range(&entry.content, 0, FIRST_LINE.min(entry.content.len), |bytes| {
            first.extend_from_slice(bytes);
            Ok::<(), Infallible>(())
        });
        read.map_err(|error| Error::restore(self.snapshot.id.short(), crate::engine::name_of(entry), error))?;
        let is_sandbox = SANDBOX.iter().any(|line| first.starts_with(line));
        let end = first.iter().position(|&byte| byte == b'\n').filter(|_| is_sandbox);
        Ok(end.map_or(0, |end| end as u64 + 1))
    }

    fn load_folder(&self, stream: &PlannedStream, folder: &PodFolder, stamp: &str) -> Result<(), Error> {
        let mut egress = Egress::open(self.repository)?;
        let len = stream.entry.content.len;
        let loaded = folder.load(&self.site, stamp, len, self.options.patience, |sender| {
            self.give(&mut egress, stream, |bytes| sender.send(bytes))
        });
        self.ended(loaded, stream)
    }

    fn write_file(&self, stream: &PlannedStream) -> Result<(), Error> {
        let Aim::File(file) = &stream.aim else { return Ok(()) };
        let path = stream.path.as_deref().unwrap_or_default();
        let len = cat_len(self.repository, self.snapshot, &stream.entry, path)?;
        let written = file.write(&self.site, len, self.options.patience, |sender| {
            cat(self.repository, self.snapshot, &stream.entry, path, |bytes| {
                sender.send(bytes).map_err(std::io::Error::other)
            })
        });
        self.ended(written, stream)
    }

    fn import_keys(&self, stream: &PlannedStream, pod: &PodPlace) -> Result<(), Error> {
        let saved = self.saved_keys(stream)?;
        self.with_zuul_admin(pod, |pod| {
            let is_there = |here: &crate::content::zuul_keys::ZuulKeys| {
                let found = saved.compare(here);
                (found.other.is_empty() && found.only_here.is_empty(), found)
            };
            if is_there(&keys::export(&self.site, pod)?).0 {
                return Ok(());
            }
            // First: so another attempt does it again, if this one does not get as far as the keys.
            keys::delete_state(&self.site, pod)?;
            keys::import(&self.site, pod, &saved)?;
            let (is_there, found) = is_there(&keys::export(&self.site, pod)?);
            if is_there {
                return Ok(());
            }
            let (missing, other) = (found.only_here.len(), found.other.len());
            let why = format!("after the import {missing} are missing and {other} are others");
            Err(TargetError::Wrong { what: "the set of keys in ZooKeeper".to_owned(), why })
        })
        .map_err(|error| Error::target("import Zuul's keys", error))
    }

    /// Runs something where `zuul-admin` is: in the scheduler's pod, or in one made for this if that does not run.
    pub(super) fn with_zuul_admin<T>(
        &self,
        pod: &PodPlace,
        work: impl FnOnce(&PodPlace) -> Result<T, TargetError>,
    ) -> Result<T, TargetError> {
        let scheduler = self.view.scheduler.as_ref();
        let Some(scheduler) = scheduler.filter(|_| !matches!(runs(&self.site, pod), Ok(true))) else {
            return work(pod);
        };
        let env = &self.repository.env;
        let spec = helper_pod::spec(scheduler);
        let helper = HelperPod::start(&self.options.place, &self.options.namespace, &spec, env, &env.cancel)?;
        work(&helper.pod)
    }

    /// Gives a whole stream, and tells how far it is.
    fn give(
        &self,
        egress: &mut Egress<'_>,
        stream: &PlannedStream,
        mut send: impl FnMut(&[u8]) -> Result<(), Closed>,
    ) -> Result<(), Error> {
        let env = &self.repository.env;
        let total = Some(stream.entry.content.len);
        env.tell(&Event::Begin { task: Task::ONLY, what: &stream.name, total, unit: Unit::Bytes });
        let given = egress.write_all(&stream.entry.content, |bytes| {
            env.tell(&Event::Advance(Task::ONLY, bytes.len() as u64));
            send(bytes)
        });
        env.tell(&Event::End(Task::ONLY));
        given.map_err(|error: EgressError<Closed>| Error::restore(self.snapshot.id.short(), stream.name.clone(), error))
    }

    fn ended(&self, ended: Result<(), FeedError<Error>>, stream: &PlannedStream) -> Result<(), Error> {
        ended.map_err(|error| match error {
            FeedError::Giver(error) => error,
            FeedError::Taker(error) => Error::target(format!("load stream {} into {}", stream.name, stream.aim), error),
        })
    }
}
