//! Other sessions: which are alive, and taking those of dead writers out of the way.

use crate::backend::{Key, Kind};
use crate::format::manifest::{FenceRecord, SessionRecord};
use crate::format::sealed::SealedKind;
use crate::ids::{ObjectId, SessionId};
use crate::repo::gc_log::{GcLog, tombstone};
use crate::repo::{RepoError, Repository};

/// Fences every session whose writer is gone, and finishes what a crashed collector left half fenced.
///
/// A writer that was wrongly taken for dead notices and gives up.
pub(super) fn fence_dead_sessions(repository: &Repository, log: &mut GcLog) -> Result<u64, RepoError> {
    let mut fenced = 0;
    for listed in repository.list(Kind::Sessions)? {
        let (Key::Session(id) | Key::Pending(id)) = listed.key else {
            continue;
        };
        if !repository.backend.is_held(&id)? {
            fence(repository, log, id)?;
            fenced += u64::from(matches!(listed.key, Key::Session(_)));
        }
    }
    for listed in repository.list(Kind::Snapshots)? {
        if let Key::Snapshot(id) = listed.key
            && listed.len == FenceRecord::STORED_LEN
            && repository.is_fence(id)?
        {
            remove_fence(repository, log, id)?;
        }
    }
    Ok(fenced)
}

/// Makes sure that a session can never commit, then removes it.
fn fence(repository: &Repository, log: &mut GcLog, id: SessionId) -> Result<(), RepoError> {
    if let Some(snapshot) = pending_snapshot(repository, id)? {
        keep_out(repository, log, snapshot)?;
    }
    repository.backend.delete(&Key::Pending(id))?;
    Ok(repository.backend.delete(&Key::Session(id))?)
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
    for listed in repository.list(Kind::Snapshots)? {
        if let Key::Snapshot(id) = listed.key
            && log.is_dead(&id)
        {
            repository.backend.delete(&listed.key)?;
        }
    }
    Ok(())
}

fn announced(repository: &Repository) -> Result<Vec<(SessionId, i64)>, RepoError> {
    let listed = repository.list(Kind::Sessions)?.into_iter();
    Ok(listed
        .filter_map(|listed| if let Key::Session(id) = listed.key { Some((id, listed.modified)) } else { None })
        .collect())
}

/// When the oldest session was announced, by the store's clock.
pub(super) fn oldest_session(repository: &Repository) -> Result<i64, RepoError> {
    Ok(announced(repository)?.into_iter().map(|(_, modified)| modified).min().unwrap_or(i64::MAX))
}

/// The lowest epoch that a session announced: what was condemned later, it may still rely on.
pub(super) fn lowest_epoch(repository: &Repository) -> Result<u64, RepoError> {
    let mut lowest = u64::MAX;
    for (id, _) in announced(repository)? {
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
