//! A writer's session: announced before anything is stored, checked before anything is committed.
//!
//! The protocol is docs/gc-protocol.md, model-checked by tests/gc_protocol.rs; the numbers below are its steps. Being
//! announced only spares a writer from having to begin anew, so where each request counts a session is announced when
//! there is something to store, not before (docs/decisions/0013).

use super::gc_log::{GcLog, tombstone};
use super::index::Index;
use super::{RepoError, Repository};
use crate::backend::{Hold, Key};
use crate::format::manifest::{Manifest, SessionRecord};
use crate::format::record;
use crate::format::sealed::SealedKind;
use crate::ids::{ObjectId, SessionId};
use crate::limits;

/// A session.
#[derive(Debug)]
pub struct Session {
    repository: Repository,
    /// Its name.
    pub id: SessionId,
    /// The gc log as the session knows it.
    pub log: GcLog,
    /// Once it is announced.
    hold: Option<Box<dyn Hold>>,
    /// What there is to remove when it ends.
    objects: Vec<Key>,
}

impl Session {
    /// Begins a session. It is announced at once, unless that is better left until it stores something.
    pub fn begin(repository: &Repository) -> Result<Self, RepoError> {
        repository.require_snapshots()?;
        let is_lazy = repository.backend.is_remote();
        let log = if is_lazy { repository.gc_log_lately()? } else { repository.gc_log()? };
        log.features().require_write()?;
        repository.require_open_writer(&log)?;
        let id = SessionId::new(repository.env.random());
        let mut session = Self { repository: repository.clone(), id, log, hold: None, objects: Vec::new() };
        if !is_lazy {
            session.announce()?;
        }
        Ok(session)
    }

    /// Announces the session (steps 1 and 2), unless it is; true if it was not. What was opened before must be looked
    /// at again then.
    pub fn announce(&mut self) -> Result<bool, RepoError> {
        if self.hold.is_some() {
            return Ok(false);
        }
        let record = SessionRecord {
            id: *self.id.as_bytes(),
            epoch: self.log.epoch(),
            host: host_name(),
            pid: std::process::id(),
            started: self.repository.env.clock.now(),
        };
        let object = self.repository.seal_record(SealedKind::Session, &record)?;
        self.hold = Some(self.repository.backend.announce(&self.id, &object)?);
        self.objects.push(Key::Session(self.id));
        self.repository.refresh_gc_log(&mut self.log)?;
        Ok(true)
    }

    /// Opens the index as this session may use it (step 3).
    pub fn open_index(&self) -> Result<Index, RepoError> {
        match self.hold {
            Some(_) => Index::open(&self.repository, &self.log),
            None => Index::open_lately(&self.repository, &self.log),
        }
    }

    /// The stored bytes and the name of a manifest. Fails if it is none that a reader accepts, or longer.
    pub fn seal(&self, manifest: &Manifest) -> Result<(ObjectId, Vec<u8>), RepoError> {
        let read: Result<Manifest, _> = record::decode(&record::encode(manifest));
        if read.as_ref() != Ok(manifest) {
            return Err(RepoError::NotWhole("a reader would refuse the manifest"));
        }
        let object = self.repository.seal_manifest(manifest)?;
        if object.len() > limits::RECORD_MAX_BYTES {
            return Err(RepoError::ManifestTooLarge);
        }
        Ok((ObjectId::of(&object), object))
    }

    /// Gives up a published snapshot for good: nobody who kept its bytes can commit it. Who may not say so only removes
    /// it: whoever has kept its bytes can make a snapshot of them that does not restore.
    pub fn give_up(&mut self, id: &ObjectId) -> Result<(), RepoError> {
        if !self.repository.decides() {
            return self.close();
        }
        self.repository.append_to_gc_log(&mut self.log, &[], &[tombstone(id)])?;
        self.close()
    }

    /// Publishes the pending snapshot (step 4), then looks at the gc log (step 5).
    pub fn publish(&mut self, object: &[u8]) -> Result<(), RepoError> {
        let pending = Key::Pending(self.id);
        // Removed before the session, if there is one.
        self.objects.insert(0, pending);
        self.repository.backend.put(&pending, object)?;
        self.repository.refresh_gc_log(&mut self.log)?;
        self.repository.require_open_writer(&self.log)?;
        self.log.features().require_write()
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
                self.objects.clear();
                return Err(error.into());
            }
        }
        self.repository.refresh_gc_log(&mut self.log)?;
        self.repository.require_open_writer(&self.log)?;
        if self.log.is_dead(&id) {
            return Err(RepoError::Fenced);
        }
        self.repository.has_made(id);
        // The snapshot is there; what is left of the session the next collector removes.
        let _ = self.close();
        Ok(())
    }

    /// Ends the session (step 8), committed or not.
    pub fn close(&mut self) -> Result<(), RepoError> {
        let objects = std::mem::take(&mut self.objects);
        if !objects.is_empty() {
            self.repository.backend.delete_all(&objects)?;
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Best effort: what stays is recognised as dead by the next collector.
        let _ = self.close();
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
        self.require_no_divided_packs()?;
        let dead: Vec<_> = snapshots.iter().map(tombstone).collect();
        let mut log = self.gc_log()?;
        log.features().require_write()?;
        self.append_to_gc_log(&mut log, &[], &dead)?;
        let objects: Vec<Key> = snapshots.iter().map(|&id| Key::Snapshot(id)).collect();
        // One that the store keeps for now is dead all the same.
        self.backend.delete_all(&objects)?;
        Ok(())
    }
}
