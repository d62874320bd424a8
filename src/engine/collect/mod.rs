//! Collecting garbage beside running writers and other collectors, without locks and without clocks.
//!
//! The protocol, step by step and why, is docs/gc-protocol.md; tests/gc_protocol.rs checks it as a model.

mod blocks;
mod fence;
mod mark;
mod measure;
mod plan;
mod prove;
mod rescue;
pub(super) mod settle;
pub(super) mod sweep;

pub(super) use mark::Marked;
pub use rescue::rescue;

use std::sync::Arc;

use self::fence::Dead;
use self::settle::settle;
use super::renew::{self, Renewal, renew};
use crate::backend::{Key, Kind};
use crate::crypto::role::Role;
use crate::error::Error;
use crate::event::{Event, Task, Unit};
use crate::ids::{ChunkId, ObjectId};
use crate::repo::gc_log::{GcLog, tombstone};
use crate::repo::index::Location;
use crate::repo::loader::{ChunkLoader, LoaderCache};
use crate::repo::pool::Pool;
use crate::repo::store::ChunkStore;
use crate::repo::{RepoError, Repository};

/// Packs that are removed with one request, where the store can do that.
const DELETED_AT_ONCE: usize = 1000;

/// What collecting garbage did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Packs that no writer may use from now on.
    pub condemned: u64,
    /// Packs whose last live chunks were moved into new packs.
    pub repacked: u64,
    /// Packs removed.
    pub deleted: u64,
    /// Their bytes.
    pub deleted_bytes: u64,
    /// Bytes of the packs written while repacking.
    pub written_bytes: u64,
    /// Condemned packs that must wait until older sessions have ended.
    pub waiting: u64,
    /// Sessions of dead writers that were removed.
    pub fenced: u64,
    /// Half-written files that were removed.
    pub swept: u64,
    /// Objects that the store refuses to remove, for now or to this credential.
    pub retained: u64,
    /// Objects whose lock was extended.
    pub renewed: u64,
}

/// How to collect.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Packs are repacked, those with the largest share of garbage first, until garbage is at most this share of all.
    pub max_unused: f64,
    /// Bytes of packs that one call repacks at most; one pack in any case.
    pub repack_at_most: u64,
    /// Says what would be done, and does nothing.
    pub dry_run: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_unused: 0.04, repack_at_most: u64::MAX, dry_run: false }
    }
}

/// Collects garbage. Safe beside any number of writers and collectors; what must wait for a running writer is
/// removed by a later call.
pub fn collect(repository: &Repository, options: Options) -> Result<Report, Error> {
    repository.require_collect()?;
    repository.require_decision()?;
    repository.require_no_divided_packs()?;
    let mut report = Report::default();
    let retained = repository.backend.retained();
    let mut log = repository.gc_log()?;
    log.features().require_collect()?;
    let mut dead = Dead::new();
    if !options.dry_run {
        (dead, report.fenced) = fence::fence_dead_sessions(repository, &mut log)?;
        report.swept = repository.backend.sweep().map_err(RepoError::from)? as u64;
    }
    repository.env.tell(&Event::Begin {
        task: Task::ONLY,
        what: "finding what is in use",
        total: None,
        unit: Unit::Items,
    });
    // Packs are listed before sessions: a pack that is older than every live session is nobody's work in progress.
    let packs = repository.list(Kind::Packs)?;
    let oldest = fence::oldest_session(repository, &dead)?;
    let plan = settle(repository, || {
        let marked = Marked::mark(repository, &log, &dead)?;
        plan::plan(repository, &marked, &packs, oldest, &log, &options)
    })?;
    repository.env.tell(&Event::End(Task::ONLY));
    report.condemned = plan.condemn.len() as u64;
    report.repacked = plan.repack;
    if options.dry_run {
        report.deleted_bytes = plan.condemned_bytes;
        report.renewed = renew_locks(repository, &log, &plan.condemn, true)?;
        return Ok(report);
    }
    if plan.condemn.is_empty() {
        repository.refresh_gc_log(&mut log)?;
    } else {
        let condemned: Vec<_> = plan.condemn.iter().map(tombstone).collect();
        repository.append_to_gc_log(&mut log, &condemned, &[])?;
    }
    fence::remove_dead_snapshots(repository, &log)?;
    remove_condemned(repository, &log, &dead, &mut report)?;
    crate::repo::index::merge::merge_full_levels(repository)?;
    if let Err(error) = gather(repository, &log) {
        // They spare others some requests: that there are fewer harms nobody.
        let text = format!("manifests were not gathered: {}", crate::error::chain(&error));
        repository.env.tell(&Event::Warning(&text));
    }
    report.retained = repository.backend.retained() - retained;
    // What was condemned by now is garbage, and not worth another lock.
    report.renewed = renew_locks(repository, &log, &plan.condemn, false)?;
    Ok(report)
}

/// Renews locks, if that is due, and says of how many objects. When that was last, only a reader can know.
fn renew_locks(repository: &Repository, log: &GcLog, garbage: &[ObjectId], dry_run: bool) -> Result<u64, Error> {
    if repository.keys.role() != Role::Reader {
        return Ok(0);
    }
    match renew(repository, log, renew::Options { garbage, dry_run, now: false })? {
        Renewal::Done(renewed) => Ok(renewed),
        Renewal::NotBefore(_) => Ok(0),
    }
}

/// Lets what everybody reads be read in few requests.
fn gather(repository: &Repository, log: &GcLog) -> Result<(), RepoError> {
    if !repository.backend.is_remote() {
        return Ok(());
    }
    let snapshots = repository.snapshot_ids()?.into_iter().map(Key::Snapshot);
    let keys: Vec<Key> = snapshots.chain((1..=log.epoch()).map(Key::Gc)).collect();
    Ok(repository.backend.gather(&keys)?)
}

/// Removes the condemned packs that nobody can need any more (steps 3 to 8 of the collector).
fn remove_condemned(repository: &Repository, log: &GcLog, dead: &Dead, report: &mut Report) -> Result<(), RepoError> {
    let horizon = fence::lowest_epoch(repository, dead)?.min(log.epoch());
    let mut doomed = Vec::new();
    for listed in repository.list(Kind::Packs)? {
        let Key::Pack(id) = listed.key else { continue };
        match log.condemned_at(&id) {
            Some(epoch) if epoch <= horizon => doomed.push((id, listed.len)),
            Some(_) => report.waiting += 1,
            None => {}
        }
    }
    if !doomed.is_empty() {
        // A fresh look, after the condemnation is public: whoever did not see it shows in this listing.
        let packs = doomed.iter().copied().collect();
        report.written_bytes = settle(repository, || {
            let mut marked = Marked::mark(repository, log, dead)?;
            let mut chunks = marked.condemned_only();
            chunks.extend(prove::unproven(repository, &mut marked, &packs)?);
            chunks.sort_by_key(|(_, location)| (location.pack.id, location.ordinal));
            move_chunks(repository, marked, &chunks)
        })?;
        for some in doomed.chunks(DELETED_AT_ONCE) {
            let keys: Vec<Key> = some.iter().map(|(id, _)| Key::Pack(*id)).collect();
            let retained = repository.backend.delete_all(&keys)?;
            let gone = some.iter().filter(|(id, _)| !retained.contains(&Key::Pack(*id)));
            gone.for_each(|(_, len)| {
                report.deleted += 1;
                report.deleted_bytes += len;
            });
        }
    }
    settle(repository, || sweep::drop_rows(repository, log))
}

/// Stores chunks again in new packs and says how many bytes that wrote.
fn move_chunks(repository: &Repository, marked: Marked, chunks: &[(ChunkId, Location)]) -> Result<u64, RepoError> {
    if chunks.is_empty() {
        return Ok(0);
    }
    let pool = Arc::new(Pool::new(repository.env.workers)?);
    let mut store = ChunkStore::new(repository, marked.index, pool, false)?;
    if repository.keys.role() != Role::Reader {
        blocks::move_blocks(repository, &mut store, chunks)?;
        store.flush()?;
        prove::read_back(repository, &store)?;
        return Ok(store.counts().stored_bytes);
    }
    let mut cache = LoaderCache::default();
    for (id, location) in chunks {
        repository.check_cancel()?;
        let (kind, bytes) = match cache.load_at(repository, location, id) {
            Err(error) if error.is_damage() => ChunkLoader::new(repository, &mut store.index, &mut cache).load(id)?,
            other => other?,
        };
        store.store_new(kind, *id, &bytes)?;
    }
    store.flush()?;
    prove::read_back(repository, &store)?;
    Ok(store.counts().stored_bytes)
}
