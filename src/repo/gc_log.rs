//! The gc log: an append-only sequence of records, named by epoch, each created once.
//!
//! What a record says holds for ever: a condemned pack is never used again, a dead snapshot never comes back. So a
//! delayed or repeated put of an old index run or snapshot can do no harm. docs/gc-protocol.md has the proof.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{RepoError, Repository};
use crate::backend::{Key, Kind, Listed};
use crate::event::Event;
use crate::format::config::Features;
use crate::format::manifest::GcRecord;
use crate::ids::ObjectId;
use crate::sync::locked;

/// Listings of the gc log before a gap in it is taken for damage.
const LISTINGS: usize = 5;

/// Most tombstones in a record that this program writes.
const RECORD_TOMBSTONES: usize = 1 << 16;

/// The first 16 bytes of an object's name, as gc records hold them.
pub type Tombstone = [u8; 16];

/// The tombstone of an object.
pub fn tombstone(id: &ObjectId) -> Tombstone {
    *id.as_bytes().first_chunk().expect("ids have 32 bytes")
}

/// What the gc log says up to an epoch. Copies share what they say until one of them learns more.
#[derive(Debug, Clone, Default)]
pub struct GcLog(Arc<Facts>);

#[derive(Debug, Clone, Default)]
struct Facts {
    epoch: u64,
    seen: HashSet<u64>,
    /// Condemned packs, and under which epoch each was condemned first.
    condemned: HashMap<Tombstone, u64>,
    dead: HashSet<Tombstone>,
    features: Features,
}

impl GcLog {
    /// Features that records have switched on since the repository was made.
    pub fn features(&self) -> Features {
        self.0.features
    }

    /// The highest epoch read; 0 for an empty log.
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// True if no writer may use this pack again.
    pub fn is_condemned(&self, pack: &ObjectId) -> bool {
        self.0.condemned.contains_key(&tombstone(pack))
    }

    /// The epoch under which a pack was condemned.
    pub fn condemned_at(&self, pack: &ObjectId) -> Option<u64> {
        self.0.condemned.get(&tombstone(pack)).copied()
    }

    /// True if this snapshot is forgotten or was fenced.
    pub fn is_dead(&self, snapshot: &ObjectId) -> bool {
        self.0.dead.contains(&tombstone(snapshot))
    }

    /// True if a record was lost and another one put in its place: what it called dead is not known.
    pub fn has_lost(&self) -> bool {
        self.is_dead(&mark_of_lost())
    }

    /// Number of condemned packs, deleted ones included.
    pub fn condemned(&self) -> usize {
        self.0.condemned.len()
    }

    fn has(&self, epoch: u64) -> bool {
        self.0.seen.contains(&epoch)
    }

    fn records(&self) -> usize {
        self.0.seen.len()
    }

    fn add(&mut self, epoch: u64, record: GcRecord) {
        let facts = Arc::make_mut(&mut self.0);
        facts.epoch = facts.epoch.max(epoch);
        facts.seen.insert(epoch);
        for pack in record.condemned {
            let first = facts.condemned.entry(pack).or_insert(epoch);
            *first = epoch.min(*first);
        }
        facts.dead.extend(record.dead);
        facts.features.read |= record.features.read;
        facts.features.write |= record.features.write;
        facts.features.collect |= record.features.collect;
    }
}

/// A record of the gc log.
struct Stored {
    record: GcRecord,
    /// Its stored bytes.
    object: Vec<u8>,
    /// Why it says nothing, if it was not made by somebody who decides.
    wrong: Option<RepoError>,
}

fn check_epoch(key: &Key, epoch: u64, record: &GcRecord) -> Result<(), RepoError> {
    if record.epoch == epoch {
        return Ok(());
    }
    let why = "it is the record of another epoch".to_owned();
    Err(RepoError::Damaged { object: key.to_string(), why })
}

/// What a record calls dead that stands for a lost one: no snapshot has such a name.
fn mark_of_lost() -> ObjectId {
    ObjectId::of(b"sfarc: a gc record was lost")
}

fn gap() -> RepoError {
    RepoError::Damaged { object: "the gc log".to_owned(), why: "a record is missing".to_owned() }
}

impl Repository {
    /// Reads the gc log: the records that this opened repository has not read before. What a record says holds for
    /// ever, and a loop that runs for a year should not read all of them each time.
    pub fn gc_log(&self) -> Result<GcLog, RepoError> {
        let mut log = locked(&self.known_log);
        self.refresh_gc_log(&mut log)?;
        Ok(log.clone())
    }

    /// The gc log as it was when the store was opened, or later.
    pub fn gc_log_lately(&self) -> Result<GcLog, RepoError> {
        let mut log = locked(&self.known_log);
        self.extend_gc_log(&mut log, || self.list_lately(Kind::Gc))?;
        Ok(log.clone())
    }

    /// Reads every record of the gc log, in its order, to see whether each can be read. Gives `visit` the epoch of each,
    /// its stored bytes, and why it says nothing, if that is so.
    pub fn reread_gc_log(&self, mut visit: impl FnMut(u64, &[u8], Option<RepoError>)) -> Result<GcLog, RepoError> {
        let mut log = GcLog::default();
        let epochs = self.all_epochs()?;
        self.backend.expect_all(&epochs.iter().map(|&epoch| Key::Gc(epoch)).collect::<Vec<_>>());
        for epoch in epochs {
            let Stored { record, object, wrong } = self.stored_gc_record(epoch)?;
            visit(epoch, &object, wrong);
            log.add(epoch, record);
        }
        log.features().require_read()?;
        Ok(log)
    }

    /// The epochs of all records, in their order.
    fn all_epochs(&self) -> Result<Vec<u64>, RepoError> {
        for _ in 0..LISTINGS {
            let epoch = |listed: Listed| if let Key::Gc(epoch) = listed.key { Some(epoch) } else { None };
            let epochs: Vec<u64> = self.list(Kind::Gc)?.into_iter().filter_map(epoch).collect();
            if epochs.last().copied().unwrap_or_default() == epochs.len() as u64 {
                return Ok(epochs);
            }
        }
        Err(gap())
    }

    /// Reads what is left of the gc log if it is damaged, for those who only read: they may use condemned packs, and a
    /// snapshot that only a lost record calls dead is not there any more, or restores.
    pub fn gc_log_for_reading(&self) -> Result<GcLog, RepoError> {
        self.or_rest_of_gc_log(self.gc_log())
    }

    /// The same as it was when the store was opened, or later.
    pub fn gc_log_for_reading_lately(&self) -> Result<GcLog, RepoError> {
        self.or_rest_of_gc_log(self.gc_log_lately())
    }

    fn or_rest_of_gc_log(&self, log: Result<GcLog, RepoError>) -> Result<GcLog, RepoError> {
        match log {
            Err(error) if error.is_damage() => {
                let text = "the gc log is not whole: features that a missing record switched on are not known, and what is \
                            read may be read wrong";
                self.env.tell(&Event::Warning(&format!("{text}: {error}")));
                self.rest_of_gc_log()
            }
            other => other,
        }
    }

    fn rest_of_gc_log(&self) -> Result<GcLog, RepoError> {
        let mut log = GcLog::default();
        for listed in self.list(Kind::Gc)? {
            let Key::Gc(epoch) = listed.key else { continue };
            match self.read_gc_record(epoch) {
                Ok(record) => log.add(epoch, record),
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        log.features().require_read()?;
        Ok(log)
    }

    /// Reads the records that `log` does not have yet; true if there were any.
    pub fn refresh_gc_log(&self, log: &mut GcLog) -> Result<bool, RepoError> {
        self.extend_gc_log(log, || self.list(Kind::Gc))
    }

    fn extend_gc_log(
        &self,
        log: &mut GcLog,
        list: impl Fn() -> Result<Vec<Listed>, RepoError>,
    ) -> Result<bool, RepoError> {
        let before = log.records();
        for _ in 0..LISTINGS {
            let is_new = |key: &Key| matches!(key, Key::Gc(epoch) if !log.has(*epoch));
            let new: Vec<Key> = list()?.into_iter().map(|listed| listed.key).filter(is_new).collect();
            self.backend.expect_all(&new);
            for key in new {
                let Key::Gc(epoch) = key else { continue };
                log.add(epoch, self.read_gc_record(epoch)?);
            }
            // Records are never removed: a gap is a listing that missed one.
            if log.records() as u64 == log.epoch() {
                log.features().require_read()?;
                return Ok(log.records() > before);
            }
        }
        Err(gap())
    }

    fn read_gc_record(&self, epoch: u64) -> Result<GcRecord, RepoError> {
        let Stored { record, wrong, .. } = self.stored_gc_record(epoch)?;
        if let Some(error) = wrong {
            self.env.tell(&Event::Warning(&format!("{error}; it is taken to say nothing")));
        }
        Ok(record)
    }

    /// The record of an epoch; it must say itself that it is of this epoch.
    fn stored_gc_record(&self, epoch: u64) -> Result<Stored, RepoError> {
        let key = Key::Gc(epoch);
        let read = || {
            let object = self.backend.get(&key, None)?;
            let opened = self.open_gc_record(&key, &object);
            Ok::<_, RepoError>((object, opened))
        };
        let (object, opened) = match read()? {
            // Perhaps only a copy of it is wrong: anybody can put those into a bucket.
            (_, Err(error)) if error.is_damage() && self.backend.drop_copy(&key) => read()?,
            other => other,
        };
        let record = match opened {
            // Whoever may only add snapshots cannot say that others are forgotten: it says nothing.
            Err(error @ RepoError::Forged { .. }) => {
                let record = GcRecord { epoch, ..GcRecord::default() };
                return Ok(Stored { record, object, wrong: Some(error) });
            }
            other => other?,
        };
        check_epoch(&key, epoch, &record)?;
        Ok(Stored { record, object, wrong: None })
    }

    /// Opens the stored bytes of the record of an epoch: signed by whoever decides, and of this epoch.
    pub fn open_gc_record_of(&self, epoch: u64, object: &[u8]) -> Result<GcRecord, RepoError> {
        let key = Key::Gc(epoch);
        let record = self.open_gc_record(&key, object)?;
        check_epoch(&key, epoch, &record)?;
        Ok(record)
    }

    /// The stored bytes of a record for an epoch whose own is lost: it says as much as is known, and that it is no more.
    pub fn seal_gc_record_again(
        &self,
        epoch: u64,
        condemned: Vec<Tombstone>,
        mut dead: Vec<Tombstone>,
    ) -> Result<Vec<u8>, RepoError> {
        dead.push(tombstone(&mark_of_lost()));
        self.seal_gc_record(&GcRecord { epoch, features: Features::default(), condemned, dead })
    }

    /// Says for ever that packs are condemned and snapshots dead, whatever others say meanwhile; brings `log` up to
    /// date. Many are split over several records.
    pub fn append_to_gc_log(
        &self,
        log: &mut GcLog,
        condemned: &[Tombstone],
        dead: &[Tombstone],
    ) -> Result<(), RepoError> {
        for condemned in condemned.chunks(RECORD_TOMBSTONES) {
            self.append_record(log, condemned, &[])?;
        }
        dead.chunks(RECORD_TOMBSTONES).try_for_each(|dead| self.append_record(log, &[], dead))
    }

    fn append_record(&self, log: &mut GcLog, condemned: &[Tombstone], dead: &[Tombstone]) -> Result<(), RepoError> {
        loop {
            self.refresh_gc_log(log)?;
            let epoch = log.epoch() + 1;
            let (condemned, dead) = (condemned.to_vec(), dead.to_vec());
            let record = GcRecord { epoch, features: Features::default(), condemned, dead };
            match self.backend.put(&Key::Gc(epoch), &self.seal_gc_record(&record)?) {
                Ok(()) => {
                    log.add(epoch, record);
                    return Ok(());
                }
                Err(error) if error.is_exists() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
