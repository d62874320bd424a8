//! Moving chunks by whoever cannot open them: whole blocks, sealed as they are.

use std::collections::HashSet;

use crate::backend::Key;
use crate::ids::{ChunkId, ObjectId};
use crate::limits;
use crate::repo::index::Location;
use crate::repo::objects::check_name;
use crate::repo::pack_reader::PackCache;
use crate::repo::packer::MovedBlock;
use crate::repo::store::ChunkStore;
use crate::repo::{RepoError, Repository};

/// Moves the blocks that hold these chunks into new packs. A chunk whose place is damaged is looked for elsewhere.
pub(super) fn move_blocks(
    repository: &Repository,
    store: &mut ChunkStore,
    chunks: &[(ChunkId, Location)],
) -> Result<(), RepoError> {
    let mut moving = Moving { repository, packs: PackCache::default(), whole: None, moved: HashSet::new() };
    for (id, location) in chunks {
        repository.check_cancel()?;
        match moving.move_block(store, id, location) {
            Err(error) if error.is_damage() => moving.move_from_elsewhere(store, id, error)?,
            other => other?,
        }
    }
    Ok(())
}

struct Moving<'a> {
    repository: &'a Repository,
    packs: PackCache,
    /// The pack that was read last, whole.
    whole: Option<(ObjectId, Vec<u8>)>,
    /// Blocks that are moved: their packs and ordinals.
    moved: HashSet<(ObjectId, usize)>,
}

impl Moving<'_> {
    fn move_block(&mut self, store: &mut ChunkStore, id: &ChunkId, location: &Location) -> Result<(), RepoError> {
        let key = Key::Pack(location.pack.id);
        let damaged = |why: &str| RepoError::Damaged { object: key.to_string(), why: why.to_owned() };
        let reader = self.packs.open(self.repository, location.pack)?;
        let span = reader.block_of(location.ordinal, id)?;
        if self.moved.contains(&(location.pack.id, span.ordinal)) {
            return Ok(());
        }
        let (envelope, ordinal) = reader.sealed_in(&span).ok_or_else(|| damaged("a block names no key"))?;
        let is_usual = span.row.codec.is_padded() == self.repository.pads();
        if !is_usual || span.row.stored_len as usize > limits::BLOCK_MAX_STORED {
            return Err(damaged("a block is stored otherwise than those of this repository are"));
        }
        let (from, to) = (span.offset as usize, span.offset as usize + span.row.stored_len as usize);
        let bytes = self.read(&key, location.pack.id)?.get(from..to).unwrap_or_default().to_vec();
        let chunks = reader.directory.chunks_of(&span).to_vec();
        store.store_moved(MovedBlock { row: span.row, chunks, bytes, envelope, ordinal })?;
        self.moved.insert((location.pack.id, span.ordinal));
        Ok(())
    }

    /// The bytes of a pack, which must be those that were stored: whoever cannot open blocks would move broken ones, too.
    fn read(&mut self, key: &Key, id: ObjectId) -> Result<&[u8], RepoError> {
        if self.whole.as_ref().is_none_or(|(known, _)| *known != id) {
            let bytes = self.repository.backend.get(key, None)?;
            check_name(key, &bytes)?;
            self.whole = Some((id, bytes));
        }
        Ok(self.whole.as_ref().map_or(&[], |(_, bytes)| bytes))
    }

    fn move_from_elsewhere(
        &mut self,
        store: &mut ChunkStore,
        id: &ChunkId,
        mut failure: RepoError,
    ) -> Result<(), RepoError> {
        for location in store.index.find_to_read(self.repository, id)? {
            match self.move_block(store, id, &location) {
                Err(error) if error.is_damage() => failure = error,
                other => return other,
            }
        }
        Err(failure)
    }
}
