//! A writer's session: announced before anything is read, checked before anything is committed.
//!
//! The protocol is docs/gc-protocol.md, model-checked by tests/gc_protocol.rs; the numbers below are its steps.

use super::gc_log::{GcLog, tombstone};
use super::index::Index;
use super::{RepoError, Repository};
use crate::backend::{Hold, Key};
use crate::format::manifest::{Manifest, SessionRecord};
use crate::format::sealed::SealedKind;
use crate::ids::{ObjectId, SessionId};
use crate::limits;

/// An announced session.
#[derive(Debug)]
pub struct Session {
    repository: Repository,
    /// Its name.
    pub id: SessionId,
    /// The gc log as the session knows it.
    pub log: GcLog,
    _hold: Box<dyn Hold>,
    closed: bool,
}

impl Session {
    /// Announces a session (steps 1 and 2).
    pub fn begin(repository: &Repository) -> Result<Self, RepoError> {
        let log = repository.gc_log()?;
        log.features().require_write()?;
        let id = SessionId::new(repository.env.random());
        let record = SessionRecord {
            id: *id.as_bytes(),
            epoch: log.epoch(),
            host: host_name(),
            pid: std::process::id(),
            started: repository.env.clock.now(),
        };
        let object = repository.seal_record(SealedKind::Session, &record);
        let hold = repository.backend.announce(&id, &object)?;
        let mut session = Self { repository: repository.clone(), id, log, _hold: hold, closed: false };
        repository.refresh_gc_log(&mut session.log)?;
        Ok(session)
    }

    /// Opens the index as this session may use it (step 3).
    pub fn open_index(&self) -> Result<Index, RepoError> {
        Index::open(&self.repository, &self.log)
    }

    /// The stored bytes and the name of a manifest. Fails if it is longer than a reader would accept.
    pub fn seal(&self, manifest: &Manifest) -> Result<(ObjectId, Vec<u8>), RepoError> {
        let object = self.repository.seal_record(SealedKind::Snapshot, manifest);
        if object.len() > limits::RECORD_MAX_BYTES {
            return Err(RepoError::ManifestTooLarge);
        }
        Ok((ObjectId::of(&object), object))
    }

    /// Gives up a published snapshot for good: nobody who kept its bytes can commit it.
    pub fn give_up(&mut self, id: &ObjectId) -> Result<(), RepoError> {
        self.repository.append_to_gc_log(&mut self.log, &[], &[tombstone(id)])?;
        self.close()
    }

    /// Publishes the pending snapshot (step 4), then looks at the gc log (step 5); true if it says something new.
    pub fn publish(&mut self, object: &[u8]) -> Result<bool, RepoError> {
        self.repository.backend.put(&Key::Pending(self.id), object)?;
        self.repository.refresh_gc_log(&mut self.log)
    }

    /// Commits (steps 6 and 7): from here on the snapshot is there for everybody.
    pub fn commit(&mut self, id: ObjectId, object: &[u8]) -> Result<(), RepoError> {
        let key = Key::Snapshot(id);
        match self.repository.backend.put(&key, object) {
            Ok(()) => {}
            Err(error) if error.is_exists() => {
                // A repetition of this very put, or a fence.
                if self.repository.backend.get(&key, None)? != object {
                    return Err(RepoError::Fenced);
                }
            }
            Err(error) => {
                // It may have arrived all the same: the pending snapshot must go on protecting it.
                self.closed = true;
                return Err(error.into());
            }
        }
        self.repository.refresh_gc_log(&mut self.log)?;
        if self.log.is_dead(&id) {
            return Err(RepoError::Fenced);
        }
        // The snapshot is there; what is left of the session the next collector removes.
        let _ = self.close();
        Ok(())
    }

    /// Ends the session (step 8), committed or not.
    pub fn close(&mut self) -> Result<(), RepoError> {
        self.closed = true;
        self.repository.backend.delete(&Key::Pending(self.id))?;
        self.repository.backend.delete(&Key::Session(self.id))?;
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.closed {
            // Best effort: what stays is recognised as dead by the next collector.
            let _ = self.close();
        }
    }
}

/// The name of this machine.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

impl Repository {
    /// Forgets snapshots: first the log says so, then they are removed.
    pub fn forget(&self, snapshots: &[ObjectId]) -> Result<(), RepoError> {
        self.require_write()?;
        let dead: Vec<_> = snapshots.iter().map(tombstone).collect();
        let mut log = self.gc_log()?;
        log.features().require_write()?;
        self.append_to_gc_log(&mut log, &[], &dead)?;
        for id in snapshots {
            self.backend.delete(&Key::Snapshot(*id))?;
        }
        Ok(())
    }
}
