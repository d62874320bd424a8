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

/// Options of `run`.
#[derive(Debug, Args)]
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
    /// Address and port of /metrics, /healthz, /readyz; goes before the file.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<std::net::SocketAddr>,
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
