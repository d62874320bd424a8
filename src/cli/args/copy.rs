//! Options of what copies a repository.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::bucket::{endpoint, styles};
use crate::backend::bucket::connect::Addressing;
use crate::config::bucket::parse_lock_period;

const HEADING: &str = "To";

/// Options of `copy`.
#[derive(Debug, Args)]
pub struct Copy {
    /// The snapshots: the beginnings of their ids, `latest`, or `latest~N` [default: all that people took].
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Only those with this tag.
    #[arg(long)]
    pub tag: Vec<String>,
    /// Only those with this label.
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// Only those of this host.
    #[arg(long)]
    pub host: Option<String>,
    /// Where to.
    #[command(flatten)]
    pub to: Destination,
    /// What opens the repository there.
    #[command(flatten)]
    pub opened_by: OpenedBy,
    /// Read every copy, those that are there already too, to its last byte and compare its hashes.
    #[arg(long)]
    pub read_back: bool,
    /// Read everything, say what would be copied, and store nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of `mirror`.
#[derive(Debug, Args)]
pub struct Mirror {
    /// Where to.
    #[command(flatten)]
    pub to: Destination,
    /// Read what the mirror has already, and replace what is damaged there.
    #[arg(long)]
    pub verify: bool,
    /// Remove from the mirror what the repository has given up. Opens the repository; what it has lost without giving it
    /// up stays in the mirror.
    #[arg(long)]
    pub delete: bool,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Where something is copied to.
#[derive(Debug, Clone, Args)]
pub struct Destination {
    /// The other place: a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX.
    #[arg(long, env = "SFARC_TO", hide_env_values = true, value_name = "FOLDER|URL", help_heading = HEADING)]
    pub to: PathBuf,
    /// The URL of the servers there [default: that of --endpoint].
    #[arg(long, env = "SFARC_TO_ENDPOINT", hide_env_values = true, value_parser = endpoint, value_name = "URL", help_heading = HEADING)]
    pub to_endpoint: Option<String>,
    /// The region of an S3 bucket there [default: that of --region].
    #[arg(long, env = "SFARC_TO_REGION", hide_env_values = true, value_name = "NAME", help_heading = HEADING)]
    pub to_region: Option<String>,
    /// Where the name of an S3 bucket goes there [default: that of --addressing].
    #[arg(long, env = "SFARC_TO_ADDRESSING", hide_env_values = true, value_parser = styles(), help_heading = HEADING)]
    pub to_addressing: Option<Addressing>,
    /// Lock what is put there, if it is an S3 bucket with Object Lock.
    #[arg(long, env = "SFARC_TO_LOCK_FOR", hide_env_values = true, value_parser = parse_lock_period, value_name = "TIME", help_heading = HEADING)]
    pub to_lock_for: Option<Duration>,
    /// The profile of AWS' own files whose keys an S3 bucket there is used with.
    #[arg(long, env = "SFARC_TO_PROFILE", hide_env_values = true, value_name = "NAME", help_heading = HEADING)]
    pub to_profile: Option<String>,
}

/// What opens the other repository; what opens the first one, if nothing is said.
#[derive(Debug, Clone, Args)]
pub struct OpenedBy {
    /// Take the other password from the first line of this file (instead of $SFARC_TO_PASSWORD)
    /// [env: SFARC_TO_PASSWORD_FILE].
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    pub to_password_file: Option<PathBuf>,
    /// Take the other password from the first line that this shell command prints
    /// [env: SFARC_TO_PASSWORD_COMMAND].
    #[arg(long, value_name = "COMMAND", help_heading = HEADING)]
    pub to_password_command: Option<OsString>,
    /// Open the other one with this key file [env: SFARC_TO_KEY_FILE].
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    pub to_key_file: Option<PathBuf>,
    /// Refuse any other one but that with this fingerprint [env: SFARC_TO_FINGERPRINT].
    #[arg(long, value_name = "FINGERPRINT", help_heading = HEADING)]
    pub to_fingerprint: Option<String>,
}
