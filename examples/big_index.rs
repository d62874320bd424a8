//! What a huge index costs: writes one of made-up rows with the library's own writer, then measures a process that
//! opens it, takes a snapshot of 1 MB beside it and looks chunks up. The packs that its rows name do not exist.
//!
//! ```text
//! big_index --dir DIR [--rows 100000000] [--groups 7] [--chunks-per-pack 8000] [--keep]
//! ```
//!
//! A hundred million rows take 2.5 GB in DIR. Prints a table.

use std::error::Error;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use sfarc::backend::folder::FolderBackend;
use sfarc::engine::snapshot::{From, Input, Options, snapshot};
use sfarc::env::Env;
use sfarc::format::index::PackEntry;
use sfarc::ids::{ChunkId, ObjectId};
use sfarc::repo::Repository;
use sfarc::repo::index::Index;
use sfarc::repo::index::build::{FreeRow, GroupWriter};
use sfarc::testing::entropy::SeededEntropy;
use sfarc::testing::world::World;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Look-ups of each sort.
const LOOKUPS: u64 = 200_000;

/// Measures a huge index.
#[derive(Parser)]
struct Cli {
    /// The folder for the repository; must not exist.
    #[arg(long)]
    dir: PathBuf,
    /// Rows of the index.
    #[arg(long, default_value_t = 100_000_000)]
    rows: u64,
    /// Groups of runs that the rows are spread over; writers merge when a level has eight.
    #[arg(long, default_value_t = 7)]
    groups: u64,
    /// Chunks in a pack: about 4000 if nothing compresses, 20,000 for dumps.
    #[arg(long, default_value_t = 8000)]
    chunks_per_pack: u64,
    /// Leaves the repository there.
    #[arg(long)]
    keep: bool,
    /// Only measures: what the program runs itself with.
    #[arg(long, hide = true)]
    measure: bool,
}

/// A number that looks random and depends on its arguments only.
fn mix(number: u64, salt: u64) -> u64 {
    let mut mixed = (number ^ salt << 56).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

impl Cli {
    /// The id of the row with this number; ids ascend. With another salt, an id that no row has.
    fn id(&self, number: u64, salt: u64) -> ChunkId {
        let step = u64::MAX / self.rows;
        let prefix = number * step + mix(number, salt) % step;
        let mut bytes = [0; ChunkId::LEN];
        bytes[..8].copy_from_slice(&prefix.to_be_bytes());
        bytes[8..].copy_from_slice(&mix(number, salt + 1).to_le_bytes());
        ChunkId::new(bytes)
    }

    fn pack(&self, number: u64) -> PackEntry {
        let mut bytes = [0; ObjectId::LEN];
        bytes[..8].copy_from_slice(&mix(number, 100).to_le_bytes());
        PackEntry { id: ObjectId::new(bytes), len: 16 << 20 }
    }

    /// A group is what some time of the repository's life wrote: its rows name packs of that time only.
    fn write(&self) -> Outcome<()> {
        let backend = Arc::new(FolderBackend::create(&self.dir)?);
        let repository = Repository::init(backend, &World::credential(), Env::system())?;
        let packs = self.rows / self.groups / self.chunks_per_pack + 1;
        for group in 0..self.groups {
            let mut writer = GroupWriter::new(&repository, 2);
            for number in (group..self.rows).step_by(self.groups as usize) {
                let pack = self.pack(group * packs + mix(number, 50) % packs);
                writer.push(FreeRow { id: self.id(number, 0), pack, ordinal: number as u16 })?;
            }
            writer.finish()?;
        }
        Ok(())
    }

    fn measure(&self) -> Outcome<()> {
        let file = self.dir.join("megabyte");
        std::fs::write(&file, SeededEntropy::new(1).bytes(1 << 20).iter().map(|byte| byte & 0x3f).collect::<Vec<_>>())?;
        let mut table = Vec::new();
        let mut row = |what: &str, value: String| table.push(format!("{what:<34} {value}"));

        let start = Instant::now();
        let backend = Arc::new(FolderBackend::open(&self.dir));
        let repository = Repository::open(backend, "the index", || Ok(World::credential()), Env::system())?;
        let input = Input::new("megabyte", From::File(file));
        snapshot(&repository, &Options { inputs: vec![input], ..Default::default() })?;
        row("open and take a snapshot of 1 MB", format!("{:.3} s", start.elapsed().as_secs_f64()));
        row("peak memory of that", format!("{:.1} MB", peak_memory()?));

        let start = Instant::now();
        let mut index = Index::open(&repository, &repository.gc_log()?)?;
        row("open the index", format!("{:.3} s", start.elapsed().as_secs_f64()));
        row("rows, runs", format!("{}, {}", index.rows(), index.runs().len()));
        for (what, salt, found) in [("hits", 0, true), ("misses", 7, false)] {
            let start = Instant::now();
            for turn in 0..LOOKUPS {
                let id = self.id(mix(turn, 200) % self.rows, salt);
                if index.find_usable(&repository, &id)?.is_some() != found {
                    return Err(format!("a look-up of {id} is wrong").into());
                }
            }
            let rate = LOOKUPS as f64 / start.elapsed().as_secs_f64();
            row(&format!("{what}, at random"), format!("{rate:.0} a second"));
        }
        row("peak memory with look-ups", format!("{:.1} MB", peak_memory()?));
        table.iter().try_for_each(|line| writeln!(stdout(), "{line}"))?;
        Ok(())
    }
}

/// The most memory that this process has had, in MB.
fn peak_memory() -> Outcome<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc/self/status")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024.0 / 1e6)
}

fn stored(dir: &Path) -> Outcome<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir.join("indexes"))? {
        sum += entry?.metadata()?.len();
    }
    Ok(sum)
}

fn main() -> Outcome<()> {
    let cli = Cli::parse();
    if cli.measure {
        return cli.measure();
    }
    let start = Instant::now();
    cli.write()?;
    let seconds = start.elapsed().as_secs_f64();
    writeln!(stdout(), "{:<34} {seconds:.1} s", "writing the index")?;
    writeln!(stdout(), "{:<34} {:.0} MB", "stored", stored(&cli.dir)? as f64 / 1e6)?;
    let mut again = Command::new(std::env::current_exe()?);
    let measured = again.args(std::env::args_os().skip(1)).arg("--measure").status()?;
    if !cli.keep {
        std::fs::remove_dir_all(&cli.dir)?;
    }
    if measured.success() { Ok(()) } else { Err("measuring failed".into()) }
}
