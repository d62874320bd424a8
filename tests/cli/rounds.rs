//! Writers and collectors side by side, killed at random: what was reported as taken is there, and in the end no garbage
//! is left.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::repo::Repo;

const WRITERS: usize = 4;
/// Pieces that streams are made of: few, so that what was forgotten comes again.
const PIECES: u64 = 24;
const PIECE: usize = 96 << 10;

/// Numbers that look random; equal seeds give equal ones.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }
}

pub(crate) fn piece(number: u64) -> Vec<u8> {
    let mut dice = Dice(number << 32);
    (0..PIECE / 8).flat_map(|_| dice.roll().to_le_bytes()).collect()
}

/// A process that may be killed after a while.
struct Running {
    child: Child,
    stream: Option<blake3::Hash>,
    killed_at: Option<Instant>,
}

struct Rounds {
    repo: Repo,
    dice: Dice,
    /// What was reported as taken, and not forgotten since.
    expected: BTreeMap<String, blake3::Hash>,
    killed: u64,
}

impl Rounds {
    fn start(&mut self, args: &[&str], stream: Option<blake3::Hash>) -> Running {
        let mut command: Command = self.repo.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let killed_at = (self.dice.below(3) == 0).then(|| Instant::now() + Duration::from_millis(self.dice.below(120)));
        Running { child: command.spawn().expect("it starts"), stream, killed_at }
    }

    fn writer(&mut self, number: usize) -> Running {
        let bytes: Vec<u8> = (0..1 + self.dice.below(6)).flat_map(|_| piece(self.dice.below(PIECES))).collect();
        let name = format!("data-{number}");
        self.repo.write(&name, &bytes);
        self.start(&["snapshot", "--file", &name, "--json"], Some(blake3::hash(&bytes)))
    }

    fn end(&mut self, mut running: Running) {
        if let Some(at) = running.killed_at {
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            // It may have ended before.
            let _ = running.child.kill();
        }
        let output = running.child.wait_with_output().expect("it ends");
        match output.status.code() {
            None => self.killed += 1,
            Some(0) => {
                if let Some(hash) = running.stream {
                    let object: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
                    self.expected.insert(object["id"].as_str().expect("an id").to_owned(), hash);
                }
            }
            Some(code) => panic!("{code}: {}", String::from_utf8_lossy(&output.stderr)),
        }
    }

    fn round(&mut self) {
        let mut running: Vec<Running> = (0..WRITERS).map(|number| self.writer(number)).collect();
        running.push(self.start(&["prune", "--max-unused", "0%"], None));
        // Who is not killed is waited for when the others are gone.
        running.sort_by_key(|running| (running.killed_at.is_none(), running.killed_at));
        running.into_iter().for_each(|running| self.end(running));
        while self.expected.len() > 12 {
            let number = self.dice.below(self.expected.len() as u64) as usize;
            let id = self.expected.keys().nth(number).expect("it is there").clone();
            self.repo.run(["forget", &id]).ok();
            self.expected.remove(&id);
        }
    }

    fn verify(&self) {
        self.repo.run(["check", "--read-data"]).ok();
        let listed = self.repo.ids();
        for (id, hash) in &self.expected {
            assert!(listed.contains(id), "{id} is lost");
            let object = self.repo.run(["show", id, "--json"]).ok().object();
            let name = object["streams"][0]["name"].as_str().expect("a name").to_owned();
            assert!(blake3::hash(&self.repo.run(["cat", id, &name]).ok().out) == *hash, "{id} is another");
        }
    }

    /// Forgets everything and collects: nothing that was ever stored is left.
    fn finish(&self) -> usize {
        let ids = self.repo.ids();
        if !ids.is_empty() {
            self.repo.run(["forget".to_owned()].into_iter().chain(ids)).ok();
        }
        for _ in 0..3 {
            self.repo.run(["prune", "--max-unused", "0%"]).ok();
        }
        let left = ["packs", "snapshots", "sessions", "indexes", "tmp"]
            .map(|kind| fs::read_dir(self.repo.path().join(kind)).map_or(0, Iterator::count));
        left.iter().sum()
    }
}

fn rounds(count: u64, seed: u64) {
    let mut rounds = Rounds { repo: Repo::new(), dice: Dice(seed), expected: BTreeMap::new(), killed: 0 };
    for number in 1..=count {
        rounds.round();
        if number % 50 == 0 {
            rounds.verify();
        }
    }
    rounds.verify();
    assert_eq!(rounds.finish(), 0, "garbage is left");
    println!("seed {seed}: {count} rounds of {WRITERS} writers and a collector, {} of them killed", rounds.killed);
}

#[test]
fn writers_and_collectors_that_are_killed_lose_nothing() {
    rounds(8, 1);
}

/// `SFARC_ROUNDS=n` and `SFARC_SEED=n` say how many, and which.
#[test]
#[ignore = "a thousand rounds: some minutes"]
fn a_thousand_rounds_of_killing_lose_nothing() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    rounds(number("SFARC_ROUNDS").unwrap_or(1000), number("SFARC_SEED").unwrap_or(1));
}
