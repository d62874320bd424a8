//! One work in a thread of its own, which reports whatever comes of it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::agenda::Work;
use super::damage::Damage;
use super::upkeep::{self, Worked};
use super::{Report, Service, jobs, locked, name};
use crate::config::{Config, Target};
use crate::env::UnixNanos;
use crate::error::Error;

impl Service {
    pub(super) fn start(self: &Arc<Self>, work: Work, reports: &Sender<Report>) {
        let (service, reports) = (Arc::clone(self), reports.clone());
        let config = self.config();
        let named = format!("{}-{:?}", name(work), work);
        let thread = std::thread::Builder::new().name(named);
        let refused = {
            let reports = reports.clone();
            thread.spawn(move || {
                // Nobody is left to tell if the loop has gone.
                let _ = reports.send(service.work(work, &config));
            })
        };
        if let Err(error) = refused {
            let began = self.now();
            let error = Error::io("start a thread")(error);
            let _ = reports.send(self.failed(work, &self.config(), began, error));
        }
    }

    fn failed(&self, work: Work, config: &Config, began: UnixNanos, error: Error) -> Report {
        match work {
            Work::Target(number) => {
                let name = config.targets.get(number).map(|target| target.name.clone()).unwrap_or_default();
                Report::Target(name, Box::new(jobs::not_begun(began, self.now(), &error)))
            }
            _ => Report::Upkeep(work, began, Box::new(Worked::from(Err(error)))),
        }
    }

    /// Does one work, whatever happens in it.
    fn work(&self, work: Work, config: &Config) -> Report {
        let began = self.now();
        let caught = std::panic::catch_unwind(AssertUnwindSafe(|| self.try_work(work, config, began)));
        caught.unwrap_or_else(|_| {
            let text = "the program has made a mistake in this work; please report what it said";
            self.failed(work, config, began, Error::Refused(text.to_owned()))
        })
    }

    fn try_work(&self, work: Work, config: &Config, began: UnixNanos) -> Report {
        let repository = match self.repository(config, &self.world.env.cancel) {
            Ok(repository) => repository,
            Err(error) => {
                let Work::Target(number) = work else { return self.failed(work, config, began, error) };
                let target = &config.targets[number];
                let outcome = jobs::without_repository(target, &self.world.env, began, &error);
                return Report::Target(target.name.clone(), Box::new(outcome));
            }
        };
        let host = &self.world.host;
        match work {
            Work::Target(number) => {
                let target: &Target = &config.targets[number];
                let outcome = jobs::run_target(&repository, target, &*self.world.inputs, host);
                Report::Target(target.name.clone(), Box::new(outcome))
            }
            Work::Prune => {
                let worked = match self.must_check_first(config) {
                    Some(error) => Worked::from(Err(error)),
                    None => upkeep::prune(&repository, config, host, &self.unrecorded_damage()),
                };
                Report::Upkeep(work, began, Box::new(worked))
            }
            Work::Check => {
                let worked = upkeep::check_part(&repository, config, host, &self.unrecorded_damage());
                Report::Upkeep(work, began, Box::new(worked))
            }
            Work::Drill => Report::Upkeep(work, began, Box::new(jobs::drill_next(&repository, config, host).into())),
        }
    }

    /// Why nothing may be pruned: whether the repository is whole could not be found out.
    fn must_check_first(&self, config: &Config) -> Option<Error> {
        let state = locked(&self.state);
        let is_unknown = state.is_unchecked && config.upkeep.check_every.is_some();
        let why = state.upkeep.get(name(Work::Check)).and_then(|check| check.error.clone()).unwrap_or_default();
        is_unknown.then(|| Error::Refused(format!("nothing is pruned before a check has come to its end: {why}")))
    }

    /// Damage that the repository could not be told of.
    pub(super) fn unrecorded_damage(&self) -> Damage {
        let state = locked(&self.state);
        if state.is_damage_recorded { Damage::default() } else { state.damage.clone() }
    }
}
