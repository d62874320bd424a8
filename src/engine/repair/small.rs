//! Key slots, registrations of writers, and snapshots: damaged ones come from where they are whole, by their names; lost
//! ones if a place has some that are ours.

use std::collections::{BTreeMap, BTreeSet};

use super::{Repair, damage};
use crate::backend::{Key, Kind};
use crate::crypto::role::Role;
use crate::error::Error;
use crate::format::manifest::FenceRecord;
use crate::format::sealed::SealedKind;
use crate::ids::ObjectId;
use crate::repo::objects::{check_name, open_record};
use crate::repo::{RepoError, Repository};

/// Snapshots that only a place has, with the number of that place.
pub(super) type Absent = BTreeMap<ObjectId, usize>;

impl Repair<'_> {
    /// Key slots. One that is missing was most likely removed: it does not come back.
    pub(super) fn slots(&mut self) -> Result<(), Error> {
        for listed in self.repository.list(Kind::Keys)? {
            let read = self.repository.backend.get(&listed.key, None).map_err(RepoError::from);
            let found = damage(read.and_then(|object| check_name(&listed.key, &object)))?;
            if let Some(error) = found
                && !self.bring(&listed.key, |_| true)?
            {
                self.lose(listed.key, &error);
            }
        }
        Ok(())
    }

    /// Registrations of writers, without which their snapshots do not count.
    pub(super) fn writers(&mut self) -> Result<(), Error> {
        if !self.repository.keys.has_roles() {
            return Ok(());
        }
        let repository = self.repository.clone();
        let mut here = BTreeSet::new();
        for listed in repository.list(Kind::Writers)? {
            let Key::Writer(id) = listed.key else { continue };
            here.insert(id);
            let read = repository.backend.get(&listed.key, None).map_err(RepoError::from);
            if let Some(error) = damage(read.and_then(|object| check_name(&listed.key, &object)))?
                && !self.bring(&listed.key, |object| repository.open_registration(id, object).is_ok())?
            {
                self.lose(listed.key, &error);
            }
        }
        let log = repository.gc_log_for_reading()?;
        for place in self.places {
            for listed in place.list(Kind::Writers)? {
                let Key::Writer(id) = listed.key else { continue };
                let Some(object) = place.read(&listed.key)?.filter(|_| !here.contains(&id)) else { continue };
                let Ok(record) = repository.open_registration(id, &object) else { continue };
                // One that was closed since has another registration, which says so.
                if record.closed.is_some() || !(Repository::is_closed(&log, &record) || log.has_lost()) {
                    self.put(&listed.key, &object, place)?;
                    here.insert(id);
                }
            }
        }
        Ok(())
    }

    /// Brings damaged snapshots back, and says which ones only a place has. Those are put when what they need is there.
    pub(super) fn snapshots(&mut self) -> Result<Absent, Error> {
        let repository = self.repository.clone();
        let log = repository.gc_log_for_reading()?;
        let mut here = BTreeSet::new();
        for listed in repository.list(Kind::Snapshots)? {
            let Key::Snapshot(id) = listed.key else { continue };
            repository.check_cancel()?;
            here.insert(id);
            if log.is_dead(&id) || (listed.len == FenceRecord::STORED_LEN && repository.is_fence(id)?) {
                continue;
            }
            let read = repository.stored_snapshot(id).and_then(|object| is_ours(&repository, id, &object));
            if let Some(error) = damage(read)?
                && !self.bring(&listed.key, |object| is_ours(&repository, id, object).is_ok())?
            {
                self.lose(listed.key, &error);
            }
        }
        let mut absent = Absent::new();
        for (number, place) in self.places.iter().enumerate() {
            for listed in place.list(Kind::Snapshots)? {
                let Key::Snapshot(id) = listed.key else { continue };
                if here.contains(&id) || absent.contains_key(&id) || log.is_dead(&id) {
                    continue;
                }
                repository.check_cancel()?;
                let object = place.read(&listed.key)?;
                if object.is_some_and(|object| is_ours(&repository, id, &object).is_ok()) {
                    absent.insert(id, number);
                }
            }
        }
        if !absent.is_empty() && (log.has_lost() || !self.report.waiting_records.is_empty()) {
            let some = absent.keys().map(ObjectId::short).collect::<Vec<_>>().join(", ");
            self.report.notes.push(format!(
                "snapshots that only another place has are not taken, because a record of the gc log is lost, and may \
                 have called them forgotten; `sfarc restore --repo` reads them there: {some}"
            ));
            absent.clear();
        }
        Ok(absent)
    }
}

/// Fails if a snapshot is not whole, or was not made by somebody whose snapshots count here.
fn is_ours(repository: &Repository, id: ObjectId, object: &[u8]) -> Result<(), RepoError> {
    let key = Key::Snapshot(id);
    check_name(&key, object)?;
    let fence: Result<FenceRecord, _> = open_record(&repository.keys, SealedKind::Fence, &key, object);
    if fence.is_ok() {
        return Err(RepoError::Damaged { object: key.to_string(), why: "it is a fence".to_owned() });
    }
    if repository.keys.role() == Role::Reader {
        return repository.open_snapshot(id, object).map(drop);
    }
    if !repository.may_make(&repository.open_signature(id, object)?.signer, &id)? {
        let why = "who has signed it is no writer of this repository";
        return Err(RepoError::Forged { object: key.to_string(), why });
    }
    repository.open_roots(&key, object).map(drop)
}
