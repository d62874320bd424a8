//! Records of the gc log that only the mirror has, and that may be taken back.
//!
//! A check of the mirror that finds damage writes down there that nothing new may rely on the damaged packs. That changes
//! nothing else in the mirror, and whoever opens the repository can see that it is all that was done: then the records go,
//! and what was damaged is replaced. Everything else that was written there stays, and the mirror is left alone.

use std::collections::HashSet;

use super::transfer::Transfer;
use super::{Objects, Report, failed, list, there};
use crate::backend::{Key, Kind};
use crate::error::Error;
use crate::format::config::Features;
use crate::ids::ObjectId;
use crate::repo::Repository;
use crate::repo::gc_log::{Tombstone, tombstone};

/// Takes back a record of the mirror, in whose place the repository may have another. False if it is more than a note of
/// damaged packs; then nothing is done.
pub(super) fn take_back(
    pair: &Transfer<'_>,
    key: &Key,
    right: Option<&[u8]>,
    report: &mut Report,
) -> Result<bool, Error> {
    let Some(opened) = pair.prover.0 else { return Ok(false) };
    if !is_note_of_damage(pair, opened, key)? {
        return Ok(false);
    }
    if !pair.dry_run {
        match right {
            Some(right) => pair.to.replace(key, right).map_err(there)?,
            None => pair.to.delete(key).map_err(there)?,
        }
    }
    report.taken_back += 1;
    Ok(true)
}

/// True if all of these records of the mirror are notes of damaged packs.
pub(super) fn can_take_back(pair: &Transfer<'_>, keys: &[&Key]) -> Result<bool, Error> {
    let Some(opened) = pair.prover.0 else { return Ok(keys.is_empty()) };
    for key in keys {
        if !is_note_of_damage(pair, opened, key)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// True if a record of the mirror only condemns packs that are still there, or here, and the mirror has no pack of its own.
fn is_note_of_damage(pair: &Transfer<'_>, opened: &Repository, key: &Key) -> Result<bool, Error> {
    let Ok(record) = opened.open_gc_record(key, &pair.to.get(key, None).map_err(there)?) else { return Ok(false) };
    let packs =
        |objects: Objects| objects.into_keys().filter_map(|key| if let Key::Pack(id) = key { Some(id) } else { None });
    let here: HashSet<ObjectId> = packs(list(pair.from, Kind::Packs).map_err(failed)?).collect();
    let known: HashSet<ObjectId> = packs(list(pair.to, Kind::Packs).map_err(there)?).collect();
    let log = opened.gc_log()?;
    let has_own = known.difference(&here).any(|pack| !log.is_condemned(pack));
    let listed: HashSet<Tombstone> = here.union(&known).map(tombstone).collect();
    let only_condemns = record.dead.is_empty() && record.features == Features::default();
    Ok(!has_own && only_condemns && record.condemned.iter().all(|pack| listed.contains(pack)))
}
