//! The chunk list of a stretch of a stream, leaf by leaf. Of a bucket it is read by a thread of its own, well ahead of the
//! data: each pack that holds lists costs round trips, and there is nothing to do but wait for them.

use std::collections::VecDeque;
use std::ops::Range;

use super::finder::Finder;
use crate::format::list::ListRow;
use crate::limits;
use crate::repo::RepoError;
use crate::repo::list::{ListWalker, ends_early};
use crate::sync::{Receiver, Scope, bounded};

/// Leaves that a thread is ahead.
const AHEAD: usize = 512;

/// Packs with lists that are read before their turn comes.
const FORESEEN: usize = 2;

/// How far from where it is a walk foresees lists, in bytes of the stream.
const FORESIGHT: u64 = 256 << 20;

/// Chunks that follow each other.
pub(super) struct Leaf {
    /// Where the first lies in the stream.
    pub(super) offset: u64,
    /// What the list says of them.
    pub(super) rows: Vec<ListRow>,
}

/// Why there are no more leaves although the stretch has not ended.
pub(super) struct Broken {
    /// Where in the stream, in bytes.
    pub(super) offset: u64,
    pub(super) why: RepoError,
}

/// What comes next, if it is there.
pub(super) enum Next {
    Leaf(Leaf),
    /// It is on its way.
    NotYet,
    End,
}

/// The leaves of a stretch.
pub(super) enum Leaves {
    /// Read when they are asked for.
    Here(Box<Walk>),
    /// Read by a thread.
    Ahead(Receiver<Result<Leaf, Broken>>),
}

/// A walk through a stretch.
pub(super) struct Walk {
    walker: ListWalker,
    range: Range<u64>,
    begun: bool,
    /// How far the nodes of each level that come were looked up, in bytes of the stream.
    looked_up: [u64; limits::LIST_MAX_DEPTH as usize + 1],
    /// Where the nodes begin whose packs were foreseen, of those whose turn has not come.
    foreseen: VecDeque<u64>,
}

impl Walk {
    pub(super) fn new(walker: ListWalker, range: Range<u64>) -> Self {
        Self { walker, range, begun: false, looked_up: <_>::default(), foreseen: VecDeque::new() }
    }

    fn next(&mut self, finder: &mut Finder<'_>) -> Result<Option<Leaf>, Broken> {
        let broken = |offset| move |why| Broken { offset, why };
        if !self.begun {
            self.walker.seek(self.range.start, finder).map_err(broken(self.range.start))?;
            self.begun = true;
        }
        let offset = self.walker.offset();
        if offset >= self.range.end {
            return Ok(None);
        }
        let mut rows = self.walker.next_leaf(finder).map_err(broken(offset))?;
        if rows.is_empty() {
            return Err(broken(offset)(ends_early()));
        }
        let mut at = offset;
        rows.retain(|row| {
            let is_inside = at < self.range.end;
            at += row.len;
            is_inside
        });
        Ok(Some(Leaf { offset, rows }))
    }

    /// Has the next packs with lists read while there is something else to do.
    fn foresee(&mut self, finder: &mut Finder<'_>) {
        let offset = self.walker.offset();
        self.foreseen.retain(|begin| *begin > offset);
        let end = self.range.end.min(offset.saturating_add(FORESIGHT));
        for (begin, depth, node) in self.walker.nodes_to_come() {
            if begin >= end || self.foreseen.len() >= FORESEEN {
                break;
            }
            let looked_up = &mut self.looked_up[usize::from(depth)];
            if begin < *looked_up {
                continue;
            }
            *looked_up = begin + 1;
            if finder.foresee(node) {
                self.foreseen.push_back(begin);
            }
        }
    }
}

impl Leaves {
    /// Begins to walk ahead; ends when nobody wants the leaves any more.
    pub(super) fn ahead<'scope>(
        walk: Walk,
        finder: Finder<'scope>,
        scope: &Scope<'scope, '_>,
    ) -> Result<Self, RepoError> {
        let (leaves, ahead) = bounded(AHEAD);
        let walking = scope.spawn("lists", move || {
            let (mut walk, mut finder) = (walk, finder);
            while let Some(next) = walk.next(&mut finder).transpose() {
                walk.foresee(&mut finder);
                let is_last = next.is_err();
                if leaves.send(next).is_err() || is_last {
                    return;
                }
            }
        });
        walking.map_err(RepoError::no_thread)?;
        Ok(Self::Ahead(ahead))
    }

    /// The next leaf. Waits for it only if `may_wait`.
    pub(super) fn next(&mut self, finder: &mut Finder<'_>, may_wait: bool) -> Result<Next, Broken> {
        let leaves = match self {
            Self::Here(walk) => return Ok(walk.next(finder)?.map_or(Next::End, Next::Leaf)),
            Self::Ahead(leaves) => leaves,
        };
        let received = if may_wait { leaves.recv().map_err(Into::into) } else { leaves.try_recv() };
        match received {
            Ok(leaf) => leaf.map(Next::Leaf),
            Err(error) if error.is_empty() => Ok(Next::NotYet),
            Err(_) => Ok(Next::End),
        }
    }
}
