//! Pins: records that say that a snapshot must stay, whatever the rules are.

use std::collections::HashSet;

use super::record::{self, Record};
use super::retention::Decision;
use crate::error::Error;
use crate::ids::ObjectId;
use crate::repo::snapshots::{Listing, Snapshot};
use crate::repo::{RepoError, Repository};

/// The label of a pin: the id of the snapshot that must stay.
pub const PIN_OF: &str = "sfarc/pin-of";

/// The tag of pins.
pub const TAG: &str = "pin";

/// Pins a snapshot; says why, for people. Fine if it is pinned already.
pub fn pin(repository: &Repository, id: ObjectId, why: &str, host: &str) -> Result<(), Error> {
    repository.require_write()?;
    if !of(&repository.snapshots()?.snapshots, id).is_empty() {
        return Ok(());
    }
    let labels = vec![(PIN_OF.to_owned(), id.to_string())];
    record::write(repository, Record { name: "why", bytes: format!("{why}\n").into_bytes(), tag: TAG, labels, host })?;
    if repository.gc_log_for_reading()?.is_dead(&id) {
        let short = id.short();
        return Err(Error::Refused(format!("snapshot {short} was forgotten while it was pinned; nothing keeps it")));
    }
    Ok(())
}

/// Removes all pins of a snapshot. False if it had none.
pub fn unpin(repository: &Repository, id: ObjectId) -> Result<bool, Error> {
    let pins = of(&repository.snapshots()?.snapshots, id);
    if !pins.is_empty() {
        repository.forget(&pins)?;
    }
    Ok(!pins.is_empty())
}

/// The pins of a snapshot.
pub fn of(all: &[Snapshot], id: ObjectId) -> Vec<ObjectId> {
    let id = id.to_string();
    let is_pin = |snapshot: &&Snapshot| snapshot.manifest.label(PIN_OF) == Some(&id[..]);
    all.iter().filter(is_pin).map(|snapshot| snapshot.id).collect()
}

/// Removes snapshots, unless one of them is pinned.
pub fn forget(repository: &Repository, ids: &[ObjectId]) -> Result<(), Error> {
    // Read again at the last moment: somebody may have pinned one since it was decided about.
    let all = repository.snapshots()?.snapshots;
    if let Some(id) = ids.iter().find(|id| !of(&all, **id).is_empty()) {
        let short = id.short();
        return Err(Error::Refused(format!("snapshot {short} is pinned; `sfarc pin --remove {short}` first")));
    }
    repository.forget(ids).map_err(RepoError::into)
}

/// Removes the snapshots that no rule keeps, those excepted that somebody has pinned since `listing` was read; says how
/// many.
pub fn forget_unkept(repository: &Repository, listing: &Listing, decisions: &[Decision]) -> Result<usize, Error> {
    let unkept = decisions.iter().filter(|decision| !decision.is_kept());
    let mut gone: Vec<ObjectId> = unkept.map(|decision| decision.id).collect();
    let newer = newer(repository, listing)?;
    gone.retain(|id| of(&newer, *id).is_empty());
    if !gone.is_empty() {
        repository.forget(&gone)?;
    }
    Ok(gone.len())
}

/// The snapshots that were taken since all were listed.
fn newer(repository: &Repository, listing: &Listing) -> Result<Vec<Snapshot>, RepoError> {
    let read = listing.snapshots.iter().map(|snapshot| snapshot.id);
    let known: HashSet<ObjectId> = read.chain(listing.unreadable.iter().map(|(id, _)| *id)).collect();
    let mut ids = repository.snapshot_ids()?;
    ids.retain(|id| !known.contains(id));
    Ok(repository.read_snapshots(&ids)?.snapshots)
}
