//! A hundred writers and two collectors on one bucket, with pauses, kills, cut lines and clocks hours apart: what was
//! reported as taken is there, and in the end no garbage is left.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sfarc::testing::bucket::{BUCKET, Options, Proxy, Server};

use crate::repo::{Ran, Repo, sfarc};
use crate::rounds::{Dice, piece};

/// Pieces that streams are made of: few, so that what was forgotten comes again.
const PIECES: u64 = 24;
/// Committed snapshots of which some are forgotten.
const MANY: usize = 120;
/// Ways to the servers, each cut by itself.
const WAYS: usize = 4;

/// Sets the clock of a process that is started with it; nothing where it is not installed.
fn faketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|library| library.exists())
}

struct Scene {
    server: Server,
    ways: Vec<Proxy>,
    here: Repo,
    faketime: Option<PathBuf>,
    /// What was reported as taken, and not forgotten since: its stream and the hash of that.
    taken: Mutex<BTreeMap<String, (String, blake3::Hash)>>,
    writing: AtomicUsize,
    counts: Counts,
}

/// What has happened.
#[derive(Default)]
struct Counts {
    taken: AtomicU64,
    killed: AtomicU64,
    paused: AtomicU64,
    refused: AtomicU64,
    collected: AtomicU64,
}

/// What a process says that was rightly told to begin anew, or that could not reach the store.
const BEGIN_ANEW: [&str; 3] = ["took this session for dead", "was collected meanwhile", "error sending request"];

impl Scene {
    fn new() -> Self {
        let server = Server::start(Options::default()).expect("a server");
        let ways = (0..WAYS).map(|_| Proxy::start(&server).expect("a way")).collect();
        let (taken, writing, counts) = <_>::default();
        let faketime = faketime();
        if faketime.is_none() {
            println!("libfaketime is not installed: all clocks agree");
        }
        let scene = Self { server, ways, here: Repo::new(), faketime, taken, writing, counts };
        Ran::from(scene.command(0, &["init"]).output().expect("it runs")).ok();
        scene
    }

    /// The program, by one of the ways, with its clock some hours off.
    fn command(&self, number: usize, args: &[&str]) -> Command {
        let mut command = sfarc();
        command.current_dir(self.here.at("")).args(args);
        command.env("SFARC_REPO", format!("s3://{BUCKET}/many")).env("SFARC_KEY_FILE", self.here.at("key"));
        command.env("SFARC_ENDPOINT", self.ways[number % WAYS].endpoint());
        // Each has its own, as pods have.
        command.env("SFARC_CACHE_DIR", self.here.at(format!("cache-{number}")));
        command.env("AWS_ACCESS_KEY_ID", "test-only").env("AWS_SECRET_ACCESS_KEY", "test-only");
        if let Some(library) = &self.faketime {
            let hours = i64::try_from(number % 25).unwrap_or(0) - 12;
            command.env("LD_PRELOAD", library).env("FAKETIME", format!("{hours:+}h"));
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<String, (String, blake3::Hash)>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a process to its end, which may come early, or late.
    fn run(&self, mut command: Command, dice: &mut Dice) -> Option<Ran> {
        let child = command.spawn().expect("it starts");
        let after = Duration::from_millis(dice.below(400));
        match dice.below(6) {
            0 => {
                std::thread::sleep(after);
                signal(&child, "KILL");
            }
            1 => {
                std::thread::sleep(after);
                signal(&child, "STOP");
                self.counts.paused.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(dice.below(3000)));
                signal(&child, "CONT");
            }
            _ => {}
        }
        let output = child.wait_with_output().expect("it ends");
        if output.status.code().is_none() {
            self.counts.killed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let ran = Ran::from(output);
        match ran.code {
            Some(0) => Some(ran),
            _ if BEGIN_ANEW.iter().any(|text| ran.err.contains(text)) => {
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
                None
            }
            code => panic!("{code:?}: {}", ran.err),
        }
    }

    fn write(&self, number: usize, snapshots: usize, seed: u64) {
        let mut dice = Dice(seed << 20 | number as u64);
        let name = format!("data-{number}");
        for _ in 0..snapshots {
            let bytes: Vec<u8> = (0..1 + dice.below(4)).flat_map(|_| piece(dice.below(PIECES))).collect();
            self.here.write(&name, &bytes);
            let command = self.command(number, &["snapshot", "--file", &name, "--json"]);
            let Some(ran) = self.run(command, &mut dice) else { continue };
            let objects = ran.json();
            let id = objects.iter().find(|object| object["type"] == "snapshot").expect("it is told")["id"].clone();
            let id = id.as_str().expect("an id").to_owned();
            self.taken().insert(id, (name.clone(), blake3::hash(&bytes)));
            self.counts.taken.fetch_add(1, Ordering::Relaxed);
        }
        self.writing.fetch_sub(1, Ordering::SeqCst);
    }

    fn is_busy(&self) -> bool {
        self.writing.load(Ordering::SeqCst) > 0
    }

    fn collect(&self, number: usize, seed: u64) {
        let mut dice = Dice(seed << 20 | number as u64);
        while self.is_busy() {
            let gone = self.forgettable(&mut dice);
            if !gone.is_empty() {
                let args: Vec<&str> = std::iter::once("forget").chain(gone.iter().map(String::as_str)).collect();
                self.run(self.command(number, &args), &mut dice);
            }
            if self.run(self.command(number, &["prune", "--max-unused", "0%"]), &mut dice).is_some() {
                self.counts.collected.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Takes some of too many snapshots from what must be there.
    fn forgettable(&self, dice: &mut Dice) -> Vec<String> {
        let mut taken = self.taken();
        let mut gone = Vec::new();
        while taken.len() > MANY {
            let number = dice.below(taken.len() as u64) as usize;
            let id = taken.keys().nth(number).expect("it is there").clone();
            taken.remove(&id);
            gone.push(id);
        }
        gone
    }

    /// Cuts lines, and lets hours pass at the store.
    fn disturb(&self, seed: u64) {
        let mut dice = Dice(seed);
        while self.is_busy() {
            std::thread::sleep(Duration::from_millis(500 + dice.below(1500)));
            let way = &self.ways[dice.below(WAYS as u64) as usize];
            way.cut(true);
            std::thread::sleep(Duration::from_millis(dice.below(800)));
            way.cut(false);
            if dice.below(4) == 0 {
                self.server.advance(Duration::from_secs(dice.below(7 * 3600)));
            }
        }
    }

    fn verify(&self) {
        let run = |args: &[&str]| Ran::from(self.command(12, args).output().expect("it runs")).ok();
        run(&["check", "--read-data"]);
        for (id, (name, hash)) in self.taken().iter() {
            assert!(blake3::hash(&run(&["cat", id, name]).out) == *hash, "{id} is another");
        }
    }

    /// Forgets everything and collects: nothing that was ever stored is left.
    fn finish(&self) {
        let run = |args: &[&str]| Ran::from(self.command(12, args).output().expect("it runs")).ok();
        let listed = run(&["list", "--json"]).json();
        let ids: Vec<&str> = listed.iter().filter_map(|object| object["id"].as_str()).collect();
        for some in ids.chunks(100) {
            run(&std::iter::once("forget").chain(some.iter().copied()).collect::<Vec<_>>());
        }
        for _ in 0..3 {
            self.server.advance(Duration::from_secs(7 * 3600));
            run(&["prune", "--max-unused", "0%"]);
        }
        let mut left: Vec<String> = self.server.objects().into_iter().map(|(name, _)| name).collect();
        left.retain(|name| {
            ["packs/", "indexes/", "snapshots/", "sessions/"].iter().any(|kind| name.contains(kind))
                && !name.ends_with("sessions/clock")
        });
        assert!(left.is_empty(), "garbage is left: {left:?}");
    }
}

fn signal(child: &Child, name: &str) {
    // It may have ended before.
    let _ = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).stderr(Stdio::null()).status();
}

fn many(writers: usize, snapshots: usize, seed: u64) {
    let begun = Instant::now();
    let scene = Scene::new();
    scene.writing.store(writers, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let scene = &scene;
        for number in 0..writers {
            scope.spawn(move || scene.write(number, snapshots, seed));
        }
        for number in writers..writers + 2 {
            scope.spawn(move || scene.collect(number, seed));
        }
        scope.spawn(|| scene.disturb(seed));
    });
    scene.verify();
    scene.finish();
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let Counts { taken, killed, paused, refused, collected } = &scene.counts;
    println!(
        "seed {seed}: {writers} writers x {snapshots}: {} taken, {} killed, {} paused, {} told to begin anew, {} \
         collections, {} s",
        count(taken),
        count(killed),
        count(paused),
        count(refused),
        count(collected),
        begun.elapsed().as_secs()
    );
}

#[test]
fn many_writers_and_two_collectors_lose_nothing() {
    many(10, 3, 1);
}

/// `SFARC_FIRST_SEED=n` and `SFARC_SEEDS=n` say where to begin, and how many.
#[test]
#[ignore = "a hundred writers, ten times: an hour"]
fn a_hundred_writers_and_two_collectors_lose_nothing() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("SFARC_FIRST_SEED").unwrap_or(1);
    (first..first + number("SFARC_SEEDS").unwrap_or(10)).for_each(|seed| many(100, 50, seed));
}
