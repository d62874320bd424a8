//! The loop: takes snapshots for ever, thins them out, looks after the repository, and tells the world how it is.
//!
//! | file | what it knows |
//! |---|---|
//! | `agenda.rs` | what is due, and what may run beside what |
//! | `begin.rs` | what was done last, by whomever |
//! | `work.rs`, `jobs.rs`, `upkeep.rs`, `forget.rs` | what is done then |
//! | `ledger.rs`, `damage.rs` | which pack was read when, and what damage is open |
//! | `state.rs`, `report.rs` | what is known of the runs so far, and how it gets there |
//! | `metrics.rs`, `http.rs`, `connections.rs`, `page.rs` | telling that to Prometheus, Kubernetes and people |
//! | `hooks.rs`, `outbox.rs` | commands around a run, messages to a URL |
//! | `plain.rs` | text that is fit for all of these |
//!
//! Works run in threads of their own, and report to the one that keeps the agenda. All times are those of
//! [`Env::clock`]; the loop looks at it at least once a minute, so that a clock that jumps is noticed.

pub mod agenda;
mod begin;
mod connections;
pub mod damage;
pub mod forget;
mod hooks;
pub mod http;
pub mod jobs;
pub mod ledger;
pub mod metrics;
mod outbox;
mod page;
pub mod plain;
mod report;
pub mod state;
pub mod upkeep;
mod work;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, never, select, unbounded};

use self::agenda::{Agenda, Work};
use self::jobs::{Inputs, Outcome};
use self::outbox::Outbox;
use self::state::{Ending, State};
use self::upkeep::Worked;
use crate::config::Config;
use crate::env::{Cancel, Env, UnixNanos};
use crate::error::Error;
use crate::repo::Repository;
use crate::schedule::nanos;
use crate::sync::{Mutex, locked};

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
    pub tell: Arc<dyn Fn(&Happening) + Send + Sync>,
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

impl Level {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
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
    /// True while there is one: `repository` is locked while it is opened, which may take long.
    is_open: AtomicBool,
    state: Mutex<State>,
    outbox: Outbox,
    beat: Mutex<UnixNanos>,
}

/// How running every target once has ended: names of targets and of works of upkeep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// What has failed.
    pub failed: Vec<String>,
    /// Targets whose snapshot is not good.
    pub flawed: Vec<String>,
    /// True while damage is open: nothing is pruned.
    pub is_damaged: bool,
}

/// What a work reports.
enum Report {
    Target(String, Box<Outcome>),
    Upkeep(Work, UnixNanos, Box<Worked>),
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
        state.keep_targets(&config);
        Self {
            beat: Mutex::new(state.started),
            config: Mutex::new(Arc::new(config)),
            repository: Mutex::default(),
            is_open: AtomicBool::new(false),
            state: Mutex::new(state),
            outbox: Outbox::default(),
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
        self.is_open.load(Ordering::Relaxed)
    }

    pub(crate) fn now(&self) -> UnixNanos {
        self.world.env.clock.now()
    }

    /// How often in a row a work of upkeep has failed.
    fn failures(&self, work: Work) -> u32 {
        locked(&self.state).upkeep.get(name(work)).map_or(0, |known| known.failures)
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
        self.is_open.store(true, Ordering::Relaxed);
        repository.env.cancel = cancel.clone();
        Ok(repository)
    }

    /// The repository may be another one now, or be gone: the next work opens it again.
    fn close(&self) {
        *locked(&self.repository) = None;
        self.is_open.store(false, Ordering::Relaxed);
    }

    /// Runs until somebody asks to stop.
    pub fn run(self: &Arc<Self>, signals: &Receiver<Signal>) {
        let (reports, done) = unbounded();
        let mut agenda = self.agenda();
        let mut stopping: Option<UnixNanos> = None;
        // Not what the agenda says: a target that was taken out of the file may run still.
        let mut running = 0_usize;
        loop {
            let now = self.now();
            *locked(&self.beat) = now;
            if stopping.is_none() {
                for work in agenda.start(now) {
                    self.start(work, &reports);
                    running += 1;
                }
            }
            self.publish(&agenda, now);
            if stopping.is_some() && running == 0 {
                return self.outbox.flush();
            }
            let wait = self.wait(&agenda, now, stopping);
            // What is told while it stops is told already.
            let none = never();
            let signals = if self.world.env.cancel.is_cancelled() { &none } else { signals };
            select! {
                recv(done) -> report => if let Ok(report) = report {
                    running -= 1;
                    self.ended(&mut agenda, report);
                    if running == 0 {
                        crate::allocator::give_back();
                    }
                },
                recv(signals) -> signal => match signal {
                    Ok(Signal::Reload) if stopping.is_none() => self.reload(&mut agenda),
                    Ok(Signal::Reload) => {}
                    Ok(Signal::Stop) | Err(_) if stopping.is_none() => {
                        self.say(Level::Info, "", "stopping: nothing new is begun", None);
                        // Not `now`: that was before it waited.
                        stopping = Some(self.now());
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
                    return self.outbox.flush();
                }
            }
        }
    }

    /// How long nothing is to be done, if nothing happens.
    fn wait(&self, agenda: &Agenda, now: UnixNanos, stopping: Option<UnixNanos>) -> Duration {
        let grace = self.world.grace;
        let end = |since: UnixNanos| {
            let limit = if self.world.env.cancel.is_cancelled() { grace + LAST_WAIT } else { grace };
            since.saturating_add(nanos(limit))
        };
        let until = stopping.map(end).or_else(|| agenda.wake(now));
        let until = until.map_or(LOOK, |until| Duration::from_nanos(u64::try_from(until - now).unwrap_or(0)));
        until.min(LOOK)
    }

    /// Runs every target once, and the upkeep that is due.
    pub fn run_once(self: &Arc<Self>) -> Ended {
        let config = self.config();
        let (reports, done) = unbounded();
        let mut agenda = self.agenda_of(&config, |this, work, last| match work {
            // Whoever calls says when.
            Work::Target(_) => None,
            // One that found damage, or came to no end: it is looked at again.
            Work::Check if this.failures(work) > 0 => None,
            _ => this.last(work, last),
        });
        let mut open: Vec<Work> = (0..config.targets.len()).map(Work::Target).collect();
        let now = self.now();
        open.extend(
            [Work::Check, Work::Prune, Work::Drill]
                .into_iter()
                .filter(|work| agenda.due(*work).is_some_and(|due| due <= now)),
        );
        // Targets first: what is checked and pruned are their snapshots, too.
        for stage in [true, false] {
            let mut left: Vec<Work> = open.iter().copied().filter(|work| work.is_target() == stage).collect();
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
        self.outbox.flush();
        let state = self.state();
        let ended = |ending: Ending| {
            let targets = state.targets.iter();
            let targets = targets.filter(move |(_, target)| target.runs.back().is_some_and(|run| run.ending == ending));
            targets.map(|(name, _)| name.to_string())
        };
        let upkeep = state.upkeep.iter().filter(|(_, upkeep)| upkeep.failures > 0).map(|(name, _)| name.to_string());
        Ended {
            failed: ended(Ending::Failed).chain(upkeep).collect(),
            flawed: ended(Ending::Flawed).collect(),
            is_damaged: state.damage.is_open(),
        }
    }

    fn reload(&self, agenda: &mut Agenda) {
        match (self.world.reload)() {
            Ok(config) => {
                let old = std::mem::replace(&mut *locked(&self.config), Arc::new(config));
                let new = self.config();
                self.close();
                locked(&self.state).keep_targets(&new);
                let before = std::mem::replace(agenda, self.agenda());
                agenda.take_over(&before, |work| match work {
                    Work::Target(number) => {
                        let name = &old.targets.get(number)?.name;
                        new.targets.iter().position(|target| target.name == *name).map(Work::Target)
                    }
                    work => Some(work),
                });
                self.say(Level::Info, "", "the configuration was read again", None);
                if (old.status.listen, old.status.page) != (new.status.listen, new.status.page) {
                    let text = "`listen` and `page` are as they were: they need a restart";
                    self.say(Level::Warning, "", text, None);
                }
            }
            Err(why) => self.say(Level::Error, "", format!("the configuration is as it was: {why}"), None),
        }
    }
}
