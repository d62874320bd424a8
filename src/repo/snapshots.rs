//! Committed snapshots: listing, reading, and finding one by what a person types.

use super::roles::Maker;
use super::{RepoError, Repository};
use crate::backend::{Key, Kind};
use crate::event::Event;
use crate::format::manifest::{FenceRecord, Manifest};
use crate::format::sealed::SealedKind;
use crate::ids::ObjectId;
use crate::limits;
use crate::repo::objects::{check_name, open_record};
use crate::sync;

/// A committed snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub id: ObjectId,
    /// Its manifest.
    pub manifest: Manifest,
    /// Stored length of the manifest in bytes.
    pub stored_len: u64,
    /// The writer that made it; nothing if a reader did, and in a repository without roles.
    pub maker: Option<Maker>,
}

/// Snapshots, and those that cannot be read.
#[derive(Debug, Default)]
pub struct Listing {
    /// The readable ones, oldest first.
    pub snapshots: Vec<Snapshot>,
    /// The others, damaged or of a newer program, with what is wrong with each.
    pub unreadable: Vec<(ObjectId, RepoError)>,
}

/// The order of `list` and of `latest~N`.
pub fn sort(snapshots: &mut [Snapshot]) {
    snapshots.sort_by_key(|snapshot| (snapshot.manifest.time, snapshot.id));
}

impl Repository {
    /// Names of all snapshots that are neither forgotten nor fences.
    ///
    /// The gc log is read after the listing: a snapshot that it declares dead never shows, however late its put.
    pub fn snapshot_ids(&self) -> Result<Vec<ObjectId>, RepoError> {
        self.forget_writers();
        let listed = self.list(Kind::Snapshots)?;
        let log = self.gc_log_for_reading()?;
        let mut ids = Vec::new();
        for listed in listed {
            let Key::Snapshot(id) = listed.key else { continue };
            // The length alone could be that of a snapshot cut short.
            let fence = listed.len == FenceRecord::STORED_LEN && self.is_fence(id)?;
            if !fence && !log.is_dead(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// True if a fence is in the place of this snapshot.
    pub fn is_fence(&self, id: ObjectId) -> Result<bool, RepoError> {
        let key = Key::Snapshot(id);
        let object = match self.backend.get(&key, None) {
            Ok(object) => object,
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let fence: Result<FenceRecord, _> = open_record(&self.keys, SealedKind::Fence, &key, &object);
        Ok(fence.is_ok_and(|fence| fence.snapshot == *id.as_bytes()))
    }

    /// The stored bytes of a fence in the place of this snapshot.
    pub fn seal_fence(&self, id: ObjectId) -> Result<Vec<u8>, RepoError> {
        self.seal_record(SealedKind::Fence, &FenceRecord { snapshot: *id.as_bytes() })
    }

    /// The stored bytes of a snapshot, which are what its name says.
    pub fn stored_snapshot(&self, id: ObjectId) -> Result<Vec<u8>, RepoError> {
        let key = Key::Snapshot(id);
        let object = self.backend.get(&key, None)?;
        check_name(&key, &object)?;
        Ok(object)
    }

    /// Reads one snapshot.
    pub fn read_snapshot(&self, id: ObjectId) -> Result<Snapshot, RepoError> {
        self.open_snapshot(id, &self.stored_snapshot(id)?)
    }

    /// Opens the stored bytes of a snapshot.
    pub fn open_snapshot(&self, id: ObjectId, object: &[u8]) -> Result<Snapshot, RepoError> {
        let (manifest, maker) = self.open_manifest(id, &Key::Snapshot(id), object)?;
        Ok(Snapshot { id, manifest, stored_len: object.len() as u64, maker })
    }

    /// Reads all snapshots.
    pub fn snapshots(&self) -> Result<Listing, RepoError> {
        self.read_snapshots(&self.snapshot_ids()?)
    }

    /// Reads these snapshots; those that are gone are not among them.
    pub fn read_snapshots(&self, ids: &[ObjectId]) -> Result<Listing, RepoError> {
        let mut listing = Listing::default();
        for (id, read) in self.read_many(ids)? {
            match read {
                Ok(snapshot) => listing.snapshots.push(snapshot),
                // Forgotten since it was listed.
                Err(RepoError::Backend(error)) if error.is_not_found() => {}
                Err(error) if error.is_damage() || matches!(error, RepoError::TooNew { .. }) => {
                    listing.unreadable.push((id, error));
                }
                Err(error) => return Err(error),
            }
        }
        sort(&mut listing.snapshots);
        Ok(listing)
    }

    fn read_many(&self, ids: &[ObjectId]) -> Result<Vec<(ObjectId, Result<Snapshot, RepoError>)>, RepoError> {
        let keys: Vec<Key> = ids.iter().map(|&id| Key::Snapshot(id)).collect();
        self.backend.expect_all(&keys);
        let (workers, least) =
            if self.backend.is_remote() { (limits::READS_AT_A_TIME, 4) } else { (self.env.workers.max(1), 64) };
        let share = ids.len().div_ceil(workers).max(least);
        let read = |part: &[ObjectId]| part.iter().map(|&id| (id, self.read_snapshot(id))).collect::<Vec<_>>();
        sync::scope(|scope| {
            let start = |part| scope.spawn("reader", move || read(part)).map_err(RepoError::no_thread);
            let threads: Vec<_> = ids.chunks(share).map(start).collect::<Result<_, _>>()?;
            let parts = threads.into_iter().map(|thread| thread.join().map_err(|_| RepoError::lost_thread()));
            Ok(parts.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        })
    }

    /// Finds the snapshot that a person means: a unique prefix of its id, `latest`, or `latest~N`.
    pub fn resolve(&self, text: &str) -> Result<Snapshot, RepoError> {
        match text.strip_prefix("latest") {
            Some(rest) => self.resolve_latest(text, rest),
            None => self.resolve_prefix(text),
        }
    }

    /// Says why a snapshot may not be the one that is meant by its place among all.
    fn doubt_latest(&self, text: &str, found: &Snapshot, listing: &Listing) {
        let id = found.id.short();
        if let Some((unread, error)) = listing.unreadable.first() {
            let (count, unread) = (listing.unreadable.len(), unread.short());
            self.env.tell(&Event::Warning(&format!(
                "`{text}` is {id} among those that can be read: {count} cannot, {unread} is one ({error}); see `sfarc list`"
            )));
        }
        if found.manifest.time > self.env.clock.now().saturating_add(limits::CLOCKS_APART) {
            self.env.tell(&Event::Warning(&format!("`{text}` is {id}, which claims to be from the future")));
        }
    }

    fn resolve_latest(&self, text: &str, rest: &str) -> Result<Snapshot, RepoError> {
        let back = if rest.is_empty() { Some(0) } else { rest.strip_prefix('~').and_then(|n| n.parse().ok()) };
        let back: usize = back.ok_or_else(|| {
            RepoError::NoSuchSnapshot(format!("`{text}` names no snapshot; write `latest` or `latest~2`"))
        })?;
        let mut listing = self.snapshots()?;
        // Safety snapshots and records of drills are taken beside those that people take and count.
        listing.snapshots.retain(|snapshot| !snapshot.manifest.is_own());
        let count = listing.snapshots.len();
        let missing = || match count {
            0 => RepoError::NoSuchSnapshot("the repository has no snapshot yet".to_owned()),
            _ => RepoError::NoSuchSnapshot(format!("there is no {text}: the repository has {count} snapshots")),
        };
        let place = count.checked_sub(back + 1).ok_or_else(missing)?;
        let found = listing.snapshots.swap_remove(place);
        self.doubt_latest(text, &found, &listing);
        Ok(found)
    }

    fn resolve_prefix(&self, text: &str) -> Result<Snapshot, RepoError> {
        let ids = self.snapshot_ids()?;
        let mut matching = ids.iter().filter(|id| id.to_string().starts_with(text));
        match (matching.next(), matching.next()) {
            (Some(id), None) => self.read_snapshot(*id),
            (None, _) => {
                Err(RepoError::NoSuchSnapshot(format!("no snapshot's id begins with `{text}`; see `sfarc list`")))
            }
            (Some(_), Some(_)) => {
                Err(RepoError::NoSuchSnapshot(format!("several ids begin with `{text}`; give more of its digits")))
            }
        }
    }
}
