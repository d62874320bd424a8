//! Writes synthetic database dumps for measurements and for trying the program out.
//!
//! ```text
//! corpus series --builds 97000 --steps 24 --new 500 --edits 30 DIR
//! corpus one --mb 940 FILE
//! ```

use clap::{Args, Parser, Subcommand};
use sfarc::testing::corpus::DumpModel;
use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Megabytes of dump that a thousand builds make.
const MB_PER_THOUSAND_BUILDS: f64 = 0.328;

/// Writes dumps that look like those of a growing Zuul database.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write DIR/dump-000.sql, dump-001.sql and so on, each one step later.
    Series {
        /// Builds in the first dump.
        #[arg(long, default_value_t = 97_000)]
        builds: usize,
        /// How many dumps to write.
        #[arg(long, default_value_t = 24)]
        steps: usize,
        #[command(flatten)]
        step: Step,
        /// The folder to write to; made if it is missing.
        dir: PathBuf,
    },
    /// Write a single dump of about the size asked for.
    One {
        /// Size of the dump before the first step, in megabytes.
        #[arg(long, default_value_t = 940)]
        mb: u32,
        /// Steps to take before the dump is written.
        #[arg(long, default_value_t = 0)]
        steps: usize,
        #[command(flatten)]
        step: Step,
        /// The file to write.
        file: PathBuf,
    },
}

/// What happens between two dumps.
#[derive(Args)]
struct Step {
    /// Seed of every random choice.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// New builds in each step.
    #[arg(long, default_value_t = 500)]
    new: usize,
    /// Builds whose outcome changes in each step.
    #[arg(long, default_value_t = 30)]
    edits: usize,
    /// Oldest builds that are pruned in each step.
    #[arg(long, default_value_t = 0)]
    deletes: usize,
}

impl Step {
    fn take(&self, model: &mut DumpModel) {
        model.step(self.new, self.edits, self.deletes);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    match Cli::parse().command {
        Command::Series { builds, steps, step, dir } => series(builds, steps, &step, &dir),
        Command::One { mb, steps, step, file } => one(mb, steps, &step, &file),
    }
}

fn series(builds: usize, steps: usize, step: &Step, dir: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(dir)?;
    let mut model = DumpModel::new(step.seed, builds);
    for number in 0..steps {
        if number > 0 {
            step.take(&mut model);
        }
        model.write_to(&mut File::create(dir.join(format!("dump-{number:03}.sql")))?)?;
    }
    Ok(())
}

fn one(mb: u32, steps: usize, step: &Step, file: &Path) -> Result<(), Box<dyn Error>> {
    let builds = (f64::from(mb) / MB_PER_THOUSAND_BUILDS * 1000.0) as usize;
    let mut model = DumpModel::new(step.seed, builds);
    for _ in 0..steps {
        step.take(&mut model);
    }
    Ok(model.write_to(&mut File::create(file)?)?)
}
