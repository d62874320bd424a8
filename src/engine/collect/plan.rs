//! Which packs go: those that nothing uses, and those that so little uses that it is moved elsewhere.

use std::collections::HashMap;

use super::mark::Marked;
use crate::backend::{Key, Listed};
use crate::format::index::{IndexRow, PackEntry};
use crate::ids::ObjectId;
use crate::limits;
use crate::repo::gc_log::GcLog;
use crate::repo::{RepoError, Repository};

/// Packs smaller than this are put together when there are several.
const SMALL_PACK: u64 = limits::PACK_TARGET_BYTES as u64 / 4;

/// Small packs that a repository may have before they are put together.
const SMALL_PACKS: usize = 16;

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// All packs to condemn.
    pub condemn: Vec<ObjectId>,
    /// Bytes of these packs.
    pub condemned_bytes: u64,
    /// How many of them hold chunks in use, which are stored again before the packs go.
    pub repack: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Use {
    rows: u64,
    live: u64,
}

/// Calls `each` with every row of the index: its number, itself, and its pack.
fn for_each_row(
    repository: &Repository,
    marked: &Marked,
    mut each: impl FnMut(u64, IndexRow, &PackEntry),
) -> Result<(), RepoError> {
    let mut base = 0;
    for run in marked.index.runs() {
        for page in 0..run.footer.pages() {
            let rows = run.read_page(&*repository.backend, page)?;
            let first = page * crate::format::index::PAGE_ROWS as u64;
            let count = (run.footer.rows - first).min(crate::format::index::PAGE_ROWS as u64);
            for place in 0..count {
                let row = IndexRow::at(&rows, place as usize);
                if let Some((row, pack)) = row.and_then(|row| Some((row, run.pack_of(&row)?))) {
                    each(base + first + place, row, pack);
                }
            }
        }
        base += run.footer.rows;
    }
    Ok(())
}

/// Decides which of the listed packs are condemned. Packs younger than the oldest live session may be its work in
/// progress: condemning them would be safe, but would make it store them again.
pub(super) fn plan(
    repository: &Repository,
    marked: &Marked,
    packs: &[Listed],
    oldest_session: i64,
    log: &GcLog,
    repack_below: f64,
) -> Result<Plan, RepoError> {
    let mut uses: HashMap<ObjectId, Use> = HashMap::new();
    for_each_row(repository, marked, |number, _, pack| {
        let used = uses.entry(pack.id).or_default();
        used.rows += 1;
        used.live += u64::from(marked.is_marked(number));
    })?;
    let mut plan = Plan::default();
    let mut small = Vec::new();
    for listed in packs {
        let Key::Pack(id) = listed.key else { continue };
        if log.is_condemned(&id) || listed.modified >= oldest_session {
            continue;
        }
        let used = uses.get(&id).copied().unwrap_or_default();
        if used.live == 0 {
            plan.add(id, listed.len, false);
        } else if (used.live as f64) < used.rows as f64 * repack_below {
            plan.add(id, listed.len, true);
        } else if listed.len < SMALL_PACK {
            small.push((id, listed.len));
        }
    }
    if small.len() > SMALL_PACKS {
        small.into_iter().for_each(|(id, len)| plan.add(id, len, true));
    }
    Ok(plan)
}

impl Plan {
    fn add(&mut self, id: ObjectId, len: u64, repack: bool) {
        self.condemn.push(id);
        self.condemned_bytes += len;
        self.repack += u64::from(repack);
    }
}
