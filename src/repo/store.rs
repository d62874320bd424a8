//! Storing chunks: each distinct one once, in blocks, in packs, in the index.

use std::collections::HashMap;
use std::sync::Arc;

use super::index::build::GroupWriter;
use super::index::{Index, Location};
use super::pack_reader::{PackCache, PackReader};
use super::packer::{MovedBlock, OpenBlock, Packer, StoredPack};
use super::pool::Pool;
use super::session::Session;
use super::{RepoError, Repository};
use crate::event::Event;
use crate::format::index::{IndexRow, PackEntry};
use crate::format::pack::BlockKind;
use crate::ids::{ChunkId, ChunkSet, ObjectId};
use crate::limits;

/// What became of the chunks that were handed to a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// Chunks that were not there before.
    pub new_chunks: u64,
    /// Their bytes.
    pub new_bytes: u64,
    /// Stored bytes of the packs written for them.
    pub stored_bytes: u64,
}

/// Where the last known chunk lies: what follows it in the stream mostly follows it in its pack, too, and then
/// the index need not be asked.
#[derive(Debug, Default)]
struct Neighbour {
    pack: Option<Arc<PackReader>>,
    ordinal: u16,
    last: Option<ObjectId>,
    packs: PackCache,
}

impl Neighbour {
    fn is_next(&mut self, id: &ChunkId) -> bool {
        let Some(pack) = &self.pack else { return false };
        let Some(next) = self.ordinal.checked_add(1) else {
            return false;
        };
        let found = pack.directory.chunks().get(usize::from(next)).is_some_and(|chunk| chunk.id == *id);
        if found {
            self.ordinal = next;
        }
        found
    }

    /// Notes where the index found a chunk. Opens the pack if nothing relies on it yet, and the second time that it is
    /// named in a row. False if the directory of the pack is damaged.
    fn found(&mut self, repository: &Repository, location: &Location, is_new: bool) -> Result<bool, RepoError> {
        let is_again = self.last.replace(location.pack.id) == Some(location.pack.id);
        if !is_again {
            self.pack = None;
        }
        if (is_new || is_again) && self.pack.as_ref().is_none_or(|pack| pack.entry.id != location.pack.id) {
            match self.packs.open(repository, location.pack) {
                Ok(pack) => self.pack = Some(pack),
                Err(error) if error.is_damage() => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.ordinal = location.ordinal;
        Ok(true)
    }
}

/// Stores chunks for one session.
#[derive(Debug)]
pub struct ChunkStore {
    repository: Repository,
    /// The index as this session knows it.
    pub index: Index,
    /// Packs of others that this session's snapshot relies on.
    reused: HashMap<ObjectId, PackEntry>,
    neighbour: Neighbour,
    claimed: ChunkSet,
    open: [OpenBlock; 2],
    stored: Vec<StoredPack>,
    own: HashMap<ObjectId, PackEntry>,
    /// Nothing for a collector, which needs none.
    session: Option<Session>,
    /// Nothing for a dry run.
    packer: Option<Packer>,
    pool: Arc<Pool>,
    counts: StoreCounts,
}

const fn slot(kind: BlockKind) -> usize {
    match kind {
        BlockKind::Data => 0,
        BlockKind::List => 1,
    }
}

impl ChunkStore {
    /// A store on an opened index. A dry run finds out what is new and stores nothing. Fails if there is no room for the
    /// threads that make packs.
    pub fn new(repository: &Repository, index: Index, pool: Arc<Pool>, dry_run: bool) -> Result<Self, RepoError> {
        let packer = if dry_run { None } else { Some(Packer::new(repository)?) };
        Ok(Self {
            repository: repository.clone(),
            index,
            reused: HashMap::new(),
            neighbour: Neighbour::default(),
            claimed: ChunkSet::default(),
            open: [OpenBlock::new(BlockKind::Data), OpenBlock::new(BlockKind::List)],
            stored: Vec::new(),
            own: HashMap::new(),
            session: None,
            packer,
            pool,
            counts: StoreCounts::default(),
        })
    }

    /// The same, storing for a session.
    #[must_use]
    pub fn of(self, session: Session) -> Self {
        Self { session: Some(session), ..self }
    }

    /// Gives the session back, when everything is stored.
    pub fn end(&mut self) -> Option<Session> {
        self.session.take()
    }

    /// The workers.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// What was stored up to now.
    pub fn counts(&self) -> StoreCounts {
        self.counts
    }

    /// The packs that were written, once they are durable.
    pub fn written(&self) -> impl Iterator<Item = PackEntry> + '_ {
        self.own.values().copied()
    }

    /// True if what was stored relies on a pack of that kind, written by this session or by another.
    pub fn relies_on(&self, kind: impl Fn(&ObjectId) -> bool) -> bool {
        self.relied_on().any(|pack| kind(&pack.id))
    }

    /// The packs that what was stored relies on, written by this session or by others.
    pub fn relied_on(&self) -> impl Iterator<Item = &PackEntry> {
        self.reused.values().chain(self.own.values())
    }

    /// Makes sure that the repository has a chunk; true if it is new.
    pub fn store(&mut self, kind: BlockKind, id: ChunkId, bytes: &[u8]) -> Result<bool, RepoError> {
        if self.has(&id)? {
            return Ok(false);
        }
        // Others may have stored it before the session was announced.
        if self.announce()? && self.reuse(&id)? {
            return Ok(false);
        }
        self.store_new(kind, id, bytes)?;
        Ok(true)
    }

    /// True if the repository has a chunk, or will have it when the session has ended. The snapshot relies on it then.
    pub fn has(&mut self, id: &ChunkId) -> Result<bool, RepoError> {
        Ok(self.claimed.contains(id) || self.neighbour.is_next(id) || self.reuse(id)?)
    }

    /// True if packs hold a chunk, on which the snapshot relies from now on. A pack whose directory is damaged is passed
    /// over.
    fn reuse(&mut self, id: &ChunkId) -> Result<bool, RepoError> {
        while let Some(location) = self.index.find_usable(&self.repository, id)? {
            let pack = location.pack;
            let is_own = self.own.contains_key(&pack.id);
            let is_new = !is_own && !self.reused.contains_key(&pack.id);
            // From a bucket a directory is dearer than the index, which is on this machine: `check` looks at it there.
            let opens =
                self.repository.backend.is_remote() || self.neighbour.found(&self.repository, &location, is_new)?;
            if opens {
                if is_new {
                    self.reused.insert(pack.id, pack);
                }
                return Ok(true);
            }
            if !is_new {
                return Err(RepoError::PackLost { pack: pack.id, why: "has become unreadable" });
            }
            self.tell_damaged(&pack.id);
            self.index.distrust([pack.id]);
        }
        Ok(false)
    }

    fn tell_damaged(&self, pack: &ObjectId) {
        let text = format!(
            "pack {} is damaged: what it held is stored again where it comes; `sfarc check` tells which snapshots need it",
            pack.short()
        );
        self.repository.env.tell(&Event::Warning(&text));
    }

    /// Announces the session before anything is stored for it; true if it was not, so that the index is a new one.
    fn announce(&mut self) -> Result<bool, RepoError> {
        let Some(session) = self.session.as_mut().filter(|_| self.packer.is_some()) else { return Ok(false) };
        if !session.announce()? {
            return Ok(false);
        }
        self.index.refresh(&self.repository)?;
        self.index.condemn(&session.log);
        Ok(true)
    }

    /// Stores a chunk even if the repository has it elsewhere.
    pub fn store_new(&mut self, kind: BlockKind, id: ChunkId, bytes: &[u8]) -> Result<(), RepoError> {
        if !self.claimed.insert(id) {
            return Ok(());
        }
        self.counts.new_chunks += 1;
        self.counts.new_bytes += bytes.len() as u64;
        if self.open[slot(kind)].push(id, bytes) {
            self.close_block(kind);
            if self.claimed.len() >= limits::PENDING_ROWS {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Moves a block with all its chunks into a new pack as it is, even if the repository has them elsewhere.
    pub fn store_moved(&mut self, block: MovedBlock) -> Result<(), RepoError> {
        // Neither a pack nor a run has a chunk twice.
        if block.chunks.iter().any(|chunk| self.claimed.contains(&chunk.id)) {
            self.flush()?;
        }
        for chunk in &block.chunks {
            self.claimed.insert(chunk.id);
            self.counts.new_chunks += 1;
            self.counts.new_bytes += u64::from(chunk.len);
        }
        if let Some(packer) = &self.packer {
            packer.add_moved(block);
        }
        if self.claimed.len() >= limits::PENDING_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    fn close_block(&mut self, kind: BlockKind) {
        let full = std::mem::replace(&mut self.open[slot(kind)], OpenBlock::new(kind));
        if let (Some(packer), false) = (&self.packer, full.is_empty()) {
            packer.add(&self.pool, full);
        }
    }

    /// Makes everything that was stored durable: packs first, then an index run with their rows.
    pub fn flush(&mut self) -> Result<(), RepoError> {
        self.close_block(BlockKind::Data);
        self.close_block(BlockKind::List);
        let Some(packer) = &self.packer else {
            return Ok(());
        };
        self.stored.extend(packer.flush()?);
        if self.stored.is_empty() && self.claimed.is_empty() {
            return Ok(());
        }
        let mut rows = Vec::with_capacity(self.claimed.len());
        let mut packs = Vec::with_capacity(self.stored.len());
        for (stored, pack) in self.stored.drain(..).zip(0..) {
            self.own.insert(stored.entry.id, stored.entry);
            self.counts.stored_bytes += u64::from(stored.entry.len);
            packs.push(stored.entry);
            rows.extend(stored.chunks.into_iter().zip(0..).map(|(id, ordinal)| IndexRow { id, pack, ordinal }));
        }
        // What was claimed is stored, once: a pack that a lost thread took with it would show here.
        rows.sort_unstable_by_key(|row| row.id);
        let is_twice = rows.windows(2).any(|pair| pair[0].id == pair[1].id);
        if is_twice || rows.len() != self.claimed.len() || !rows.iter().all(|row| self.claimed.contains(&row.id)) {
            return Err(RepoError::NotWhole("the packs that were stored do not hold what was to be stored"));
        }
        self.claimed.clear();
        for (id, len) in GroupWriter::of_sorted(&self.repository, rows, packs).finish()? {
            self.index.add_written(&self.repository, id, len)?;
        }
        Ok(())
    }
}
