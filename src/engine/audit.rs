//! Who made the snapshots, and has any vanished? Without reading one of them.
//!
//! What a store can do unnoticed otherwise: leave out snapshots, bring back an older state, take a registration away. So an
//! audit compares what is there with what the last one saw, with what each snapshot says of the one before it, and with
//! the signed gc log, which alone may say that a snapshot is gone for a reason.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::backend::Key;
use crate::error::{Error, chain};
use crate::event::{Event, Task, Unit};
use crate::ids::ObjectId;
use crate::repo::gc_log::GcLog;
use crate::repo::{RepoError, Repository};

/// What an audit saw, for the next one to compare with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The repository.
    pub repository: String,
    /// The highest epoch of the gc log.
    pub epoch: u64,
    /// BLAKE3 of all its records up to there, one behind the other.
    pub log: String,
    /// The snapshots that were there.
    pub snapshots: BTreeSet<String>,
    /// Registrations of writers that close them.
    pub closed_writers: BTreeSet<String>,
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub object: String,
    /// What is wrong with it.
    pub what: String,
}

/// What an audit found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Snapshots whose signatures were verified.
    pub snapshots: u64,
    /// Writers whose signatures count.
    pub writers: u64,
    /// What must not be.
    pub findings: Vec<Finding>,
}

impl Report {
    fn find(&mut self, object: impl ToString, what: impl Into<String>) {
        self.findings.push(Finding { object: object.to_string(), what: what.into() });
    }
}

/// Audits a repository with roles, and compares it with what the last audit saw.
pub fn audit(repository: &Repository, before: Option<&Ledger>) -> Result<(Report, Ledger), Error> {
    if !repository.keys.has_roles() {
        let text = "this repository has no roles, so nothing in it is signed: `sfarc init --roles` makes one that has";
        return Err(Error::Refused(text.to_owned()));
    }
    let id = repository.id.to_string();
    if before.is_some_and(|before| before.repository != id) {
        return Err(Error::Refused("the ledger is of another repository".to_owned()));
    }
    let mut report = Report::default();
    // Snapshots before the gc log: what is forgotten between the two is dead then.
    let visible = repository.snapshot_ids()?;
    let (log, log_hash) = read_log(repository, before, &mut report)?;
    let closed_writers = audit_writers(repository, before, &mut report)?;
    let named = audit_snapshots(repository, &visible, &mut report)?;
    let there: BTreeSet<String> = visible.iter().map(ObjectId::to_string).collect();
    // A listing is not of one moment: what it lacks is looked for by its name.
    let is_missing = |id: &ObjectId| -> Result<bool, RepoError> {
        if there.contains(&id.to_string()) || log.is_dead(id) {
            return Ok(false);
        }
        match repository.backend.len(&Key::Snapshot(*id)) {
            Ok(_) => Ok(false),
            Err(error) if error.is_not_found() => Ok(!repository.gc_log()?.is_dead(id)),
            Err(error) => Err(error.into()),
        }
    };
    for (by, previous) in named {
        if is_missing(&previous)? {
            let what =
                format!("it has vanished: snapshot {} was made after it, and nobody has forgotten it", by.short());
            report.find(Key::Snapshot(previous), what);
        }
    }
    for id in before.iter().flat_map(|before| &before.snapshots).filter_map(|id| id.parse::<ObjectId>().ok()) {
        if is_missing(&id)? {
            report.find(Key::Snapshot(id), "it has vanished: the last audit saw it, and nobody has forgotten it");
        }
    }
    let ledger = Ledger { repository: id, epoch: log.epoch(), log: log_hash, snapshots: there, closed_writers };
    Ok((report, ledger))
}

/// Reads the gc log, verifies its signatures, and compares its beginning with the ledger.
fn read_log(
    repository: &Repository,
    before: Option<&Ledger>,
    report: &mut Report,
) -> Result<(GcLog, String), RepoError> {
    let mut hasher = blake3::Hasher::new();
    let log = repository.reread_gc_log(|epoch, object, wrong| {
        if before.is_some_and(|before| before.epoch + 1 == epoch) {
            compare_log(before, &hasher, report);
        }
        hasher.update(object);
        if let Some(error) = wrong {
            report.find(Key::Gc(epoch), chain(&error));
        }
    })?;
    match before {
        Some(before) if before.epoch > log.epoch() => {
            let what = format!("it ends at record {}, and the last audit saw {}", log.epoch(), before.epoch);
            report.find("the gc log", what);
        }
        Some(before) if before.epoch == log.epoch() => compare_log(Some(before), &hasher, report),
        _ => {}
    }
    Ok((log, hasher.finalize().to_hex().to_string()))
}

fn compare_log(before: Option<&Ledger>, hasher: &blake3::Hasher, report: &mut Report) {
    if before.is_some_and(|before| before.log != *hasher.finalize().to_hex()) {
        report.find("the gc log", "records that the last audit saw are others now");
    }
}

/// Verifies the registrations; those that close a writer must stay.
fn audit_writers(
    repository: &Repository,
    before: Option<&Ledger>,
    report: &mut Report,
) -> Result<BTreeSet<String>, RepoError> {
    let (found, forged) = repository.registrations()?;
    if forged > 0 {
        report.find(
            "writers",
            format!("{forged} of the registrations are damaged, or this repository has not signed them"),
        );
    }
    let closed: BTreeSet<String> =
        found.iter().filter(|one| one.record.closed.is_some()).map(|one| one.id.to_string()).collect();
    report.writers = (found.len() - closed.len()) as u64;
    let gone = before.iter().flat_map(|before| before.closed_writers.difference(&closed));
    for id in gone {
        report.find(format!("writers/{id}"), "it has vanished, and with it that a writer was closed");
    }
    let is_closed = |public| found.iter().any(|one| one.record.public == public && one.record.closed.is_some());
    for one in found.iter().filter(|one| one.record.closed.is_none() && is_closed(one.record.public)) {
        report.find(Key::Writer(one.id), "it is there again, though the writer was closed: `sfarc key remove` it");
    }
    Ok(closed)
}

/// Verifies who made the snapshots. Gives those that they name as made before them.
fn audit_snapshots(
    repository: &Repository,
    visible: &[ObjectId],
    report: &mut Report,
) -> Result<Vec<(ObjectId, ObjectId)>, RepoError> {
    repository.env.tell(&Event::Begin {
        task: Task::ONLY,
        what: "verifying signatures",
        total: Some(visible.len() as u64),
        unit: Unit::Items,
    });
    let keys: Vec<Key> = visible.iter().map(|&id| Key::Snapshot(id)).collect();
    repository.backend.expect_all(&keys);
    let mut named = Vec::new();
    for &id in visible {
        repository.check_cancel()?;
        match repository.snapshot_signature(id) {
            Ok(signature) => {
                if !repository.may_make(&signature.signer, &id)? {
                    report.find(
                        Key::Snapshot(id),
                        "it is forged: who has signed it is no writer of this repository; `sfarc forget` removes it",
                    );
                    continue;
                }
                report.snapshots += 1;
                named.extend((signature.previous != [0; 32]).then(|| (id, ObjectId::new(signature.previous))));
            }
            // Forgotten since it was listed.
            Err(RepoError::Backend(error)) if error.is_not_found() => {}
            Err(error) if error.is_damage() => report.find(Key::Snapshot(id), chain(&error)),
            Err(error) => return Err(error),
        }
        repository.env.tell(&Event::Advance(Task::ONLY, 1));
    }
    repository.env.tell(&Event::End(Task::ONLY));
    Ok(named)
}
