//! What a writer does when packs that it reused were condemned before it could commit: it stores the chunks again.

use crate::crypto::role::Role;
use crate::format::manifest::Manifest;
use crate::repo::list::ListWalker;
use crate::repo::loader::{ChunkLoader, LoaderCache};
use crate::repo::store::ChunkStore;
use crate::repo::{RepoError, Repository};

/// Stores every chunk of the manifest again that lies in condemned packs only.
///
/// Fails with `Collected` if such a chunk is gone already, or cannot be read by whoever may only write; then there is no
/// snapshot.
pub fn rescue(repository: &Repository, store: &mut ChunkStore, manifest: &Manifest) -> Result<(), RepoError> {
    if repository.keys.role() != Role::Reader {
        return Err(RepoError::Collected);
    }
    let mut cache = LoaderCache::default();
    for stream in &manifest.streams {
        for content in std::iter::once(&stream.content).chain(&stream.catalog) {
            let mut walker = ListWalker::new(content.root, content.len)?;
            while let Some((depth, row)) = walker.next_item() {
                repository.check_cancel()?;
                let usable = store.index.find_usable(repository, &row.id)?.is_some();
                if !usable {
                    let loaded = ChunkLoader::new(repository, &mut store.index, &mut cache).load(&row.id);
                    let (kind, bytes) =
                        loaded.map_err(|error| if error.is_damage() { RepoError::Collected } else { error })?;
                    store.store_new(kind, row.id, &bytes)?;
                }
                if depth > 0 {
                    let mut loader = ChunkLoader::new(repository, &mut store.index, &mut cache);
                    let descended = walker.descend(depth, row, &mut loader);
                    descended.map_err(|error| if error.is_damage() { RepoError::Collected } else { error })?;
                }
            }
        }
    }
    Ok(())
}
