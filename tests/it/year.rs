//! The loop over a long time, on a clock that only moves when nothing is left to do: four targets, every quarter of an
//! hour, with failures of everything. What is there in the end is compared with a model of the rules.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::tz::TimeZone;
use sfarc::backend::{Backend, Kind};
use sfarc::config::{Config, Target};
use sfarc::engine::collect::{Options, collect};
use sfarc::engine::retention::Policy;
use sfarc::engine::snapshot::{From, Input};
use sfarc::env::Clock;
use sfarc::format::manifest::{Origin, Proof};
use sfarc::ids::ObjectId;
use sfarc::repo::Repository;
use sfarc::repo::snapshots::Snapshot;
use sfarc::schedule::Schedule;
use sfarc::service::agenda::{Agenda, Work};
use sfarc::service::damage::Damage;
use sfarc::service::jobs;
use sfarc::service::state::Ending;
use sfarc::service::upkeep;
use sfarc::source::prepared::Prepared;
use sfarc::source::{SourceError, Verdict};
use sfarc::testing::faulty::{Fault, FaultyBackend};
use sfarc::testing::world::{World, read_stream};

use crate::retention::model;

const MINUTE: i64 = 60_000_000_000;
const DAY: i64 = 1440 * MINUTE;

/// Numbers that look random; equal seeds give equal ones.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// What a target holds: it changes a little with every run.
struct Data {
    bytes: Vec<u8>,
    fails: bool,
}

impl Data {
    fn change(&mut self, dice: &mut Dice) {
        for _ in 0..1 + dice.below(3) {
            let at = dice.below(self.bytes.len() as u64) as usize;
            let end = (at + 200).min(self.bytes.len());
            for byte in &mut self.bytes[at..end] {
                *byte = dice.roll() as u8;
            }
        }
    }
}

fn policy() -> Policy {
    sfarc::config::usual_policy()
}

fn config(zone: &TimeZone, prune_every: Duration) -> Config {
    let names = ["a", "b", "c", "d"];
    let text: String = names.iter().map(|name| format!("[[target]]\nname = \"{name}\"\nevery = \"15m\"\n")).collect();
    let mut config = Config::parse(&text, std::path::Path::new("sfarc.toml")).expect("it can be meant");
    config.targets.iter_mut().for_each(|target| target.zone = zone.clone());
    config.upkeep.prune_every = Some(prune_every);
    config
}

/// What came of it.
struct Figures {
    runs: u64,
    good: u64,
    failed: u64,
    upkeep: u64,
    kept: usize,
    ratio: f64,
    garbage: f64,
}

struct Simulation {
    seed: u64,
    world: World,
    config: Config,
    data: Arc<Mutex<BTreeMap<String, Data>>>,
    dice: Dice,
    /// As a service keeps it open from run to run, until something fails.
    open: Option<Repository>,
    /// All snapshots that were ever committed, with the hash of what they hold.
    taken: HashMap<ObjectId, (Snapshot, blake3::Hash)>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let zone = TimeZone::get(["UTC", "Europe/Berlin"][seed as usize % 2]).expect("a zone");
        let world = World::new(seed);
        world.init().expect("a repository");
        let config = config(&zone, Duration::from_secs(86_400));
        let mut dice = Dice(seed);
        let data = config.targets.iter().map(|target| {
            let bytes = (0..100_000).map(|_| dice.roll() as u8).collect();
            (target.name.clone(), Data { bytes, fails: false })
        });
        let data = Arc::new(Mutex::new(data.collect()));
        Self { seed, world, config, data, dice, open: None, taken: HashMap::new() }
    }

    /// The repository, which may fail at some operation.
    fn repository(&mut self, may_fail: bool) -> (Repository, bool) {
        // Now and then another process comes, that knows nothing yet.
        if self.dice.once_in(1000) {
            self.open = None;
        }
        let (world, inner) = (&self.world, Arc::clone(&self.world.store) as Arc<dyn Backend>);
        let mut open = self.open.get_or_insert_with(|| world.open().expect("it opens")).clone();
        if !may_fail || !self.dice.once_in(10) {
            return (open, false);
        }
        let (at, lands) = (1 + self.dice.below(60), self.dice.once_in(2));
        let is_crash = self.dice.once_in(3);
        let fault = if is_crash { Fault::Crash { at, lands } } else { Fault::Once { at, lands } };
        open.backend = Arc::new(FaultyBackend::new(inner, fault));
        (open, is_crash)
    }

    fn inputs(&self) -> Box<jobs::Inputs> {
        let data = Arc::clone(&self.data);
        Box::new(move |target: &Target| {
            let (name, data) = (target.name.clone(), Arc::clone(&data));
            let stream = Prepared::new(Origin::Stdin, false, move |lanes| {
                let data = data.lock().expect("nobody panics");
                lanes.write(0, &data[&name].bytes)?;
                if data[&name].fails {
                    return Err(SourceError::Moved("the source fails".to_owned()));
                }
                Ok(Verdict::proven(Proof::P3))
            });
            Ok(vec![Input::new("s", From::Prepared(stream))])
        })
    }

    fn work(&mut self, work: Work, may_fail: bool) -> bool {
        let Work::Target(number) = work else { return self.upkeep(work, may_fail) };
        let target = self.config.targets[number].clone();
        let fails = may_fail && self.dice.once_in(20);
        {
            let mut data = self.data.lock().expect("nobody panics");
            let data = data.get_mut(&target.name).expect("it has data");
            data.change(&mut self.dice);
            data.fails = fails;
        }
        let inputs = self.inputs();
        let (repository, is_crash) = self.repository(may_fail);
        let outcome = jobs::run_target(&repository, &target, &*inputs, "host");
        drop(repository);
        if is_crash {
            self.crash();
        }
        match &outcome.run.snapshot {
            Some(id) => self.note(id.parse().expect("it is one")),
            None => self.note_new(),
        }
        assert!(outcome.run.ending != Ending::Flawed);
        outcome.run.ending == Ending::Good
    }

    fn upkeep(&mut self, work: Work, may_fail: bool) -> bool {
        let (repository, is_crash) = self.repository(may_fail);
        let done = match work {
            Work::Prune => upkeep::prune(&repository, &self.config, "host", &Damage::default()).done,
            _ => upkeep::check_part(&repository, &self.config, "host", &Damage::default()).done,
        };
        drop(repository);
        if is_crash {
            self.crash();
        }
        if let Err(error) = &done {
            assert!(error.category() != sfarc::Category::Damaged, "{}", sfarc::error::chain(error));
            assert!(may_fail && !error.to_string().contains("damaged"), "{}", sfarc::error::chain(error));
        }
        done.is_ok()
    }

    fn crash(&mut self) {
        self.world = self.world.after_crash();
        let store = Arc::clone(&self.world.store);
        self.open.iter_mut().for_each(|open| open.backend = Arc::clone(&store) as _);
    }

    /// The repository as it is, without faults.
    fn sound(&mut self) -> Repository {
        self.repository(false).0
    }

    /// Takes note of a snapshot that was just taken.
    fn note(&mut self, id: ObjectId) {
        let snapshot = self.sound().read_snapshot(id).expect("readable");
        let target = snapshot.manifest.label("target").map(str::to_owned);
        let hash = target.map(|name| blake3::hash(&self.data.lock().expect("nobody panics")[&name].bytes));
        self.taken.insert(id, (snapshot, hash.unwrap_or(blake3::hash(b""))));
    }

    /// A run that failed, or lost its answer, may have committed a snapshot all the same.
    fn note_new(&mut self) {
        let mut ids = self.sound().snapshot_ids().expect("listed");
        ids.retain(|id| !self.taken.contains_key(id));
        ids.into_iter().for_each(|id| self.note(id));
    }

    fn run(&mut self, days: i64) -> Figures {
        let upkeep = [(Work::Prune, self.config.upkeep.prune_every), (Work::Check, self.config.upkeep.check_every)];
        let upkeep = upkeep.map(|(work, every)| (work, Schedule::every(every.expect("it is wanted"))));
        let targets = self.config.targets.iter().enumerate();
        let targets: Vec<_> = targets.map(|(number, target)| (Work::Target(number), target.schedule.clone())).collect();
        let begin = self.world.clock.now();
        let mut agenda = Agenda::new(targets.into_iter().chain(upkeep), |_| None, 2, begin, || 0);
        let mut figures = Figures { runs: 0, good: 0, failed: 0, upkeep: 0, kept: 0, ratio: 0.0, garbage: 0.0 };
        let mut looked = begin;
        loop {
            let now = self.world.clock.now();
            if now - begin >= days * DAY {
                break;
            }
            // Not only in the end.
            if now - looked >= 60 * DAY {
                looked = now;
                self.compare();
            }
            for work in agenda.start(now) {
                // Some seconds each.
                self.world.clock.advance(1_000_000_000 * (1 + self.dice.below(20) as i64));
                let went_well = self.work(work, true);
                let random = self.dice.roll();
                agenda.ended(work, went_well, self.world.clock.now(), random);
                match work {
                    Work::Target(_) => {
                        figures.runs += 1;
                        *(if went_well { &mut figures.good } else { &mut figures.failed }) += 1;
                    }
                    _ => figures.upkeep += u64::from(went_well),
                }
            }
            let now = self.world.clock.now();
            let wake = agenda.wake(now).expect("there is always something to do");
            // Sometimes nothing runs for some hours.
            let pause = if self.dice.once_in(3000) { self.dice.below(600) as i64 * MINUTE } else { 0 };
            self.world.clock.advance((wake - now).max(0) + pause);
        }
        self.finish(&mut figures);
        figures
    }

    /// Without faults, as any later day would do it; then everything is compared.
    fn finish(&mut self, figures: &mut Figures) {
        for number in 0..self.config.targets.len() {
            self.world.clock.advance(MINUTE);
            assert!(self.work(Work::Target(number), false));
        }
        let kept = self.compare();
        for _ in 0..2 {
            assert!(self.work(Work::Prune, false), "garbage is collected");
        }
        figures.kept = kept.len();
        let stored = Self::stored(&self.sound()) as f64;
        figures.ratio = stored / self.needed(&kept) as f64;
        figures.garbage = stored / self.without_garbage() as f64;
    }

    /// Prunes, and compares what is there with the rules and with what was taken. The snapshots of targets.
    fn compare(&mut self) -> Vec<Snapshot> {
        assert!(self.work(Work::Prune, false), "garbage is collected");
        let repository = self.sound();
        let mut there = repository.snapshots().expect("readable").snapshots;
        there.retain(|one| one.manifest.label("target").is_some());
        let zone = self.config.targets[0].zone.clone();
        let all = self.taken.values().map(|(snapshot, _)| snapshot);
        let all: Vec<Snapshot> = all.filter(|one| one.manifest.label("target").is_some()).cloned().collect();
        let found: BTreeSet<ObjectId> = there.iter().map(|one| one.id).collect();
        assert_eq!(found, model(&all, self.world.clock.now(), &policy(), &zone), "the rules are kept to the letter");
        for one in &there {
            let bytes = read_stream(&repository, one, "s").expect("it restores");
            assert!(blake3::hash(&bytes) == self.taken[&one.id].1, "what was taken is what is there");
        }
        there
    }

    /// What is left if every pack is rewritten that has anything in it that nobody needs. It may be less than what the
    /// snapshots need in a repository of their own: chunk lists of many snapshots compress well together.
    fn without_garbage(&self) -> u64 {
        let copy = self.world.after_crash();
        let repository = copy.open().expect("it opens");
        for _ in 0..4 {
            collect(&repository, Options { max_unused: 0.0, ..Options::default() }).expect("collected");
        }
        Self::stored(&repository)
    }

    fn stored(repository: &Repository) -> u64 {
        let kinds = [Kind::Packs, Kind::Snapshots, Kind::Indexes];
        kinds.iter().flat_map(|kind| repository.list(*kind).expect("listed")).map(|listed| listed.len).sum()
    }

    /// What a repository takes that has only these snapshots.
    fn needed(&mut self, snapshots: &[Snapshot]) -> u64 {
        let sound = self.sound();
        // With the same keys: where chunks end depends on them.
        let fresh = World::new(self.seed);
        let repository = fresh.init().expect("a repository");
        assert!(repository.keys.root() == sound.keys.root());
        for one in snapshots {
            let bytes = read_stream(&sound, one, "s").expect("it restores");
            fresh.take(&repository, &[("s".to_owned(), bytes)].into_iter().collect()).expect("stored");
        }
        Self::stored(&repository)
    }
}

fn simulate(seed: u64, days: i64) {
    let began = std::time::Instant::now();
    let Figures { runs, good, failed, upkeep, kept, ratio, garbage } = Simulation::new(seed).run(days);
    assert!(ratio <= 1.05, "the repository takes more than its snapshots need: {ratio}");
    println!(
        "seed {seed}, {days} days: {runs} runs, {good} good, {failed} failed, {upkeep} works of upkeep, {kept} snapshots \
         kept; stored {ratio:.3} of what they take in a repository of their own, {garbage:.3} of what is left without \
         any garbage; {} s",
        began.elapsed().as_secs()
    );
}

#[test]
fn some_days_of_failures_lose_nothing_and_keep_the_rules() {
    simulate(1, 9);
}

/// `SFARC_SEEDS=n` tries n seeds, from `SFARC_FIRST_SEED` on, so that several processes can share them.
#[test]
#[ignore = "a year each, twenty of them: hours"]
fn twenty_years_of_failures_lose_nothing_and_keep_the_rules() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, seeds) = (number("SFARC_FIRST_SEED").unwrap_or(0), number("SFARC_SEEDS").unwrap_or(20));
    let days = number("SFARC_DAYS").unwrap_or(365);
    (first..first + seeds).for_each(|seed| simulate(seed, days.cast_signed()));
}
