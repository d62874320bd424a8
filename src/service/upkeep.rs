//! Works of upkeep: pruning, and checking a part.
//!
//! While damage is open, pruning forgets by the rules, and removes nothing from the store (`damage.rs`).

use std::collections::BTreeMap;

use super::damage::Damage;
use super::forget::{Forgotten, forget};
use super::ledger::{Ledger, Part};
use crate::backend::Kind;
use crate::config::{Config, Upkeep};
use crate::engine::check::{ReadData, Report, check};
use crate::engine::collect::{self, collect};
use crate::env::{Cancel, UnixNanos};
use crate::error::{Error, chain};
use crate::repo::{RepoError, Repository};
use crate::schedule::{in_words, nanos};

/// What was done.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// What was done, in words.
    pub did: String,
    /// When every byte had been read, if that is known now.
    pub read_since: Option<UnixNanos>,
    /// When a drill has proven something, if it has now.
    pub drilled: Option<UnixNanos>,
    /// Stored bytes, and bytes of the streams of all snapshots.
    pub size: Option<(u64, u64)>,
    /// How many snapshots the rules of each target keep, if they were applied.
    pub kept: Option<BTreeMap<String, u64>>,
    /// True if a part of it was left undone, because damage is open.
    pub is_held_back: bool,
}

/// What is known of damage after a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What is open.
    pub damage: Damage,
    /// False if the repository could not be told: then only this service knows.
    pub is_recorded: bool,
}

/// What a work of upkeep has come to.
#[derive(Debug)]
pub struct Worked {
    /// What was done, or why not.
    pub done: Result<Done, Error>,
    /// What is known of damage, if it was looked for.
    pub known: Option<Known>,
}

impl From<Result<Done, Error>> for Worked {
    fn from(done: Result<Done, Error>) -> Self {
        Self { done, known: None }
    }
}

/// Checks the structure, and reads the part that was not read for longest. Damage that is open in the end is an error.
///
/// `unrecorded` is damage that only this service knows of.
pub fn check_part(repository: &Repository, config: &Config, host: &str, unrecorded: &Damage) -> Worked {
    let mut known = None;
    let done = try_check(repository, config, host, unrecorded, &mut known);
    Worked { done, known }
}

fn try_check(
    repository: &Repository,
    config: &Config,
    host: &str,
    unrecorded: &Damage,
    known: &mut Option<Known>,
) -> Result<Done, Error> {
    let upkeep = &config.upkeep;
    let now = repository.env.clock.now();
    let mut ledger = Ledger::read(repository)?;
    let before = open(&ledger, unrecorded);
    let every = upkeep.check_every.map_or(i64::MAX, nanos);
    let part = ledger.part(now, every, nanos(upkeep.read_all_within), upkeep.read_at_most, &before);
    let wanted = part.clone();
    let report = check(repository, &ReadData::These(part.packs, enough(repository, upkeep)))?;
    let damage = ledger.after(before, &report, now);
    let written = ledger.write(repository, &report.packs_read, &damage, host);
    *known = Some(Known { damage: damage.clone(), is_recorded: written.is_ok() });
    if damage.is_open() {
        return Err(damaged(&damage, &written));
    }
    written?;
    let did = read_in_words(&report, &wanted);
    Ok(Done { did, read_since: ledger.all_since(), ..Done::default() })
}

/// What is open by the records of the repository, and by what only this service knows.
fn open(ledger: &Ledger, unrecorded: &Damage) -> Damage {
    let mut damage = ledger.damage().clone();
    damage.merge(unrecorded.clone());
    damage
}

fn damaged(damage: &Damage, written: &Result<(), Error>) -> Error {
    let mut text = format!(
        "the repository is damaged: {}; nothing is pruned until a check finds it whole; `sfarc check --read-data` names \
         all",
        damage.in_words()
    );
    if let Err(error) = written {
        text += &format!("; other services are not told: {}", chain(error));
    }
    Error::Refused(text)
}

fn read_in_words(report: &Report, wanted: &Part) -> String {
    let mut did = format!("read {} of {} bytes", counted(report.packs_read.len() as u64, "pack"), report.bytes_read);
    if wanted.overdue > 0 {
        did += &format!("; {} packs are overdue: raise `read-at-most`", wanted.overdue);
    }
    let unread = wanted.packs.len().saturating_sub(report.packs_read.len());
    if unread > 0 {
        did += &format!("; {unread} more were due and its time was over: raise `time-at-most`");
    }
    did
}

/// Forgets the snapshots that no rule keeps, and collects garbage; only the former while damage is open.
///
/// Both are done together, and not after each run: who only takes snapshots need not be allowed to remove any, and
/// each time that something is forgotten is written down for ever.
pub fn prune(repository: &Repository, config: &Config, host: &str, unrecorded: &Damage) -> Worked {
    let mut known = None;
    let done = try_prune(repository, config, host, unrecorded, &mut known);
    Worked { done, known }
}

fn try_prune(
    repository: &Repository,
    config: &Config,
    host: &str,
    unrecorded: &Damage,
    known: &mut Option<Known>,
) -> Result<Done, Error> {
    let mut ledger = Ledger::read(repository)?;
    let mut damage = open(&ledger, unrecorded);
    if damage.is_open() {
        let looked = look_again(repository, config, host, ledger, damage)?;
        damage = looked.damage.clone();
        *known = Some(looked);
        ledger = Ledger::read(repository)?;
    }
    let Forgotten { count, kept } = forget(repository, config, &ledger, &damage)?;
    let mut did = format!("forgot {}", counted(count as u64, "snapshot"));
    if damage.is_open() {
        did += &format!("; nothing is removed from the store while it is damaged: {}", damage.in_words());
        return Ok(Done { did, kept: Some(kept), is_held_back: true, ..Done::default() });
    }
    did += &collected(repository, &config.upkeep)?;
    Ok(Done { did, size: Some(size(repository)?), kept: Some(kept), ..Done::default() })
}

/// Reads what is damaged once more: has it been mended, and what does it hit by now? A snapshot that was taken since the
/// last check may rely on it, too.
fn look_again(
    repository: &Repository,
    config: &Config,
    host: &str,
    mut ledger: Ledger,
    before: Damage,
) -> Result<Known, Error> {
    let suspects = ledger.suspects(&before);
    let report = check(repository, &ReadData::These(suspects, enough(repository, &config.upkeep)))?;
    let damage = ledger.after(before.clone(), &report, repository.env.clock.now());
    // Not a record each day that says the same.
    let is_news = damage != before;
    let is_recorded = if is_news {
        ledger.write(repository, &report.packs_read, &damage, host).is_ok()
    } else {
        *ledger.damage() == damage
    };
    Ok(Known { damage, is_recorded })
}

/// Collects garbage, and says so.
fn collected(repository: &Repository, upkeep: &Upkeep) -> Result<String, Error> {
    let options =
        collect::Options { max_unused: upkeep.max_unused, repack_at_most: upkeep.rewrite_at_most, dry_run: false };
    let mut bounded = repository.clone();
    bounded.env.cancel = enough(repository, upkeep);
    let report = collect(&bounded, options).map_err(|error| match error {
        Error::Repo(RepoError::Cancelled) if !repository.env.cancel.is_cancelled() => Error::Refused(format!(
            "collecting garbage took longer than `time-at-most` and was given up; nothing is lost, and what was done \
             stays: allow more than {}, or less with `rewrite-at-most`",
            in_words(nanos(upkeep.time_at_most))
        )),
        error => error,
    })?;
    let mut did = format!(
        "; removed {} of {} bytes; {} waiting",
        counted(report.deleted, "pack"),
        report.deleted_bytes,
        report.waiting
    );
    if report.retained > 0 {
        did += &format!("; {} kept by the store for now", counted(report.retained, "object"));
    }
    if report.renewed > 0 {
        did += &format!("; renewed {}", counted(report.renewed, "lock"));
    }
    Ok(did)
}

fn counted(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// A request to stop that comes when a work of upkeep that begins now has taken its time.
fn enough(repository: &Repository, upkeep: &Upkeep) -> Cancel {
    let env = &repository.env;
    env.cancel.until(&env.clock, env.clock.now().saturating_add(nanos(upkeep.time_at_most)))
}

/// Stored bytes of all packs, and bytes of the streams of all snapshots.
pub fn size(repository: &Repository) -> Result<(u64, u64), Error> {
    let stored = repository.list(Kind::Packs)?.iter().map(|listed| listed.len).sum();
    let snapshots = repository.snapshots()?.snapshots;
    let streams = snapshots.iter().flat_map(|snapshot| &snapshot.manifest.streams);
    Ok((stored, streams.map(|stream| stream.content.len).sum()))
}
