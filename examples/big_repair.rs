//! What it costs to rebuild the index of a large repository: writes packs that have directories of made-up chunks and hardly
//! anything else, no index, and measures a process that repairs it, beside one that only reads the directories.
//!
//! ```text
//! big_repair --dir DIR [--chunks 10000000] [--chunks-per-pack 8000] [--keep]
//! ```
//!
//! Ten million chunks take 500 MB in DIR. Prints a table.

use std::error::Error;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use sfarc::backend::folder::FolderBackend;
use sfarc::backend::{Key, Kind};
use sfarc::engine::repair::{Options, repair};
use sfarc::env::Env;
use sfarc::format::index::PackEntry;
use sfarc::format::pack::{BlockKind, BlockRow, ChunkRow, Codec, Directory};
use sfarc::format::sealed::{SealedKind, Section, TAG_LEN, Trailer};
use sfarc::ids::{ChunkId, ObjectId};
use sfarc::repo::Repository;
use sfarc::repo::pack_reader::PackReader;
use sfarc::testing::entropy::SeededEntropy;
use sfarc::testing::world::World;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Chunks of a block; one byte each, so that the packs are small.
const BLOCK_CHUNKS: usize = 4000;

/// Measures the repair of a large repository.
#[derive(Parser)]
struct Cli {
    /// The folder for the repository; must not exist.
    #[arg(long)]
    dir: PathBuf,
    /// Chunks in it.
    #[arg(long, default_value_t = 10_000_000)]
    chunks: usize,
    /// Chunks in a pack: about 4000 if nothing compresses, 20,000 for dumps.
    #[arg(long, default_value_t = 8000)]
    chunks_per_pack: usize,
    /// Leaves the repository there.
    #[arg(long)]
    keep: bool,
    /// Only measures: what the program runs itself with.
    #[arg(long, hide = true)]
    measure: Option<Measure>,
}

/// What is measured in a process of its own.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Measure {
    Directories,
    Repair,
    Again,
}

impl Cli {
    fn open(&self) -> Outcome<Repository> {
        let backend = Arc::new(FolderBackend::open(&self.dir));
        Ok(Repository::open(backend, "the repository", || Ok(World::credential()), Env::system())?)
    }

    fn write(&self) -> Outcome<()> {
        let backend = Arc::new(FolderBackend::create(&self.dir)?);
        let repository = Repository::init(backend, &World::credential(), Env::system())?;
        let entropy = SeededEntropy::new(3);
        let mut left = self.chunks;
        while left > 0 {
            let count = left.min(self.chunks_per_pack);
            left -= count;
            let object = pack(&repository, &entropy.bytes(count * ChunkId::LEN))?;
            // Not by the backend: ten thousand syncs would be measured, not a repair.
            std::fs::write(self.dir.join(Key::Pack(ObjectId::of(&object)).to_string()), &object)?;
        }
        Ok(())
    }

    fn measure(&self, what: Measure) -> Outcome<()> {
        let repository = self.open()?;
        let start = Instant::now();
        let done = match what {
            Measure::Directories => {
                for listed in repository.list(Kind::Packs)? {
                    let Key::Pack(id) = listed.key else { continue };
                    let entry = PackEntry { id, len: u32::try_from(listed.len)? };
                    PackReader::open(&*repository.backend, &repository.keys, entry)?;
                }
                "read every directory, one thread"
            }
            Measure::Repair | Measure::Again => {
                let report = repair(&repository, &[], Options::default())?;
                let rows = if matches!(what, Measure::Repair) { self.chunks as u64 } else { 0 };
                if !report.is_healthy() || report.indexed_rows != rows {
                    return Err(format!("the repair did something else: {report:?}").into());
                }
                if rows > 0 { "repair without an index" } else { "repair with nothing to do" }
            }
        };
        let (seconds, memory) = (start.elapsed().as_secs_f64(), peak_memory()?);
        writeln!(stdout(), "{done:<34} {seconds:>6.1} s   {memory:>6.1} MB at most")?;
        Ok(())
    }
}

/// The stored bytes of a pack with chunks of these names.
fn pack(repository: &Repository, names: &[u8]) -> Outcome<Vec<u8>> {
    let mut directory = Directory::default();
    let sealer = repository.keys.sealer(SealedKind::Pack, &*repository.env.entropy)?;
    let mut object = sealer.header().to_vec();
    let names: Vec<&[u8; ChunkId::LEN]> = names.as_chunks().0.iter().collect();
    for (ordinal, names) in names.chunks(BLOCK_CHUNKS).enumerate() {
        let chunks: Vec<ChunkRow> = names.iter().map(|name| ChunkRow { id: ChunkId::new(**name), len: 1 }).collect();
        let row = BlockRow {
            kind: BlockKind::Data,
            codec: Codec::Raw,
            chunks: u16::try_from(chunks.len())?,
            stored_len: u32::try_from(chunks.len() + TAG_LEN)?,
            plain_len: u32::try_from(chunks.len())?,
        };
        directory.push(row, chunks);
        let from = object.len();
        object.resize(from + names.len(), 0);
        sealer.seal(Section::Block(BlockKind::Data), ordinal as u64, &mut object, from);
    }
    let offset = object.len();
    object.extend(directory.encode());
    sealer.seal(Section::Footer, 0, &mut object, offset);
    let trailer = Trailer { offset: offset as u64, len: u32::try_from(object.len() - offset)? };
    object.extend(trailer.encode());
    Ok(object)
}

/// The most memory that this process has had, in MB.
fn peak_memory() -> Outcome<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc/self/status")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024.0 / 1e6)
}

fn packs(dir: &Path) -> Outcome<usize> {
    Ok(std::fs::read_dir(dir.join("packs"))?.count())
}

fn main() -> Outcome<()> {
    // As the program has it.
    sfarc::allocator::keep_small();
    let cli = Cli::parse();
    if let Some(what) = cli.measure {
        return cli.measure(what);
    }
    cli.write()?;
    writeln!(stdout(), "{:<34} {}, {}", "chunks, packs", cli.chunks, packs(&cli.dir)?)?;
    for what in ["directories", "repair", "again"] {
        let mut again = Command::new(std::env::current_exe()?);
        if !again.args(std::env::args_os().skip(1)).args(["--measure", what]).status()?.success() {
            return Err("measuring failed".into());
        }
    }
    if !cli.keep {
        std::fs::remove_dir_all(&cli.dir)?;
    }
    Ok(())
}
