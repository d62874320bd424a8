//! Which packs go: those that nothing uses, and those that so little uses that it is moved elsewhere.

use std::collections::HashMap;

use super::Options;
use super::mark::Marked;
use super::measure::measure;
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
    /// Bytes of those.
    repack_bytes: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Use {
    rows: u64,
    live: u64,
}

/// Calls `each` with every row of the index: its number, itself, and its pack.
pub(super) fn for_each_row(
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
    options: &Options,
) -> Result<Plan, RepoError> {
    let mut uses: HashMap<ObjectId, Use> = HashMap::new();
    for_each_row(repository, marked, |number, _, pack| {
        let used = uses.entry(pack.id).or_default();
        used.rows += 1;
        used.live += u64::from(marked.is_kept(number));
    })?;
    let mut plan = Plan::default();
    let mut staying = Vec::new();
    for listed in packs {
        let Key::Pack(id) = listed.key else { continue };
        if log.is_condemned(&id) || listed.modified >= oldest_session {
            continue;
        }
        let used = uses.get(&id).copied().unwrap_or_default();
        if used.live == 0 {
            plan.condemn(id, listed.len);
        } else {
            staying.push(Staying::new(id, listed.len, 1.0 - used.live as f64 / used.rows as f64));
        }
    }
    // What leads to packs that are gone goes with them, once nothing in use does.
    let lost = repository.lost_packs(&marked.index)?.into_iter();
    lost.filter(|id| uses.get(id).is_none_or(|used| used.live == 0)).for_each(|id| plan.condemn(id, 0));
    measure(repository, marked, &mut staying)?;
    plan.repack_unused(&mut staying, options);
    staying.retain(|pack| pack.len < SMALL_PACK);
    if staying.len() > SMALL_PACKS {
        for pack in &staying {
            plan.repack(pack, options);
        }
    }
    Ok(plan)
}

/// A pack that holds something in use.
pub(super) struct Staying {
    pub id: ObjectId,
    pub len: u64,
    /// About so many of its bytes nobody needs.
    pub unused: f64,
    /// The same as a share.
    share: f64,
}

impl Staying {
    fn new(id: ObjectId, len: u64, share: f64) -> Self {
        Self { id, len, unused: share * len as f64, share }
    }

    pub(super) fn set_unused(&mut self, unused: f64) {
        self.unused = unused;
        self.share = unused / self.len as f64;
    }
}

impl Plan {
    fn condemn(&mut self, id: ObjectId, len: u64) {
        self.condemn.push(id);
        self.condemned_bytes += len;
    }

    /// Repacks those that give back most for what they cost, until what is left is little enough.
    fn repack_unused(&mut self, staying: &mut Vec<Staying>, options: &Options) {
        let mut total: f64 = staying.iter().map(|pack| pack.len as f64).sum();
        let mut unused: f64 = staying.iter().map(|pack| pack.unused).sum();
        staying.sort_by(|a, b| a.share.total_cmp(&b.share).then(a.id.cmp(&b.id)));
        while let Some(pack) = staying.pop_if(|pack| pack.unused > 0.0 && unused > options.max_unused * total) {
            if self.repack(&pack, options) {
                total -= pack.unused;
                unused -= pack.unused;
            }
        }
    }

    /// Condemns a pack that something uses, if that is not too much for one call; true if so. What is left, the next
    /// one finds.
    fn repack(&mut self, pack: &Staying, options: &Options) -> bool {
        let fits = self.repack == 0 || self.repack_bytes.saturating_add(pack.len) <= options.repack_at_most;
        if fits {
            self.condemn(pack.id, pack.len);
            self.repack += 1;
            self.repack_bytes += pack.len;
        }
        fits
    }
}
