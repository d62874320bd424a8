//! A mirror: the same objects at another place, byte for byte, made without any key.
//!
//! At each moment, whatever snapshot a mirror shows is whole in it: packs come before the index, that before snapshots,
//! and removal goes the other way. Nothing is replaced or removed there before what makes it needless has been read.
//! Running snapshots and collectors are seen to (docs/decisions/0014).

mod log;
mod needs;
mod proof;
mod rebase;
mod tidy;
mod transfer;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::log::{compare_log, copy_config};
use self::proof::Prover;
use self::transfer::{Moved, Transfer, Wanted};
use crate::backend::{Backend, BackendError, Key, Kind};
use crate::env::Env;
use crate::error::Error;
use crate::event::{Event, Task, Unit};
use crate::repo::{RepoError, Repository};

/// How a mirror is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Reads what is there already, and replaces what is not whole.
    pub verify: bool,
    /// Says what would be done, and does nothing.
    pub dry_run: bool,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    /// Objects that were copied.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Those of them that stand in the place of one that was not whole.
    pub healed: u64,
    /// Objects that were there already.
    pub present: u64,
    /// Objects that were removed from the mirror.
    pub deleted: u64,
    /// Objects that only the mirror has, and keeps.
    pub kept: u64,
    /// Objects that were not copied because they are not whole in the repository.
    pub damaged: Vec<Key>,
    /// Objects that are not whole in the mirror, and could not be replaced.
    pub spoilt: Vec<Key>,
    /// Objects that the repository has lost, and the mirror keeps. Only who opens the repository can tell.
    pub lost: Vec<Key>,
    /// Key slots that only the mirror has, and of which nothing says that they were removed.
    pub slots: Vec<Key>,
    /// Packs that the repository has given up, and the mirror keeps until it has what took their place.
    pub withheld: u64,
    /// Records in which a check of the mirror had noted damaged packs, and which were removed.
    pub taken_back: u64,
    /// Why not all that was given up was removed from the mirror, if that cannot be told.
    pub unknown: Option<RepoError>,
}

impl Report {
    /// True if something is damaged or lost.
    pub fn is_damaged(&self) -> bool {
        !(self.damaged.is_empty() && self.spoilt.is_empty() && self.lost.is_empty()) || self.unknown.is_some()
    }
}

/// What is copied, in this order, but for the configuration and sessions: those are of processes at work.
const KINDS: [Kind; 6] = [Kind::Keys, Kind::Writers, Kind::Packs, Kind::Indexes, Kind::Gc, Kind::Snapshots];

/// How often it is begun anew while objects vanish, because garbage is collected meanwhile.
const ROUNDS: usize = 8;

/// Objects with their lengths in bytes.
type Objects = BTreeMap<Key, u64>;

/// Makes `to` a mirror of `from`: empty before, or a mirror of it already. A dry run needs no `to` where nothing is.
///
/// Removes nothing: without a key nobody can tell what was collected from what was lost.
pub fn mirror(from: &dyn Backend, to: &dyn Backend, env: &Env, options: Options) -> Result<Report, Error> {
    let pair = Transfer { from, to, env, prover: Prover(None), dry_run: options.dry_run };
    copy_all(&pair, options).map(|(report, _)| report)
}

/// The same for an opened repository. Then removes from the mirror what the repository has given up, and nothing else:
/// what is missing here without that is lost here, and the mirror may have the last of it.
pub fn mirror_and_tidy(from: &Repository, to: &Arc<dyn Backend>, options: Options) -> Result<Report, Error> {
    tidy::require(from)?;
    let prover = Prover(Some(from));
    let pair = Transfer { from: &*from.backend, to: &**to, env: &from.env, prover, dry_run: options.dry_run };
    let (mut report, is_bare) = copy_all(&pair, options)?;
    if !is_bare {
        tidy::tidy(from, to, options, &mut report)?;
    }
    Ok(report)
}

/// Copies what is missing. True if a dry run finds no mirror.
fn copy_all(pair: &Transfer<'_>, options: Options) -> Result<(Report, bool), Error> {
    let mut report = Report::default();
    let is_bare = copy_config(pair, &mut report)?;
    let present = report.present;
    for round in 1.. {
        report.present = present;
        report.kept = 0;
        match copy_objects(pair, is_bare, options, &mut report)? {
            false => break,
            true if round < ROUNDS => {
                pair.env.tell(&Event::Doing("garbage was collected meanwhile: looking again"));
            }
            true => {
                let text = "objects kept vanishing while they were copied; try again when no garbage is collected";
                return Err(Error::Refused(text.to_owned()));
            }
        }
    }
    Ok((report, is_bare))
}

fn failed(error: BackendError) -> Error {
    Error::Repo(error.into())
}

fn there(error: impl Into<RepoError>) -> Error {
    match error.into() {
        RepoError::Cancelled => Error::Repo(RepoError::Cancelled),
        error => Error::There(Box::new(Error::Repo(error))),
    }
}

fn list(backend: &dyn Backend, kind: Kind) -> Result<Objects, BackendError> {
    Ok(backend.list(kind)?.into_iter().map(|listed| (listed.key, listed.len)).collect())
}

/// Copies what is missing; true if something vanished before it was copied: then no snapshot was.
fn copy_objects(pair: &Transfer<'_>, is_bare: bool, options: Options, report: &mut Report) -> Result<bool, Error> {
    // Snapshots are listed first: what they need is there before them.
    let listed = KINDS.iter().rev().map(|&kind| list(pair.from, kind)).collect::<Result<Vec<_>, _>>();
    let mut vanished = false;
    for (&kind, mut here) in KINDS.iter().zip(listed.map_err(failed)?.into_iter().rev()) {
        if vanished && kind == Kind::Snapshots {
            break;
        }
        let known = if is_bare { Objects::default() } else { list(pair.to, kind).map_err(there)? };
        if kind == Kind::Gc {
            // Somebody else may mirror, too, and be ahead of the first listing.
            here = list(pair.from, kind).map_err(failed)?;
            compare_log(pair, &here, &known, options.verify, report)?;
        }
        report.kept += known.keys().filter(|key| !here.contains_key(key)).count() as u64;
        let wanted = |(key, len): (Key, u64)| match known.get(&key) {
            None => Some(Wanted { key, len, is_there: false }),
            Some(known) if kind == Kind::Gc || (*known == len && !options.verify) => None,
            Some(_) => Some(Wanted { key, len, is_there: true }),
        };
        let all = here.len();
        let missing: Vec<Wanted> = here.into_iter().filter_map(wanted).collect();
        report.present += (all - missing.len()) as u64;
        let what = format!("mirroring {}", name(kind));
        let bytes = missing.iter().map(|wanted| wanted.len).sum();
        pair.env.tell(&Event::Begin { task: Task::ONLY, what: &what, total: Some(bytes), unit: Unit::Bytes });
        let moved = pair.run(missing)?;
        pair.env.tell(&Event::End(Task::ONLY));
        vanished |= moved.vanished;
        add(report, moved);
    }
    Ok(vanished)
}

fn add(report: &mut Report, moved: Moved) {
    report.copied += moved.objects;
    report.copied_bytes += moved.bytes;
    report.healed += moved.healed;
    report.present += moved.present;
    // Objects are named once, however often a round is begun anew.
    report.damaged.retain(|key| !moved.damaged.contains(key));
    report.damaged.extend(moved.damaged);
    report.spoilt.retain(|key| !moved.spoilt.contains(key));
    report.spoilt.extend(moved.spoilt);
}

const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Config => "the configuration",
        Kind::Keys => "key slots",
        Kind::Packs => "packs",
        Kind::Indexes => "the index",
        Kind::Snapshots => "snapshots",
        Kind::Sessions => "sessions",
        Kind::Gc => "the gc log",
        Kind::Writers => "writers",
    }
}
