//! The gc log: what is lost of it comes from a place that has the same log, or is replaced by what is known.
//!
//! docs/gc-protocol.md, "Repair", has why that is safe, and what must be promised for it.

use std::collections::{BTreeMap, HashSet};

use super::{Fault, Repair};
use crate::backend::{Key, Kind, Listed};
use crate::error::Error;
use crate::format::manifest::FenceRecord;
use crate::repo::gc_log::{Tombstone, tombstone};
use crate::repo::roles::mark_of_closed;
use crate::repo::{RepoError, Repository};

/// Records in a row that may be lost: what has a number further on is not of this log.
const LOST_AT_MOST: u64 = 1024;

/// The log as it is.
#[derive(Default)]
struct Records {
    /// The stored bytes of those that say something.
    whole: BTreeMap<u64, Vec<u8>>,
    lost: Vec<u64>,
    /// Records of somebody who may not decide: they say nothing.
    forged: Vec<u64>,
    /// What somebody has put under numbers that the log has not come to.
    strays: Vec<u64>,
    /// The number of the last, lost or not; 0 if there is none.
    last: u64,
}

impl Repair<'_> {
    /// Sees to it that every record of the gc log can be read.
    pub(super) fn log(&mut self) -> Result<(), Error> {
        let mut records = self.read_log()?;
        let wanted: Vec<u64> = records.lost.iter().chain(&records.forged).copied().collect();
        for epoch in wanted {
            let brought = self.bring_record(epoch, &records.whole)?;
            records.lost.retain(|lost| *lost != epoch || !brought);
            records.forged.retain(|forged| *forged != epoch || !brought);
        }
        if records.lost.is_empty() && records.strays.is_empty() {
            self.bring_later_records(&records)?;
        }
        let forged = records.forged.iter();
        self.report.notes.extend(
            forged.map(|epoch| {
                format!("{} is of somebody who may not decide: it is taken to say nothing", Key::Gc(*epoch))
            }),
        );
        self.require_strays(&records.strays)?;
        if !self.options.nobody_prunes {
            self.report.waiting_records = [records.lost, records.strays].concat();
            return Ok(());
        }
        for epoch in &records.strays {
            let key = Key::Gc(*epoch);
            self.repository.backend.delete(&key).map_err(RepoError::from)?;
            self.report.notes.push(format!("{key} is no record of this log, which has not come to it: it goes"));
        }
        let Some(&first) = records.lost.first() else { return Ok(()) };
        let (condemned, dead) = (self.known_to_be_gone(), self.known_to_be_closed()?);
        for &epoch in &records.lost {
            // All that is known stands in each of them: whichever is there says it before anybody relies on the log.
            let object = self.repository.seal_gc_record_again(epoch, condemned.clone(), dead.clone())?;
            self.repository.backend.replace(&Key::Gc(epoch), &object).map_err(RepoError::from)?;
            self.report.replaced_records.push(epoch);
        }
        self.renew_later_records(first, &records.whole)
    }

    /// Fails if one of these is a record all the same: then the repository has lost more than can be made up for.
    fn require_strays(&self, strays: &[u64]) -> Result<(), Error> {
        match strays.iter().find(|epoch| read_record(&self.repository, **epoch).is_ok()) {
            Some(epoch) => {
                let why = format!("more than {LOST_AT_MOST} records before {} are missing", Key::Gc(*epoch));
                Err(RepoError::Damaged { object: "the gc log".to_owned(), why }.into())
            }
            None => Ok(()),
        }
    }

    fn read_log(&mut self) -> Result<Records, Error> {
        let mut records = Records::default();
        let mut next = 1;
        for listed in self.repository.list(Kind::Gc)? {
            let Key::Gc(epoch) = listed.key else { continue };
            self.repository.check_cancel()?;
            if epoch - next > LOST_AT_MOST {
                records.strays.push(epoch);
                continue;
            }
            records.lost.extend(next..epoch);
            next = epoch + 1;
            records.last = epoch;
            match read_record(&self.repository, epoch) {
                Ok(object) => drop(records.whole.insert(epoch, object)),
                Err(RepoError::Forged { .. }) => records.forged.push(epoch),
                Err(error) if error.is_damage() => records.lost.push(epoch),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(records)
    }

    /// Takes a record from a place whose log says the same as this one, wherever both say something.
    fn bring_record(&mut self, epoch: u64, whole: &BTreeMap<u64, Vec<u8>>) -> Result<bool, Error> {
        let config = self.config()?;
        for place in self.places {
            if !place.is_of(&config)? {
                continue;
            }
            let key = Key::Gc(epoch);
            let Some(object) = place.read(&key)? else { continue };
            let is_right = self.repository.open_gc_record_of(epoch, &object).is_ok();
            if is_right && is_same_log(place, whole)? {
                self.put(&key, &object, place)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes the records that follow the last one here from a place whose log says the same up to there: then the end of
    /// the log was lost. Not if one calls a snapshot forgotten that is here: then that log went on by itself.
    fn bring_later_records(&mut self, records: &Records) -> Result<(), Error> {
        let (config, mut last) = (self.config()?, records.last);
        let here = self.snapshots_here()?;
        for place in self.places {
            if !place.is_of(&config)? || !is_same_log(place, &records.whole)? {
                continue;
            }
            while let Some(object) = place.read(&Key::Gc(last + 1))? {
                let key = Key::Gc(last + 1);
                let Ok(record) = self.repository.open_gc_record_of(last + 1, &object) else { break };
                if record.dead.iter().any(|dead| here.contains(dead)) {
                    self.report.notes.push(format!(
                        "{key} of {} is not taken: it calls snapshots forgotten that are here. Either somebody has \
                         used that place by itself, or an older state of this repository was put back",
                        place.name()
                    ));
                    break;
                }
                match self.repository.backend.put(&key, &object) {
                    Ok(()) => self.tell_brought(&key, &object, place),
                    // Somebody has gone on here meanwhile.
                    Err(error) if error.is_exists() => return Ok(()),
                    Err(error) => return Err(RepoError::from(error).into()),
                }
                last += 1;
            }
        }
        Ok(())
    }

    pub(super) fn config(&self) -> Result<Vec<u8>, Error> {
        Ok(self.repository.backend.get(&Key::Config, None).map_err(RepoError::from)?)
    }

    /// The snapshots whose objects are here, as the gc log names them. Fences keep the places of some that never were.
    fn snapshots_here(&self) -> Result<HashSet<Tombstone>, Error> {
        let listed = self.repository.list(Kind::Snapshots)?.into_iter();
        let id = |listed: Listed| match listed.key {
            Key::Snapshot(id) if listed.len != FenceRecord::STORED_LEN => Some(tombstone(&id)),
            _ => None,
        };
        Ok(listed.filter_map(id).collect())
    }

    /// Packs that rows name and that are not there: what a lost record may have said of them is said again, so that no row
    /// that comes back leads a writer to them.
    fn known_to_be_gone(&self) -> Vec<Tombstone> {
        let gone = self.faults.iter().filter(|(_, fault)| matches!(fault, Fault::Missing));
        gone.map(|(id, _)| tombstone(id)).collect()
    }

    /// What tells closed writers that they are.
    fn known_to_be_closed(&self) -> Result<Vec<Tombstone>, Error> {
        if !self.repository.keys.has_roles() {
            return Ok(Vec::new());
        }
        let (writers, _) = self.repository.registrations()?;
        let closed = writers.into_iter().filter(|one| one.record.closed.is_some());
        Ok(closed.map(|one| tombstone(&mark_of_closed(&one.record.public))).collect())
    }

    /// Copies of the log on other machines are known to be old by the time of their last record: so all that follow a
    /// replaced one are put again as they are.
    fn renew_later_records(&self, from: u64, whole: &BTreeMap<u64, Vec<u8>>) -> Result<(), Error> {
        if self.repository.backend.is_remote() {
            for (epoch, object) in whole.range(from..) {
                self.repository.backend.replace(&Key::Gc(*epoch), object).map_err(RepoError::from)?;
            }
        }
        Ok(())
    }
}

/// The stored bytes of a record that can be read.
fn read_record(repository: &Repository, epoch: u64) -> Result<Vec<u8>, RepoError> {
    let object = repository.backend.get(&Key::Gc(epoch), None)?;
    repository.open_gc_record_of(epoch, &object)?;
    Ok(object)
}

/// True if a place has no record that is another one here.
fn is_same_log(place: &super::Place, whole: &BTreeMap<u64, Vec<u8>>) -> Result<bool, Error> {
    for (epoch, object) in whole {
        if place.read(&Key::Gc(*epoch))?.is_some_and(|there| there != *object) {
            return Ok(false);
        }
    }
    Ok(true)
}
