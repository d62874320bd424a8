//! Packs are there, open, and the index knows what is in them.

use std::collections::{BTreeMap, HashMap};

use super::{Broken, Report, is_gone};
use crate::backend::{Key, Kind};
use crate::error::Error;
use crate::event::{Event, Task, Unit};
use crate::format::index::PackEntry;
use crate::ids::ObjectId;
use crate::limits;
use crate::repo::index::Index;
use crate::repo::pack_reader::PackReader;
use crate::repo::{RepoError, Repository};

/// Looks at the directory of every pack.
pub(super) fn check_packs(repository: &Repository, index: &mut Index, report: &mut Report) -> Result<Broken, Error> {
    let listed: BTreeMap<ObjectId, u64> = repository
        .list(Kind::Packs)?
        .into_iter()
        .filter_map(|listed| if let Key::Pack(id) = listed.key { Some((id, listed.len)) } else { None })
        .collect();
    let mut broken = Broken::default();
    let named = index.packs();
    for &id in named.keys().filter(|id| !listed.contains_key(id)) {
        missing(repository, id, report)?;
        broken.packs.insert(id);
    }
    let mut packs = PackCheck { repository, index, named };
    repository.env.tell(&Event::Begin {
        task: Task::ONLY,
        what: "checking packs",
        total: Some(listed.len() as u64),
        unit: Unit::Items,
    });
    for (&id, &len) in &listed {
        repository.check_cancel()?;
        match packs.check(id, len) {
            Ok(Known::All) => {}
            // The pack is whole: what the index does not know of it, nobody relies on.
            Ok(Known::NotAll) => {
                report.problem(Key::Pack(id), &damaged(id, "the index does not know all of its chunks"))
            }
            Err(error) if is_gone(&error) => {
                missing(repository, id, report)?;
                broken.packs.insert(id);
            }
            Err(error) if error.is_damage() => {
                report.problem(Key::Pack(id), &error);
                broken.packs.insert(id);
            }
            Err(error) => return Err(error.into()),
        }
        report.packs += 1;
        repository.env.tell(&Event::Advance(Task::ONLY, 1));
    }
    repository.env.tell(&Event::End(Task::ONLY));
    Ok(broken)
}

/// A pack is not there. That is damage unless it is condemned: then a collector deleted it.
pub(super) fn missing(repository: &Repository, id: ObjectId, report: &mut Report) -> Result<(), RepoError> {
    if !repository.gc_log_for_reading()?.is_condemned(&id) {
        report.problem(Key::Pack(id), &damaged(id, "it is missing"));
    }
    Ok(())
}

fn damaged(id: ObjectId, why: &str) -> RepoError {
    RepoError::Damaged { object: Key::Pack(id).to_string(), why: why.to_owned() }
}

/// How much of a pack the index knows.
#[derive(PartialEq, Eq)]
enum Known {
    All,
    NotAll,
}

/// Holds packs against an index.
struct PackCheck<'a> {
    repository: &'a Repository,
    index: &'a mut Index,
    /// The packs that the index names.
    named: HashMap<ObjectId, PackEntry>,
}

impl PackCheck<'_> {
    fn check(&mut self, id: ObjectId, len: u64) -> Result<Known, RepoError> {
        if len > limits::PACK_MAX_BYTES as u64 {
            return Err(damaged(id, "it is too long"));
        }
        let generation = self.index.generation();
        let checked = self.against_index(id, len);
        if matches!(checked, Ok(Known::All)) {
            return checked;
        }
        // Perhaps it is only the index that is old.
        self.index.refresh(self.repository)?;
        if self.index.generation() == generation {
            return checked;
        }
        self.named = self.index.packs();
        self.against_index(id, len)
    }

    fn against_index(&mut self, id: ObjectId, len: u64) -> Result<Known, RepoError> {
        let Some(&named) = self.named.get(&id) else {
            // Of a writer at work, or left by one that died: no snapshot can need it yet.
            return Ok(Known::All);
        };
        if u64::from(named.len) != len {
            return Err(damaged(id, "it is not as long as the index says"));
        }
        let reader = PackReader::open(&*self.repository.backend, &self.repository.keys, named)?;
        for (ordinal, chunk) in reader.directory.chunks().iter().enumerate() {
            let found = self.index.find_reopening(self.repository, &chunk.id)?;
            // Where a run is damaged, what it said is not missed: reading finds the chunks without it.
            if self.index.is_incomplete() {
                return Ok(Known::All);
            }
            if !found.iter().any(|place| place.pack.id == id && usize::from(place.ordinal) == ordinal) {
                return Ok(Known::NotAll);
            }
        }
        Ok(Known::All)
    }
}
