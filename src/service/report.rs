//! What becomes of a work that has ended: the agenda, the state and whoever listens are told.

use std::sync::Arc;

use serde_json::json;

use super::agenda::{Agenda, Work};
use super::jobs::Outcome;
use super::plain::PlainText;
use super::state::{self, Ending, UpkeepState};
use super::upkeep::{Known, Worked};
use super::{Happening, Level, Report, Service, locked, metrics, name};
use crate::env::UnixNanos;
use crate::error::{Error, chain};
use crate::repo::RepoError;

impl Service {
    pub(super) fn ended(&self, agenda: &mut Agenda, report: Report) {
        match report {
            Report::Target(name, outcome) => self.target_ended(agenda, &name, *outcome),
            Report::Upkeep(work, began, worked) => self.upkeep_ended(agenda, work, began, *worked),
        }
    }

    fn target_ended(&self, agenda: &mut Agenda, name: &str, outcome: Outcome) {
        let Outcome { run, streams, warnings } = outcome;
        let now = self.now();
        // Nobody asks any more for a target that was taken out of the file while it ran.
        let Some(number) = self.config().targets.iter().position(|target| target.name == name) else { return };
        agenda.ended(Work::Target(number), run.ending != Ending::Failed, now, self.random());
        if run.cause.as_deref() == Some("interrupted") && self.is_ending() {
            return self.say(Level::Info, name, "given up, because the program ends", Some(run));
        }
        if run.cause.as_deref() == Some("repository") {
            self.close();
        }
        let before = {
            let mut state = locked(&self.state);
            let target = state.targets.entry(name.into()).or_default();
            let before = target.runs.back().cloned();
            target.record(run.clone());
            if run.ending != Ending::Failed {
                target.streams = streams;
                target.snapshots += 1;
            }
            before
        };
        self.tell_run(name, before.as_ref(), &run);
        warnings.iter().for_each(|text| self.say(Level::Warning, name, text, None));
    }

    /// True if whatever runs was told to stop: that is no failure of its own.
    fn is_ending(&self) -> bool {
        self.world.env.cancel.is_cancelled()
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
                    self.notify(Level::Info, name, &"it is good again".into());
                }
            }
            Ending::Flawed | Ending::Failed => {
                let gist_of = |run: &state::Run| run.error.as_deref().map(gist);
                let is_same =
                    before.is_some_and(|before| before.ending == run.ending && gist_of(before) == gist_of(run));
                if !is_same {
                    let level = if run.ending == Ending::Failed { Level::Error } else { Level::Warning };
                    self.say(level, name, &error[..], Some(run.clone()));
                    self.notify(level, name, &error);
                }
            }
        }
    }

    fn notify(&self, level: Level, name: &str, text: &PlainText) {
        let Some(url) = self.config().status.webhook.clone() else { return };
        let (host, text) = (&self.world.host, format!("{name}: {text}"));
        let body = json!({ "source": "sfarc", "host": host, "of": name, "level": level.word(), "text": text });
        let (tell, of) = (Arc::clone(&self.world.tell), name.to_owned());
        self.outbox.send(url, body.to_string(), move |why| {
            let text = format!("the webhook did not take a message: {why}");
            tell(&Happening { level: Level::Warning, of, text, run: None });
        });
    }

    /// Says once that there is damage, and once that there is none any more.
    pub(super) fn note_damage(&self, Known { damage, is_recorded }: Known) {
        let (is_open, what) = (damage.is_open(), damage.in_words());
        let was_open = {
            let mut state = locked(&self.state);
            state.is_damage_recorded = is_recorded;
            std::mem::replace(&mut state.damage, damage).is_open()
        };
        let (level, text) = match (was_open, is_open) {
            (false, true) => (Level::Error, format!("nothing is pruned while the repository is damaged: {what}")),
            (true, false) => (Level::Info, "the repository is whole again, and is pruned again".to_owned()),
            _ => return,
        };
        self.notify(level, "damage", &(&text[..]).into());
        self.say(level, "damage", text, None);
    }

    fn upkeep_ended(&self, agenda: &mut Agenda, work: Work, began: UnixNanos, Worked { done, known }: Worked) {
        let (now, of) = (self.now(), name(work));
        agenda.ended(work, done.is_ok(), now, self.random());
        if matches!(done, Err(Error::Repo(RepoError::Cancelled))) && self.is_ending() {
            return self.say(Level::Info, of, "given up, because the program ends", None);
        }
        if let Err(Error::Repo(_)) = &done {
            self.close();
        }
        if work == Work::Check {
            locked(&self.state).is_unchecked = known.is_none();
        }
        if let Some(known) = known {
            self.note_damage(known);
        }
        let mut state = locked(&self.state);
        let known: &mut UpkeepState = state.upkeep.entry(of.into()).or_default();
        let (was_bad, old) = (known.failures > 0, known.error.clone());
        known.last = Some(began);
        known.took = u64::try_from(now - began).unwrap_or(0);
        match done {
            Ok(done) => {
                if !done.is_held_back {
                    known.last_good = Some(began);
                }
                (known.failures, known.error) = (0, None);
                known.did = (&done.did[..]).into();
                state.read_since = done.read_since.or(state.read_since);
                state.drilled = done.drilled.or(state.drilled);
                for (name, kept) in done.kept.into_iter().flatten() {
                    state.targets.entry(name.into()).or_default().snapshots = kept;
                }
                if let Some((stored, protected)) = done.size {
                    state.grew(now, stored, protected);
                }
                drop(state);
                self.say(Level::Info, of, done.did, None);
                if was_bad {
                    self.notify(Level::Info, of, &"it is good again".into());
                }
            }
            Err(error) => {
                let text = PlainText::from(chain(&error));
                known.failures = known.failures.saturating_add(1);
                known.error = Some(text.clone());
                drop(state);
                if old.as_deref().map(gist) != Some(gist(&text)) {
                    self.say(Level::Error, of, &text[..], None);
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
                state.targets.entry((&target.name[..]).into()).or_default().next = agenda.due(Work::Target(number));
            }
            state.running = agenda.running() as u64;
            state.waiting = agenda.waiting(now) as u64;
            state.is_repository_open = self.is_open();
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

/// What an error says, without what differs from time to time: names of objects, pods, ports.
fn gist(text: &str) -> String {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    let is_name = |word: &&str| word.len() >= 5 && word.bytes().any(|byte| byte.is_ascii_digit());
    words.filter(|word| !is_name(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::gist;

    #[test]
    fn the_gist_is_the_same_for_the_same_reason() {
        let full = |pack: &str, code: u32| gist(&format!("cannot write packs/{pack}: No space (os error {code})"));
        assert_eq!(full("2c049ce7009b0242", 28), full("82a84b403a02d167", 28));
        assert_ne!(full("2c049ce7009b0242", 28), full("2c049ce7009b0242", 5));
        assert_ne!(gist("the cluster answers 403"), gist("the cluster answers 401"));
        assert_eq!(gist("pod/web-7d4b9c6f5-x2x4z is gone"), gist("pod/web-7d4b9c6f5-q8l2m is gone"));
    }
}
