//! Copying snapshots into another repository, which has other keys: chunk by chunk, as they were cut, and only what is
//! missing there. docs/decisions/0014 says why.

mod names;
mod proof;
mod stream;
mod there;

use self::names::{Names, Twin};
use self::proof::manifest_of_copy;
use self::stream::Copying;
use self::there::{Both, damage_of};
use super::name_of;
use super::writer::Writer;
use crate::crypto::role::Role;
use crate::error::{Category, Error, chain};
use crate::event::{Event, Task, Unit};
use crate::format::manifest::{Content, Manifest, StreamEntry, WRITER_FACT};
use crate::ids::ObjectId;
use crate::pipeline::egress::{Egress, EgressError};
use crate::repo::snapshots::{Snapshot, sort};
use crate::repo::store::StoreCounts;
use crate::repo::{RepoError, Repository};

/// How snapshots are copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Finds out what would be copied, and stores nothing.
    pub dry_run: bool,
    /// Reads every copy to its last byte and compares its hashes, of what was there already, too.
    pub read_back: bool,
    /// Copies what is chosen although nobody can see what is there: the key of a writer opens the other repository.
    pub blindly: bool,
}

/// A snapshot that was copied.
#[derive(Debug, Clone)]
pub struct Copied {
    /// Its name where it was copied from.
    pub original: ObjectId,
    /// Its name where it was copied to; nothing for a dry run.
    pub id: Option<ObjectId>,
    /// Its manifest there.
    pub manifest: Manifest,
    /// What was new there.
    pub counts: StoreCounts,
}

/// What became of the snapshots that were to be copied.
#[derive(Debug, Default)]
pub struct Report {
    /// Those that were copied, oldest first.
    pub copied: Vec<Copied>,
    /// How many were there already.
    pub present: u64,
    /// How many of those were read to their last byte.
    pub read: u64,
    /// Those that cannot be copied because they are damaged, with what is wrong.
    pub damaged: Vec<(ObjectId, Error)>,
    /// Those whose copies are damaged there, with what is wrong.
    pub spoilt: Vec<(ObjectId, Error)>,
}

impl Report {
    /// True if something is damaged, here or there.
    pub fn is_damaged(&self) -> bool {
        !(self.damaged.is_empty() && self.spoilt.is_empty())
    }
}

/// Copies those snapshots of `from` that `is_chosen` names and that are not in `to`, each as a whole or not at all.
///
/// A damaged one does not keep the others from being copied. Fails if both are one repository.
pub fn copy(
    from: &Repository,
    to: &Repository,
    is_chosen: impl Fn(&Snapshot) -> bool,
    options: Options,
) -> Result<Report, Error> {
    to.require_write()?;
    if from.id == to.id {
        let text = "both are the same repository, or one is a mirror of the other: there is nothing to copy";
        return Err(Error::Refused(text.to_owned()));
    }
    require_sight(to, options)?;
    let mut here = from.snapshots()?;
    sort(&mut here.snapshots);
    let mut both = Both::new(from, to, here.snapshots)?;
    let mut names = Names::default();
    // Whether one that cannot be read is meant, nobody knows.
    let damaged = here.unreadable.into_iter().map(|(id, error)| (id, error.into())).collect();
    let mut report = Report { damaged, ..Report::default() };
    let chosen: Vec<Snapshot> = both.here.iter().filter(|snapshot| is_chosen(snapshot)).cloned().collect();
    for snapshot in &chosen {
        let standing = stand_of(to, snapshot, &both, options, &mut report)?;
        if standing == Standing::There {
            report.present += 1;
            continue;
        }
        let copied = match copy_one(from, to, snapshot, &both, &mut names, options) {
            Ok(copied) => copied,
            Err(error) if is_damaged_here(&error) => {
                report.damaged.push((snapshot.id, error));
                continue;
            }
            Err(error) => return Err(error),
        };
        if let Some(id) = copied.id {
            both.add(id, copied.manifest.clone());
            // What it shares with one that proved damaged may be what is damaged.
            let reads = options.read_back || standing == Standing::Damaged;
            let damage = if reads { damage_of(to, &copied.manifest)? } else { None };
            report.spoilt.extend(damage.map(|damage| (snapshot.id, damage)));
        }
        report.copied.push(copied);
    }
    Ok(report)
}

/// Fails if nobody can see what is there, unless that is meant.
fn require_sight(to: &Repository, options: Options) -> Result<(), Error> {
    if to.keys.role() != Role::Writer {
        return Ok(());
    }
    let text = match (options.read_back, options.blindly) {
        (true, _) => "the key of a writer opens the other repository: it can add copies, and cannot read them back",
        (false, false) => {
            "the key of a writer opens the other repository: it cannot see what was copied already. Name the snapshots \
             that are to be copied, or open it with the key of a reader"
        }
        (false, true) => return Ok(()),
    };
    Err(Error::Refused(text.to_owned()))
}

/// Whether a snapshot was copied before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It was.
    There,
    /// It was not.
    Missing,
    /// What says that it is a copy does not restore.
    Damaged,
}

/// Says whether a snapshot was copied before. What only says that it is a copy is read first.
fn stand_of(
    to: &Repository,
    snapshot: &Snapshot,
    both: &Both,
    options: Options,
    report: &mut Report,
) -> Result<Standing, Error> {
    let mut standing = Standing::Missing;
    for known in both.known(snapshot) {
        if known.is_certain && !options.read_back {
            return Ok(Standing::There);
        }
        let Some(damage) = damage_of(to, &known.manifest)? else {
            report.read += 1;
            return Ok(Standing::There);
        };
        if known.is_certain {
            // Its chunks are there by name: another copy would be made of the same damage.
            report.read += 1;
            report.spoilt.push((snapshot.id, damage));
            return Ok(Standing::There);
        }
        let (short, of) = (known.id.short(), snapshot.id.short());
        let text = format!("{short} there claims to be a copy of {of}, and is not: {}", chain(&damage));
        to.env.tell(&Event::Warning(&text));
        standing = Standing::Damaged;
    }
    Ok(standing)
}

fn is_damaged_here(error: &Error) -> bool {
    !matches!(error, Error::There(_)) && error.category() == Category::Damaged
}

/// What went wrong in the repository that is copied to.
fn there_error(error: impl Into<Error>) -> Error {
    match error.into() {
        Error::Repo(RepoError::Cancelled) => Error::Repo(RepoError::Cancelled),
        error => Error::There(Box::new(error)),
    }
}

fn copy_one(
    from: &Repository,
    to: &Repository,
    snapshot: &Snapshot,
    both: &Both,
    names: &mut Names,
    options: Options,
) -> Result<Copied, Error> {
    let mut writer = Writer::begin(to, options.dry_run).map_err(there_error)?;
    let mut egress = Egress::open(from)?;
    let mut streams = Vec::new();
    for entry in &snapshot.manifest.streams {
        let what = format!("copying {}/{}", snapshot.id.short(), name_of(entry));
        from.env.tell(&Event::Begin { task: Task::ONLY, what: &what, total: Some(len(entry)), unit: Unit::Bytes });
        let pair = both.twin(&entry.name);
        let mut copying = Copying::new(to, &mut writer.store, names);
        let mut copy = |content: &Content, known: Option<(&Content, &Content)>| {
            let twin = known.and_then(|(here, there)| Twin::new(here, there).ok());
            copying.copy(&mut egress, content, twin).map_err(|error| failed(snapshot, entry, error))
        };
        let content = copy(&entry.content, pair.map(|(here, there)| (&here.content, &there.content)))?;
        let known_catalog = pair.and_then(|(here, there)| here.catalog.as_ref().zip(there.catalog.as_ref()));
        let catalog = entry.catalog.as_ref().map(|catalog| copy(catalog, known_catalog)).transpose()?;
        let new_bytes = copying.new_bytes();
        streams.push(StreamEntry { content, catalog, new_bytes, facts: facts(snapshot, entry), ..entry.clone() });
        from.env.tell(&Event::End(Task::ONLY));
    }
    let added = writer.flush().map_err(there_error)?.stored_bytes;
    let session = *writer.session_id().as_bytes();
    let manifest = Manifest { session, added, ..manifest_of_copy(&both.prover, snapshot, streams) };
    let (id, counts) = writer.commit(&manifest).map_err(there_error)?;
    Ok(Copied { original: snapshot.id, id, manifest, counts })
}

fn len(entry: &StreamEntry) -> u64 {
    entry.content.len + entry.catalog.as_ref().map_or(0, |catalog| catalog.len)
}

/// The facts of a stream, and which writer made it: whoever copies it signs for the copy, not for what is in it.
fn facts(snapshot: &Snapshot, entry: &StreamEntry) -> Vec<(String, String)> {
    let maker = snapshot.maker.iter().map(|maker| (WRITER_FACT.to_owned(), maker.to_string()));
    let own = entry.facts.iter().filter(|(name, _)| snapshot.maker.is_none() || name != WRITER_FACT);
    own.cloned().chain(maker).collect()
}

fn failed(snapshot: &Snapshot, entry: &StreamEntry, error: EgressError<RepoError>) -> Error {
    match error {
        EgressError::Sink(error) => there_error(error),
        error => Error::copy(snapshot.id.short(), name_of(entry), error),
    }
}
