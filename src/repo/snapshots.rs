//! Committed snapshots: listing, reading, and finding one by what a person types.

use std::collections::BTreeSet;

use super::roles::Maker;
use super::{RepoError, Repository};
use crate::backend::{Key, Kind};
use crate::env::UnixNanos;
use crate::event::Event;
use crate::format::manifest::{FenceRecord, Manifest, StreamEntry, WRITER_FACT};
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

impl Snapshot {
    /// True if a writer made it, here or where it was copied from: it could name chunks that it has never seen.
    pub fn is_by_writer(&self) -> bool {
        let has_fact = |stream: &StreamEntry| stream.facts.iter().any(|(name, _)| name == WRITER_FACT);
        self.maker.is_some() || self.manifest.streams.iter().any(has_fact)
    }

    /// True if a writer says to have taken it later than now: it would be the latest for long.
    pub fn is_of_the_future(&self, now: UnixNanos) -> bool {
        self.maker.is_some() && self.manifest.time > now.saturating_add(limits::CLOCKS_APART)
    }

    /// Whose it is, as `latest@WHOSE` names it: what its writer's key was given to, or the key; [`READER`] if a reader
    /// made it.
    fn whose(&self) -> String {
        match &self.maker {
            None => READER.to_owned(),
            // Nobody who gives keys away names one so that it passes for a reader.
            Some(maker) if maker.label.is_empty() || maker.label == READER => ObjectId::new(maker.public).short(),
            Some(maker) => maker.label.clone(),
        }
    }

    fn is_of(&self, whose: &str) -> bool {
        let is_key = |maker: &Maker| whose.len() >= 8 && ObjectId::new(maker.public).to_string().starts_with(whose);
        self.whose() == whose || self.maker.as_ref().is_some_and(is_key)
    }
}

/// What `latest@` calls the snapshots of readers.
const READER: &str = "reader";

/// Snapshots, and those that cannot be read.
#[derive(Debug, Default)]
pub struct Listing {
    /// The readable ones, oldest first.
    pub snapshots: Vec<Snapshot>,
    /// The others, damaged or of a newer program, with what is wrong with each.
    pub unreadable: Vec<(ObjectId, RepoError)>,
}

/// A snapshot's name, and what came of reading it.
type ReadSnapshot = (ObjectId, Result<Snapshot, RepoError>);

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

    fn read_many(&self, ids: &[ObjectId]) -> Result<Vec<ReadSnapshot>, RepoError> {
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

    /// Finds the snapshot that a person means: a unique prefix of its id, `latest`, or `latest~N`; where several add
    /// snapshots, `latest@WRITER` or `latest@WRITER~N`.
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

    /// Among several who add snapshots, `latest` is of one of them: times are what they say.
    fn resolve_latest(&self, text: &str, rest: &str) -> Result<Snapshot, RepoError> {
        let (whose, back) = match rest.strip_prefix('@') {
            Some(rest) => rest.rsplit_once('~').map_or((Some(rest), None), |(whose, back)| (Some(whose), Some(back))),
            None => (None, rest.strip_prefix('~')),
        };
        let is_meant = whose.is_some() || rest.is_empty() || back.is_some();
        let back = is_meant.then(|| back.map_or(Some(0), |back| back.parse::<usize>().ok())).flatten();
        let back = back.ok_or_else(|| {
            RepoError::NoSuchSnapshot(format!(
                "`{text}` names no snapshot; write `latest`, `latest~2` or `latest@WRITER`"
            ))
        })?;
        let mut listing = self.snapshots()?;
        // Safety snapshots and records of drills are taken beside those that people take and count.
        listing.snapshots.retain(|snapshot| !snapshot.manifest.is_own());
        self.choose_writer(text, whose, &mut listing)?;
        self.leave_out_the_future(text, &mut listing);
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

    /// Keeps the snapshots of whoever is named. Fails if nobody is, and there are several.
    fn choose_writer(&self, text: &str, whose: Option<&str>, listing: &mut Listing) -> Result<(), RepoError> {
        let all: BTreeSet<String> = listing.snapshots.iter().map(Snapshot::whose).collect();
        let of = || all.iter().take(20).map(|one| format!("latest@{one}")).collect::<Vec<_>>().join(", ");
        match whose {
            Some(whose) => listing.snapshots.retain(|snapshot| snapshot.is_of(whose)),
            None if all.len() > 1 => {
                let why = "several add snapshots here, and each says itself when it took one";
                return Err(RepoError::NoSuchSnapshot(format!("`{text}` of whom? {why}: {}", of())));
            }
            None => {}
        }
        if whose.is_some() && listing.snapshots.is_empty() {
            return Err(RepoError::NoSuchSnapshot(format!("`{text}`: there is none of that name; there are {}", of())));
        }
        Ok(())
    }

    /// Leaves out what a writer says to have taken later than now.
    fn leave_out_the_future(&self, text: &str, listing: &mut Listing) {
        let (now, before) = (self.env.clock.now(), listing.snapshots.len());
        listing.snapshots.retain(|snapshot| !snapshot.is_of_the_future(now));
        let left_out = before - listing.snapshots.len();
        if left_out > 0 {
            let text = format!("`{text}`: {left_out} claim to be from the future and are left out; see `sfarc list`");
            self.env.tell(&Event::Warning(&text));
        }
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
