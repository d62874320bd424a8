//! Arguments about the cluster, and what is taken out of it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Which cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub struct Cluster {
    /// The namespace [default: that of the context].
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// A context of the kubeconfig [default: its current one].
    #[arg(long)]
    pub context: Option<String>,
    /// A kubeconfig [default: $KUBECONFIG, the usual file, or the account of the pod that sfarc runs in].
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

/// What to take out of the cluster, and how well.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Plan")]
pub struct Plan {
    /// Take what this file describes (docs/capture.md) instead of a Software Factory.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The target in that file, if it has several.
    #[arg(long, value_name = "NAME", requires = "config")]
    pub target: Option<String>,
    /// The file of the SoftwareFactory resource: stored as it is, and read for the names of Secrets.
    #[arg(long, value_name = "FILE")]
    pub cr: Option<PathBuf>,
    /// Take the ConfigMaps, too, that the operator generates.
    #[arg(long)]
    pub configmaps: bool,
    /// Export Zuul's keys in a pod made for that and removed again, instead of in zuul-scheduler-0.
    #[arg(long)]
    pub helper_pod: bool,
    /// Take an optional stream, too: zookeeper, zookeeper-data, nodepool, known-hosts, logs, or all.
    #[arg(long, value_name = "STREAM", value_delimiter = ',')]
    pub with: Vec<String>,
    /// Take only this stream of the plan.
    #[arg(long, value_name = "STREAM", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Leave out this stream of the plan.
    #[arg(long, value_name = "STREAM", value_delimiter = ',')]
    pub skip: Vec<String>,
    /// The least proof that is good enough: p0 the command says so, p1 counted, p2 digested, p3 its content checked
    /// [default: p2].
    #[arg(long, value_enum)]
    pub min_proof: Option<MinProof>,
    /// How long a command may be silent, in seconds [default: 3600].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub silence: Option<u64>,
    /// How long a stream may take, in seconds [default: 86400].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,
    /// How often a stream is tried if the reason of a failure passes [default: 3].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub attempts: Option<u32>,
}

/// A level of proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MinProof {
    /// The command says that it succeeded.
    P0,
    /// The tail is there and the exit code is real.
    P1,
    /// A digest made in the container agrees.
    P2,
    /// The content was checked by its own rules.
    P3,
}

/// Options of `plan`.
#[derive(Debug, Args)]
pub struct ShowPlan {
    /// Which cluster.
    #[command(flatten)]
    pub cluster: Cluster,
    /// What to take.
    #[command(flatten)]
    pub plan: Plan,
    /// Print the Role that grants what this plan needs, and no more.
    #[arg(long)]
    pub role: bool,
}

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Which cluster.
    #[command(flatten)]
    pub cluster: Cluster,
    /// What to take.
    #[command(flatten)]
    pub plan: Plan,
}

/// How a deployment is restored into a cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "Into a cluster")]
pub struct RestoreCluster {
    /// Bring the deployment back in its cluster: into an empty namespace or over a live one (docs/restore.md).
    #[arg(long, conflicts_with = "to")]
    pub to_cluster: bool,
    /// Print what would be done, in order, and do nothing.
    #[arg(long, requires = "to_cluster")]
    pub dry_run: bool,
    /// Do it without asking.
    #[arg(long, short, requires = "to_cluster")]
    pub yes: bool,
    /// Only these: streams, objects, secrets, configmaps, secret/NAME, configmap/NAME.
    #[arg(long, value_name = "WHAT", value_delimiter = ',', requires = "to_cluster")]
    pub only: Vec<String>,
    /// Restore an optional stream, too: known-hosts, logs.
    #[arg(long, value_name = "STREAM", value_delimiter = ',', requires = "to_cluster")]
    pub with: Vec<String>,
    /// Take no snapshot of what is about to be replaced.
    #[arg(long, requires = "to_cluster")]
    pub no_safety: bool,
    /// Drop the databases and folders of before, once all is done; else they are kept under other names.
    #[arg(long, requires = "to_cluster")]
    pub drop_old: bool,
    /// How long pods may take to end or to become ready, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..), requires = "to_cluster")]
    pub wait: u64,
    /// How long a container may not acknowledge what is sent to it, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..), requires = "to_cluster")]
    pub silence: u64,
    /// How long a stream may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400, value_parser = clap::value_parser!(u64).range(1..), requires = "to_cluster")]
    pub timeout: u64,
    /// Which cluster.
    #[command(flatten)]
    pub cluster: Cluster,
}

/// Options of `drill`.
#[derive(Debug, Args)]
pub struct Drill {
    /// The snapshot: the beginning of its id, `latest`, `latest~N`, or `latest@WRITER`.
    #[arg(value_name = "ID")]
    pub id: String,
    /// Run the scratch servers in a pod of a namespace in which nothing else matters, instead of on this machine.
    #[arg(long)]
    pub to_cluster: bool,
    /// Use this image instead of the one that the snapshot names: mariadb=, zookeeper= or zuul-admin=.
    #[arg(long, value_name = "PART=IMAGE", requires = "to_cluster")]
    pub image: Vec<String>,
    /// How long a load may take, in seconds; the pod lives as long at most.
    #[arg(long, value_name = "SECONDS", default_value_t = 21_600, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// Which cluster.
    #[command(flatten)]
    pub cluster: Cluster,
}
