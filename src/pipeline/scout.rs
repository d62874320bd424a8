//! Looking ahead of a restore: which packs will be needed, so that those of a bucket are on their way when their chunks'
//! turn comes.

use std::collections::{HashMap, VecDeque};

use super::egress::{Egress, EgressError, Taker};
use crate::format::list::ListRow;
use crate::ids::ObjectId;
use crate::limits;
use crate::repo::RepoError;
use crate::repo::list::ListWalker;

/// One chunk in so many is looked up: neighbours in a stream mostly lie in one pack.
const SAMPLE: u64 = 8;

/// A pack is read as a whole if at least one in so many of its bytes is needed.
const WORTH: u64 = 4;

/// A chunk that will be fetched.
pub(super) struct Sighted {
    /// Where it lies in the stream.
    pub(super) offset: u64,
    /// What its list says of it.
    pub(super) row: ListRow,
    /// True if its bytes are needed.
    pub(super) is_needed: bool,
}

/// Chunks of a stream in order, known some time before they are fetched.
pub(super) struct Scout {
    is_ahead: bool,
    rows: VecDeque<Sighted>,
    /// Bytes of the stream that `rows` covers.
    bytes: u64,
    seen: u64,
    /// Bytes that are needed of packs that are not expected yet.
    needed: HashMap<ObjectId, u64>,
    expected: VecDeque<ObjectId>,
}

impl Scout {
    /// Looks ahead, or does not: then chunks come as they are asked for.
    pub(super) fn new(is_ahead: bool) -> Self {
        let (rows, needed, expected) = <_>::default();
        Self { is_ahead, rows, bytes: 0, seen: 0, needed, expected }
    }

    /// Goes on until there is a chunk, or as far ahead as is worth it.
    pub(super) fn go_ahead<T: Taker>(
        &mut self,
        egress: &mut Egress<'_>,
        walker: &mut ListWalker,
        end: u64,
        taker: &mut T,
    ) -> Result<(), EgressError<T::Error>> {
        let (bytes, rows) = if self.is_ahead { (limits::SCOUT_BYTES, limits::SCOUT_CHUNKS) } else { (1, 1) };
        while self.bytes < bytes && self.rows.len() < rows && walker.offset() < end {
            let offset = walker.offset();
            let at = |source| EgressError::Repo { offset, source };
            let Some(row) = walker.next(egress).map_err(at)? else { break };
            let is_needed = taker.needs(egress, &row).map_err(EgressError::Sink)?;
            self.bytes += row.len;
            self.rows.push_back(Sighted { offset, row, is_needed });
            if self.is_ahead && is_needed {
                self.look_up(egress, &row).map_err(at)?;
            }
        }
        Ok(())
    }

    /// The next chunk.
    pub(super) fn next(&mut self) -> Option<Sighted> {
        let next = self.rows.pop_front()?;
        self.bytes -= next.row.len;
        Some(next)
    }

    fn look_up(&mut self, egress: &mut Egress<'_>, row: &ListRow) -> Result<(), RepoError> {
        self.seen += 1;
        if self.seen % SAMPLE != 1 {
            return Ok(());
        }
        // A chunk that is nowhere is told when its turn comes.
        let Some(pack) = egress.pack_of(&row.id)? else { return Ok(()) };
        if self.expected.contains(&pack.id) {
            return Ok(());
        }
        let needed = self.needed.entry(pack.id).or_default();
        *needed += row.len * SAMPLE;
        if *needed * WORTH >= u64::from(pack.len) {
            egress.expect(&pack.id);
            self.needed.remove(&pack.id);
            self.expected.push_back(pack.id);
            if self.expected.len() > limits::PACKS_AHEAD {
                self.expected.pop_front();
            }
        }
        Ok(())
    }
}
