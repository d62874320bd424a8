//! Taking a snapshot: streams in, then one manifest, written last.

use std::path::PathBuf;
use std::sync::Arc;

use crate::env::UnixNanos;
use crate::error::Error;
use crate::event::{Event, Unit};
use crate::format::manifest::{ChunkSizes, Manifest, Origin, StreamEntry};
use crate::ids::ObjectId;
use crate::limits;
use crate::pipeline::ingest::{IngestError, Ingested, Sizing, ingest};
use crate::pipeline::lanes::Lanes;
use crate::repo::Repository;
use crate::repo::index::merge;
use crate::repo::pool::Pool;
use crate::repo::session::Session;
use crate::repo::store::{ChunkStore, StoreCounts};
use crate::source::pod::{self, PodCommand};
use crate::source::{SourceError, Verdict, command, file, folder};

/// How a stream's chunks are sized.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Profile {
    /// Small chunks: for dumps and everything of which small parts change.
    Dump,
    /// Large chunks: for data that is compressed or encrypted already, and for media.
    Bulk,
    /// `Bulk` if the first MiB looks compressed or encrypted, `Dump` otherwise.
    #[default]
    Auto,
}

/// Chunk sizes of the `dump` profile; docs/decisions/0002 has the measurements.
pub const DUMP_SIZES: ChunkSizes = ChunkSizes { min: 1 << 10, avg: 4 << 10, max: 32 << 10 };

/// Chunk sizes of the `bulk` profile.
pub const BULK_SIZES: ChunkSizes = ChunkSizes { min: 16 << 10, avg: 64 << 10, max: 512 << 10 };

impl Profile {
    fn sizes(self, first: &[u8]) -> ChunkSizes {
        match self {
            Self::Dump => DUMP_SIZES,
            Self::Bulk => BULK_SIZES,
            Self::Auto if looks_compressed(first) => BULK_SIZES,
            Self::Auto => DUMP_SIZES,
        }
    }
}

/// True if the bytes are spread so evenly that compression would win nothing.
fn looks_compressed(bytes: &[u8]) -> bool {
    const ENOUGH: usize = 64 << 10;
    if bytes.len() < ENOUGH {
        return false;
    }
    let mut counts = [0u32; 256];
    bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    let total = bytes.len() as f64;
    let entropy: f64 = counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| f64::from(count) / total)
        .map(|share| -share * share.log2())
        .sum();
    entropy > 7.9
}

/// One stream to take.
#[derive(Debug, Clone)]
pub struct Input {
    /// Its name in the snapshot.
    pub name: Vec<u8>,
    /// Where it comes from.
    pub from: From,
}

/// Where a stream is taken from.
#[derive(Debug, Clone)]
pub enum From {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
    /// A folder, without what is named in `exclude`.
    Folder {
        /// Its path.
        path: PathBuf,
        /// Paths to leave out, absolute or relative to the folder.
        exclude: Vec<PathBuf>,
        /// Leaves out what is mounted below the folder.
        one_file_system: bool,
    },
    /// A shell command.
    Command(String),
    /// A command in a container.
    Pod(PodCommand),
}

impl From {
    fn origin(&self) -> Origin {
        use std::os::unix::ffi::OsStrExt;
        match self {
            Self::Stdin => Origin::Stdin,
            Self::File(path) => Origin::File(path.as_os_str().as_bytes().to_vec()),
            Self::Folder { path, .. } => Origin::Folder(path.as_os_str().as_bytes().to_vec()),
            Self::Command(command) => Origin::Command(command.clone()),
            Self::Pod(command) => Origin::Pod {
                namespace: command.target.namespace.clone(),
                pod: command.target.pod.clone(),
                container: command.target.container.clone(),
                command: command.command.clone(),
            },
        }
    }

    fn lanes(&self) -> usize {
        if matches!(self, Self::Folder { .. }) { 2 } else { 1 }
    }
}

/// What to take, and what to say about it.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The streams, at least one, with different names.
    pub inputs: Vec<Input>,
    /// How they are cut.
    pub profile: Profile,
    /// Words to find the snapshot by.
    pub tags: Vec<String>,
    /// Keys and values to find it by.
    pub labels: Vec<(String, String)>,
    /// The host whose data it is.
    pub host: String,
    /// The moment that it shows; now, if nothing is said.
    pub time: Option<UnixNanos>,
    /// Finds out what would be stored, and stores nothing.
    pub dry_run: bool,
}

impl Options {
    /// Refuses what no snapshot can be made of.
    pub fn check(&self) -> Result<(), Error> {
        check_inputs(&self.inputs)?;
        check_labels(&self.labels)
    }
}

/// What a snapshot was.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its name; nothing for a dry run.
    pub id: Option<ObjectId>,
    /// Its manifest.
    pub manifest: Manifest,
    /// What was new in it.
    pub counts: StoreCounts,
}

/// Takes a snapshot. Either all streams are in it to their last byte, or there is no snapshot.
///
/// Unreadable files of a folder do not stop it: they are named in the manifest, which is then not `complete`.
pub fn snapshot(repository: &Repository, options: &Options) -> Result<Report, Error> {
    repository.require_write()?;
    options.check()?;
    let started = repository.env.clock.now();
    let mut session = Session::begin(repository)?;
    let pool = Arc::new(Pool::new(repository.env.workers));
    let mut store = ChunkStore::new(repository, session.open_index()?, pool, options.dry_run);
    let streams = options
        .inputs
        .iter()
        .map(|input| take_stream(repository, &mut store, input, options.profile))
        .collect::<Result<Vec<_>, _>>()?;
    store.flush()?;
    let mut labels = options.labels.clone();
    labels.sort();
    let manifest = Manifest {
        time: options.time.unwrap_or(started),
        duration: u64::try_from(repository.env.clock.now() - started).unwrap_or(0),
        host: options.host.clone(),
        tags: options.tags.clone(),
        labels,
        program: crate::PROGRAM.to_owned(),
        session: *session.id.as_bytes(),
        added: store.counts().stored_bytes,
        complete: streams.iter().all(|(_, complete)| *complete),
        streams: streams.into_iter().map(|(entry, _)| entry).collect(),
    };
    let id = if options.dry_run {
        session.close()?;
        None
    } else {
        Some(commit(repository, &mut session, &mut store, &manifest)?)
    };
    let (counts, is_index_full) = (store.counts(), merge::has_full_level(store.index.runs()));
    // Merging needs the memory that the store's index takes.
    drop(store);
    if id.is_some() && is_index_full {
        // The snapshot is there, whatever becomes of the index: not merging it only costs time.
        if let Err(error) = merge::merge_full_levels(repository) {
            let text = format!("the index was not merged: {}", crate::error::chain(&error));
            repository.env.tell(&Event::Warning(&text));
        }
    }
    Ok(Report { id, manifest, counts })
}

fn check_inputs(inputs: &[Input]) -> Result<(), Error> {
    if inputs.is_empty() {
        let text = "nothing to take: name at least one stream with --stdin, --file, --dir or --command";
        return Err(Error::Usage(text.to_owned()));
    }
    if inputs.len() > limits::STREAMS {
        return Err(Error::Usage(format!("a snapshot has at most {} streams", limits::STREAMS)));
    }
    let mut names: Vec<&[u8]> = inputs.iter().map(|input| &input.name[..]).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let name = String::from_utf8_lossy(pair[0]);
        return Err(Error::Usage(format!("two streams are named `{name}`; give one another name with NAME=")));
    }
    match names.iter().find(|name| name.is_empty() || name.contains(&0) || name.contains(&b'\n')) {
        Some(_) => Err(Error::Usage("a stream's name cannot be empty or hold a line break".to_owned())),
        None => Ok(()),
    }
}

fn check_labels(labels: &[(String, String)]) -> Result<(), Error> {
    let mut keys: Vec<&str> = labels.iter().map(|(key, _)| &key[..]).collect();
    keys.sort_unstable();
    match keys.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::Usage(format!("the label `{}` is given twice; it has one value", pair[0]))),
        None => Ok(()),
    }
}

fn take_stream(
    repository: &Repository,
    store: &mut ChunkStore,
    input: &Input,
    profile: Profile,
) -> Result<(StreamEntry, bool), Error> {
    let name = String::from_utf8_lossy(&input.name).into_owned();
    repository.env.tell(&Event::Begin { what: &name, total: known_len(&input.from), unit: Unit::Bytes });
    let sizing = |first: &[u8]| profile.sizes(first);
    let catalog_sizing = |_: &[u8]| DUMP_SIZES;
    let sizings: [Sizing<'_>; 2] = [&sizing, &catalog_sizing];
    let (cancel, random) = (repository.env.cancel.clone(), repository.env.random());
    let source = |lanes: &mut Lanes| -> Result<Verdict, SourceError> {
        match &input.from {
            From::Stdin => file::read_stdin(lanes, &cancel),
            From::File(path) => file::read_file(path, lanes, &cancel),
            From::Folder { path, exclude, one_file_system } => {
                folder::read_folder(path, exclude, *one_file_system, lanes)
            }
            From::Command(command) => command::run(command, lanes, &cancel),
            From::Pod(command) => pod::run(command, random, lanes, &cancel),
        }
    };
    let taken = ingest(repository, store, &sizings[..input.from.lanes()], source);
    let (verdict, mut ingested) = taken.map_err(|error| match error {
        IngestError::Source(source) => Error::Source { name: name.clone(), source },
        IngestError::Repo(error) => Error::Repo(error),
    })?;
    repository.env.tell(&Event::End);
    for problem in verdict.missing.iter().chain(&verdict.changed) {
        repository.env.tell(&Event::Warning(problem));
    }
    let complete = verdict.missing.is_empty();
    let catalog = (ingested.len() > 1).then(|| ingested.pop()).flatten();
    let content = ingested.pop().expect("a lane for the content");
    Ok((entry(input, content, catalog, verdict), complete))
}

fn entry(input: &Input, content: Ingested, catalog: Option<Ingested>, verdict: Verdict) -> StreamEntry {
    let catalog_new = catalog.as_ref().map_or(0, |catalog| catalog.new_bytes);
    StreamEntry {
        name: input.name.clone(),
        origin: input.from.origin(),
        new_bytes: content.new_bytes + catalog_new,
        content: content.content,
        catalog: catalog.map(|catalog| catalog.content),
        proof: verdict.proof,
        problems: verdict.missing.into_iter().chain(verdict.changed).collect(),
    }
}

fn known_len(from: &From) -> Option<u64> {
    match from {
        From::File(path) => std::fs::metadata(path).ok().filter(|m| m.is_file()).map(|m| m.len()),
        _ => None,
    }
}

/// Publishes the snapshot, stores again what was condemned meanwhile, and commits.
fn commit(
    repository: &Repository,
    session: &mut Session,
    store: &mut ChunkStore,
    manifest: &Manifest,
) -> Result<ObjectId, Error> {
    let (id, object) = session.seal(manifest)?;
    if session.publish(&object)? {
        store.index.condemn(&session.log);
        if store.relies_on(|pack| session.log.is_condemned(pack)) {
            let rescued = super::collect::rescue(repository, store, manifest).and_then(|()| store.flush());
            if let Err(error) = rescued {
                session.give_up(&id)?;
                return Err(error.into());
            }
        }
    }
    repository.check_cancel()?;
    session.commit(id, &object)?;
    Ok(id)
}

const _: () = assert!(limits::STREAMS * size_of::<StreamEntry>() <= limits::RECORD_LIST_BYTES);
