//! The loop: takes snapshots for ever, thins them out, looks after the repository, and tells the world how it is.
//!
//! | file | what it knows |
//! |---|---|
//! | `agenda.rs` | what is due, and what may run beside what |
//! | `jobs.rs` | what is done then |
//! | `ledger.rs` | which pack was read when |
//! | `state.rs` | what is known of the runs so far |
//! | `metrics.rs`, `http.rs`, `page.rs` | telling that to Prometheus, Kubernetes and people |
//! | `hooks.rs` | commands around a run, messages to a URL |
//!
//! Works run in threads of their own, and report to the one that keeps the agenda. All times are those of
//! [`Env::clock`]; the loop looks at it at least once a minute, so that a clock that jumps is noticed.

pub mod agenda;
mod hooks;
pub mod http;
pub mod jobs;
pub mod ledger;
pub mod metrics;
mod page;
pub mod state;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, never, select, unbounded};

use self::agenda::{Agenda, Work};
use self::jobs::{Done, Inputs, Outcome};
use self::state::{Ending, State, UpkeepState};
use crate::config::{Config, Target};
use crate::engine::retention::TARGET;
use crate::env::{Cancel, Env, UnixNanos};
use crate::error::{Error, chain};
use crate::format::manifest::OWN_LABEL;
use crate::repo::Repository;
use crate::repo::snapshots::Snapshot;
use crate::schedule::Schedule;

/// The loop looks at the clock this often, whatever is due.
const LOOK: Duration = Duration::from_secs(60);
/// How long works that were told to stop are waited for.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// Opens the repository that a configuration names.
pub type Open = dyn Fn(&Config, &Env) -> Result<Repository, Error> + Send + Sync;

/// What the service asks of the world.
pub struct World {
    /// Opens the repository that a configuration names.
    pub open: Box<Open>,
    /// Says what a target consists of.
    pub inputs: Box<Inputs>,
    /// Reads the configuration again.
    pub reload: Box<dyn Fn() -> Result<Config, String> + Send + Sync>,
    /// Tells what happens.
    pub tell: Box<dyn Fn(&Happening) + Send + Sync>,
    /// The host that snapshots are marked with.
    pub host: String,
    /// Time, randomness, and a request to stop.
    pub env: Env,
    /// How long running works may take to end when a stop is asked for.
    pub grace: Duration,
}

/// Something to log.
#[derive(Debug, Clone)]
pub struct Happening {
    /// How bad it is.
    pub level: Level,
    /// The target, or the work of upkeep; nothing for the whole.
    pub of: String,
    /// What happened.
    pub text: String,
    /// The run, where one has ended.
    pub run: Option<state::Run>,
}

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Info,
    /// Not as it should be, but it goes on.
    Warning,
    /// Something has failed.
    Error,
}

/// What somebody asks of a running service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// To end.
    Stop,
    /// To read the configuration again.
    Reload,
}

/// A running service.
pub struct Service {
    world: World,
    config: Mutex<Arc<Config>>,
    repository: Mutex<Option<Repository>>,
    state: Mutex<State>,
    beat: Mutex<UnixNanos>,
}

/// What a work reports.
enum Report {
    Target(Work, String, Box<Outcome>),
    Upkeep(Work, UnixNanos, Result<Done, Error>),
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Names of works of upkeep, in the state and in metrics.
fn name(work: Work) -> &'static str {
    match work {
        Work::Target(_) => "target",
        Work::Prune => "prune",
        Work::Check => "check",
        Work::Drill => "drill",
    }
}

impl Service {
    /// A service that has not begun.
    pub fn new(config: Config, world: World) -> Self {
        let mut state = config.status.file.as_deref().map(State::read).unwrap_or_default();
        state.started = world.env.clock.now();
        state.targets.retain(|name, _| config.targets.iter().any(|target| target.name == *name));
        Self {
            beat: Mutex::new(state.started),
            config: Mutex::new(Arc::new(config)),
            repository: Mutex::default(),
            state: Mutex::new(state),
            world,
        }
    }

    /// What is known at this moment.
    pub fn state(&self) -> State {
        locked(&self.state).clone()
    }

    /// The configuration of this moment.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&locked(&self.config))
    }

    /// When the loop has last looked at the clock.
    pub(crate) fn last_beat(&self) -> UnixNanos {
        *locked(&self.beat)
    }

    /// True once the repository has been opened.
    pub(crate) fn is_open(&self) -> bool {
        locked(&self.repository).is_some()
    }

    pub(crate) fn now(&self) -> UnixNanos {
        self.world.env.clock.now()
    }

    fn say(&self, level: Level, of: &str, text: impl Into<String>, run: Option<state::Run>) {
        (self.world.tell)(&Happening { level, of: of.to_owned(), text: text.into(), run });
    }

    fn random(&self) -> u64 {
        u64::from_le_bytes(self.world.env.random())
    }

    /// The repository, opened if it is not, with a request to stop of its own.
    fn repository(&self, config: &Config, cancel: &Cancel) -> Result<Repository, Error> {
        let mut cached = locked(&self.repository);
        let mut repository = match &*cached {
            Some(repository) => repository.clone(),
            None => cached.insert((self.world.open)(config, &self.world.env)?).clone(),
        };
        repository.env.cancel = cancel.clone();
        Ok(repository)
    }

    /// The repository may be another one now, or be gone: the next work opens it again.
    fn close(&self) {
        *locked(&self.repository) = None;
    }

    /// Runs until somebody asks to stop.
    pub fn run(self: &Arc<Self>, signals: &Receiver<Signal>) {
        let (reports, done) = unbounded();
        let mut agenda = self.agenda();
        let mut stopping: Option<UnixNanos> = None;
        loop {
            let now = self.now();
            *locked(&self.beat) = now;
            if stopping.is_none() {
                for work in agenda.start(now) {
                    self.start(work, &reports);
                }
            }
            self.publish(&agenda, now);
            if stopping.is_some() && agenda.running() == 0 {
                return;
            }
            let wait = self.wait(&agenda, now, stopping);
            // What is told while it stops is told already.
            let none = never();
            let signals = if self.world.env.cancel.is_cancelled() { &none } else { signals };
            select! {
                recv(done) -> report => if let Ok(report) = report { self.ended(&mut agenda, report) },
                recv(signals) -> signal => match signal {
                    Ok(Signal::Reload) if stopping.is_none() => self.reload(&mut agenda),
                    Ok(Signal::Reload) => {}
                    Ok(Signal::Stop) | Err(_) if stopping.is_none() => {
                        self.say(Level::Info, "", "stopping: nothing new is begun", None);
                        stopping = Some(now);
                    }
                    // Asked again: at once.
                    Ok(Signal::Stop) | Err(_) => self.world.env.cancel.cancel(),
                },
                default(wait) => {}
            }
            if let Some(since) = stopping {
                let waited = Duration::from_nanos(u64::try_from(self.now() - since).unwrap_or(0));
                if waited >= self.world.grace {
                    self.world.env.cancel.cancel();
                }
                if waited >= self.world.grace + LAST_WAIT {
                    return;
                }
            }
        }
    }

    fn wait(&self, agenda: &Agenda, now: UnixNanos, stopping: Option<UnixNanos>) -> Duration {
        if stopping.is_some() {
            return Duration::from_millis(100);
        }
        let until = agenda.wake(now).map_or(LOOK, |wake| Duration::from_nanos(u64::try_from(wake - now).unwrap_or(0)));
        until.min(LOOK)
    }

    /// Runs every target once, and the upkeep that is due; what failed.
    pub fn run_once(self: &Arc<Self>) -> Vec<String> {
        let config = self.config();
        let (reports, done) = unbounded();
        let mut agenda = self.agenda_of(&config, |this, work, last| match work {
            // Whoever calls says when.
            Work::Target(_) => None,
            _ => this.last(work, last),
        });
        let mut open: Vec<Work> = (0..config.targets.len()).map(Work::Target).collect();
        let now = self.now();
        open.extend(
            [Work::Prune, Work::Check, Work::Drill]
                .into_iter()
                .filter(|work| agenda.due(*work).is_some_and(|due| due <= now)),
        );
        // Targets first: what is pruned and checked are their snapshots, too.
        for stage in [true, false] {
            let is_target = |work: &Work| matches!(work, Work::Target(_));
            let mut left: Vec<Work> = open.iter().copied().filter(|work| is_target(work) == stage).collect();
            left.reverse();
            let (mut running, parallel) = (0, if stage { config.parallel } else { 1 });
            while running > 0 || !left.is_empty() {
                while running < parallel
                    && let Some(work) = left.pop()
                {
                    self.start(work, &reports);
                    running += 1;
                }
                if let Ok(report) = done.recv() {
                    self.ended(&mut agenda, report);
                    running -= 1;
                }
            }
        }
        self.publish(&agenda, self.now());
        let state = self.state();
        let failed = state
            .targets
            .iter()
            .filter(|(_, target)| target.runs.back().is_some_and(|run| run.ending == Ending::Failed));
        let upkeep = state.upkeep.iter().filter(|(_, upkeep)| upkeep.failures > 0);
        failed.map(|(name, _)| name.clone()).chain(upkeep.map(|(name, _)| name.clone())).collect()
    }

    fn agenda(&self) -> Agenda {
        self.agenda_of(&self.config(), Self::last)
    }

    fn agenda_of(
        &self,
        config: &Config,
        last: impl Fn(&Self, Work, &BTreeMap<String, UnixNanos>) -> Option<UnixNanos>,
    ) -> Agenda {
        let known = self.known(config);
        let targets = config.targets.iter().enumerate();
        let targets = targets.map(|(number, target)| (Work::Target(number), target.schedule.clone()));
        let upkeep = [
            (Work::Prune, config.upkeep.prune_every),
            (Work::Check, config.upkeep.check_every),
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
        let all = self.repository(config, &self.world.env.cancel).and_then(|repository| Ok(repository.snapshots()?));
        let mut note = |key: String, snapshot: &Snapshot| {
            let time = known.entry(key).or_insert(snapshot.manifest.time);
            *time = (*time).max(snapshot.manifest.time);
        };
        for snapshot in all.map(|all| all.snapshots).unwrap_or_default() {
            let label = |name: &str| snapshot.manifest.label(&format!("{OWN_LABEL}{name}"));
            if let Some(target) = snapshot.manifest.label(TARGET) {
                note(format!("target {target}"), &snapshot);
            }
            if label("checked").is_some() {
                note("check".to_owned(), &snapshot);
            }
            if label("drill-of").is_some() {
                note("drill".to_owned(), &snapshot);
            }
        }
        known
    }

    fn last(&self, work: Work, known: &BTreeMap<String, UnixNanos>) -> Option<UnixNanos> {
        let (state, config) = (locked(&self.state), self.config());
        let (key, remembered) = match work {
            Work::Target(number) => {
                let target = &config.targets.get(number)?.name;
                let run = state.targets.get(target).and_then(|target| target.runs.back());
                (format!("target {target}"), run.map(|run| run.began))
            }
            work => (name(work).to_owned(), state.upkeep.get(name(work)).and_then(|upkeep| upkeep.last)),
        };
        known.get(&key).copied().max(remembered)
    }

    fn start(self: &Arc<Self>, work: Work, reports: &Sender<Report>) {
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
                Report::Target(work, name, Box::new(jobs::not_begun(began, self.now(), &error)))
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
            Err(error) => return self.failed(work, config, began, error),
        };
        let host = &self.world.host;
        match work {
            Work::Target(number) => {
                let target: &Target = &config.targets[number];
                let outcome = jobs::run_target(&repository, target, &*self.world.inputs, host);
                Report::Target(work, target.name.clone(), Box::new(outcome))
            }
            Work::Prune => Report::Upkeep(work, began, jobs::prune(&repository, config)),
            Work::Check => Report::Upkeep(work, began, jobs::check_part(&repository, config, host)),
            Work::Drill => Report::Upkeep(work, began, jobs::drill_next(&repository, config, host)),
        }
    }

    fn ended(&self, agenda: &mut Agenda, report: Report) {
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
        let level_text = match level {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        let body = serde_json::json!({ "source": "sfarc", "host": self.world.host, "of": name, "level": level_text, "text": format!("{name}: {text}") });
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

    fn reload(&self, agenda: &mut Agenda) {
        match (self.world.reload)() {
            Ok(config) if agenda.running() > 0 && self.config().targets.len() != config.targets.len() => {
                let text = "targets came or went while some run: send the signal again when they have ended";
                self.say(Level::Warning, "", text, None);
            }
            Ok(config) => {
                *locked(&self.config) = Arc::new(config);
                self.close();
                *agenda = self.agenda();
                self.say(Level::Info, "", "the configuration was read again", None);
            }
            Err(why) => self.say(Level::Error, "", format!("the configuration is as it was: {why}"), None),
        }
    }

    /// Brings the state up to date with the agenda, and writes it where somebody looks.
    fn publish(&self, agenda: &Agenda, now: UnixNanos) {
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
