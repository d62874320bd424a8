//! Copying snapshots into another repository, which has other keys: chunk by chunk, as they were cut, and only what is
//! missing there. docs/decisions/0014 says why.

mod names;
mod stream;

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;

use self::names::{Names, Twin};
use self::stream::Copying;
use super::name_of;
use super::writer::Writer;
use crate::error::{Category, Error};
use crate::event::{Event, Task, Unit};
use crate::format::manifest::{COPY_OF, Content, Manifest, StreamEntry, WRITER_FACT};
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
    /// Reads every copy to its last byte and compares its hashes.
    pub read_back: bool,
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
    /// Those that cannot be copied because they are damaged, with what is wrong.
    pub damaged: Vec<(ObjectId, Error)>,
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
    let here = from.snapshots()?;
    let mut both = Both::new(here.snapshots, to.snapshots().map_err(there_error)?.snapshots);
    let mut names = Names::default();
    // Whether one that cannot be read is meant, nobody knows.
    let damaged = here.unreadable.into_iter().map(|(id, error)| (id, error.into())).collect();
    let mut report = Report { damaged, ..Report::default() };
    let chosen: Vec<Snapshot> = both.here.iter().filter(|snapshot| is_chosen(snapshot)).cloned().collect();
    for snapshot in &chosen {
        if both.there.contains_key(&original(snapshot)) {
            report.present += 1;
            continue;
        }
        match copy_one(from, to, snapshot, &both, &mut names, options) {
            Ok(copied) => {
                if copied.id.is_some() {
                    both.there.insert(original(snapshot), copied.manifest.clone());
                }
                report.copied.push(copied);
            }
            Err(error) if is_damaged_here(&error) => report.damaged.push((snapshot.id, error)),
            Err(error) => return Err(error),
        }
    }
    Ok(report)
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

/// The id of what a snapshot is a copy of, or its own: copies of copies are copies of the first. Of a writer's, always its
/// own: whoever may only add snapshots does not say which need not be copied.
fn original(snapshot: &Snapshot) -> String {
    let said = snapshot.manifest.label(COPY_OF).filter(|_| snapshot.maker.is_none());
    said.map_or_else(|| snapshot.id.to_string(), str::to_owned)
}

/// The snapshots of both repositories.
struct Both {
    /// Those that may be copied, oldest first.
    here: Vec<Snapshot>,
    /// Those that are there, by what they are copies of.
    there: HashMap<String, Manifest>,
}

impl Both {
    fn new(mut here: Vec<Snapshot>, there: Vec<Snapshot>) -> Self {
        sort(&mut here);
        let there = there.into_iter().map(|snapshot| (original(&snapshot), snapshot.manifest)).collect();
        Self { here, there }
    }

    /// The newest stream of this name that was copied before, here and there.
    fn twin(&self, name: &[u8]) -> Option<(&StreamEntry, &StreamEntry)> {
        let find = |manifest: &'_ Manifest| manifest.streams.iter().position(|known| known.name == name);
        self.here.iter().rev().find_map(|here| {
            let there = self.there.get(&original(here))?;
            let (one, other) = (&here.manifest.streams[find(&here.manifest)?], &there.streams[find(there)?]);
            (one.content.hash == other.content.hash).then_some((one, other))
        })
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
    let manifest = Manifest { session, added, labels: labels(snapshot), streams, ..snapshot.manifest.clone() };
    let (id, counts) = writer.commit(&manifest).map_err(there_error)?;
    if options.read_back && id.is_some() {
        read_back(to, &manifest).map_err(there_error)?;
    }
    Ok(Copied { original: snapshot.id, id, manifest, counts })
}

fn len(entry: &StreamEntry) -> u64 {
    entry.content.len + entry.catalog.as_ref().map_or(0, |catalog| catalog.len)
}

fn labels(snapshot: &Snapshot) -> Vec<(String, String)> {
    let mut labels = snapshot.manifest.labels.clone();
    if snapshot.manifest.label(COPY_OF).is_none() || snapshot.maker.is_some() {
        labels.retain(|(key, _)| key != COPY_OF);
        labels.push((COPY_OF.to_owned(), snapshot.id.to_string()));
        labels.sort();
    }
    labels
}

/// The facts of a stream, and which writer made it: whoever copies it signs for the copy, not for what is in it.
fn facts(snapshot: &Snapshot, entry: &StreamEntry) -> Vec<(String, String)> {
    let maker = snapshot.maker.iter().map(|maker| (WRITER_FACT.to_owned(), maker.to_string()));
    entry
        .facts
        .iter()
        .filter(|(name, _)| snapshot.maker.is_none() || name != WRITER_FACT)
        .cloned()
        .chain(maker)
        .collect()
}

fn failed(snapshot: &Snapshot, entry: &StreamEntry, error: EgressError<RepoError>) -> Error {
    match error {
        EgressError::Sink(error) => there_error(error),
        error => Error::copy(snapshot.id.short(), name_of(entry), error),
    }
}

/// Reads all streams of a copy and compares their hashes.
fn read_back(to: &Repository, manifest: &Manifest) -> Result<(), Error> {
    let mut egress = Egress::open(to)?;
    let mut proven: HashSet<[u8; 32]> = HashSet::new();
    for entry in &manifest.streams {
        let what = format!("reading the copy of {}", name_of(entry));
        to.env.tell(&Event::Begin { task: Task::ONLY, what: &what, total: Some(len(entry)), unit: Unit::Bytes });
        for content in std::iter::once(&entry.content).chain(&entry.catalog) {
            if proven.insert(content.hash) {
                let read = egress.write_all(content, |_| Ok::<(), Infallible>(()));
                read.map_err(|error| Error::copy("there", name_of(entry), error))?;
            }
        }
        to.env.tell(&Event::End(Task::ONLY));
    }
    Ok(())
}
