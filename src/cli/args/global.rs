//! Options of all commands.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::Bucket;
use crate::ids::RepoId;

/// Options of all commands.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The repository: a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX.
    #[arg(
        long,
        short,
        global = true,
        env = "SFARC_REPO",
        hide_env_values = true,
        value_name = "FOLDER|URL",
        help_heading = "Repository"
    )]
    pub repo: Option<PathBuf>,
    /// Refuse any repository but the one with this id.
    #[arg(
        long,
        global = true,
        env = "SFARC_EXPECT_ID",
        hide_env_values = true,
        value_name = "ID",
        help_heading = "Repository"
    )]
    pub expect_id: Option<RepoId>,
    /// What opens the repository.
    #[command(flatten)]
    pub named: NamedCredential,
    /// How a bucket is used.
    #[command(flatten)]
    pub bucket: Bucket,
    /// Print results as JSON, one object a line (docs/json.md).
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
    /// Print no progress and no summaries, only results, warnings and errors.
    #[arg(long, short, global = true, help_heading = "Output")]
    pub quiet: bool,
}

/// What opens the repository. Not by clap's `env`: that cannot tell what was said here, which comes first.
#[derive(Debug, Clone, Args)]
pub struct NamedCredential {
    /// Take the password from the first line of this file (instead of $SFARC_PASSWORD or a prompt)
    /// [env: SFARC_PASSWORD_FILE].
    #[arg(long, global = true, value_name = "FILE", help_heading = "Repository")]
    pub password_file: Option<PathBuf>,
    /// Take the password from the first line that this shell command prints [env: SFARC_PASSWORD_COMMAND].
    #[arg(long, global = true, value_name = "COMMAND", help_heading = "Repository")]
    pub password_command: Option<OsString>,
    /// Open with a key file instead of a password (`init` and `key add` make it if it is missing)
    /// [env: SFARC_KEY_FILE].
    #[arg(long, global = true, value_name = "FILE", help_heading = "Repository")]
    pub key_file: Option<PathBuf>,
    /// Refuse any repository but the one with this fingerprint, as `sfarc key list` prints it. Needed with an identity of
    /// `age`, which opens whatever somebody has sealed to it; `none` opens any [env: SFARC_FINGERPRINT].
    #[arg(long, global = true, value_name = "FINGERPRINT", help_heading = "Repository")]
    pub fingerprint: Option<String>,
}
