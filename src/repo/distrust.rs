//! Packs that are not what they were: nothing new may rely on them.
//!
//! A pack that is missing, cut or damaged is condemned in the gc log like garbage, and that is all it takes. Writers pass
//! over condemned packs, so the next snapshot of the same data stores the chunks again; readers try every place of a
//! chunk, so older snapshots find them there, too; and a collector removes a condemned pack only after each chunk in use
//! was read elsewhere. Condemning a pack that was whole after all costs storing its chunks again, and nothing else.

use std::collections::{HashMap, HashSet};

use super::gc_log::{GcLog, tombstone};
use super::index::Index;
use super::{RepoError, Repository};
use crate::backend::{Key, Kind};
use crate::format::index::PackEntry;
use crate::ids::ObjectId;

/// Packs with their lengths in bytes.
type Packs = HashMap<ObjectId, u64>;

/// What is wrong with a pack that should be there, if anything is.
fn fault(pack: &PackEntry, there: Option<u64>) -> Option<&'static str> {
    match there {
        None => Some("is missing"),
        Some(len) if len != u64::from(pack.len) => Some("is not as long as the index says"),
        Some(_) => None,
    }
}

impl Repository {
    /// The packs that an index names and that are missing or cut, without those that are condemned.
    ///
    /// What others have added or collected since the index was opened may be among them: good for passing over packs, not
    /// for calling them damaged.
    pub(crate) fn lost_packs(&self, index: &Index) -> Result<HashSet<ObjectId>, RepoError> {
        let there = packs_of(self.list_lately(Kind::Packs)?);
        let named = index.packs().into_values().filter(|pack| !index.is_condemned(&pack.id));
        Ok(named.filter(|pack| fault(pack, there.get(&pack.id).copied()).is_some()).map(|pack| pack.id).collect())
    }

    /// The packs whose chunks may be gone: those that are missing or cut, and those that are condemned and still there,
    /// which may be because they are damaged.
    pub(crate) fn doubtful_packs(&self, index: &Index, log: &GcLog) -> Result<HashSet<ObjectId>, RepoError> {
        let mut doubtful = self.lost_packs(index)?;
        let there = packs_of(self.list(Kind::Packs)?);
        doubtful.extend(there.into_keys().filter(|pack| log.is_condemned(pack)));
        Ok(doubtful)
    }

    /// Fails with the first of these packs that is missing or cut. Where requests are dear all are listed; elsewhere each
    /// is looked at.
    pub(crate) fn require_packs<'a>(&self, packs: impl Iterator<Item = &'a PackEntry>) -> Result<(), RepoError> {
        let mut packs = packs.peekable();
        if packs.peek().is_none() {
            return Ok(());
        }
        let listed = if self.backend.is_remote() { Some(packs_of(self.list(Kind::Packs)?)) } else { None };
        for pack in packs {
            let there = match &listed {
                Some(listed) => listed.get(&pack.id).copied(),
                None => self.pack_len(&pack.id)?,
            };
            if let Some(why) = fault(pack, there) {
                return Err(RepoError::PackLost { pack: pack.id, why });
            }
        }
        Ok(())
    }

    fn pack_len(&self, pack: &ObjectId) -> Result<Option<u64>, RepoError> {
        match self.backend.len(&Key::Pack(*pack)) {
            Ok(len) => Ok(Some(len)),
            Err(error) if error.is_not_found() || error.is_damage() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Remembers for ever that nothing new may rely on these packs: they are missing, cut or damaged. Says which were not
    /// known as such before. Fails for roles that decide nothing.
    pub fn distrust(&self, log: &mut GcLog, packs: &[ObjectId]) -> Result<Vec<ObjectId>, RepoError> {
        self.require_decision()?;
        self.require_write()?;
        self.refresh_gc_log(log)?;
        log.features().require_write()?;
        let new: Vec<ObjectId> = packs.iter().copied().filter(|pack| !log.is_condemned(pack)).collect();
        let condemned: Vec<_> = new.iter().map(tombstone).collect();
        self.append_to_gc_log(log, &condemned, &[])?;
        Ok(new)
    }
}

fn packs_of(listed: Vec<crate::backend::Listed>) -> Packs {
    let pack = |listed: crate::backend::Listed| match listed.key {
        Key::Pack(id) => Some((id, listed.len)),
        _ => None,
    };
    listed.into_iter().filter_map(pack).collect()
}
