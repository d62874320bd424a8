//! Is everything there, and is it what it was? Names what damage hits: snapshots, streams, offsets.

pub(super) mod data;
mod doubt;
pub(super) mod lists;
mod packs;

use std::collections::{BTreeSet, HashSet};

pub use self::doubt::doubtful_snapshots;
use crate::backend::{Key, Kind};
use crate::crypto::role::Role;
use crate::env::Cancel;
use crate::error::{Error, chain};
use crate::format::manifest::SessionRecord;
use crate::format::sealed::SealedKind;
use crate::ids::{ChunkId, ObjectId};
use crate::repo::gc_log::GcLog;
use crate::repo::index::{Index, Location};
use crate::repo::objects::check_name;
use crate::repo::{RepoError, Repository};

/// How much of the data is read.
#[derive(Debug, Clone, Default)]
pub enum ReadData {
    /// None: only structure is checked.
    #[default]
    None,
    /// About this share of the packs (0 to 1), chosen at random.
    Share(f64),
    /// These packs, in this order, until it is enough.
    These(Vec<ObjectId>, Cancel),
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
    pub packs_read: HashSet<ObjectId>,
    /// Bytes of these packs.
    pub bytes_read: u64,
    /// Damage.
    pub problems: Vec<Problem>,
    /// What the damage hits.
    pub hits: Vec<Hit>,
    /// Packs on which nothing new relies from now on, because they are missing, cut or damaged: what they held is stored
    /// again by the next snapshot that has it, which heals older snapshots, too.
    pub distrusted: Vec<ObjectId>,
    /// Things to know that are no damage.
    pub notes: Vec<String>,
    /// The chunks that are missing where it hits.
    pub(crate) missing: HashSet<ChunkId>,
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

/// What cannot be read: whole packs, and single chunks of others.
#[derive(Debug, Default)]
pub(super) struct Broken {
    pub(super) packs: HashSet<ObjectId>,
    pub(super) chunks: HashSet<(ObjectId, ChunkId)>,
}

impl Broken {
    /// True if this copy of a chunk cannot be read.
    fn is_hit(&self, location: &Location, id: &ChunkId) -> bool {
        self.packs.contains(&location.pack.id) || self.chunks.contains(&(location.pack.id, *id))
    }

    /// The packs on which nothing new may rely.
    fn suspects(&self) -> Vec<ObjectId> {
        let packs: BTreeSet<ObjectId> =
            self.packs.iter().chain(self.chunks.iter().map(|(pack, _)| pack)).copied().collect();
        packs.into_iter().collect()
    }
}

/// Checks the repository. Damage is in the report; an error means that the check itself could not go on.
///
/// Others may write and collect while it runs, so what is not where it was is no damage yet: a run may have been merged,
/// a pack condemned and deleted, a snapshot forgotten. Only what is missing in spite of a fresh look is damage.
///
/// What this machine has copies of is read from the store all the same: others have no copies.
pub fn check(repository: &Repository, read_data: &ReadData) -> Result<Report, Error> {
    repository.require_checks()?;
    let repository = &repository.without_copies();
    let mut report = Report::default();
    check_small_objects(repository, &mut report)?;
    report.absorb("the gc log", repository.reread_gc_log(|_, _, _| {}))?;
    let log = repository.gc_log_for_reading()?;
    let mut index = Index::open_what_opens(repository, &log, |id, error| report.problem(Key::Index(id), &error))?;
    check_runs(repository, &index, &mut report)?;
    let mut broken = packs::check_packs(repository, &mut index, &mut report)?;
    if !matches!(read_data, ReadData::None) {
        data::read_packs(repository, &index, read_data, &mut broken, &mut report)?;
    }
    if !matches!(read_data, ReadData::All) {
        read_doubtful(repository, &index, &mut broken, &mut report)?;
    }
    lists::walk_snapshots(repository, index, &mut broken, &mut report)?;
    report.hits = join_hits(std::mem::take(&mut report.hits));
    if report.hits.is_empty() {
        set_aside(&log, &broken, &mut report);
    }
    distrust(repository, &broken, &mut report)?;
    Ok(report)
}

/// Reads the packs that were distrusted before and that snapshots may still need: whoever reads no data must not find that
/// what an earlier check has found is gone.
fn read_doubtful(
    repository: &Repository,
    index: &Index,
    broken: &mut Broken,
    report: &mut Report,
) -> Result<(), Error> {
    let log = repository.gc_log_for_reading()?;
    let condemned = repository.doubtful_packs(index, &log)?.into_iter().filter(|pack| log.is_condemned(pack));
    let unread: Vec<ObjectId> = condemned.filter(|pack| !report.packs_read.contains(pack)).collect();
    // Mostly there is none, and then no lists are walked for them.
    if unread.is_empty() || doubtful_snapshots(repository)?.is_empty() {
        return Ok(());
    }
    data::read_packs(repository, index, &ReadData::These(unread, Cancel::default()), broken, report)
}

/// Damage of packs that were condemned before the check, where it hits nothing: all that was needed in them has been
/// stored again, and the next collector removes them. That is nothing to be alarmed about a second time.
fn set_aside(log: &GcLog, broken: &Broken, report: &mut Report) {
    let condemned = broken.suspects().into_iter().filter(|pack| log.is_condemned(pack));
    let condemned: HashSet<String> = condemned.map(|pack| Key::Pack(pack).to_string()).collect();
    let (healed, problems) =
        std::mem::take(&mut report.problems).into_iter().partition(|problem| condemned.contains(&problem.object));
    report.problems = problems;
    let note = |problem: Problem| format!("{}; nothing needs it any more: prune removes it", problem.what);
    report.notes.extend(Vec::into_iter(healed).map(note));
}

/// Remembers the packs that proved damaged, so that no later snapshot relies on them. Where that cannot be written, the
/// report says so: the check has found what it was to find.
fn distrust(repository: &Repository, broken: &Broken, report: &mut Report) -> Result<(), RepoError> {
    let suspects = broken.suspects();
    if suspects.is_empty() {
        return Ok(());
    }
    match repository.gc_log().and_then(|mut log| repository.distrust(&mut log, &suspects)) {
        Ok(distrusted) => {
            if !distrusted.is_empty() {
                report.notes.push(format!(
                    "no later snapshot relies on what is damaged ({}): the next backup of the same data stores it again",
                    packs_in_words(distrusted.len())
                ));
            }
            report.distrusted = distrusted;
        }
        Err(RepoError::Cancelled) => return Err(RepoError::Cancelled),
        Err(error) => report.notes.push(format!(
            "what is damaged ({}) could not be written down, so later snapshots may rely on it: {}",
            packs_in_words(suspects.len()),
            chain(&error)
        )),
    }
    Ok(())
}

fn packs_in_words(count: usize) -> String {
    if count == 1 { "1 pack".to_owned() } else { format!("{count} packs") }
}

/// Something that was listed a moment ago is not there any more.
pub(super) fn is_gone(error: &RepoError) -> bool {
    matches!(error, RepoError::Backend(error) if error.is_not_found())
}

/// Key slots and sessions.
fn check_small_objects(repository: &Repository, report: &mut Report) -> Result<(), RepoError> {
    for listed in repository.list(Kind::Keys)? {
        report.absorb(listed.key, check_object(repository, &listed.key))?;
    }
    if repository.keys.role() == Role::Reader {
        for error in repository.slots_and_damage()?.1 {
            report.problem("the key slots", &error);
        }
    }
    for listed in repository.list(Kind::Sessions)? {
        let Key::Session(id) = listed.key else { continue };
        let record = repository.read_record::<SessionRecord>(SealedKind::Session, &listed.key);
        if record.as_ref().is_err_and(is_gone) {
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
        report.absorb(key, check_object(repository, &key))?;
    }
    Ok(())
}

/// An object hashes to its name, or was removed since it was listed.
fn check_object(repository: &Repository, key: &Key) -> Result<(), RepoError> {
    match repository.backend.get(key, None).map_err(RepoError::from) {
        Err(error) if is_gone(&error) => Ok(()),
        read => check_name(key, &read?),
    }
}

/// Joins neighbouring stretches of a stream.
pub(super) fn join_hits(hits: Vec<Hit>) -> Vec<Hit> {
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
