//! One work in a thread of its own, which reports whatever comes of it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::agenda::Work;
use super::{Report, Service, jobs, name};
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
            _ => Report::Upkeep(work, began, Err(error)),
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
            Work::Prune => Report::Upkeep(work, began, jobs::prune(&repository, config)),
            Work::Check => Report::Upkeep(work, began, jobs::check_part(&repository, config, host)),
            Work::Drill => Report::Upkeep(work, began, jobs::drill_next(&repository, config, host)),
        }
    }
}
