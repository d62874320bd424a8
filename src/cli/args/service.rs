//! Arguments of the loop.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// The file.
#[derive(Debug, Clone, Args)]
pub struct File {
    /// What is taken, when, what is kept (docs/operations.md).
    #[arg(long, short, value_name = "FILE", env = "SFARC_CONFIG", default_value = "sfarc.toml")]
    pub config: PathBuf,
}

const BEFORE_THE_FILE: &str = "Instead of what the file says";

/// Options of `run`.
#[derive(Debug, Clone, Args)]
pub struct Run {
    /// The file.
    #[command(flatten)]
    pub file: File,
    /// Run every target once and the upkeep that is due, and end: for a CronJob.
    #[arg(long)]
    pub once: bool,
    /// How what happens is logged, to standard error.
    #[arg(long, value_enum, default_value = "text", env = "SFARC_LOG")]
    pub log: Log,
    /// Address and port of /metrics, /healthz, /readyz.
    #[arg(long, value_name = "ADDRESS", env = "SFARC_LISTEN", help_heading = BEFORE_THE_FILE)]
    pub listen: Option<std::net::SocketAddr>,
    /// A page for people there, too.
    #[arg(long, env = "SFARC_PAGE", help_heading = BEFORE_THE_FILE)]
    pub page: bool,
    /// How often each target is taken, instead of `every` and `cron`.
    #[arg(long, value_name = "SPAN", env = "SFARC_EVERY", help_heading = BEFORE_THE_FILE)]
    pub every: Option<String>,
    /// Targets at once.
    #[arg(long, value_name = "N", env = "SFARC_PARALLEL", help_heading = BEFORE_THE_FILE)]
    pub parallel: Option<std::num::NonZeroUsize>,
    /// The file that `sfarc status` reads.
    #[arg(long, value_name = "FILE", env = "SFARC_STATUS_FILE", help_heading = BEFORE_THE_FILE)]
    pub status_file: Option<PathBuf>,
    /// A file in Prometheus' text format.
    #[arg(long, value_name = "FILE", env = "SFARC_TEXTFILE", help_heading = BEFORE_THE_FILE)]
    pub textfile: Option<PathBuf>,
    /// A file with the URL that failures and their end are posted to.
    #[arg(long, value_name = "FILE", env = "SFARC_WEBHOOK_FILE", help_heading = BEFORE_THE_FILE)]
    pub webhook_file: Option<PathBuf>,
    /// How long running works may take to end after SIGTERM, in seconds; then they are abandoned.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub grace: u64,
}

/// How something is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Log {
    /// Lines for people.
    Text,
    /// An object a line.
    Json,
}

/// Options of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// The file; its status file is read.
    #[command(flatten)]
    pub file: File,
    /// Read this status file instead.
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
}

/// What to do with a configuration.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Say whether a file can be meant, and what it says.
    #[command(after_help = "Example:\n  sfarc config check --config sfarc.toml")]
    Check(File),
    /// Print a commented file for the namespaces that are named, with what is found there.
    #[command(after_help = "Example:\n  sfarc config init -n sf --cr my-sf.yaml > sfarc.toml")]
    Init {
        /// A namespace to take; the context's, if none is named.
        #[arg(long, short)]
        namespace: Vec<String>,
        /// The file of the custom resource, if there is one namespace.
        #[arg(long)]
        cr: Option<PathBuf>,
        /// A context of the kubeconfig.
        #[arg(long)]
        context: Option<String>,
        /// A kubeconfig.
        #[arg(long, value_name = "FILE")]
        kubeconfig: Option<PathBuf>,
    },
}
