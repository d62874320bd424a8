//! What happens in a simulation, and what must come of it.

use std::collections::HashMap;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sfarc::engine::{collect, snapshot};
use sfarc::env::{Cancel, Env};
use sfarc::error::{Error, chain};
use sfarc::event::NullObserver;
use sfarc::format::config::Features;
use sfarc::ids::ObjectId;
use sfarc::pipeline::egress::Egress;
use sfarc::repo::snapshots::Snapshot;
use sfarc::repo::{RepoError, Repository};
use sfarc::sync;
use sfarc::sync::simulation::{self, Breakage, Dice, INJECTED, RandomSchedule, Schedule};
use sfarc::testing::clock::SimulatedClock;
use sfarc::testing::entropy::SeededEntropy;
use sfarc::testing::memory::MemoryBackend;
use sfarc::testing::world::World;

use crate::sources::{Contents, Script};
use crate::store::{Behaviour, Fault, Store};

/// Takes a snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    pub(crate) name: String,
    pub(crate) streams: Vec<Script>,
    pub(crate) store: Behaviour,
    /// When somebody asks it to stop.
    pub(crate) interrupted: Option<Duration>,
}

/// Forgets the snapshot that was there before, and collects garbage.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    pub(crate) store: Behaviour,
    pub(crate) after: Duration,
}

/// A repository, those who use it at the same time, and what goes wrong.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) workers: usize,
    pub(crate) hides_sizes: bool,
    /// Takes a snapshot before everybody else.
    pub(crate) before: Option<Writer>,
    pub(crate) writers: Vec<Writer>,
    pub(crate) collector: Option<Collector>,
    pub(crate) breakage: Breakage,
    /// Only what the writers and the collector do is under the schedule: not what is before, and not the restores.
    pub(crate) is_calm_around: bool,
}

/// What came of a scenario.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) saved: usize,
    pub(crate) refused: usize,
    pub(crate) retried: usize,
    pub(crate) restored_bytes: usize,
    pub(crate) panics: usize,
    pub(crate) steps: u64,
    pub(crate) trace: u64,
}

/// How long it may be before something happens.
const SOON: u64 = 20_000;

impl Writer {
    fn random(dice: &mut Dice, number: usize, is_remote: bool, may_fail: bool) -> Self {
        let may_be_large = dice.once_in(4);
        let count = 1 + dice.below(3) as usize;
        let streams = (0..count).map(|number| Script::random(dice, number, may_fail, may_be_large)).collect();
        let store = Behaviour::random(dice, is_remote, may_fail);
        let interrupted = (may_fail && dice.once_in(12)).then(|| Duration::from_millis(dice.below(SOON)));
        Self { name: format!("writer-{number}"), streams, store, interrupted }
    }

    /// What its snapshot holds; nothing if there must be none.
    fn expected(&self) -> Option<Vec<(&str, &Contents)>> {
        self.streams.iter().map(|stream| Some((&stream.name[..], stream.expected()?))).collect()
    }

    /// True if nothing that it needs fails.
    fn is_undisturbed(&self) -> bool {
        let is_working = matches!(self.store.fault, Fault::None);
        is_working && self.interrupted.is_none() && self.expected().is_some()
    }

    fn take(&self, world: &Stage) -> Result<ObjectId, Error> {
        let env = world.env();
        let repository = world.open(self.store, &self.name, env.clone())?;
        let inputs = self.streams.iter().map(|stream| stream.input(&env)).collect();
        let options = snapshot::Options { inputs, tags: vec![self.name.clone()], ..Default::default() };
        let take = || snapshot::snapshot(&repository, &options).map(|report| report.id.expect("it was no dry run"));
        let Some(after) = self.interrupted else { return take() };
        sync::scope(|scope| {
            let interrupt = || {
                sync::sleep(after);
                env.cancel.cancel();
            };
            let _ = scope.spawn("interrupter", interrupt);
            take()
        })
    }
}

/// What all in a scenario share.
struct Stage {
    seed: u64,
    workers: usize,
    store: Arc<MemoryBackend>,
    entropy: Arc<SeededEntropy>,
}

impl Stage {
    fn env(&self) -> Env {
        Env {
            clock: Arc::new(SimulatedClock),
            entropy: Arc::clone(&self.entropy) as _,
            observer: Arc::new(NullObserver),
            cancel: Cancel::default(),
            workers: self.workers,
        }
    }

    fn open(&self, behaviour: Behaviour, name: &str, env: Env) -> Result<Repository, RepoError> {
        let seed = name.bytes().fold(self.seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let store = Store::new(&self.store, behaviour, seed);
        Repository::open(store, "simulated", || Ok(World::credential()), env)
    }

    fn collect(&self, collector: &Collector, forget: Option<ObjectId>) -> Result<(), Error> {
        sync::sleep(collector.after);
        let repository = self.open(collector.store, "collector", self.env())?;
        if let Some(id) = forget {
            repository.forget(&[id])?;
        }
        let options = collect::Options { max_unused: 0.0, ..collect::Options::default() };
        collect::collect(&repository, options).map(drop)
    }
}

/// What somebody says who took a snapshot; nothing if he panicked.
type Said = Option<Result<ObjectId, Error>>;

impl Scenario {
    /// Everything by chance.
    pub(crate) fn random(seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ 0x5fa2_c000);
        let is_remote = dice.once_in(3);
        let may_fail = !dice.once_in(4);
        let healthy = Behaviour::healthy(is_remote);
        let before = (!dice.once_in(3)).then(|| Writer {
            name: "before".to_owned(),
            store: healthy,
            ..Writer::random(&mut dice, 0, is_remote, false)
        });
        let count = if dice.once_in(4) { 2 } else { 1 };
        let writers = (1..=count).map(|number| Writer::random(&mut dice, number, is_remote, may_fail)).collect();
        let collector = dice.once_in(4).then(|| Collector {
            store: Behaviour::random(&mut dice, is_remote, may_fail),
            after: Duration::from_millis(dice.below(SOON)),
        });
        let breakage = match dice.below(if may_fail { 12 } else { 1 }) {
            1 | 2 => {
                let names = ["source", "worker", "packer", "uploader", "writer", "collector"];
                let name = names[dice.below(names.len() as u64) as usize];
                Breakage { panics: Some((name.to_owned(), 1 + dice.below(30))), starts: None }
            }
            3 => Breakage { panics: None, starts: Some(dice.below(12) as usize) },
            _ => Breakage::default(),
        };
        let (workers, hides_sizes) = (1 + dice.below(3) as usize, dice.once_in(8));
        Self { seed, workers, hides_sizes, before, writers, collector, breakage, is_calm_around: false }
    }

    /// Plays it, and says what is wrong with what comes of it.
    pub(crate) fn run(&self, schedule: Box<dyn Schedule>) -> Result<Tally, String> {
        let scenario = self.clone();
        let outcome = simulation::simulate(schedule, move || scenario.play())?;
        let strange: Vec<&String> = outcome.panics.iter().filter(|text| !text.ends_with(INJECTED)).collect();
        if !strange.is_empty() {
            return Err(format!("threads panicked: {strange:?}"));
        }
        let tally = outcome.value.ok_or("its first thread panicked")??;
        Ok(Tally { panics: outcome.panics.len(), steps: outcome.steps, trace: outcome.trace, ..tally })
    }

    /// Plays it with the schedule of its seed.
    pub(crate) fn run_by_chance(&self) -> Result<Tally, String> {
        self.run(Box::new(RandomSchedule::new(self.seed)))
    }

    fn play(&self) -> Result<Tally, String> {
        simulation::calm(self.is_calm_around);
        let (store, entropy) = (Arc::default(), Arc::new(SeededEntropy::new(self.seed)));
        let stage = Stage { seed: self.seed, workers: self.workers, store, entropy };
        let features = if self.hides_sizes { Features::HIDDEN_SIZES } else { Features::default() };
        Repository::init_with(Arc::clone(&stage.store) as _, &World::credential(), features, stage.env())
            .map_err(|error| format!("init: {}", chain(&error)))?;
        let before = self.before.as_ref().map(|writer| writer.take(&stage)).transpose();
        let before = before.map_err(|error| format!("the snapshot before: {}", chain(&error)))?;
        simulation::calm(false);
        simulation::break_threads(self.breakage.clone());
        let said = self.act(&stage, before);
        simulation::break_threads(Breakage::default());
        simulation::calm(self.is_calm_around);
        self.judge(&stage, before, &said)
    }

    /// Everybody does what he does; gives what the writers say.
    fn act(&self, stage: &Stage, before: Option<ObjectId>) -> Vec<Said> {
        let said: Vec<Mutex<Said>> = self.writers.iter().map(|_| Mutex::default()).collect();
        sync::scope(|scope| {
            // Who does not start has done nothing.
            for (writer, said) in self.writers.iter().zip(&said) {
                let take = move || {
                    let taken = catch_unwind(AssertUnwindSafe(|| writer.take(stage))).ok();
                    *said.lock().unwrap_or_else(PoisonError::into_inner) = taken;
                };
                let _ = scope.spawn(&writer.name, take);
            }
            if let Some(collector) = &self.collector {
                let collect = move || drop(catch_unwind(AssertUnwindSafe(|| stage.collect(collector, before))));
                let _ = scope.spawn("collector", collect);
            }
        });
        said.into_iter().map(|said| said.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
    }

    fn judge(&self, stage: &Stage, before: Option<ObjectId>, said: &[Said]) -> Result<Tally, String> {
        let mut tally = Tally::default();
        let is_remote = self.writers.iter().any(|writer| writer.store.is_remote);
        let repository = stage.open(Behaviour::healthy(is_remote), "reader", stage.env());
        let repository = repository.map_err(|error| format!("it does not open any more: {}", chain(&error)))?;
        let listing = repository.snapshots().map_err(|error| format!("no listing: {}", chain(&error)))?;
        if let Some((id, error)) = listing.unreadable.first() {
            return Err(format!("snapshot {id} cannot be read: {}", chain(error)));
        }
        let listed: HashMap<&str, &Snapshot> =
            listing.snapshots.iter().map(|snapshot| (&snapshot.manifest.tags[0][..], snapshot)).collect();
        if self.collector.is_none() && before.is_some() && !listed.contains_key("before") {
            return Err("the snapshot from before is gone".to_owned());
        }
        for (writer, said) in self.writers.iter().zip(said) {
            match said {
                Some(Ok(id)) if listed.get(&writer.name[..]).is_none_or(|found| found.id != *id) => {
                    return Err(format!("{}: it is said to be saved, and is not there", writer.name));
                }
                Some(Ok(_)) => {
                    tally.saved += 1;
                    tally.retried += writer.streams.iter().filter(|stream| stream.attempts.len() > 1).count();
                }
                _ => tally.refused += 1,
            }
            self.excuse(writer, said)?;
        }
        for writer in self.writers.iter().chain(&self.before) {
            let Some(snapshot) = listed.get(&writer.name[..]) else { continue };
            let compared = compare(&repository, snapshot, writer);
            tally.restored_bytes += compared.map_err(|error| format!("{}: {error}", writer.name))?;
        }
        Ok(tally)
    }

    /// Who has no snapshot has a reason.
    fn excuse(&self, writer: &Writer, said: &Said) -> Result<(), String> {
        let is_whole = self.breakage.panics.is_none() && self.breakage.starts.is_none();
        let others = self.writers.iter().any(|writer| matches!(writer.store.fault, Fault::Forgetful { .. }));
        let undisturbed = is_whole && writer.is_undisturbed();
        let may_break = self.breakage.panics.is_some() || matches!(writer.store.fault, Fault::Panic { .. });
        match said {
            Some(Err(Error::Repo(error @ RepoError::NotWhole(_)))) if !may_break => {
                Err(format!("{}: something was lost though no thread was: {}", writer.name, chain(error)))
            }
            Some(Err(error)) if undisturbed => {
                let is_collected = matches!(error, Error::Repo(RepoError::Fenced | RepoError::Collected));
                let excused = is_collected && (self.collector.is_some() || others);
                if excused {
                    Ok(())
                } else {
                    Err(format!("{}: refused though nothing failed: {}", writer.name, chain(error)))
                }
            }
            None if undisturbed => Err(format!("{}: panicked though nothing failed", writer.name)),
            _ => Ok(()),
        }
    }
}

/// Restores a snapshot and compares; gives the bytes that this were.
fn compare(repository: &Repository, snapshot: &Snapshot, writer: &Writer) -> Result<usize, String> {
    let expected = writer.expected().ok_or("there is a snapshot though a stream of it has failed")?;
    let streams = &snapshot.manifest.streams;
    let names: Vec<_> = streams.iter().map(|stream| String::from_utf8_lossy(&stream.name)).collect();
    if names != expected.iter().map(|(name, _)| *name).collect::<Vec<_>>() {
        return Err(format!("other streams: {names:?}"));
    }
    let mut reader = Egress::open(repository).map_err(|error| chain(&error))?;
    let mut bytes = 0;
    for (stream, (name, contents)) in streams.iter().zip(expected) {
        let stored: Vec<_> = std::iter::once(&stream.content).chain(&stream.catalog).collect();
        if stored.len() != contents.len() {
            return Err(format!("{name}: {} contents, not {}", stored.len(), contents.len()));
        }
        for (stored, expected) in stored.into_iter().zip(contents) {
            let mut restored = Vec::new();
            let taken = reader.write_all(stored, |piece| {
                restored.extend_from_slice(piece);
                Ok::<_, std::convert::Infallible>(())
            });
            taken.map_err(|error| format!("{name} does not restore: {}", chain(&error)))?;
            if restored != *expected {
                let mut why = format!("{name} is not what was saved: ");
                let same =
                    restored.iter().zip(expected).take_while(|(restored, expected)| restored == expected).count();
                let _ = write!(why, "{} bytes for {}, different from {same} on", restored.len(), expected.len());
                return Err(why);
            }
            bytes += restored.len();
        }
    }
    Ok(bytes)
}
