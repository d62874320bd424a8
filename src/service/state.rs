//! What is known of the runs so far: for metrics, for `sfarc status`, and for the page.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::damage::Damage;
use super::plain::PlainText;
use crate::config::Config;
use crate::env::UnixNanos;
use crate::schedule::in_words;

/// Runs that are remembered of each target.
pub const RUNS: usize = 48;

/// How a run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// With a snapshot that holds all that it was to hold.
    Good,
    /// With a snapshot that is incomplete or does not fit together.
    Flawed,
    /// Without one.
    Failed,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// When it began, in nanoseconds since 1970.
    pub began: UnixNanos,
    /// How long it took, in nanoseconds.
    pub took: u64,
    /// How it ended.
    pub ending: Ending,
    /// The snapshot.
    pub snapshot: Option<PlainText>,
    /// Bytes of its streams.
    pub bytes: u64,
    /// Bytes of chunks that were new.
    pub new: u64,
    /// Bytes that the repository grew by.
    pub added: u64,
    /// What went wrong.
    pub error: Option<PlainText>,
    /// What kind of failure it was: `cluster`, `repository`, `stream`, `hook`, ...
    pub cause: Option<PlainText>,
}

/// What is known of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TargetState {
    /// The last runs, oldest first.
    pub runs: VecDeque<Run>,
    /// When the last good snapshot was begun.
    pub last_good: Option<UnixNanos>,
    /// When the next run is due; nothing while it runs.
    pub next: Option<UnixNanos>,
    /// Failures in a row.
    pub failures: u32,
    /// Failures so far, by cause.
    pub failed: BTreeMap<PlainText, u64>,
    /// Runs so far.
    pub total: u64,
    /// Bytes of streams so far.
    pub bytes: u64,
    /// Bytes of new chunks so far.
    pub new: u64,
    /// Bytes that the repository grew by so far.
    pub added: u64,
    /// Its snapshots: those that its rules kept the last time, and those taken since.
    pub snapshots: u64,
    /// The proof levels of the streams of the last snapshot: name, size in bytes, level.
    pub streams: Vec<(PlainText, u64, PlainText)>,
}

impl TargetState {
    /// Takes note of a run.
    pub fn record(&mut self, run: Run) {
        self.total += 1;
        self.bytes += run.bytes;
        self.new += run.new;
        self.added += run.added;
        if run.ending == Ending::Failed {
            self.failures += 1;
            *self.failed.entry(run.cause.clone().unwrap_or_else(|| "other".into())).or_default() += 1;
        } else {
            self.failures = 0;
        }
        if run.ending == Ending::Good {
            self.last_good = Some(run.began);
        }
        self.runs.push_back(run);
        while self.runs.len() > RUNS {
            self.runs.pop_front();
        }
    }
}

/// What is known of a work of upkeep.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UpkeepState {
    /// When it was begun last.
    pub last: Option<UnixNanos>,
    /// When it went well last.
    pub last_good: Option<UnixNanos>,
    /// How long that took, in nanoseconds.
    pub took: u64,
    /// Failures in a row.
    pub failures: u32,
    /// What went wrong the last time.
    pub error: Option<PlainText>,
    /// What it did, in words.
    pub did: PlainText,
}

/// What is known of everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// When this program was started.
    pub started: UnixNanos,
    /// When this was written.
    pub written: UnixNanos,
    /// Targets by their names.
    pub targets: BTreeMap<PlainText, TargetState>,
    /// `prune`, `check`, `drill`.
    pub upkeep: BTreeMap<PlainText, UpkeepState>,
    /// Stored bytes of all packs; what was protected, in bytes; each after a run, at most one a day.
    pub growth: VecDeque<(UnixNanos, u64, u64)>,
    /// When every byte had been read: the oldest last reading of a pack.
    pub read_since: Option<UnixNanos>,
    /// When a drill has proven a snapshot last.
    pub drilled: Option<UnixNanos>,
    /// Damage that is open.
    pub damage: Damage,
    /// False if the repository could not be told of it.
    pub is_damage_recorded: bool,
    /// True if the last check could not come to its end.
    pub is_unchecked: bool,
    /// True while the repository is open, and the one that is expected.
    pub is_repository_open: bool,
    /// Works that run.
    pub running: u64,
    /// Works that wait for others.
    pub waiting: u64,
}

impl State {
    /// Reads what another run has left; nothing is known if there is no such file, or none that can be read.
    pub fn read(path: &Path) -> Self {
        std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Forgets targets that the configuration does not name.
    pub fn keep_targets(&mut self, config: &Config) {
        self.targets.retain(|name, _| config.targets.iter().any(|target| target.name == **name));
    }

    /// Writes the file anew, whole or not at all.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        write_whole(path, &serde_json::to_vec_pretty(self)?)
    }

    /// Adds what the repository and what it protects have grown to: one point a day.
    pub fn grew(&mut self, now: UnixNanos, stored: u64, protected: u64) {
        const DAY: i64 = 86_400_000_000_000;
        const YEARS: usize = 3 * 366;
        match self.growth.back_mut() {
            Some(last) if last.0.div_euclid(DAY) == now.div_euclid(DAY) => *last = (now, stored, protected),
            _ => self.growth.push_back((now, stored, protected)),
        }
        while self.growth.len() > YEARS {
            self.growth.pop_front();
        }
    }

    /// What people should know, a sentence each.
    pub fn warnings(&self, now: UnixNanos) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.damage.is_open() {
            let since = in_words(now - self.damage.since.unwrap_or(now));
            let what = self.damage.in_words();
            warnings.push(format!("the repository is damaged, and nothing is pruned, since {since}: {what}"));
        }
        for (name, target) in &self.targets {
            let last = target.runs.back();
            if let Some(error) = last.filter(|run| run.ending == Ending::Failed).and_then(|run| run.error.as_ref()) {
                warnings.push(format!("{name}: {}: {error}", failed(target.failures)));
            }
            if let Some(run) = last.filter(|run| run.ending == Ending::Flawed) {
                let why = run.error.as_deref().unwrap_or("something is missing");
                warnings.push(format!("{name}: the last snapshot is not good: {why}"));
            }
            let late = target.next.filter(|next| now > next.saturating_add(3_600_000_000_000));
            if late.is_some() {
                warnings.push(format!("{name}: a run was due more than an hour ago"));
            }
        }
        for (name, upkeep) in &self.upkeep {
            if let Some(error) = upkeep.error.as_ref().filter(|_| upkeep.failures > 0) {
                warnings.push(format!("{name}: {}: {error}", failed(upkeep.failures)));
            }
        }
        warnings
    }
}

fn failed(times: u32) -> String {
    if times == 1 { "failed".to_owned() } else { format!("failed {times} times in a row") }
}

/// Writes a file beside the old one and puts it in its place.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".sfarc-").tempfile_in(folder)?;
    io::Write::write_all(&mut file, bytes)?;
    file.persist(path)?;
    Ok(())
}
