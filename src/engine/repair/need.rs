//! What snapshots need: what of it is still missing is looked for in the packs of other places, whatever they are called;
//! what is nowhere is lost.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::small::Absent;
use super::{Fault, Repair};
use crate::backend::Key;
use crate::backend::overlay::Overlay;
use crate::crypto::role::Role;
use crate::engine::check::lists::walk_snapshots;
use crate::engine::check::{self, Broken, Hit, ReadData, data, join_hits};
use crate::env::Cancel;
use crate::error::Error;
use crate::ids::ObjectId;
use crate::repo::index::Index;
use crate::repo::{RepoError, Repository};

impl Repair<'_> {
    /// Walks all snapshots, those too that only a place has; brings packs until nothing more of what is missing is found;
    /// then puts those of these snapshots of which nothing is
    /// missing. What still hits the others is lost.
    pub(super) fn need(&mut self, absent: &Absent) -> Result<(), Error> {
        let mut tried = HashSet::new();
        let mut walked = self.walk(absent)?;
        while !walked.missing.is_empty() {
            let mut brought = 0;
            for place in self.places {
                brought += self.bring_packs_with(place, &mut walked.missing, &mut tried)?;
            }
            if brought == 0 {
                break;
            }
            walked = self.walk(absent)?;
        }
        let (lacking, hits): (Vec<Hit>, Vec<Hit>) =
            walked.hits.into_iter().partition(|hit| absent.contains_key(&hit.snapshot));
        let lacking: BTreeSet<ObjectId> = lacking.into_iter().map(|hit| hit.snapshot).collect();
        for (id, &number) in absent {
            let (key, place) = (Key::Snapshot(*id), &self.places[number]);
            if lacking.contains(id) {
                let name = place.name();
                self.report.notes.push(format!(
                    "snapshot {} is only at {name}, and some of what it needs is nowhere: it is not taken. `sfarc \
                     restore --repo {name}` gives what can be read of it",
                    id.short()
                ));
            } else if let Some(object) = place.read(&key)? {
                self.put(&key, &object, place)?;
            }
        }
        self.report.snapshots = walked.snapshots - lacking.len() as u64;
        self.report.hits = join_hits(hits);
        Ok(())
    }

    fn walk(&self, absent: &Absent) -> Result<check::Report, Error> {
        let seen = self.with(absent)?;
        let log = seen.gc_log_for_reading()?;
        let index = Index::open_what_opens(&seen, &log, |_, _| {})?;
        let mut broken = self.broken(&seen, &index)?;
        let mut walked = check::Report::default();
        walk_snapshots(&seen, index, &mut broken, &mut walked)?;
        Ok(walked)
    }

    /// The repository as it will be with these snapshots.
    fn with(&self, absent: &Absent) -> Result<Repository, Error> {
        if absent.is_empty() {
            return Ok(self.repository.clone());
        }
        let overlay = Overlay::new(Arc::clone(&self.repository.backend)).map_err(RepoError::from)?;
        for (id, &number) in absent {
            overlay.lend(&Key::Snapshot(*id), self.places[number].store()).map_err(RepoError::from)?;
        }
        Ok(self.repository.on(Arc::new(overlay)))
    }

    /// What cannot be read: whole packs, and of rotten ones the chunks that are.
    fn broken(&self, seen: &Repository, index: &Index) -> Result<Broken, Error> {
        let mut broken = Broken::default();
        let rotten = self.faults.iter().filter(|(_, fault)| matches!(fault, Fault::Rotten)).map(|(id, _)| *id);
        let (closed, rotten): (Vec<ObjectId>, Vec<ObjectId>) = match seen.keys.role() {
            // Whoever cannot open blocks does not know which of them are whole.
            Role::Maintainer => (self.faults.keys().copied().collect(), Vec::new()),
            _ => {
                let is_rotten = |fault: &Fault| matches!(fault, Fault::Rotten);
                let closed = self.faults.iter().filter(|(_, fault)| !is_rotten(fault)).map(|(id, _)| *id);
                (closed.collect(), rotten.collect())
            }
        };
        broken.packs.extend(closed);
        if !rotten.is_empty() {
            let these = ReadData::These(rotten, Cancel::default());
            data::read_packs(seen, index, &these, &mut broken, &mut check::Report::default())?;
        }
        Ok(broken)
    }
}
