//! Options of what opens a repository, and of who may do what.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Options of `init`.
#[derive(Debug, Clone, Args)]
pub struct Init {
    /// Make a repository for which keys of roles can be given away (`sfarc key export`): writers that cannot read,
    /// maintainers that see ids and lengths only, auditors.
    #[arg(long)]
    pub roles: bool,
    /// Let sizes say little of what is stored: secret cut points, padding, and blocks in an order that is drawn. For
    /// good, like --roles: it is decided when a repository is made.
    #[arg(long)]
    pub hide_sizes: bool,
}

/// Options of `audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// Compare with what the last audit saw, as this file remembers it, and remember what this one sees.
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Remember what this audit sees though something was found; otherwise the ledger stays, and it is found again.
    #[arg(long, requires = "ledger")]
    pub accept: bool,
}

/// Whose key is given away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Adds snapshots, reads nothing that is stored.
    Writer,
    /// Checks, collects garbage, merges the index; sees ids and lengths.
    Maintainer,
    /// Verifies signatures, and that no snapshot has vanished.
    Auditor,
}

/// What to do with key slots.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Add a password or key file.
    #[command(
        after_help = "Examples:\n  sfarc key add --label laptop\n  sfarc key add --new-key-file /etc/sfarc.key\n  sfarc key add --recovery \
age1... --label safe"
    )]
    Add {
        /// The new password or key file.
        #[command(flatten)]
        new: NewKey,
        /// What to call it.
        #[arg(long, default_value = "")]
        label: String,
    },
    /// List passwords, key files, recovery keys and writers.
    List,
    /// Print a key file for a role: whoever has it can do that and no more.
    #[command(after_help = "Example:\n  sfarc key export --role writer --label pod-1 > pod.key")]
    Export {
        /// The role.
        #[arg(long, value_enum)]
        role: Role,
        /// What to call it.
        #[arg(long, default_value = "")]
        label: String,
    },
    /// Remove one; the last one stays. Of a writer, what it took goes on counting.
    Remove {
        /// The beginning of its id.
        #[arg(value_name = "KEY")]
        id: String,
    },
    /// Replace the one that this command was opened with.
    Change {
        /// The new password or key file.
        #[command(flatten)]
        new: NewKey,
    },
}

/// A new password or key file; a prompt asks where none is named.
#[derive(Debug, Clone, Args)]
pub struct NewKey {
    /// Take the new password from the first line of this file.
    #[arg(long, value_name = "FILE", conflicts_with = "new_key_file")]
    pub new_password_file: Option<PathBuf>,
    /// Use this key file; it is made if it is missing.
    #[arg(long, value_name = "FILE", conflicts_with = "recovery")]
    pub new_key_file: Option<PathBuf>,
    /// Let the holder of the identity of this recipient of `age` open it, with --key-file IDENTITY and --fingerprint, which
    /// this prints: keep both.
    #[arg(long, value_name = "AGE-RECIPIENT", conflicts_with = "new_password_file")]
    pub recovery: Option<String>,
}
