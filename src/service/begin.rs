//! What a service begins with: an agenda, and what was done last by whom ever.

use std::collections::BTreeMap;

use super::agenda::{Agenda, Work};
use super::ledger::{self, Ledger};
use super::upkeep::Known;
use super::{Level, Service, locked, name};
use crate::config::Config;
use crate::engine::retention::TARGET;
use crate::env::UnixNanos;
use crate::error::{Error, chain};
use crate::format::manifest::OWN_LABEL;
use crate::repo::Repository;
use crate::repo::snapshots::{Listing, Snapshot};
use crate::schedule::Schedule;

impl Service {
    pub(super) fn agenda(&self) -> Agenda {
        self.agenda_of(&self.config(), Self::last)
    }

    pub(super) fn agenda_of(
        &self,
        config: &Config,
        last: impl Fn(&Self, Work, &BTreeMap<String, UnixNanos>) -> Option<UnixNanos>,
    ) -> Agenda {
        let known = self.known(config);
        let targets = config.targets.iter().enumerate();
        let targets = targets.map(|(number, target)| (Work::Target(number), target.schedule.clone()));
        let upkeep = [
            (Work::Check, config.upkeep.check_every),
            (Work::Prune, config.upkeep.prune_every),
            (Work::Drill, config.upkeep.drill_every),
        ];
        let upkeep = upkeep.into_iter().filter_map(|(work, every)| Some((work, Schedule::every(every?))));
        Agenda::new(
            targets.chain(upkeep),
            |work| last(self, work, &known),
            config.parallel,
            self.now(),
            || self.random(),
        )
    }

    /// When things were done last, as the repository tells: another service may have done them.
    fn known(&self, config: &Config) -> BTreeMap<String, UnixNanos> {
        let mut known = BTreeMap::new();
        let all = self.repository(config, &self.world.env.cancel).and_then(|repository| {
            let listing = repository.snapshots()?;
            if let Err(error) = self.note_recorded_damage(&repository, &listing) {
                let text = format!("whether damage is open is not known before the first check: {}", chain(&error));
                self.say(Level::Warning, "damage", text, None);
            }
            Ok(listing)
        });
        let mut note = |key: String, snapshot: &Snapshot| {
            let time = known.entry(key).or_insert(snapshot.manifest.time);
            *time = (*time).max(snapshot.manifest.time);
        };
        for snapshot in all.map(|all| all.snapshots).unwrap_or_default() {
            let label = |name: &str| snapshot.manifest.label(&format!("{OWN_LABEL}{name}"));
            if let Some(target) = snapshot.manifest.label(TARGET) {
                note(format!("target {target}"), &snapshot);
            }
            if ledger::verdict(&snapshot).is_some() {
                note("check".to_owned(), &snapshot);
            }
            if label("drill-of").is_some() {
                note("drill".to_owned(), &snapshot);
            }
        }
        known
    }

    /// Takes note of damage that is open by the records of the repository, whoever has found it.
    fn note_recorded_damage(&self, repository: &Repository, listing: &Listing) -> Result<(), Error> {
        let is_open = locked(&self.state).damage.is_open();
        if !is_open && !ledger::may_be_damaged(listing) {
            return Ok(());
        }
        let mut damage = Ledger::of(repository, listing)?.damage().clone();
        let unrecorded = self.unrecorded_damage();
        let is_recorded = !unrecorded.is_open();
        damage.merge(unrecorded);
        self.note_damage(Known { damage, is_recorded });
        Ok(())
    }

    pub(super) fn last(&self, work: Work, known: &BTreeMap<String, UnixNanos>) -> Option<UnixNanos> {
        let (state, config) = (locked(&self.state), self.config());
        let (key, remembered) = match work {
            Work::Target(number) => {
                let target = &config.targets.get(number)?.name;
                let run = state.targets.get(&target[..]).and_then(|target| target.runs.back());
                (format!("target {target}"), run.map(|run| run.began))
            }
            work => (name(work).to_owned(), state.upkeep.get(name(work)).and_then(|upkeep| upkeep.last)),
        };
        known.get(&key).copied().max(remembered)
    }
}
