//! Taking a snapshot: streams in, then one manifest, written last.

use std::path::{Path, PathBuf};

use super::consistency;
use super::writer::Writer;
use crate::env::{Env, UnixNanos};
use crate::error::Error;
use crate::event::{Event, Task, Unit};
use crate::format::manifest::{Manifest, Origin, StreamEntry};
use crate::ids::ObjectId;
use crate::limits;
use crate::pipeline::ingest::{Done, IngestError, Job, Sizing, StoredStream, ingest};
use crate::pipeline::lanes::Lanes;
pub use crate::pipeline::profile::{BULK_SIZES, DUMP_SIZES, Profile};
use crate::repo::Repository;
use crate::repo::store::{ChunkStore, StoreCounts};
use crate::source::cluster::{self, ClusterStream};
use crate::source::prepared::Prepared;
use crate::source::{SourceError, Verdict, command, file, folder};

/// One stream to take.
#[derive(Debug, Clone)]
pub struct Input {
    /// Its name in the snapshot.
    pub name: Vec<u8>,
    /// Where it comes from.
    pub from: From,
    /// How it is cut; like the others, if nothing is said.
    pub profile: Option<Profile>,
}

impl Input {
    /// A stream that is cut like the others.
    pub fn new(name: impl Into<Vec<u8>>, from: From) -> Self {
        Self { name: name.into(), from, profile: None }
    }
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
    /// Something in a cluster.
    Cluster(ClusterStream),
    /// Something that is made up from something else.
    Prepared(Prepared),
}

impl From {
    fn origin(&self) -> Origin {
        use std::os::unix::ffi::OsStrExt;
        match self {
            Self::Stdin => Origin::Stdin,
            Self::File(path) => Origin::File(path.as_os_str().as_bytes().to_vec()),
            Self::Folder { path, .. } => Origin::Folder(path.as_os_str().as_bytes().to_vec()),
            Self::Command(command) => Origin::Command(command.clone()),
            Self::Cluster(stream) => stream.take.origin(),
            Self::Prepared(stream) => stream.origin.clone(),
        }
    }

    fn is_local(&self) -> bool {
        match self {
            Self::Cluster(_) => false,
            Self::Prepared(stream) => !stream.is_remote,
            _ => true,
        }
    }

    fn lanes(&self) -> usize {
        match self {
            Self::Folder { .. } => 2,
            Self::Cluster(stream) if stream.take.is_folder() => 2,
            Self::Prepared(stream) if stream.is_folder => 2,
            _ => 1,
        }
    }
}

/// Streams out of a cluster that are taken at a time.
const SIDE_BY_SIDE: usize = 4;

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
    let options = Options { inputs: without_repository(repository, &options.inputs), ..options.clone() };
    let started = repository.env.clock.now();
    let mut writer = Writer::begin(repository, options.dry_run)?;
    let streams = take_streams(repository, &mut writer.store, &options)?;
    let added = writer.flush()?.stored_bytes;
    let mut labels = options.labels.clone();
    labels.sort();
    let manifest = Manifest {
        time: options.time.unwrap_or(started),
        duration: u64::try_from(repository.env.clock.now() - started).unwrap_or(0),
        host: options.host.clone(),
        tags: options.tags.clone(),
        labels,
        program: crate::PROGRAM.to_owned(),
        session: *writer.session_id().as_bytes(),
        added,
        complete: streams.complete,
        findings: consistency::findings(&streams.entries, streams.findings),
        streams: streams.entries,
    };
    let (id, counts) = writer.commit(&manifest)?;
    Ok(Report { id, manifest, counts })
}

/// The inputs, with the repository left out of folders that hold it.
fn without_repository(repository: &Repository, inputs: &[Input]) -> Vec<Input> {
    let mut inputs = inputs.to_vec();
    let Some(place) = repository.backend.folder() else { return inputs };
    for input in &mut inputs {
        if leave_out(place, input) {
            let name = String::from_utf8_lossy(&input.name);
            let text = format!("the repository {} is left out of stream `{name}`", place.display());
            repository.env.tell(&Event::Doing(&text));
        }
    }
    inputs
}

/// Leaves the repository out of a folder that holds it: it changes while it is read, and would grow with every
/// snapshot. False if there is nothing to leave out.
fn leave_out(repository: &Path, input: &mut Input) -> bool {
    let From::Folder { path, exclude, .. } = &mut input.from else { return false };
    let (Ok(repository), Ok(folder)) = (repository.canonicalize(), path.canonicalize()) else { return false };
    let is_inside = repository != folder && repository.starts_with(&folder);
    let is_excluded = |excluded: &PathBuf| {
        folder.join(excluded).canonicalize().is_ok_and(|excluded| repository.starts_with(excluded))
    };
    if !is_inside || exclude.iter().any(is_excluded) {
        return false;
    }
    exclude.push(repository);
    true
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
        Some(_) => Err(Error::Usage("a stream's name cannot be empty or hold a line break or a NUL byte".to_owned())),
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

/// Streams that are in.
#[derive(Default)]
struct Taken {
    entries: Vec<StreamEntry>,
    complete: bool,
    /// What sources say does not fit together.
    findings: Vec<String>,
}

/// Streams of this machine come one after the other, those out of a cluster side by side.
fn take_streams(repository: &Repository, store: &mut ChunkStore, options: &Options) -> Result<Taken, Error> {
    let mut done: Vec<Option<Done<Verdict>>> = options.inputs.iter().map(|_| None).collect();
    for (remote, side_by_side) in [(false, 1), (true, SIDE_BY_SIDE)] {
        let numbers: Vec<usize> = (0..done.len()).filter(|&at| options.inputs[at].from.is_local() != remote).collect();
        let jobs = numbers.iter().map(|&at| job(&repository.env, at, &options.inputs[at], options.profile)).collect();
        let taken = ingest(repository, store, jobs, side_by_side).map_err(|error| match error {
            IngestError::Source { job, error: source } => {
                Error::Source { name: display_name(&options.inputs[numbers[job]]), source: Box::new(source) }
            }
            IngestError::Repo(error) => Error::Repo(error),
        })?;
        numbers.into_iter().zip(taken).for_each(|(at, taken)| done[at] = Some(taken));
    }
    let mut taken = Taken { complete: true, ..Taken::default() };
    for (input, done) in options.inputs.iter().zip(done) {
        let (verdict, stored) = done.expect("every stream is of one kind or the other");
        taken.add(&repository.env, input, verdict, stored);
    }
    Ok(taken)
}

fn display_name(input: &Input) -> String {
    String::from_utf8_lossy(&input.name).into_owned()
}

fn job<'a>(env: &'a Env, number: usize, input: &'a Input, profile: Profile) -> Job<'a, Verdict, SourceError> {
    let profile = input.profile.unwrap_or(profile);
    let sizing: Sizing<'a> = Box::new(move |first| profile.sizes(first));
    let catalog_sizing: Sizing<'a> = Box::new(|_| DUMP_SIZES);
    let sizings = [sizing, catalog_sizing].into_iter().take(input.from.lanes()).collect();
    let task = Task(number);
    let source = move |lanes: &mut Lanes| {
        let name = display_name(input);
        env.tell(&Event::Begin { task, what: &name, total: known_len(&input.from), unit: Unit::Bytes });
        let verdict = read(env, &name, &input.from, lanes);
        env.tell(&Event::End(task));
        verdict
    };
    Job { task, sizings, source: Box::new(source) }
}

fn read(env: &Env, name: &str, from: &From, lanes: &mut Lanes) -> Result<Verdict, SourceError> {
    let cancel = lanes.cancel().clone();
    match from {
        From::Stdin => file::read_stdin(lanes, &cancel),
        From::File(path) => file::read_file(path, lanes, &cancel),
        From::Folder { path, exclude, one_file_system } => folder::read_folder(path, exclude, *one_file_system, lanes),
        From::Command(command) => command::run(command, lanes, &cancel),
        From::Cluster(stream) => cluster::take(name, stream, env, lanes),
        From::Prepared(stream) => stream.take(lanes),
    }
}

impl Taken {
    fn add(&mut self, env: &Env, input: &Input, verdict: Verdict, mut stored: Vec<StoredStream>) {
        let name = display_name(input);
        for problem in verdict.missing.iter().chain(&verdict.changed) {
            // Problems of local streams name the file.
            let text = if input.from.is_local() { problem.clone() } else { format!("stream `{name}`: {problem}") };
            env.tell(&Event::Warning(&text));
        }
        self.complete &= verdict.missing.is_empty();
        self.findings.extend(verdict.findings.iter().map(|finding| format!("stream `{name}`: {finding}")));
        let catalog = (stored.len() > 1).then(|| stored.pop()).flatten();
        let content = stored.pop().expect("a lane for the content");
        self.entries.push(entry(input, content, catalog, verdict));
    }
}

fn entry(input: &Input, content: StoredStream, catalog: Option<StoredStream>, verdict: Verdict) -> StreamEntry {
    let catalog_new = catalog.as_ref().map_or(0, StoredStream::new_bytes);
    StreamEntry {
        name: input.name.clone(),
        origin: input.from.origin(),
        new_bytes: content.new_bytes() + catalog_new,
        content: content.content().clone(),
        catalog: catalog.map(|catalog| catalog.content().clone()),
        proof: verdict.proof,
        problems: verdict.missing.into_iter().chain(verdict.changed).collect(),
        facts: verdict.facts,
    }
}

fn known_len(from: &From) -> Option<u64> {
    match from {
        From::File(path) => std::fs::metadata(path).ok().filter(|m| m.is_file()).map(|m| m.len()),
        _ => None,
    }
}

const _: () = assert!(limits::STREAMS * size_of::<StreamEntry>() <= limits::RECORD_LIST_BYTES);
