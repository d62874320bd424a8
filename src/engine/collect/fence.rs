//! Other sessions: which are alive, and taking those of dead writers out of the way.
//!
//! A store may refuse to remove what a session has left. It then stays where it is and means nothing: the session is
//! among the `Dead` and counts no more, and what it was about to commit the gc log knows to be dead
//! (docs/gc-protocol.md, "Where removing is refused").

use std::collections::{BTreeMap, HashSet};

use crate::backend::{Key, Kind};
use crate::format::manifest::{FenceRecord, SessionRecord};
use crate::format::sealed::SealedKind;
use crate::ids::{ObjectId, SessionId};
use crate::repo::gc_log::{GcLog, tombstone};
use crate::repo::{RepoError, Repository};

/// Sessions that were fenced: for whoever fenced them, as good as removed.
pub(super) type Dead = HashSet<SessionId>;

/// Fences every session whose writer is gone, and finishes what a crashed collector left half fenced. Says which, and how
/// many could be removed.
///
/// A writer that was wrongly taken for dead notices and gives up.
pub(super) fn fence_dead_sessions(repository: &Repository, log: &mut GcLog) -> Result<(Dead, u64), RepoError> {
    let (mut dead, mut removed) = (Dead::new(), 0);
    let mut sessions: BTreeMap<SessionId, Vec<Key>> = BTreeMap::new();
    for listed in repository.list(Kind::Sessions)? {
        if let Key::Session(id) | Key::Pending(id) = listed.key {
            sessions.entry(id).or_default().push(listed.key);
        }
    }
    for (id, mut keys) in sessions {
        if !repository.backend.is_held(&id)? {
            // What it was about to commit goes before it.
            keys.sort_unstable_by_key(|key| matches!(key, Key::Session(_)));
            let retained = fence(repository, log, id, &keys)?;
            removed += u64::from(keys.contains(&Key::Session(id)) && retained.is_empty());
            dead.insert(id);
        }
    }
    for listed in repository.list(Kind::Snapshots)? {
        if let Key::Snapshot(id) = listed.key
            && listed.len == FenceRecord::STORED_LEN
            && !log.is_dead(&id)
            && repository.is_fence(id)?
        {
            remove_fence(repository, log, id)?;
        }
    }
    Ok((dead, removed))
}

/// Makes sure that a session can never commit, then removes what there is of it. Says what could not be removed.
fn fence(repository: &Repository, log: &mut GcLog, id: SessionId, keys: &[Key]) -> Result<Vec<Key>, RepoError> {
    if keys.contains(&Key::Pending(id))
        && let Some(snapshot) = pending_snapshot(repository, id)?
        && !log.is_dead(&snapshot)
    {
        keep_out(repository, log, snapshot)?;
    }
    Ok(repository.backend.delete_all(keys)?)
}

/// The snapshot that a session was about to commit.
///
/// Whoever can write to the store can put any object there; only a manifest that names the session is the session's.
fn pending_snapshot(repository: &Repository, id: SessionId) -> Result<Option<ObjectId>, RepoError> {
    let key = Key::Pending(id);
    let read = repository.backend.get(&key, None).map_err(RepoError::from).and_then(|object| {
        let roots = repository.open_roots(&key, &object)?;
        Ok((roots.session == *id.as_bytes()).then(|| ObjectId::of(&object)))
    });
    match read {
        Err(error) if error.is_damage() => Ok(None),
        other => other,
    }
}

/// Sees to it that a snapshot cannot be committed any more, unless it was already.
fn keep_out(repository: &Repository, log: &mut GcLog, snapshot: ObjectId) -> Result<(), RepoError> {
    match repository.backend.put(&Key::Snapshot(snapshot), &repository.seal_fence(snapshot)?) {
        Err(error) if !error.is_exists() => Err(error.into()),
        Err(_) if !repository.is_fence(snapshot)? => Ok(()),
        _ => remove_fence(repository, log, snapshot),
    }
}

/// Declares the snapshot dead, which a late commit cannot undo, and only then takes the fence away.
fn remove_fence(repository: &Repository, log: &mut GcLog, snapshot: ObjectId) -> Result<(), RepoError> {
    repository.append_to_gc_log(log, &[], &[tombstone(&snapshot)])?;
    Ok(repository.backend.delete(&Key::Snapshot(snapshot))?)
}

/// Removes snapshots that are dead but still there: a crash between the record and the removal left them.
pub(super) fn remove_dead_snapshots(repository: &Repository, log: &GcLog) -> Result<(), RepoError> {
    let keys = repository.list(Kind::Snapshots)?.into_iter().map(|listed| listed.key);
    let dead: Vec<Key> = keys.filter(|key| matches!(key, Key::Snapshot(id) if log.is_dead(id))).collect();
    for some in dead.chunks(super::DELETED_AT_ONCE) {
        repository.backend.delete_all(some)?;
    }
    Ok(())
}

fn announced(repository: &Repository, dead: &Dead) -> Result<Vec<(SessionId, i64)>, RepoError> {
    let listed = repository.list(Kind::Sessions)?.into_iter();
    let alive = listed.filter_map(|listed| match listed.key {
        Key::Session(id) if !dead.contains(&id) => Some((id, listed.modified)),
        _ => None,
    });
    Ok(alive.collect())
}

/// When the oldest session was announced, by the store's clock.
pub(super) fn oldest_session(repository: &Repository, dead: &Dead) -> Result<i64, RepoError> {
    Ok(announced(repository, dead)?.into_iter().map(|(_, modified)| modified).min().unwrap_or(i64::MAX))
}

/// The lowest epoch that a session announced: what was condemned later, it may still rely on.
pub(super) fn lowest_epoch(repository: &Repository, dead: &Dead) -> Result<u64, RepoError> {
    let mut lowest = u64::MAX;
    for (id, _) in announced(repository, dead)? {
        let record: Result<SessionRecord, _> = repository.read_record(SealedKind::Session, &Key::Session(id));
        lowest = lowest.min(match record {
            Ok(record) if record.id == *id.as_bytes() => record.epoch,
            // The record of another session: somebody exchanged them.
            Ok(_) => 0,
            // Ended since it was listed.
            Err(RepoError::Backend(error)) if error.is_not_found() => continue,
            // Unreadable, so it may have seen nothing.
            Err(error) if error.is_damage() => 0,
            Err(error) => return Err(error),
        });
    }
    Ok(lowest)
}
