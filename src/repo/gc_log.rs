//! The gc log: an append-only sequence of records, named by epoch, each created once.
//!
//! What a record says holds for ever: a condemned pack is never used again, a dead snapshot never comes back. So a
//! delayed or repeated put of an old index run or snapshot can do no harm. docs/gc-protocol.md has the proof.

use std::collections::{HashMap, HashSet};

use super::{RepoError, Repository};
use crate::backend::{Key, Kind};
use crate::format::manifest::GcRecord;
use crate::format::sealed::SealedKind;
use crate::ids::ObjectId;

/// Listings of the gc log before a gap in it is taken for damage.
const LISTINGS: usize = 5;

/// The first 16 bytes of an object's name, as gc records hold them.
pub type Tombstone = [u8; 16];

/// The tombstone of an object.
pub fn tombstone(id: &ObjectId) -> Tombstone {
    *id.as_bytes().first_chunk().expect("ids have 32 bytes")
}

/// What the gc log says up to an epoch.
#[derive(Debug, Clone, Default)]
pub struct GcLog {
    epoch: u64,
    seen: HashSet<u64>,
    /// Condemned packs, and under which epoch each was condemned first.
    condemned: HashMap<Tombstone, u64>,
    dead: HashSet<Tombstone>,
}

impl GcLog {
    /// The highest epoch read; 0 for an empty log.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// True if no writer may use this pack again.
    pub fn is_condemned(&self, pack: &ObjectId) -> bool {
        self.condemned.contains_key(&tombstone(pack))
    }

    /// The epoch under which a pack was condemned.
    pub fn condemned_at(&self, pack: &ObjectId) -> Option<u64> {
        self.condemned.get(&tombstone(pack)).copied()
    }

    /// True if this snapshot is forgotten or was fenced.
    pub fn is_dead(&self, snapshot: &ObjectId) -> bool {
        self.dead.contains(&tombstone(snapshot))
    }

    /// Number of condemned packs, deleted ones included.
    pub fn condemned(&self) -> usize {
        self.condemned.len()
    }

    fn add(&mut self, epoch: u64, record: GcRecord) {
        self.epoch = self.epoch.max(epoch);
        self.seen.insert(epoch);
        for pack in record.condemned {
            let first = self.condemned.entry(pack).or_insert(epoch);
            *first = epoch.min(*first);
        }
        self.dead.extend(record.dead);
    }
}

impl Repository {
    /// Reads the gc log.
    pub fn gc_log(&self) -> Result<GcLog, RepoError> {
        let mut log = GcLog::default();
        self.refresh_gc_log(&mut log)?;
        Ok(log)
    }

    /// Reads what is left of the gc log if it is damaged, for those who only read: they may use condemned packs, and a
    /// snapshot that only a lost record calls dead is not there any more, or restores.
    pub fn gc_log_for_reading(&self) -> Result<GcLog, RepoError> {
        match self.gc_log() {
            Err(error) if error.is_damage() => self.rest_of_gc_log(),
            other => other,
        }
    }

    fn rest_of_gc_log(&self) -> Result<GcLog, RepoError> {
        let mut log = GcLog::default();
        for listed in self.list(Kind::Gc)? {
            let Key::Gc(epoch) = listed.key else { continue };
            match self.read_record(SealedKind::Gc, &listed.key) {
                Ok(record) => log.add(epoch, record),
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(log)
    }

    /// Reads the records that `log` does not have yet; true if there were any.
    pub fn refresh_gc_log(&self, log: &mut GcLog) -> Result<bool, RepoError> {
        let before = log.seen.len();
        for _ in 0..LISTINGS {
            for listed in self.list(Kind::Gc)? {
                let Key::Gc(epoch) = listed.key else { continue };
                if !log.seen.contains(&epoch) {
                    log.add(epoch, self.read_record(SealedKind::Gc, &listed.key)?);
                }
            }
            // Records are never removed: a gap is a listing that missed one.
            if log.seen.len() as u64 == log.epoch {
                return Ok(log.seen.len() > before);
            }
        }
        let why = "a record is missing".to_owned();
        Err(RepoError::Damaged { object: "the gc log".to_owned(), why })
    }

    /// Appends a record under the next epoch, whatever others append meanwhile, and brings `log` up to date.
    pub fn append_gc_record(&self, log: &mut GcLog, record: &GcRecord) -> Result<u64, RepoError> {
        let object = self.seal_record(SealedKind::Gc, record);
        loop {
            self.refresh_gc_log(log)?;
            let epoch = log.epoch + 1;
            match self.backend.put(&Key::Gc(epoch), &object) {
                Ok(()) => {
                    log.add(epoch, record.clone());
                    return Ok(epoch);
                }
                Err(error) if error.is_exists() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
