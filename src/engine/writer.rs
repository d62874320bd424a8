//! What writes a snapshot: a session with a store at its beginning, a commit at its end.

use std::sync::Arc;

use super::collect;
use crate::error::Error;
use crate::event::Event;
use crate::format::manifest::Manifest;
use crate::ids::{ObjectId, SessionId};
use crate::repo::index::{Index, merge};
use crate::repo::pool::Pool;
use crate::repo::session::Session;
use crate::repo::store::{ChunkStore, StoreCounts};
use crate::repo::{RepoError, Repository};

/// Writes one snapshot.
pub(super) struct Writer<'a> {
    repository: &'a Repository,
    session: SessionId,
    is_dry: bool,
    /// Where its chunks go.
    pub(super) store: ChunkStore,
}

impl<'a> Writer<'a> {
    /// Begins a session. A dry run finds out what is new and stores nothing.
    pub(super) fn begin(repository: &'a Repository, is_dry: bool) -> Result<Self, Error> {
        let session = Session::begin(repository)?;
        let id = session.id;
        let pool = Arc::new(Pool::new(repository.env.workers)?);
        let mut index = session.open_index()?;
        pass_over_lost_packs(repository, &mut index)?;
        let store = ChunkStore::new(repository, index, pool, is_dry)?.of(session);
        Ok(Self { repository, session: id, is_dry, store })
    }

    /// The session, for the manifest.
    pub(super) fn session_id(&self) -> SessionId {
        self.session
    }

    /// Makes durable what was stored, and says what that was.
    pub(super) fn flush(&mut self) -> Result<StoreCounts, Error> {
        self.store.flush()?;
        Ok(self.store.counts())
    }

    /// Commits the snapshot, unless it is a dry run: then nothing is its name.
    pub(super) fn commit(mut self, manifest: &Manifest) -> Result<(Option<ObjectId>, StoreCounts), Error> {
        let mut session = self.store.end().expect("it was given one");
        if self.is_dry {
            session.close()?;
            return Ok((None, self.store.counts()));
        }
        let id = self.publish(&mut session, manifest)?;
        let (counts, is_index_full) = (self.store.counts(), merge::has_full_level(self.store.index.runs()));
        // Merging needs the memory that the store's index takes.
        drop(self.store);
        if is_index_full {
            // The snapshot is there, whatever becomes of the index: not merging it only costs time.
            if let Err(error) = merge::merge_full_levels(self.repository) {
                let text = format!("the index was not merged: {}", crate::error::chain(&error));
                self.repository.env.tell(&Event::Warning(&text));
            }
        }
        Ok((Some(id), counts))
    }

    /// Publishes the snapshot, stores again what was condemned meanwhile, looks whether all that it relies on is there,
    /// and commits.
    fn publish(&mut self, session: &mut Session, manifest: &Manifest) -> Result<ObjectId, Error> {
        let (id, object) = session.seal(manifest)?;
        session.publish(&object)?;
        let store = &mut self.store;
        store.index.condemn(&session.log);
        if store.relies_on(|pack| session.log.is_condemned(pack)) {
            let rescued = collect::rescue(self.repository, store, manifest).and_then(|()| store.flush());
            if let Err(error) = rescued {
                session.give_up(&id)?;
                return Err(error.into());
            }
        }
        if let Err(error) = self.require_packs(session) {
            session.give_up(&id)?;
            return Err(error.into());
        }
        self.repository.check_cancel()?;
        session.commit(id, &object)?;
        Ok(id)
    }

    /// Fails if a pack is gone that the snapshot relies on, and sees to it that the next one does not rely on it.
    ///
    /// Where requests are dear, a snapshot that stored nothing new relies on what it found when it began.
    fn require_packs(&self, session: &mut Session) -> Result<(), RepoError> {
        if self.repository.backend.is_remote() && self.store.counts().new_chunks == 0 {
            return Ok(());
        }
        // What was condemned meanwhile was stored again.
        let needed = self.store.relied_on().filter(|pack| !session.log.is_condemned(&pack.id));
        match self.repository.require_packs(needed) {
            Err(error @ RepoError::PackLost { pack, .. }) => {
                if self.repository.decides() {
                    self.repository.distrust(&mut session.log, &[pack])?;
                }
                Err(error)
            }
            other => other,
        }
    }
}

/// Sees to it that what missing or cut packs held is stored again where it comes.
fn pass_over_lost_packs(repository: &Repository, index: &mut Index) -> Result<(), RepoError> {
    let lost = repository.lost_packs(index)?;
    if !lost.is_empty() {
        let text = format!(
            "{} of the packs that the index names are missing or cut: what they held is stored again where it comes; \
             `sfarc check` tells which snapshots need them",
            lost.len()
        );
        repository.env.tell(&Event::Warning(&text));
        index.distrust(lost);
    }
    Ok(())
}
