//! Streams out of the repository into containers.

use super::Recovery;
use super::aim::Aim;
use super::plan::PlannedStream;
use super::view::runs;
use crate::engine::load::Saved;
use crate::engine::restore::{cat_from, cat_len};
use crate::error::Error;
use crate::k8s::PodPlace;
use crate::source::helper_pod::{self, HelperPod};
use crate::target::TargetError;
use crate::target::database::{Database, Expected};
use crate::target::feed::FeedError;
use crate::target::folder::PodFolder;
use crate::target::keys::ZuulAdmin;

impl Recovery<'_> {
    /// Loads a stream beside what it replaces.
    pub(super) fn load_beside(&self, stream: &PlannedStream, stamp: &str) -> Result<(), Error> {
        match &stream.aim {
            Aim::Database(pod, database) => self.load_database(stream, pod, database, &database.old(stamp)),
            Aim::Folder(folder) => self.load_folder(stream, folder, stamp),
            _ => Ok(()),
        }
    }

    /// Puts what was loaded in its place.
    pub(super) fn swap_in(&self, stream: &PlannedStream, stamp: &str) -> Result<(), Error> {
        let failed = |error| Error::target(format!("put stream {} in its place", stream.name), error);
        match &stream.aim {
            Aim::Database(pod, database) => {
                let (shell, old) = (self.site.shell(pod), database.old(stamp));
                let there = database.look(&shell).map_err(failed)?;
                if there.contains(&database.scratch()) {
                    database.swap(&shell, &old).map_err(failed)?;
                }
                database.compare(&shell, &database.name, &Expected::of(&stream.entry.facts)).map_err(failed)
            }
            Aim::Folder(folder) => folder.swap(&self.site.shell(&folder.pod), stamp).map_err(failed),
            Aim::File(_) => self.write_file(stream),
            Aim::Keys(pod) => self.import_keys(stream, pod),
            Aim::Objects => Ok(()),
        }
    }

    fn load_database(
        &self,
        stream: &PlannedStream,
        pod: &PodPlace,
        database: &Database,
        old: &str,
    ) -> Result<(), Error> {
        let failed = |error| Error::target(format!("load stream {} beside {}", stream.name, stream.aim), error);
        let shell = self.site.shell(pod);
        let there = database.look(&shell).map_err(failed)?;
        if there.iter().any(|name| name == old) && !there.contains(&database.scratch()) {
            // An earlier attempt came as far as that, but could not say so any more.
            return Ok(());
        }
        self.ended(self.saved(stream).load_dump(database, &shell, self.options.patience), stream)
    }

    fn saved<'a>(&'a self, stream: &'a PlannedStream) -> Saved<'a> {
        Saved { repository: self.repository, snapshot: self.snapshot, entry: &stream.entry }
    }

    fn load_folder(&self, stream: &PlannedStream, folder: &PodFolder, stamp: &str) -> Result<(), Error> {
        let mut egress = self.saved(stream).open()?;
        let len = stream.entry.content.len;
        let shell = self.site.shell(&folder.pod);
        let loaded = folder.load(&shell, stamp, len, self.options.patience, |sender| {
            self.saved(stream).give(&mut egress, |bytes| sender.send(bytes))
        });
        self.ended(loaded, stream)
    }

    fn write_file(&self, stream: &PlannedStream) -> Result<(), Error> {
        let Aim::File(file) = &stream.aim else { return Ok(()) };
        let path = stream.path.as_deref().unwrap_or_default();
        let len = cat_len(self.repository, self.snapshot, &stream.entry, path)?;
        let mut egress = self.saved(stream).open()?;
        let written = file.write(&self.site.shell(&file.pod), len, self.options.patience, |sender| {
            cat_from(&mut egress, self.snapshot, &stream.entry, path, |bytes| {
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
            let (shell, admin) = (self.site.shell(pod), ZuulAdmin::default());
            if is_there(&admin.export(&shell)?).0 {
                return Ok(());
            }
            // First: so another attempt does it again, if this one does not get as far as the keys.
            admin.delete_state(&shell)?;
            admin.import(&shell, &saved)?;
            let (is_there, found) = is_there(&admin.export(&shell)?);
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
        let helper = HelperPod::start(&self.options.place, &self.options.namespace, "keys", &spec, env, &env.cancel)?;
        work(&helper.container(helper_pod::CONTAINER))
    }

    fn ended(&self, ended: Result<(), FeedError<Error>>, stream: &PlannedStream) -> Result<(), Error> {
        ended.map_err(|error| match error {
            FeedError::Giver(error) => error,
            FeedError::Taker(error) => Error::target(format!("load stream {} into {}", stream.name, stream.aim), error),
        })
    }
}
