//! Which chunks are in use, and which copy of each is kept: two bits for each row of the index.

use std::collections::HashMap;

use super::fence::Dead;
use crate::backend::{Key, Kind};
use crate::format::index::PackEntry;
use crate::format::signature::{Root, Roots};
use crate::ids::{ChunkId, ObjectId};
use crate::repo::gc_log::GcLog;
use crate::repo::index::merge::require_names;
use crate::repo::index::{Index, Location};
use crate::repo::list::ListWalker;
use crate::repo::loader::{ChunkLoader, LoaderCache};
use crate::repo::pack_reader::PackReader;
use crate::repo::{RepoError, Repository};

/// A bit for each row of an index.
struct Rows(Vec<u64>);

impl Rows {
    fn of(index: &Index) -> Self {
        Self(vec![0; index.rows() as usize / 64 + 1])
    }

    fn has(&self, row: u64) -> bool {
        self.0[row as usize / 64] >> (row % 64) & 1 == 1
    }

    fn add(&mut self, row: u64) {
        self.0[row as usize / 64] |= 1 << (row % 64);
    }
}

/// An index whose rows in use are marked.
pub(in crate::engine) struct Marked {
    /// The index.
    pub(in crate::engine) index: Index,
    /// Rows of the copies that are kept.
    kept: Rows,
    /// Rows of all copies of chunks in use.
    used: Rows,
    /// Chunks in use that lie in condemned packs only, with the best of their places.
    condemned: HashMap<ChunkId, Location>,
}

/// Packs that are to be removed, with their lengths in bytes.
pub(in crate::engine) type Doomed = HashMap<ObjectId, u64>;

/// Chunks with their places.
pub(in crate::engine) type Places = Vec<(ChunkId, Location)>;

fn will_not(what: String) -> impl FnOnce(RepoError) -> RepoError {
    move |error| {
        if error.is_damage() { RepoError::WillNotCollect { what, source: Box::new(error) } } else { error }
    }
}

impl Marked {
    /// Marks what snapshots, and those about to be committed, need.
    pub(super) fn mark(repository: &Repository, log: &GcLog, dead: &Dead) -> Result<Self, RepoError> {
        // Pending ones first: one that is committed meanwhile is then found among the snapshots.
        let mut needed = pending_roots(repository, log, dead)?;
        for id in repository.snapshot_ids()? {
            match repository.read_roots(&Key::Snapshot(id)) {
                Ok(roots) => needed.push((id.short(), roots)),
                Err(RepoError::Backend(error)) if error.is_not_found() => {}
                Err(error) => return Err(will_not(format!("snapshot {}", id.short()))(error)),
            }
        }
        // Pinned: the marks are by the numbers of its rows.
        let index = Index::open_whole(repository, log).and_then(|index| {
            require_names(repository, index.runs())?;
            Ok(index.pinned())
        });
        let index = index.map_err(will_not("the index".to_owned()))?;
        let (kept, used) = (Rows::of(&index), Rows::of(&index));
        let mut marked = Self { index, kept, used, condemned: HashMap::new() };
        let mut cache = LoaderCache::default();
        for (name, roots) in &needed {
            for root in &roots.roots {
                let walked = marked.mark_list(repository, &mut cache, root);
                walked.map_err(will_not(format!("snapshot {name}")))?;
            }
        }
        Ok(marked)
    }

    /// Marks what snapshots need of which no writer is at work: those of a mirror.
    pub(in crate::engine) fn of_snapshots(repository: &Repository, log: &GcLog) -> Result<Self, RepoError> {
        Self::mark(repository, log, &Dead::new())
    }

    /// True if a chunk that lies at these places, if at any, is in use.
    pub(in crate::engine) fn is_needed(&self, id: &ChunkId, found: &[Location]) -> bool {
        self.condemned.contains_key(id) || found.iter().any(|location| self.is_used(location.row))
    }

    fn mark_list(&mut self, repository: &Repository, cache: &mut LoaderCache, root: &Root) -> Result<(), RepoError> {
        let mut walker = ListWalker::new(root.root, root.len)?;
        while let Some((depth, row)) = walker.next_item() {
            if self.mark_chunk(repository, &row.id)? && depth > 0 {
                repository.check_cancel()?;
                walker.descend(depth, row, &mut ChunkLoader::new(repository, &mut self.index, cache))?;
            }
        }
        Ok(())
    }

    /// Marks a chunk; true if it was not marked before.
    fn mark_chunk(&mut self, repository: &Repository, id: &ChunkId) -> Result<bool, RepoError> {
        let found = self.index.find_all(repository, id)?;
        let Some(location) = found.first() else {
            return self.mark_unindexed(repository, id);
        };
        let new = !self.kept.has(location.row);
        // A writer's row may lead nowhere: then every place that is said to hold the chunk counts.
        let kept = if repository.keys.has_roles() { found.len() } else { 1 };
        found[..kept].iter().for_each(|location| self.kept.add(location.row));
        found.iter().for_each(|location| self.used.add(location.row));
        if new && self.index.is_condemned(&location.pack.id) {
            self.condemned.insert(*id, *location);
        }
        Ok(new)
    }

    /// A chunk that no run knows but a pack holds is stored again, so that the index knows it.
    fn mark_unindexed(&mut self, repository: &Repository, id: &ChunkId) -> Result<bool, RepoError> {
        let found = self.index.find_to_read(repository, id)?;
        let location = found.first().ok_or(RepoError::MissingChunk { chunk: *id })?;
        Ok(self.condemned.insert(*id, *location).is_none())
    }

    /// True if the row with this number is of a copy that is kept.
    pub(super) fn is_kept(&self, row: u64) -> bool {
        self.kept.has(row)
    }

    /// True if the row with this number is of a chunk in use, whether this copy is kept or another.
    pub(super) fn is_used(&self, row: u64) -> bool {
        self.used.has(row)
    }

    /// The chunks in use that only condemned packs hold.
    pub(in crate::engine) fn condemned_only(&self) -> Places {
        self.condemned.iter().map(|(id, location)| (*id, *location)).collect()
    }

    /// The chunks in use that these packs hold although other packs are said to hold them, too. Of packs that no row names
    /// the directories tell: where a run is lost, they may have the only copy that can be read.
    pub(in crate::engine) fn held_twice(
        &mut self,
        repository: &Repository,
        doomed: &Doomed,
    ) -> Result<Places, RepoError> {
        let mut places = Places::new();
        let mut unnamed = doomed.clone();
        super::plan::for_each_row(repository, self, |number, row, pack| {
            unnamed.remove(&pack.id);
            if self.is_used(number) && doomed.contains_key(&pack.id) && !self.condemned.contains_key(&row.id) {
                places.push((row.id, Location { pack: *pack, ordinal: row.ordinal, row: number }));
            }
        })?;
        for (id, len) in unnamed {
            let pack = PackEntry { id, len: u32::try_from(len).unwrap_or(u32::MAX) };
            let directory = match PackReader::open(&*repository.backend, &repository.keys, pack) {
                Ok(reader) => reader.directory,
                // Nothing in it can be read.
                Err(error) if error.is_damage() => continue,
                Err(error) => return Err(error),
            };
            for (chunk, ordinal) in directory.chunks().iter().zip(0u16..) {
                let found = self.index.find_all(repository, &chunk.id)?;
                if found.iter().any(|location| self.is_used(location.row)) && !self.condemned.contains_key(&chunk.id) {
                    places.push((chunk.id, Location { pack, ordinal, row: self.index.rows() }));
                }
            }
        }
        Ok(places)
    }
}

fn pending_roots(repository: &Repository, log: &GcLog, dead: &Dead) -> Result<Vec<(String, Roots)>, RepoError> {
    let mut pending = Vec::new();
    for listed in repository.list(Kind::Sessions)? {
        let Key::Pending(id) = listed.key else { continue };
        let read = repository.backend.get(&listed.key, None).map_err(RepoError::from).and_then(|object| {
            let roots = repository.open_roots(&listed.key, &object)?;
            Ok((ObjectId::of(&object), roots))
        });
        match read {
            // Only what the session itself wrote: a copy of another snapshot's manifest protects nothing new.
            Ok((_, roots)) if roots.session != *id.as_bytes() => {}
            // It will never be a snapshot, and was not removed, or could not be.
            Ok((snapshot, _)) if log.is_dead(&snapshot) => {}
            Ok((_, roots)) => pending.push((format!("of session {}", id.short()), roots)),
            // Committed or given up since it was listed.
            Err(RepoError::Backend(error)) if error.is_not_found() => {}
            // Fenced as it is: where it could be removed it would be gone.
            Err(error) if error.is_damage() && dead.contains(&id) => {}
            Err(error) => {
                return Err(will_not(format!("the pending snapshot of session {}", id.short()))(error));
            }
        }
    }
    Ok(pending)
}
