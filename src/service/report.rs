//! What becomes of a work that has ended: the agenda, the state and whoever listens are told.

use super::agenda::{Agenda, Work};
use super::jobs::{Done, Outcome};
use super::state::{self, Ending, UpkeepState};
use super::{Level, Report, Service, hooks, locked, metrics, name};
use crate::env::UnixNanos;
use crate::error::{Error, chain};

impl Service {
    pub(super) fn ended(&self, agenda: &mut Agenda, report: Report) {
        match report {
            Report::Target(work, name, outcome) => self.target_ended(agenda, work, &name, *outcome),
            Report::Upkeep(work, began, done) => self.upkeep_ended(agenda, work, began, done),
        }
    }

    fn target_ended(&self, agenda: &mut Agenda, work: Work, name: &str, outcome: Outcome) {
        let Outcome { run, streams, kept, warnings } = outcome;
        let now = self.now();
        agenda.ended(work, run.ending != Ending::Failed, now, self.random());
        if run.cause.as_deref() == Some("repository") {
            self.close();
        }
        let before = {
            let mut state = locked(&self.state);
            let target = state.targets.entry(name.to_owned()).or_default();
            let before = target.runs.back().cloned();
            target.record(run.clone());
            if run.ending != Ending::Failed {
                target.streams = streams;
            }
            target.snapshots = kept.unwrap_or(target.snapshots);
            before
        };
        self.tell_run(name, before.as_ref(), &run);
        warnings.iter().for_each(|text| self.say(Level::Warning, name, text, None));
    }

    /// What goes on as before is not said again; what changes is, also to the webhook.
    fn tell_run(&self, name: &str, before: Option<&state::Run>, run: &state::Run) {
        let was_bad = before.is_some_and(|before| before.ending != Ending::Good);
        let error = run.error.clone().unwrap_or_default();
        match run.ending {
            Ending::Good => {
                let short = run.snapshot.as_deref().and_then(|id| id.get(..8)).unwrap_or_default();
                let text = format!("snapshot {short}: {} bytes, {} added", run.bytes, run.added);
                self.say(Level::Info, name, text, Some(run.clone()));
                if was_bad {
                    self.notify(Level::Info, name, "it is good again");
                }
            }
            Ending::Flawed | Ending::Failed => {
                let is_same = before.is_some_and(|before| before.ending == run.ending && before.error == run.error);
                if !is_same {
                    let level = if run.ending == Ending::Failed { Level::Error } else { Level::Warning };
                    self.say(level, name, error.clone(), Some(run.clone()));
                    self.notify(level, name, &error);
                }
            }
        }
    }

    fn notify(&self, level: Level, name: &str, text: &str) {
        let Some(url) = self.config().status.webhook.clone() else { return };
        let body = serde_json::json!({ "source": "sfarc", "host": self.world.host, "of": name, "level": level.word(), "text": format!("{name}: {text}") });
        if let Err(why) = hooks::post(&url, &body.to_string()) {
            self.say(Level::Warning, name, format!("the webhook did not take a message: {why}"), None);
        }
    }

    fn upkeep_ended(&self, agenda: &mut Agenda, work: Work, began: UnixNanos, done: Result<Done, Error>) {
        let (now, of) = (self.now(), name(work));
        agenda.ended(work, done.is_ok(), now, self.random());
        if let Err(Error::Repo(_)) = &done {
            self.close();
        }
        let mut state = locked(&self.state);
        let known: &mut UpkeepState = state.upkeep.entry(of.to_owned()).or_default();
        let (was_bad, old) = (known.failures > 0, known.error.clone());
        known.last = Some(began);
        known.took = u64::try_from(now - began).unwrap_or(0);
        match done {
            Ok(done) => {
                known.last_good = Some(began);
                (known.failures, known.error) = (0, None);
                known.did.clone_from(&done.did);
                state.read_since = done.read_since.or(state.read_since);
                state.drilled = done.drilled.or(state.drilled);
                if let Some((stored, protected)) = done.size {
                    state.grew(now, stored, protected);
                }
                drop(state);
                self.say(Level::Info, of, done.did, None);
                if was_bad {
                    self.notify(Level::Info, of, "it is good again");
                }
            }
            Err(error) => {
                let text = chain(&error);
                known.failures = known.failures.saturating_add(1);
                known.error = Some(text.clone());
                drop(state);
                if old.as_deref() != Some(&text[..]) {
                    self.say(Level::Error, of, text.clone(), None);
                    self.notify(Level::Error, of, &text);
                }
            }
        }
    }

    /// Brings the state up to date with the agenda, and writes it where somebody looks.
    pub(super) fn publish(&self, agenda: &Agenda, now: UnixNanos) {
        let config = self.config();
        let state = {
            let mut state = locked(&self.state);
            for (number, target) in config.targets.iter().enumerate() {
                state.targets.entry(target.name.clone()).or_default().next = agenda.due(Work::Target(number));
            }
            state.running = agenda.running() as u64;
            state.waiting = agenda.waiting(now) as u64;
            state.written = now;
            state.clone()
        };
        let files = [
            config.status.file.as_ref().map(|path| (path, state.write(path))),
            config
                .status
                .textfile
                .as_ref()
                .map(|path| (path, state::write_whole(path, metrics::text(&state, now).as_bytes()))),
        ];
        for (path, written) in files.into_iter().flatten() {
            if let Err(error) = written {
                self.say(Level::Warning, "", format!("{} was not written: {error}", path.display()), None);
            }
        }
    }
}
