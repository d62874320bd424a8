//! A mirror: the same objects at another place, byte for byte, made without any key.
//!
//! At each moment, whatever snapshot a mirror shows is whole in it: packs come before the index, that before snapshots,
//! and removal goes the other way. Running snapshots and collectors are seen to (docs/decisions/0014).

mod transfer;

use std::collections::BTreeMap;

use self::transfer::{Moved, transfer};
use crate::backend::{Backend, BackendError, Key, Kind};
use crate::env::Env;
use crate::error::Error;
use crate::event::{Event, Task, Unit};
use crate::repo::RepoError;

/// How a mirror is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Removes what is not in the repository any more.
    pub delete: bool,
    /// Says what would be done, and does nothing.
    pub dry_run: bool,
}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Objects that were copied.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Objects that were there already.
    pub present: u64,
    /// Objects that were removed from the mirror.
    pub deleted: u64,
    /// Objects that were not copied because their bytes do not hash to their names.
    pub damaged: Vec<Key>,
}

/// What is copied, in this order, but for the configuration and sessions: those are of processes at work.
const KINDS: [Kind; 6] = [Kind::Keys, Kind::Writers, Kind::Packs, Kind::Indexes, Kind::Gc, Kind::Snapshots];

/// How often it is begun anew while objects vanish, because garbage is collected meanwhile.
const ROUNDS: usize = 8;

/// Objects with their lengths in bytes.
type Objects = BTreeMap<Key, u64>;

/// Makes `to` a mirror of `from`: empty before, or a mirror of it already. A dry run needs no `to` where nothing is.
pub fn mirror(from: &dyn Backend, to: &dyn Backend, env: &Env, options: Options) -> Result<Report, Error> {
    let mut report = Report::default();
    let to = Destination { store: to, is_bare: copy_config(from, to, options, &mut report)? };
    let present = report.present;
    for round in 1.. {
        report.present = present;
        let vanished = copy_objects(from, &to, env, options, &mut report)?;
        match vanished {
            false => break,
            true if round < ROUNDS => env.tell(&Event::Doing("garbage was collected meanwhile: looking again")),
            true => {
                let text = "objects kept vanishing while they were copied; try again when no garbage is collected";
                return Err(Error::Refused(text.to_owned()));
            }
        }
    }
    if options.delete {
        delete_objects(from, &to, env, options, &mut report)?;
    }
    Ok(report)
}

fn failed(error: BackendError) -> Error {
    Error::Repo(error.into())
}

fn there(error: BackendError) -> Error {
    Error::There(Box::new(failed(error)))
}

fn stored(backend: &dyn Backend) -> Result<Option<Vec<u8>>, BackendError> {
    match backend.get(&Key::Config, None) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where a mirror is made.
struct Destination<'a> {
    store: &'a dyn Backend,
    /// True where a dry run finds no mirror.
    is_bare: bool,
}

impl Destination<'_> {
    fn list(&self, kind: Kind) -> Result<Objects, Error> {
        if self.is_bare { Ok(Objects::default()) } else { list(self.store, kind).map_err(there) }
    }
}

/// The configuration comes first: whatever else is in `to` is then part of a mirror of this repository. True if there
/// is none even now, because this is a dry run.
fn copy_config(from: &dyn Backend, to: &dyn Backend, options: Options, report: &mut Report) -> Result<bool, Error> {
    let missing = || RepoError::NoRepository { place: "the place that is to be mirrored".to_owned() };
    let config = stored(from).map_err(failed)?.ok_or_else(missing)?;
    match stored(to).map_err(there)? {
        Some(known) if known == config => {
            report.present += 1;
            Ok(false)
        }
        Some(_) => {
            let text = "another repository is there; a mirror is made in an empty place";
            Err(Error::Refused(text.to_owned()))
        }
        None => {
            report.copied += 1;
            report.copied_bytes += config.len() as u64;
            if !options.dry_run {
                to.put(&Key::Config, &config).map_err(there)?;
            }
            Ok(options.dry_run)
        }
    }
}

fn list(backend: &dyn Backend, kind: Kind) -> Result<Objects, BackendError> {
    Ok(backend.list(kind)?.into_iter().map(|listed| (listed.key, listed.len)).collect())
}

/// Copies what is missing; true if something vanished before it was copied: then no snapshot was.
fn copy_objects(
    from: &dyn Backend,
    to: &Destination<'_>,
    env: &Env,
    options: Options,
    report: &mut Report,
) -> Result<bool, Error> {
    // Snapshots are listed first: what they need is there before them.
    let listed = KINDS.iter().rev().map(|&kind| list(from, kind)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut vanished = false;
    for (&kind, mut here) in KINDS.iter().zip(listed.into_iter().rev()) {
        if vanished && kind == Kind::Snapshots {
            break;
        }
        let known = to.list(kind)?;
        if kind == Kind::Gc {
            // Somebody else may mirror, too, and be ahead of the first listing.
            here = list(from, kind).map_err(failed)?;
            refuse_branch(from, to.store, &here, &known)?;
        }
        let is_whole = |key: &Key, len: u64| known.get(key) == Some(&len);
        let spoilt: Vec<Key> = here
            .iter()
            .filter(|(key, len)| known.contains_key(key) && !is_whole(key, **len))
            .map(|(key, _)| *key)
            .collect();
        if !spoilt.is_empty() && !options.dry_run {
            to.store.delete_all(&spoilt).map_err(there)?;
        }
        report.present += here.iter().filter(|(key, len)| is_whole(key, **len)).count() as u64;
        let missing: Vec<(Key, u64)> = here.into_iter().filter(|(key, len)| !is_whole(key, *len)).collect();
        let what = format!("mirroring {}", name(kind));
        let bytes = missing.iter().map(|(_, len)| len).sum();
        env.tell(&Event::Begin { task: Task::ONLY, what: &what, total: Some(bytes), unit: Unit::Bytes });
        let moved = if options.dry_run {
            Moved { objects: missing.len() as u64, bytes, ..Moved::default() }
        } else {
            transfer(from, to.store, env, missing)?
        };
        env.tell(&Event::End(Task::ONLY));
        vanished |= moved.vanished;
        report.copied += moved.objects;
        report.copied_bytes += moved.bytes;
        report.damaged.retain(|key| !moved.damaged.contains(key));
        report.damaged.extend(moved.damaged);
    }
    Ok(vanished)
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

/// Records of the gc log are numbered: if somebody has used the mirror as a repository, one number says two things.
fn refuse_branch(from: &dyn Backend, to: &dyn Backend, here: &Objects, known: &Objects) -> Result<(), Error> {
    let common = known.iter().filter(|(key, _)| here.contains_key(key));
    let differs = common.clone().any(|(key, len)| here.get(key) != Some(len));
    let newest = common.clone().next_back().map(|(key, _)| key);
    let is_ahead = known.keys().any(|key| !here.contains_key(key));
    let same = |key: &Key| Ok::<_, Error>(from.get(key, None).map_err(failed)? == to.get(key, None).map_err(there)?);
    if differs || is_ahead || !newest.map_or(Ok(true), same)? {
        let text = "the mirror was changed by itself: garbage was collected or snapshots were forgotten there. A \
                    mirror is only read; make a new one in an empty place";
        return Err(Error::Refused(text.to_owned()));
    }
    Ok(())
}

/// Removes from the mirror what is not in the repository any more.
fn delete_objects(
    from: &dyn Backend,
    to: &Destination<'_>,
    env: &Env,
    options: Options,
    report: &mut Report,
) -> Result<(), Error> {
    // Packs are listed first: if one is gone, the snapshots that needed it are, too.
    let order = [Kind::Keys, Kind::Packs, Kind::Indexes, Kind::Snapshots];
    let here = order.iter().map(|&kind| list(from, kind)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    for (&kind, here) in order.iter().zip(here).rev() {
        let gone: Vec<Key> = to.list(kind)?.into_keys().filter(|key| !here.contains_key(key)).collect();
        if env.cancel.is_cancelled() {
            return Err(Error::Repo(RepoError::Cancelled));
        }
        let mut count = gone.len();
        if !options.dry_run && !gone.is_empty() {
            count -= to.store.delete_all(&gone).map_err(there)?.len();
        }
        report.deleted += count as u64;
    }
    Ok(())
}
