//! Reading ahead: packs that will be read soon come as a whole, in one request each, while others are used.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use bytes::Bytes;

use super::Bucket;
use crate::backend::Key;
use crate::ids::ObjectId;
use crate::limits;
use crate::sync::{Mutex, Promised, locked, promise};

/// A pack on its way; nothing comes if it could not be read.
type Coming = Promised<Bytes>;

/// Parts of a pack that are asked for one by one before the whole pack is.
const PARTS: u32 = 8;

/// A pack that is expected.
struct Expected {
    id: ObjectId,
    coming: Coming,
    /// True once a part of it was asked for.
    is_used: bool,
}

/// Packs that are expected, those used last at the end.
pub(super) struct Ahead {
    bucket: Bucket,
    packs: Mutex<VecDeque<Expected>>,
    /// How many parts were asked for of packs that nobody expected.
    parts: Mutex<HashMap<ObjectId, u32>>,
}

impl Ahead {
    pub(super) fn new(bucket: Bucket) -> Self {
        Self { bucket, packs: Mutex::default(), parts: Mutex::default() }
    }

    /// Begins to read a pack.
    pub(super) fn expect(&self, pack: &ObjectId) {
        let (promise, coming) = promise();
        {
            let mut packs = locked(&self.packs);
            if packs.iter().any(|expected| expected.id == *pack) {
                return;
            }
            if packs.len() >= limits::PACKS_AHEAD {
                // What was used longest ago; what was not used yet, only where nothing was.
                let place = packs.iter().position(|expected| expected.is_used).unwrap_or_default();
                packs.remove(place);
            }
            packs.push_back(Expected { id: *pack, coming, is_used: false });
        }
        let (bucket, path) = (self.bucket.clone(), self.bucket.path(&Key::Pack(*pack)));
        drop(self.bucket.handle.spawn(async move {
            // Whoever wants it and finds nothing asks for it again, and is told what is wrong.
            let read = bucket.retry.run(|| bucket.read(&path, None)).await;
            if let Some(bytes) = read.ok().flatten() {
                promise.keep(bytes);
            }
        }));
    }

    /// Lets all packs go.
    pub(super) fn clear(&self) {
        locked(&self.packs).clear();
        locked(&self.parts).clear();
    }

    /// Lets one pack go: what was read of it may not be what is there now.
    pub(super) fn forget(&self, pack: &ObjectId) {
        locked(&self.packs).retain(|expected| expected.id != *pack);
    }

    /// A part of a pack that was expected, or of which many parts are asked for; nothing if that is not so, or if it has
    /// no such part.
    pub(super) fn get(&self, pack: &ObjectId, range: &Range<u64>) -> Option<Vec<u8>> {
        let coming = self.find(pack).or_else(|| {
            if self.is_popular(pack) {
                self.expect(pack);
            }
            self.find(pack)
        });
        let bytes = coming?.wait()?;
        let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
        bytes.get(range).map(<[u8]>::to_vec)
    }

    fn find(&self, pack: &ObjectId) -> Option<Coming> {
        let mut packs = locked(&self.packs);
        let place = packs.iter().position(|expected| expected.id == *pack)?;
        let found = packs.remove(place)?;
        let coming = found.coming.clone();
        packs.push_back(Expected { is_used: true, ..found });
        Some(coming)
    }

    /// Counts a part of a pack that nobody expected; true if it is one of many.
    fn is_popular(&self, pack: &ObjectId) -> bool {
        let mut parts = locked(&self.parts);
        let count = parts.entry(*pack).or_default();
        *count += 1;
        let is_popular = *count >= PARTS;
        if is_popular {
            parts.remove(pack);
        }
        is_popular
    }
}
