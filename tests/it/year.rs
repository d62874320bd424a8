//! The loop over a long time, on a clock that only moves when nothing is left to do: four targets, every quarter of an
//! hour, with failures of everything. What is there in the end is compared with a model of the rules.

use std::collections::{BTreeMap, BTreeSet};
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
use sfarc::service::jobs;
use sfarc::service::state::Ending;
use sfarc::source::prepared::Prepared;
use sfarc::source::{SourceError, Verdict};
use sfarc::testing::faulty::{Fault, FaultyBackend};
use sfarc::testing::memory::MemoryBackend;
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
    world: World,
    config: Config,
    data: Arc<Mutex<BTreeMap<String, Data>>>,
    dice: Dice,
    /// All snapshots that were ever committed, with what they hold.
    taken: BTreeMap<ObjectId, (Snapshot, Vec<u8>)>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let zone = TimeZone::get(["UTC", "Europe/Berlin"][seed as usize % 2]).expect("a zone");
        let world = World::new(seed);
        world.init().expect("a repository");
        let config = config(&zone, Duration::from_secs(86_400));
        let mut dice = Dice(seed);
        let data = config.targets.iter().map(|target| {
            let bytes = (0..24_000).map(|_| dice.roll() as u8).collect();
            (target.name.clone(), Data { bytes, fails: false })
        });
        let data = Arc::new(Mutex::new(data.collect()));
        Self { world, config, data, dice, taken: BTreeMap::new() }
    }

    /// The repository, which may fail at some operation.
    fn repository(&mut self, may_fail: bool) -> Option<(Repository, bool)> {
        let inner: Arc<dyn Backend> = Arc::clone(&self.world.store) as _;
        if !may_fail || !self.dice.once_in(10) {
            return self.world.open_on(inner).ok().map(|repository| (repository, false));
        }
        let (at, lands) = (1 + self.dice.below(60), self.dice.once_in(2));
        let is_crash = self.dice.once_in(3);
        let fault = if is_crash { Fault::Crash { at, lands } } else { Fault::Once { at, lands } };
        self.world.open_on(Arc::new(FaultyBackend::new(inner, fault))).ok().map(|repository| (repository, is_crash))
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
        let Some((repository, is_crash)) = self.repository(may_fail) else { return false };
        let outcome = jobs::run_target(&repository, &target, &*inputs, "host");
        drop(repository);
        if is_crash {
            self.world = self.world.after_crash();
        }
        self.note();
        assert!(outcome.run.ending != Ending::Flawed);
        outcome.run.ending == Ending::Good
    }

    fn upkeep(&mut self, work: Work, may_fail: bool) -> bool {
        let Some((repository, is_crash)) = self.repository(may_fail) else { return false };
        let done = match work {
            Work::Prune => jobs::prune(&repository, &self.config),
            _ => jobs::check_part(&repository, &self.config, "host"),
        };
        drop(repository);
        if is_crash {
            self.world = self.world.after_crash();
        }
        if let Err(error) = &done {
            assert!(error.category() != sfarc::Category::Damaged, "{}", sfarc::error::chain(error));
            assert!(may_fail && !error.to_string().contains("damaged"), "{}", sfarc::error::chain(error));
        }
        done.is_ok()
    }

    /// Takes note of snapshots that are new: a run that lost its answer may have committed one all the same.
    fn note(&mut self) {
        let repository = self.world.open().expect("it opens");
        for id in repository.snapshot_ids().expect("listed") {
            if !self.taken.contains_key(&id) {
                let snapshot = repository.read_snapshot(id).expect("readable");
                let target = snapshot.manifest.label("target").map(str::to_owned);
                let bytes = target.map(|name| self.data.lock().expect("nobody panics")[&name].bytes.clone());
                self.taken.insert(id, (snapshot, bytes.unwrap_or_default()));
            }
        }
    }

    fn run(&mut self, days: i64) -> Figures {
        let upkeep = [(Work::Prune, self.config.upkeep.prune_every), (Work::Check, self.config.upkeep.check_every)];
        let upkeep = upkeep.map(|(work, every)| (work, Schedule::every(every.expect("it is wanted"))));
        let targets = self.config.targets.iter().enumerate();
        let targets: Vec<_> = targets.map(|(number, target)| (Work::Target(number), target.schedule.clone())).collect();
        let begin = self.world.clock.now();
        let mut agenda = Agenda::new(targets.into_iter().chain(upkeep), |_| None, 2, begin, || 0);
        let mut figures = Figures { runs: 0, good: 0, failed: 0, upkeep: 0, kept: 0, ratio: 0.0, garbage: 0.0 };
        let mut last_good: BTreeMap<usize, i64> = BTreeMap::new();
        loop {
            let now = self.world.clock.now();
            if now - begin >= days * DAY {
                break;
            }
            for work in agenda.start(now) {
                // Some seconds each.
                self.world.clock.advance(1_000_000_000 * (1 + self.dice.below(20) as i64));
                let went_well = self.work(work, true);
                let random = self.dice.roll();
                agenda.ended(work, went_well, self.world.clock.now(), random);
                match work {
                    Work::Target(number) => {
                        figures.runs += 1;
                        *(if went_well { &mut figures.good } else { &mut figures.failed }) += 1;
                        if went_well {
                            last_good.insert(number, now);
                        }
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
        for _ in 0..3 {
            assert!(self.work(Work::Prune, false), "garbage is collected");
        }
        let repository = self.world.open().expect("it opens");
        let there = repository.snapshots().expect("readable").snapshots;
        let of_targets: Vec<&Snapshot> = there.iter().filter(|one| one.manifest.label("target").is_some()).collect();
        let zone = self.config.targets[0].zone.clone();
        let all: Vec<Snapshot> = self
            .taken
            .values()
            .map(|(snapshot, _)| snapshot)
            .filter(|one| one.manifest.label("target").is_some())
            .cloned()
            .collect();
        let expected = model(&all, &policy(), &zone);
        let found: BTreeSet<ObjectId> = of_targets.iter().map(|one| one.id).collect();
        assert_eq!(found, expected, "the rules are kept to the letter");
        for one in &of_targets {
            let bytes = read_stream(&repository, one, "s").expect("it restores");
            assert!(bytes == self.taken[&one.id].1, "what was taken is what is there");
        }
        figures.kept = of_targets.len();
        let stored = self.stored(&self.world) as f64;
        figures.ratio = stored / self.needed(&of_targets) as f64;
        figures.garbage = stored / self.without_garbage() as f64;
    }

    /// What is left if every pack is rewritten that has anything in it that nobody needs.
    fn without_garbage(&self) -> u64 {
        let copy = self.world.after_crash();
        let repository = copy.open().expect("it opens");
        for _ in 0..4 {
            collect(&repository, Options { repack_below: 1.0, dry_run: false }).expect("collected");
        }
        self.stored(&copy)
    }

    fn stored(&self, world: &World) -> u64 {
        let repository = world.open().expect("it opens");
        let kinds = [Kind::Packs, Kind::Snapshots, Kind::Indexes];
        kinds.iter().flat_map(|kind| repository.list(*kind).expect("listed")).map(|listed| listed.len).sum()
    }

    /// What a repository takes that has only these snapshots.
    fn needed(&self, snapshots: &[&Snapshot]) -> u64 {
        let fresh = self.world.with_store(MemoryBackend::default());
        let repository = fresh.init().expect("a repository");
        for one in snapshots {
            let bytes = self.taken[&one.id].1.clone();
            fresh.take(&repository, &[("s".to_owned(), bytes)].into_iter().collect()).expect("stored");
        }
        let kinds = [Kind::Packs, Kind::Snapshots, Kind::Indexes];
        kinds.iter().flat_map(|kind| repository.list(*kind).expect("listed")).map(|listed| listed.len).sum()
    }
}

fn simulate(seed: u64, days: i64) {
    let began = std::time::Instant::now();
    let figures = Simulation::new(seed).run(days);
    let Figures { runs, good, failed, upkeep, kept, ratio, garbage } = figures;
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

#[test]
#[ignore = "a year each, twenty of them: hours"]
fn twenty_years_of_failures_lose_nothing_and_keep_the_rules() {
    let seeds = std::env::var("SFARC_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let days = std::env::var("SFARC_DAYS").ok().and_then(|text| text.parse().ok()).unwrap_or(365);
    (0..seeds).for_each(|seed| simulate(seed, days));
}
