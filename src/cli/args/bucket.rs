//! Options of repositories in buckets.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::backend::bucket::connect::{Addressing, Line, parse_endpoint};
use crate::backend::bucket::lock::{Lock, Mode};
use crate::backend::place::Access;
use crate::backend::traffic::Traffic;
use crate::config::bucket::parse_lock_period;
use crate::env::SystemClock;

const HEADING: &str = "Buckets";

/// Most bytes of copies of one repository, in MiB.
const CACHE_MIB: u64 = 2048;

/// How a repository in a bucket is used.
#[derive(Debug, Clone, Args)]
pub struct Bucket {
    /// The URL of the servers of a bucket, where they are not the cloud's own.
    #[arg(long, global = true, env = "SFARC_ENDPOINT", hide_env_values = true, value_parser = endpoint, value_name = "URL", help_heading = HEADING)]
    pub endpoint: Option<String>,
    /// The region of an S3 bucket.
    #[arg(long, global = true, env = "SFARC_REGION", hide_env_values = true, value_name = "NAME", help_heading = HEADING)]
    pub region: Option<String>,
    /// Where the name of an S3 bucket goes: into the path of a URL, or before the name of the server.
    #[arg(long, global = true, env = "SFARC_ADDRESSING", hide_env_values = true, value_parser = styles(), help_heading = HEADING)]
    pub addressing: Option<Addressing>,
    /// Lock what is put into an S3 bucket with Object Lock: nobody can remove it for so long (`30d`).
    #[arg(long, global = true, env = "SFARC_LOCK_FOR", hide_env_values = true, value_parser = parse_lock_period, value_name = "TIME", help_heading = HEADING)]
    pub lock_for: Option<Duration>,
    /// Who may lift such a lock sooner: nobody, or whoever may bypass governance [default: compliance].
    #[arg(long, global = true, env = "SFARC_LOCK_MODE", hide_env_values = true, value_parser = modes(), help_heading = HEADING)]
    pub lock_mode: Option<Mode>,
    /// Keep sealed copies of index runs and manifests below this folder [default: $XDG_CACHE_HOME/sfarc or
    /// ~/.cache/sfarc].
    #[arg(long, global = true, env = "SFARC_CACHE_DIR", hide_env_values = true, value_name = "FOLDER", help_heading = HEADING)]
    pub cache_dir: Option<PathBuf>,
    /// Keep about this many MiB of copies of one repository; 0: none.
    #[arg(long, global = true, env = "SFARC_CACHE_MIB", hide_env_values = true, value_name = "MIB", default_value_t = CACHE_MIB, help_heading = HEADING)]
    pub cache_mib: u64,
    /// The profile of AWS' own files that an S3 bucket is used with.
    #[arg(skip)]
    pub profile: Option<String>,
    /// Counts what is asked of buckets.
    #[arg(skip)]
    pub traffic: Traffic,
}

/// The URL of servers; an empty variable says nothing.
pub(super) fn endpoint(text: &str) -> Result<String, String> {
    if text.is_empty() { Ok(String::new()) } else { parse_endpoint(text) }
}

/// Not as an enum of clap: its values would be explained in every help.
pub(super) fn styles() -> impl TypedValueParser<Value = Addressing> {
    let style = |text: String| if text == "virtual" { Addressing::Virtual } else { Addressing::Path };
    PossibleValuesParser::new(["path", "virtual"]).map(style)
}

fn modes() -> impl TypedValueParser<Value = Mode> {
    let mode = |text: String| if text == "governance" { Mode::Governance } else { Mode::Compliance };
    PossibleValuesParser::new(["compliance", "governance"]).map(mode)
}

impl Bucket {
    /// The same for the backend.
    pub fn access(&self) -> Access {
        let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let (endpoint, region) = (said(&self.endpoint), said(&self.region));
        let shelf = self.cache_folder().filter(|_| self.cache_mib > 0).map(|folder| (folder, self.cache_mib << 20));
        Access {
            line: Line {
                endpoint,
                region,
                addressing: self.addressing,
                profile: self.profile.clone(),
                lock: self.lock_for.map(|period| Lock {
                    period,
                    mode: self.lock_mode.unwrap_or_default(),
                    clock: Arc::new(SystemClock),
                }),
                traffic: self.traffic.clone(),
                ..Line::default()
            },
            shelf,
        }
    }

    fn cache_folder(&self) -> Option<PathBuf> {
        let said = self.cache_dir.clone().filter(|folder| !folder.as_os_str().is_empty());
        let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let usual = || named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")));
        said.or_else(|| Some(usual()?.join("sfarc")))
    }
}
