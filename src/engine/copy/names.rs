//! What chunks of one repository are called in another: known from streams that both have.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;

use crate::format::list::ListRow;
use crate::format::manifest::Content;
use crate::ids::{ChunkId, IdHasher};
use crate::limits;
use crate::repo::RepoError;
use crate::repo::list::{ListWalker, NodeSource};

/// Names of chunks, here and there. Of too many the oldest are forgotten: then a chunk is read to find its name.
#[derive(Default)]
pub(super) struct Names {
    there: HashMap<ChunkId, (ChunkId, u32), BuildHasherDefault<IdHasher>>,
    order: VecDeque<ChunkId>,
}

impl Names {
    /// Notes what a chunk of this length is called there.
    pub(super) fn insert(&mut self, here: &ListRow, there: ChunkId) {
        // No chunk is longer; a list that says so is found out when the chunk is read.
        let Ok(len) = u32::try_from(here.len) else { return };
        let here = here.id;
        if self.there.insert(here, (there, len)).is_some() {
            return;
        }
        self.order.push_back(here);
        if self.order.len() > limits::NAMES
            && let Some(oldest) = self.order.pop_front()
        {
            self.there.remove(&oldest);
        }
    }

    /// What a chunk is called there. Nothing if it has another length than its list says: it is read then.
    pub(super) fn find(&self, here: &ListRow) -> Option<ChunkId> {
        self.there.get(&here.id).filter(|(_, len)| u64::from(*len) == here.len).map(|(there, _)| *there)
    }
}

/// A stream that was copied before: its chunks in order, here and there.
pub(super) struct Twin {
    here: ListWalker,
    there: ListWalker,
    chunks: usize,
}

impl Twin {
    pub(super) fn new(here: &Content, there: &Content) -> Result<Self, RepoError> {
        let walker = |content: &Content| ListWalker::new(content.root, content.len);
        Ok(Self { here: walker(here)?, there: walker(there)?, chunks: 0 })
    }

    /// Learns the names of all chunks up to this number. False if there are no more, or if they cannot be learned.
    pub(super) fn learn(
        &mut self,
        upto: usize,
        names: &mut Names,
        here: &mut impl NodeSource,
        there: &mut impl NodeSource,
    ) -> Result<bool, RepoError> {
        while self.chunks < upto {
            // Knowing fewer names only costs reading chunks.
            let known = |row: Result<_, RepoError>| match row {
                Err(error) if error.is_damage() => Ok(None),
                other => other,
            };
            let (Some(one), Some(other)) = (known(self.here.next(here))?, known(self.there.next(there))?) else {
                return Ok(false);
            };
            if one.len != other.len {
                return Ok(false);
            }
            names.insert(&one, other.id);
            self.chunks += 1;
        }
        Ok(true)
    }
}
