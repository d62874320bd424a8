//! `sfarc.toml`: what is taken, when, what is kept, and how the repository is looked after (docs/operations.md).
//!
//! | file | what it knows |
//! |---|---|
//! | `tables.rs` | the file as it is written |
//! | `values.rs` | lengths of time, sizes, commands, types of objects |
//! | `reader.rs` | what it means |
//! | `plan.rs` | what is taken |
//! | `bucket.rs` | how a repository in a bucket is used |
//! | `example.rs` | a file to begin with |

pub mod bucket;
pub mod example;
mod here;
mod plan;
mod reader;
mod tables;
pub mod values;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;

use self::bucket::Bucket;
pub use self::plan::FilePlan;
use self::reader::Reader;
use self::tables::FileTable;
use crate::engine::retention::{Own, Policy, Span};
use crate::ids::RepoId;
use crate::k8s::Place;
use crate::plan::PlanError;
use crate::schedule::Schedule;

/// Longest file in bytes.
const MOST: u64 = 1 << 20;

/// What a file says.
#[derive(Debug, Clone)]
pub struct Config {
    /// The repository, where the command line and the environment name none.
    pub repository: Repository,
    /// What is taken.
    pub targets: Vec<Target>,
    /// How many targets are taken side by side.
    pub parallel: usize,
    /// How the repository is looked after.
    pub upkeep: Upkeep,
    /// Rules of snapshots that sfarc takes for itself.
    pub own: Own,
    /// How the world is told.
    pub status: Status,
}

/// Where the repository is, and what opens it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repository {
    /// Its folder, or the URL of a bucket.
    pub path: Option<PathBuf>,
    /// A file with the password in its first line.
    pub password_file: Option<PathBuf>,
    /// A shell command that prints the password.
    pub password_command: Option<String>,
    /// A key file.
    pub key_file: Option<PathBuf>,
    /// The id that it must have.
    pub expect_id: Option<RepoId>,
    /// How it is used, if it is in a bucket.
    pub bucket: Bucket,
}

/// Something that is taken again and again.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name, and the label `target` of its snapshots.
    pub name: String,
    /// The cluster.
    pub place: Place,
    /// What is taken.
    pub plan: FilePlan,
    /// When.
    pub schedule: Schedule,
    /// Tags of its snapshots.
    pub tags: Vec<String>,
    /// What is kept.
    pub retention: Policy,
    /// The zone of its schedule, and of the days and weeks of its retention.
    pub zone: TimeZone,
    /// Commands around a run.
    pub hooks: Hooks,
}

/// Commands of this machine around a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Before it; if it fails, nothing is taken.
    pub before: Option<String>,
    /// After it, whatever came of it.
    pub after: Option<String>,
    /// After a failure.
    pub on_failure: Option<String>,
}

/// How the repository is looked after.
#[derive(Debug, Clone, PartialEq)]
pub struct Upkeep {
    /// How often garbage is collected.
    pub prune_every: Option<Duration>,
    /// Garbage that may stay in packs with something in use, as a share of all.
    pub max_unused: f64,
    /// Bytes of packs that are rewritten at a time at most.
    pub rewrite_at_most: u64,
    /// How often a part is checked.
    pub check_every: Option<Duration>,
    /// In this time every byte is read once.
    pub read_all_within: Duration,
    /// Bytes that one check reads at most.
    pub read_at_most: Option<u64>,
    /// How often the newest snapshot of a target is restored for practice.
    pub drill_every: Option<Duration>,
    /// How long one work of upkeep may take. A check reads no further then, and goes on the next time; others are
    /// given up.
    pub time_at_most: Duration,
    /// A namespace for the scratch servers of a drill; this machine if there is none.
    pub drill_namespace: Option<String>,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Default for Upkeep {
    fn default() -> Self {
        Self {
            prune_every: Some(DAY),
            max_unused: 0.04,
            rewrite_at_most: u64::MAX,
            check_every: Some(DAY),
            read_all_within: 30 * DAY,
            read_at_most: None,
            drill_every: None,
            time_at_most: DAY / 4,
            drill_namespace: None,
        }
    }
}

/// How the world is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Address and port of `/metrics`, `/healthz`, `/readyz`.
    pub listen: Option<std::net::SocketAddr>,
    /// Serves a page for people there, too.
    pub page: bool,
    /// A file with what `sfarc status` prints, kept over restarts.
    pub file: Option<PathBuf>,
    /// A file in Prometheus' text format, for one-shot runs.
    pub textfile: Option<PathBuf>,
    /// A URL that failures and recoveries are posted to.
    pub webhook: Option<String>,
}

impl Config {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let name = path.display().to_string();
        let failed = |source| PlanError::Read { path: name.clone(), source };
        if std::fs::metadata(path).map_err(failed)?.len() > MOST {
            return Err(PlanError::File { path: name, why: "it is too long".to_owned() });
        }
        Self::parse(&std::fs::read_to_string(path).map_err(failed)?, path)
    }

    /// Reads the text of a file; `path` is where it is.
    pub fn parse(text: &str, path: &Path) -> Result<Self, PlanError> {
        let wrong = |why: String| PlanError::File { path: path.display().to_string(), why };
        let file: FileTable = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        Reader { text, path }.config(&file)
    }

    /// The one target, or the one of this name.
    pub fn target(&self, name: Option<&str>) -> Result<&Target, String> {
        let names = || self.targets.iter().map(|target| &target.name[..]).collect::<Vec<_>>().join(", ");
        match (name, &self.targets[..]) {
            (None, [target]) => Ok(target),
            (None, _) => Err(format!("the file has several targets, name one with --target: {}", names())),
            (Some(name), targets) => {
                let found = targets.iter().find(|target| target.name == name);
                found.ok_or_else(|| format!("the file has no target `{name}`; it has: {}", names()))
            }
        }
    }
}

/// Reads the URL of a webhook from a file: such a URL is often a secret.
pub fn read_webhook(path: &Path) -> Result<String, PlanError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| PlanError::Read { path: name.clone(), source })?;
    let url = text.trim();
    if !is_url(url) {
        let why = "it holds no URL that begins with http:// or https://".to_owned();
        return Err(PlanError::File { path: name, why });
    }
    Ok(url.to_owned())
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// What is kept where a file does not say it.
pub fn usual_policy() -> Policy {
    Policy {
        last: 8,
        hourly: 24,
        daily: 7,
        weekly: 5,
        monthly: 12,
        yearly: 3,
        inconsistent_within: Some(Span::days(7)),
        ..Policy::default()
    }
}
