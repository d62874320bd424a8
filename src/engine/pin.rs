//! Pins: records that say that a snapshot must stay, whatever the rules are.
//!
//! A pin is a small snapshot with a label. So it needs no format of its own, it is sealed and signed like everything
//! else, and a writer that may only add can make one.

use super::snapshot::{self, From, Input};
use crate::error::Error;
use crate::format::manifest::Origin;
use crate::format::manifest::Proof;
use crate::ids::ObjectId;
use crate::repo::snapshots::Snapshot;
use crate::repo::{RepoError, Repository};
use crate::source::Verdict;
use crate::source::prepared::Prepared;

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
    let text = format!("{why}\n").into_bytes();
    let stream = Prepared::new(Origin::Stdin, false, move |lanes| {
        lanes.write(0, &text)?;
        Ok(Verdict::proven(Proof::P3))
    });
    let options = snapshot::Options {
        inputs: vec![Input::new("why", From::Prepared(stream))],
        tags: vec![TAG.to_owned()],
        labels: vec![(PIN_OF.to_owned(), id.to_string())],
        host: host.to_owned(),
        ..snapshot::Options::default()
    };
    snapshot::snapshot(repository, &options)?;
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
