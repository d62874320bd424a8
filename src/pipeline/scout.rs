//! Looking ahead of a restore: which chunks come, and from which packs, so that those of a bucket are on their way when
//! their chunks' turn comes.

use std::collections::{HashMap, VecDeque};

use super::egress::{Egress, EgressError, Taker};
use super::leaves::{Broken, Leaf, Leaves, Next};
use crate::format::list::ListRow;
use crate::ids::ObjectId;
use crate::limits;
use crate::repo::RepoError;

/// One chunk in so many bytes that are needed is looked up: neighbours in a stream mostly lie in one pack.
const SAMPLE_BYTES: u64 = 128 << 10;

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
    /// True if a pack was expected because of it.
    expects: bool,
}

/// Chunks of a stream in order, known some time before they are fetched.
pub(super) struct Scout {
    leaves: Leaves,
    is_ahead: bool,
    rows: VecDeque<Sighted>,
    /// Bytes of the stream that `rows` covers.
    bytes: u64,
    /// Why no more are known.
    end: Option<Result<(), Broken>>,
    /// Bytes that are needed since a chunk was looked up.
    unsampled: u64,
    /// Bytes that are needed of packs that are not expected yet.
    needed: HashMap<ObjectId, u64>,
    expected: VecDeque<ObjectId>,
    /// How many of `rows` expect a pack.
    expecting: usize,
}

impl Scout {
    /// Looks ahead, or does not: then chunks come as they are asked for.
    pub(super) fn new(leaves: Leaves, is_ahead: bool) -> Self {
        let (rows, needed, expected) = <_>::default();
        Self { leaves, is_ahead, rows, bytes: 0, end: None, unsampled: SAMPLE_BYTES, needed, expected, expecting: 0 }
    }

    /// The next chunk, if one is known or may be waited for.
    pub(super) fn next<T: Taker>(
        &mut self,
        egress: &mut Egress<'_>,
        taker: &mut T,
        may_wait: bool,
    ) -> Result<Option<Sighted>, EgressError<T::Error>> {
        while self.end.is_none() && self.wants_more() {
            match self.leaves.next(&mut egress.finder, may_wait && self.rows.is_empty()) {
                Ok(Next::Leaf(leaf)) => self.sight(egress, leaf, taker)?,
                Ok(Next::NotYet) => break,
                Ok(Next::End) => self.end = Some(Ok(())),
                // Told when its turn comes.
                Err(broken) => self.end = Some(Err(broken)),
            }
        }
        let next = self.rows.pop_front();
        if let Some(next) = &next {
            self.expecting -= usize::from(next.expects);
            self.bytes -= next.row.len;
        }
        Ok(next)
    }

    /// How it ended, once there are no more chunks.
    pub(super) fn end<E>(self) -> Result<(), EgressError<E>> {
        let failed = |Broken { offset, why }| EgressError::Repo { offset, source: why };
        self.end.unwrap_or(Ok(())).map_err(failed)
    }

    fn wants_more(&self) -> bool {
        let is_far = self.expecting >= limits::PACKS_AHEAD - 1
            || self.bytes >= limits::SCOUT_BYTES
            || self.rows.len() >= limits::SCOUT_CHUNKS;
        self.rows.is_empty() || (self.is_ahead && !is_far)
    }

    fn sight<T: Taker>(
        &mut self,
        egress: &mut Egress<'_>,
        leaf: Leaf,
        taker: &mut T,
    ) -> Result<(), EgressError<T::Error>> {
        let mut offset = leaf.offset;
        for row in leaf.rows {
            let is_needed = taker.needs(egress, &row).map_err(EgressError::Sink)?;
            let looked_up = if self.is_ahead && is_needed { self.look_up(egress, &row) } else { Ok(false) };
            let expects = looked_up.map_err(|source| EgressError::Repo { offset, source })?;
            self.expecting += usize::from(expects);
            self.bytes += row.len;
            self.rows.push_back(Sighted { offset, row, is_needed, expects });
            offset += row.len;
        }
        Ok(())
    }

    /// Looks some chunks up; true if a pack is expected because of this one.
    fn look_up(&mut self, egress: &Egress<'_>, row: &ListRow) -> Result<bool, RepoError> {
        self.unsampled += row.len;
        if self.unsampled < SAMPLE_BYTES {
            return Ok(false);
        }
        let bytes = std::mem::take(&mut self.unsampled);
        // A chunk that is nowhere is told when its turn comes.
        let Some(pack) = egress.finder.pack_of(&row.id)? else { return Ok(false) };
        if self.expected.contains(&pack.id) {
            return Ok(false);
        }
        let needed = self.needed.entry(pack.id).or_default();
        *needed += bytes;
        if *needed * WORTH < u64::from(pack.len) {
            return Ok(false);
        }
        self.needed.remove(&pack.id);
        if self.expected.len() >= limits::PACKS_AHEAD {
            self.expected.pop_front();
        }
        self.expected.push_back(pack.id);
        egress.finder.repository.backend.expect(&pack.id);
        Ok(true)
    }
}
