//! How long `sfarc list` takes in a repository with many snapshots, from its start to its end, password and all.
//!
//! ```text
//! many_snapshots --dir DIR [--snapshots 10000]
//! ```
//!
//! Runs the program named by $SFARC, or target/release/sfarc. Prints the median of five runs and their peak memory.

use std::error::Error;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use sfarc::backend::Key;
use sfarc::backend::folder::FolderBackend;
use sfarc::engine::snapshot::{From, Input, Options, snapshot};
use sfarc::env::Env;
use sfarc::format::manifest::Manifest;
use sfarc::ids::ObjectId;
use sfarc::repo::{Credential, Repository};

type Outcome<T> = Result<T, Box<dyn Error>>;

const PASSWORD: &str = "correct horse battery staple";
const RUNS: usize = 5;
const HOUR: i64 = 3_600_000_000_000;

/// Times `sfarc list`.
#[derive(Parser)]
struct Cli {
    /// The folder for the repository; must not exist.
    #[arg(long)]
    dir: PathBuf,
    /// How many snapshots it has.
    #[arg(long, default_value_t = 10_000)]
    snapshots: i64,
    /// Leaves the repository there.
    #[arg(long)]
    keep: bool,
}

/// One real snapshot, and then its manifest again for every hour after it.
fn write(cli: &Cli) -> Outcome<()> {
    let backend = Arc::new(FolderBackend::create(&cli.dir)?);
    let credential = Credential::Passphrase(PASSWORD.as_bytes().to_vec().into());
    let repository = Repository::init(backend, &credential, Env::system())?;
    let file = cli.dir.join("stream");
    std::fs::write(&file, "a small stream")?;
    let input = Input::new("all.sql", From::File(file));
    let options =
        Options { inputs: vec![input], host: "db1".to_owned(), tags: vec!["hourly".to_owned()], ..Default::default() };
    let first = snapshot(&repository, &options)?.manifest;
    for hour in 1..cli.snapshots {
        let manifest = Manifest { time: first.time + hour * HOUR, ..first.clone() };
        let object = repository.seal_manifest(&manifest)?;
        repository.backend.put(&Key::Snapshot(ObjectId::of(&object)), &object)?;
    }
    Ok(())
}

/// The most memory that a running process has had, in bytes; nothing once it has ended.
fn peak_of(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib << 10)
}

fn list(program: &Path, dir: &Path) -> Outcome<(Duration, u64)> {
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(["list", "--repo"])
        .arg(dir)
        .env("SFARC_PASSWORD", PASSWORD)
        .stdout(Stdio::null())
        .spawn()?;
    let mut peak = 0;
    // Its memory is gone when it ends, so it is looked at all the time.
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        peak = peak.max(peak_of(child.id()).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(1));
    };
    if status.success() { Ok((start.elapsed(), peak)) } else { Err(format!("sfarc list ended with {status}").into()) }
}

fn main() -> Outcome<()> {
    let cli = Cli::parse();
    let program = std::env::var_os("SFARC").map_or_else(|| PathBuf::from("target/release/sfarc"), PathBuf::from);
    write(&cli)?;
    let mut runs = (0..RUNS).map(|_| list(&program, &cli.dir)).collect::<Outcome<Vec<_>>>()?;
    runs.sort_unstable();
    let peak = runs.iter().map(|(_, peak)| *peak).max().unwrap_or_default();
    writeln!(stdout(), "snapshots                 {}", cli.snapshots)?;
    writeln!(stdout(), "sfarc list, median of {RUNS}   {:.3} s", runs[RUNS / 2].0.as_secs_f64())?;
    writeln!(stdout(), "slowest                   {:.3} s", runs[RUNS - 1].0.as_secs_f64())?;
    writeln!(stdout(), "peak memory               {:.1} MB", peak as f64 / 1e6)?;
    if !cli.keep {
        std::fs::remove_dir_all(&cli.dir)?;
    }
    Ok(())
}
