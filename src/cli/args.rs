//! The command line as types. Doc comments here are the help text.

mod bucket;
mod cluster;
mod copy;
mod global;
mod keys;
mod repair;
mod retention;
mod service;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::exit;
pub use bucket::Bucket;
pub use cluster::{Cluster, Doctor, Drill, MinProof, Plan, RestoreCluster, ShowPlan};
pub use copy::{Copy, Destination, Mirror, OpenedBy};
pub use global::{Global, NamedCredential};
pub use keys::{Audit, Init, Key, NewKey, Role};
pub use repair::Repair;
pub use retention::{Forget, Keep, Pin};
pub use service::{Config, File, Log, Run, Status};

/// A deduplicating, encrypted archiver for streams: dumps, command output, files, folders.
#[derive(Debug, Parser)]
#[command(name = "sfarc", version, after_help = exit::HELP, propagate_version = true)]
pub struct Cli {
    /// Options of all commands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a repository in a new or empty folder.
    #[command(
        after_help = "Examples:\n  sfarc init --repo /srv/backup\n  sfarc init --repo s3://bucket/sf --roles --hide-sizes"
    )]
    Init(Init),
    /// Take a snapshot of streams: all of them to their last byte, or none.
    #[command(
        after_help = "Examples:\n  mariadb-dump --all-databases | sfarc snapshot --stdin all.sql\n  sfarc snapshot -n sf \
--cr my-sf.yaml\n  sfarc snapshot --command 'all.sql=mariadb-dump --all-databases' --dir /etc --tag nightly\n  sfarc snapshot --file db.sql=/tmp/dump.sql --dry-run"
    )]
    Snapshot(Box<Snapshot>),
    /// Take a backup folder of sf-operator as a snapshot with its own date.
    #[command(after_help = "Example:\n  sfarc import /srv/old-backup -n sf")]
    Import(Import),
    /// Say what would be taken out of a cluster, from where, and why something is left out.
    #[command(
        after_help = "Examples:\n  sfarc plan -n sf --cr my-sf.yaml\n  sfarc plan --config sfarc.toml --role | kubectl apply -f -"
    )]
    Plan(Box<ShowPlan>),
    /// Check what a snapshot out of a cluster needs, and say what to do.
    #[command(after_help = "Example:\n  sfarc doctor -n sf --cr my-sf.yaml")]
    Doctor(Box<Doctor>),
    /// List snapshots, newest last.
    #[command(after_help = "Examples:\n  sfarc list --latest 5\n  sfarc list --tag nightly --json")]
    List(List),
    /// Show a snapshot's streams.
    #[command(after_help = "Examples:\n  sfarc show latest\n  sfarc show 3f2a --json")]
    Show(One),
    /// List what is inside folder streams.
    #[command(after_help = "Examples:\n  sfarc ls latest\n  sfarc ls latest:etc/nginx\n  sfarc ls -l 3f2a:etc")]
    Ls(Ls),
    /// Restore streams into a folder, or a deployment into a cluster.
    #[command(
        after_help = "Examples:\n  sfarc restore latest --to-cluster -n sf --dry-run\n  sfarc restore latest --to-cluster -n sf --only \
secret/zuul-ssh-key --overwrite\n  sfarc restore latest --to /srv/sf --layout sf-operator\n  sfarc restore latest --to /tmp/out\n  sfarc restore latest~2 --to /tmp/out --stream etc --path nginx/nginx.conf"
    )]
    Restore(Box<Restore>),
    /// Prove what can be proven of a snapshot without a cluster.
    #[command(after_help = "Example:\n  sfarc verify latest")]
    Verify(One),
    /// Restore a snapshot into scratch servers, prove it, remove them, and record that.
    #[command(after_help = "Examples:\n  sfarc drill latest\n  sfarc drill latest --to-cluster -n sf-drill")]
    Drill(Box<Drill>),
    /// Write one stream, or one file of a folder stream, to standard output.
    #[command(after_help = "Examples:\n  sfarc cat latest all.sql | mariadb\n  sfarc cat latest etc/hostname")]
    Cat(Cat),
    /// Say what differs between two snapshots.
    #[command(after_help = "Example:\n  sfarc diff latest~1 latest")]
    Diff(Diff),
    /// Check that everything is there and unharmed.
    #[command(after_help = "Examples:\n  sfarc check\n  sfarc check --read-data\n  sfarc check --read-data 5%")]
    Check(Check),
    /// Restore what damage has left, here and at other places, and say what is lost.
    #[command(
        after_help = "Examples:\n  sfarc repair --dry-run\n  sfarc repair --from s3://mirror/sf --from /mnt/usb/sf --read-data"
    )]
    Repair(Repair),
    /// Take snapshots for ever, thin them out, and look after the repository, as a file says.
    #[command(after_help = "Examples:\n  sfarc run --config sfarc.toml --listen 0.0.0.0:9808\n  sfarc run --once")]
    Run(Run),
    /// Say how `run` is doing: runs, next runs, warnings.
    #[command(after_help = "Example:\n  sfarc status --config sfarc.toml")]
    Status(Status),
    /// Check a configuration, or make one to begin with.
    #[command(subcommand)]
    Config(Config),
    /// Remove snapshots, by name or by rules. `prune` then frees their space.
    #[command(
        after_help = "Examples:\n  sfarc forget 3f2a 77c0 latest~9\n  sfarc forget --keep-last 4 --keep-daily 7 --keep-weekly 5 --keep-within 2d --dry-run"
    )]
    Forget(Box<Forget>),
    /// Keep a snapshot, whatever the rules are.
    #[command(after_help = "Examples:\n  sfarc pin latest --why 'before the upgrade'\n  sfarc pin --remove 3f2a")]
    Pin(Pin),
    /// Collect garbage, safely beside running snapshots.
    #[command(after_help = "Examples:\n  sfarc prune --dry-run\n  sfarc prune --max-unused 20%")]
    Prune(Prune),
    /// Lock anew what the repository needs, in a bucket with Object Lock.
    #[command(after_help = "Examples:\n  sfarc renew --lock-for 30d\n  sfarc renew --lock-for 30d --now --dry-run")]
    Renew(Renew),
    /// Copy snapshots into another repository, with other keys: only what is missing there.
    #[command(
        after_help = "Examples:\n  sfarc copy --to s3://offsite/sf --to-password-file /etc/sfarc/offsite\n  sfarc copy latest --to /mnt/usb/sf --read-back"
    )]
    Copy(Box<Copy>),
    /// Make or renew a mirror of the repository elsewhere, byte for byte, without keys.
    #[command(after_help = "Examples:\n  sfarc mirror --to s3://offsite/sf\n  sfarc mirror --to /mnt/usb/sf --delete")]
    Mirror(Box<Mirror>),
    /// Verify who made the snapshots, and that none has vanished, without reading them.
    #[command(after_help = "Example:\n  sfarc audit --key-file auditor.key --ledger /var/lib/sfarc/ledger.json")]
    Audit(Audit),
    /// Manage the passwords, key files and roles that open the repository.
    #[command(subcommand)]
    Key(Key),
    /// Say what the repository protects, and what that costs.
    Stats,
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  sfarc completions bash > /etc/bash_completion.d/sfarc")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print a manual page (roff): of sfarc, or of one command.
    #[command(after_help = "Example:\n  sfarc man snapshot | man -l -")]
    Man {
        /// The command.
        command: Option<String>,
    },
}

/// Options of `snapshot`.
#[derive(Debug, Args)]
pub struct Snapshot {
    /// Take standard input under this name.
    #[arg(long, value_name = "NAME", help_heading = "Streams")]
    pub stdin: Option<OsString>,
    /// Take a file; its name is the stream's, unless NAME= says another.
    #[arg(long, value_name = "[NAME=]PATH", help_heading = "Streams")]
    pub file: Vec<OsString>,
    /// Take a folder with everything in it.
    #[arg(long, value_name = "[NAME=]PATH", help_heading = "Streams")]
    pub dir: Vec<OsString>,
    /// Take the standard output of a shell command; it must succeed.
    #[arg(long, value_name = "NAME=COMMAND", help_heading = "Streams")]
    pub command: Vec<OsString>,
    /// Take the standard output of a shell command in a container of the cluster; it must succeed and arrive whole.
    #[arg(long, value_name = "NAME=POD[/CONTAINER]:COMMAND", help_heading = "Streams")]
    pub pod: Vec<String>,
    /// Leave out of folders: an absolute path, or one relative to each folder.
    #[arg(long, value_name = "PATH", help_heading = "Streams")]
    pub exclude: Vec<PathBuf>,
    /// Leave out what is mounted below a folder.
    #[arg(long, help_heading = "Streams")]
    pub one_file_system: bool,
    /// Which cluster the pods are in.
    #[command(flatten)]
    pub cluster: Cluster,
    /// What to take out of it.
    #[command(flatten)]
    pub plan: Plan,
    /// How streams are cut: `dump` into small chunks, `bulk` into large ones.
    #[arg(long, value_enum, default_value_t = Profile::Auto)]
    pub profile: Profile,
    /// A word to find the snapshot by.
    #[arg(long)]
    pub tag: Vec<String>,
    /// A key and value to find the snapshot by.
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// The host whose data it is [default: this machine's name].
    #[arg(long)]
    pub host: Option<String>,
    /// The moment that the snapshot shows, such as 2026-03-01T12:00:00Z [default: now].
    #[arg(long)]
    pub time: Option<String>,
    /// Read everything, say what would be stored, and store nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// How streams are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Around 4 KiB: dumps, and everything of which small parts change.
    Dump,
    /// Around 64 KiB: compressed or encrypted data, media.
    Bulk,
    /// `bulk` where the first MiB looks compressed or encrypted, else `dump`.
    Auto,
}

/// Which snapshots.
#[derive(Debug, Args)]
pub struct List {
    /// Only those with this tag.
    #[arg(long)]
    pub tag: Vec<String>,
    /// Only those with this label.
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// Only those of this host.
    #[arg(long)]
    pub host: Option<String>,
    /// Only those with a stream of this name.
    #[arg(long, value_name = "NAME")]
    pub stream: Option<OsString>,
    /// Only the newest N of them.
    #[arg(long, value_name = "N")]
    pub latest: Option<usize>,
}

/// One snapshot.
#[derive(Debug, Args)]
pub struct One {
    /// The snapshot: the beginning of its id, `latest`, `latest~N`, or `latest@WRITER`.
    #[arg(value_name = "ID")]
    pub id: String,
}

/// What to look into.
#[derive(Debug, Args)]
pub struct Ls {
    /// The snapshot, and where to look in it.
    #[arg(value_name = "ID[:STREAM[/PATH]]")]
    pub target: OsString,
    /// Show mode, owner, size and time.
    #[arg(long, short)]
    pub long: bool,
}

/// Options of `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// The snapshot: the beginning of its id, `latest`, `latest~N`, or `latest@WRITER`.
    #[arg(value_name = "ID")]
    pub id: String,
    /// The folder that receives the streams.
    #[arg(long, value_name = "FOLDER", required_unless_present = "to_cluster")]
    pub to: Option<PathBuf>,
    /// Only this stream.
    #[arg(long, value_name = "NAME", conflicts_with = "to_cluster")]
    pub stream: Vec<OsString>,
    /// Only this file or folder, as `ls` prints it; without a stream's name, of every folder stream.
    #[arg(long, value_name = "PATH")]
    pub path: Vec<OsString>,
    /// Replace what is in the way: files, or objects of a cluster.
    #[arg(long)]
    pub overwrite: bool,
    /// Restore setuid and setgid bits of files, capabilities, and devices, whoever took the snapshot [default: only of folders of this host].
    #[arg(long, conflicts_with_all = ["to_cluster", "layout"])]
    pub special: bool,
    /// Leave them out, even of folders of this host.
    #[arg(long, conflicts_with_all = ["special", "to_cluster", "layout"])]
    pub no_special: bool,
    /// Write the folder as another tool reads it.
    #[arg(long, value_enum, requires = "to", conflicts_with_all = ["stream", "path"])]
    pub layout: Option<Layout>,
    /// Name another storage class in the custom resource, in a folder of --layout or in the cluster.
    #[arg(long, value_name = "OLD=NEW", conflicts_with_all = ["stream", "path"])]
    pub map_storage_class: Vec<String>,
    /// Restore into a cluster.
    #[command(flatten)]
    pub cluster: RestoreCluster,
}

/// How another tool lays out its backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// As `sf-operator SF restore --backup_dir` reads it.
    SfOperator,
}

/// Options of `import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The folder that `sf-operator SF backup --backup_dir` wrote.
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// The namespace of the deployment, where the folder does not say it (before v0.0.65).
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// A word to find the snapshot by.
    #[arg(long)]
    pub tag: Vec<String>,
    /// A key and value to find the snapshot by.
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// The host whose data it is [default: this machine's name].
    #[arg(long)]
    pub host: Option<String>,
    /// The moment that the snapshot shows [default: that of the newest file].
    #[arg(long)]
    pub time: Option<String>,
}

/// Options of `cat`.
#[derive(Debug, Args)]
pub struct Cat {
    /// The snapshot: the beginning of its id, `latest`, `latest~N`, or `latest@WRITER`.
    #[arg(value_name = "ID")]
    pub id: String,
    /// The stream, or a file in it. What a writer of a repository with roles has made is read twice: nothing is given out
    /// before the whole stream is proven.
    #[arg(value_name = "STREAM[/PATH]")]
    pub stream: OsString,
}

/// Options of `diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// The first snapshot.
    #[arg(value_name = "ID")]
    pub first: String,
    /// The second snapshot.
    #[arg(value_name = "ID")]
    pub second: String,
}

/// Options of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Read and prove every byte too, or about N percent of the packs.
    #[arg(long, value_name = "N%", num_args = 0..=1, default_missing_value = "100%")]
    pub read_data: Option<String>,
}

/// Options of `prune`.
#[derive(Debug, Args)]
pub struct Prune {
    /// Rewrite packs with garbage in them until at most this share of all is garbage.
    #[arg(long, value_name = "N%", default_value = "4%")]
    pub max_unused: String,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of `renew`.
#[derive(Debug, Args)]
pub struct Renew {
    /// Whether it is due or not.
    #[arg(long)]
    pub now: bool,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
}
