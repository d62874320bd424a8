//! Nothing is removed before another copy of it was read.

use super::mark::{Doomed, Marked, Places};
use crate::backend::Key;
use crate::crypto::role::Role;
use crate::ids::ChunkId;
use crate::repo::loader::LoaderCache;
use crate::repo::objects::check_name;
use crate::repo::pack_reader::PackReader;
use crate::repo::store::ChunkStore;
use crate::repo::{RepoError, Repository};

/// The chunks in use of these packs of which no copy elsewhere could be read, although the index names one.
///
/// Whoever cannot open blocks cannot read a copy: then all of them, as blocks are moved whole.
pub(super) fn unproven(repository: &Repository, marked: &mut Marked, doomed: &Doomed) -> Result<Places, RepoError> {
    let mut chunks = marked.held_twice(repository, doomed)?;
    if repository.keys.role() != Role::Reader {
        return Ok(chunks);
    }
    // In the order in which they lie in one pack, they mostly lie in the other, too.
    chunks.sort_by_key(|(_, location)| (location.pack.id, location.ordinal));
    let (mut cache, mut unproven) = (LoaderCache::default(), Places::new());
    for (id, location) in chunks {
        repository.check_cancel()?;
        if !is_proven(repository, marked, &mut cache, &id, doomed)? {
            unproven.push((id, location));
        }
    }
    Ok(unproven)
}

/// True if a copy of the chunk that stays can be read.
fn is_proven(
    repository: &Repository,
    marked: &mut Marked,
    cache: &mut LoaderCache,
    id: &ChunkId,
    doomed: &Doomed,
) -> Result<bool, RepoError> {
    let places = marked.index.find_all(repository, id)?;
    for place in places.iter().filter(|place| !doomed.contains_key(&place.pack.id)) {
        if marked.index.is_condemned(&place.pack.id) {
            continue;
        }
        match cache.load_at(repository, place, id) {
            Ok(_) => return Ok(true),
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Reads the packs that a store has written: each must be what was put, and its directory must open.
pub(super) fn read_back(repository: &Repository, store: &ChunkStore) -> Result<(), RepoError> {
    for pack in store.written() {
        repository.check_cancel()?;
        let key = Key::Pack(pack.id);
        check_name(&key, &repository.backend.get(&key, None)?)?;
        PackReader::open(&*repository.backend, &repository.keys, pack)?;
    }
    Ok(())
}
