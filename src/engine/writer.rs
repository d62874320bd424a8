//! What writes a snapshot: a session with a store at its beginning, a commit at its end.

use std::sync::Arc;

use super::collect;
use crate::error::Error;
use crate::event::Event;
use crate::format::manifest::Manifest;
use crate::ids::{ObjectId, SessionId};
use crate::repo::Repository;
use crate::repo::index::merge;
use crate::repo::pool::Pool;
use crate::repo::session::Session;
use crate::repo::store::{ChunkStore, StoreCounts};

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
        let pool = Arc::new(Pool::new(repository.env.workers));
        let store = ChunkStore::new(repository, session.open_index()?, pool, is_dry).of(session);
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

    /// Publishes the snapshot, stores again what was condemned meanwhile, and commits.
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
        self.repository.check_cancel()?;
        session.commit(id, &object)?;
        Ok(id)
    }
}
