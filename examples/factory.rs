//! Runs a small Software Factory in the stand-in cluster, for trying the program out without a cluster.
//!
//! ```text
//! factory --builds 20000 --kubeconfig FILE --restore-kubeconfig FILE --cr FILE
//! ```
//!
//! Writes the files, prints `ready` and what is real in it, then reads commands from standard input, one a line, and
//! answers each with `ok`: `add-builds N`, `add-key`, `set-secret NAME KEY VALUE`, `remove-secret NAME`, `quit`; and
//! `deploy`, which does what `sf-operator deploy` does. With `--empty`, nothing is there before that: another cluster, on
//! the worst day.

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::PathBuf;

use clap::Parser;
use sfarc::testing::cluster::Rule;
use sfarc::testing::factory::{Factory, NAMESPACE, Options};

/// The Roles that operators apply.
const ROLES: &str = include_str!("../deploy/rbac.yaml");

/// Runs a small Software Factory in a stand-in for a cluster.
#[derive(Parser)]
struct Cli {
    /// Builds in Zuul's database.
    #[arg(long, default_value_t = 1000)]
    builds: u64,
    /// Where to write a kubeconfig: its account has the Role sfarc-backup, and nothing else.
    #[arg(long)]
    kubeconfig: PathBuf,
    /// Where to write another, whose account has the Role sfarc-restore.
    #[arg(long)]
    restore_kubeconfig: Option<PathBuf>,
    /// Where to write the custom resource.
    #[arg(long)]
    cr: PathBuf,
    /// Use scripts in place of MariaDB, ZooKeeper and Zuul, also where they are installed.
    #[arg(long)]
    scripts: bool,
    /// Start with an empty namespace.
    #[arg(long)]
    empty: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let cli = Cli::parse();
    let account = |role: &str| (format!("sf:{role}"), Rule::from_role(ROLES, role, NAMESPACE));
    let accounts = ["sfarc-backup", "sfarc-restore"].map(account).into();
    let builds = if cli.empty { 0 } else { cli.builds };
    let options = Options { builds, real: !cli.scripts, accounts, empty: cli.empty, ..Options::default() };
    let mut factory = Factory::start(options);
    std::fs::copy(factory.kubeconfig("sf:sfarc-backup"), &cli.kubeconfig)?;
    if let Some(path) = &cli.restore_kubeconfig {
        std::fs::copy(factory.kubeconfig("sf:sfarc-restore"), path)?;
    }
    std::fs::copy(factory.cr_file(), &cli.cr)?;
    let real = |real: bool, what: &str| if real { format!("real {what}") } else { format!("scripts for {what}") };
    let (database, keys) =
        (real(factory.has_real_database(), "MariaDB"), real(factory.has_real_keys(), "ZooKeeper and Zuul"));
    say(&format!("ready: {database}, {keys}"))?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["add-builds", count] => factory.add_builds(count.parse()?),
            ["add-key"] => factory.add_project_key(),
            ["set-secret", name, key, value] => factory.set_secret(name, key, value),
            ["remove-secret", name] => factory.remove_secret(name),
            ["deploy"] => factory.deploy(),
            ["quit"] => break,
            _ => return Err(format!("`{line}` is no command").into()),
        }
        say("ok")?;
    }
    Ok(())
}

fn say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}
