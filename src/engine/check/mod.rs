//! Is everything there, and is it what it was? Names what damage hits: snapshots, streams, offsets.

mod data;
mod lists;

use std::collections::{BTreeMap, HashSet};

use crate::backend::{Key, Kind};
use crate::error::{Error, chain};
use crate::event::{Event, Task, Unit};
use crate::format::index::PackEntry;
use crate::format::manifest::SessionRecord;
use crate::format::sealed::SealedKind;
use crate::ids::{ChunkId, ObjectId};
use crate::limits;
use crate::repo::index::Index;
use crate::repo::objects::check_name;
use crate::repo::pack_reader::PackReader;
use crate::repo::{RepoError, Repository};

/// How much of the data is read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum ReadData {
    /// None: only structure is checked.
    #[default]
    None,
    /// About this share of the packs (0 to 1), chosen at random.
    Share(f64),
    /// Every byte.
    All,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The object.
    pub object: String,
    /// What is wrong with it.
    pub what: String,
}

/// A stretch of a stream that cannot be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The snapshot.
    pub snapshot: ObjectId,
    /// The stream's name.
    pub stream: Vec<u8>,
    /// Where the stretch begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub len: u64,
}

/// What a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// Snapshots that were walked.
    pub snapshots: u64,
    /// Packs whose directories were read.
    pub packs: u64,
    /// Packs whose every byte was read.
    pub packs_read: u64,
    /// Bytes of these packs.
    pub bytes_read: u64,
    /// Damage.
    pub problems: Vec<Problem>,
    /// What the damage hits.
    pub hits: Vec<Hit>,
    /// Things to know that are no damage.
    pub notes: Vec<String>,
}

impl Report {
    fn problem(&mut self, object: impl ToString, error: &RepoError) {
        self.problems.push(Problem { object: object.to_string(), what: chain(error) });
    }

    /// Keeps going after damage, stops for everything else.
    fn absorb<T>(&mut self, object: impl ToString, result: Result<T, RepoError>) -> Result<Option<T>, RepoError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_damage() => {
                self.problem(object, &error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// How often a check begins anew because others changed the index under it.
const ATTEMPTS: usize = 5;

/// Checks the repository. Damage is in the report; an error means that the check itself could not go on.
///
/// What collectors move while it runs can look like damage. So damage is only believed if the index stayed the same;
/// otherwise the check begins anew.
pub fn check(repository: &Repository, read_data: ReadData) -> Result<Report, Error> {
    for _ in 1..ATTEMPTS {
        let (runs, epoch) = (repository.list(Kind::Indexes)?, repository.gc_log_for_reading()?.epoch());
        match check_once(repository, read_data) {
            Ok(report) if report.problems.is_empty() && report.hits.is_empty() => return Ok(report),
            Err(error) if error.category() != crate::Category::Damaged => return Err(error),
            outcome => {
                let same = repository.gc_log_for_reading()?.epoch() == epoch && repository.list(Kind::Indexes)? == runs;
                if same {
                    return outcome;
                }
            }
        }
    }
    check_once(repository, read_data)
}

fn check_once(repository: &Repository, read_data: ReadData) -> Result<Report, Error> {
    let mut report = Report::default();
    check_small_objects(repository, &mut report)?;
    report.absorb("the gc log", repository.gc_log())?;
    let log = repository.gc_log_for_reading()?;
    let mut broken_runs = Vec::new();
    let mut index = Index::open_what_opens(repository, &log, |id, error| broken_runs.push((id, error)))?.pinned();
    for (id, error) in &broken_runs {
        report.problem(Key::Index(*id), error);
    }
    check_runs(repository, &index, &mut report)?;
    let mut lost = check_packs(repository, &mut index, &mut report)?;
    if read_data != ReadData::None {
        data::read_packs(repository, &index, read_data, &mut lost, &mut report)?;
    }
    lists::walk_snapshots(repository, index, &lost, &mut report)?;
    report.hits = join_hits(std::mem::take(&mut report.hits));
    Ok(report)
}

/// Key slots and sessions.
fn check_small_objects(repository: &Repository, report: &mut Report) -> Result<(), RepoError> {
    for listed in repository.list(Kind::Keys)? {
        let read = repository.backend.get(&listed.key, None).map_err(RepoError::from);
        report.absorb(listed.key, read.and_then(|object| check_name(&listed.key, &object)))?;
    }
    report.absorb("the key slots", repository.slots())?;
    for listed in repository.list(Kind::Sessions)? {
        let Key::Session(id) = listed.key else { continue };
        let record = repository.read_record::<SessionRecord>(SealedKind::Session, &listed.key);
        if matches!(&record, Err(RepoError::Backend(error)) if error.is_not_found()) {
            continue;
        }
        if let Some(record) = report.absorb(listed.key, record)?
            && !repository.backend.is_held(&id)?
        {
            let (host, pid) = (record.host, record.pid);
            report.notes.push(format!("session {} of {host} (process {pid}) is dead; prune removes it", id.short()));
        }
    }
    Ok(())
}

/// Index runs hash to their names.
fn check_runs(repository: &Repository, index: &Index, report: &mut Report) -> Result<(), RepoError> {
    for run in index.runs() {
        repository.check_cancel()?;
        let key = Key::Index(run.id);
        let read = repository.backend.get(&key, None).map_err(RepoError::from);
        report.absorb(key, read.and_then(|object| check_name(&key, &object)))?;
    }
    Ok(())
}

/// Packs are there, open, and the index knows each of their chunks. Gives the chunks of those that do not.
fn check_packs(repository: &Repository, index: &mut Index, report: &mut Report) -> Result<HashSet<ChunkId>, RepoError> {
    let listed: BTreeMap<ObjectId, u64> = repository
        .list(Kind::Packs)?
        .into_iter()
        .filter_map(|listed| if let Key::Pack(id) = listed.key { Some((id, listed.len)) } else { None })
        .collect();
    let named = index.packs();
    let mut bad: HashSet<ObjectId> = HashSet::new();
    for entry in named.values().filter(|entry| !listed.contains_key(&entry.id)) {
        // A condemned pack may be gone while old rows still name it.
        if !index.is_condemned(&entry.id) {
            report.problems.push(Problem { object: Key::Pack(entry.id).to_string(), what: "it is missing".to_owned() });
        }
        bad.insert(entry.id);
    }
    repository.env.tell(&Event::Begin {
        task: Task::ONLY,
        what: "checking packs",
        total: Some(listed.len() as u64),
        unit: Unit::Items,
    });
    for (&id, &len) in &listed {
        repository.check_cancel()?;
        let opened = check_pack(repository, index, id, len, named.get(&id));
        report.packs += 1;
        if report.absorb(Key::Pack(id), opened)?.is_none() {
            bad.insert(id);
        }
        repository.env.tell(&Event::Advance(Task::ONLY, 1));
    }
    repository.env.tell(&Event::End(Task::ONLY));
    lists::chunks_lost_with(repository, index, &bad)
}

fn check_pack(
    repository: &Repository,
    index: &mut Index,
    id: ObjectId,
    len: u64,
    named: Option<&PackEntry>,
) -> Result<(), RepoError> {
    let damaged = |why: &str| RepoError::Damaged { object: Key::Pack(id).to_string(), why: why.to_owned() };
    if len > limits::PACK_MAX_BYTES as u64 {
        return Err(damaged("it is too long"));
    }
    let Some(named) = named else {
        // Of a writer at work, or left by one that died: no snapshot can need it yet.
        return Ok(());
    };
    if u64::from(named.len) != len {
        return Err(damaged("it is not as long as the index says"));
    }
    let reader = PackReader::open(&*repository.backend, &repository.keys, *named)?;
    for (ordinal, chunk) in reader.directory.chunks().iter().enumerate() {
        let found = index.find_all(repository, &chunk.id)?;
        // Where a run is damaged, what it said is not missed: reading finds the chunks without it.
        if index.is_incomplete() {
            return Ok(());
        }
        if !found.iter().any(|place| place.pack.id == id && usize::from(place.ordinal) == ordinal) {
            return Err(damaged("the index does not know all of its chunks"));
        }
    }
    Ok(())
}

/// Joins neighbouring stretches of a stream.
fn join_hits(hits: Vec<Hit>) -> Vec<Hit> {
    let mut joined: Vec<Hit> = Vec::new();
    for hit in hits {
        match joined.last_mut() {
            Some(last)
                if last.snapshot == hit.snapshot
                    && last.stream == hit.stream
                    && last.offset + last.len == hit.offset =>
            {
                last.len += hit.len;
            }
            _ => joined.push(hit),
        }
    }
    joined
}
