//! Reading ahead: packs that will be read soon come as a whole, in one request each, while others are used.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::Bucket;
use crate::backend::Key;
use crate::ids::ObjectId;
use crate::limits;

/// A pack on its way; once it has arrived, its bytes, or nothing if it could not be read.
#[derive(Default)]
struct Coming {
    bytes: Mutex<Option<Option<Bytes>>>,
    arrived: Condvar,
}

impl Coming {
    fn wait(&self) -> Option<Bytes> {
        let bytes = self.arrived.wait_while(locked(&self.bytes), |bytes| bytes.is_none());
        bytes.unwrap_or_else(PoisonError::into_inner).clone().flatten()
    }
}

/// Whoever has promised a pack and goes without it says so.
struct Promise(Arc<Coming>);

impl Promise {
    fn keep(self, bytes: Option<Bytes>) {
        *locked(&self.0.bytes) = Some(bytes);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        locked(&self.0.bytes).get_or_insert(None);
        self.0.arrived.notify_all();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Parts of a pack that are asked for one by one before the whole pack is.
const PARTS: u32 = 8;

/// A pack that is expected.
struct Expected {
    id: ObjectId,
    coming: Arc<Coming>,
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
        let coming = Arc::new(Coming::default());
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
            packs.push_back(Expected { id: *pack, coming: Arc::clone(&coming), is_used: false });
        }
        let (bucket, path, promise) = (self.bucket.clone(), self.bucket.path(&Key::Pack(*pack)), Promise(coming));
        drop(self.bucket.handle.spawn(async move {
            // Whoever wants it and finds nothing asks for it again, and is told what is wrong.
            let read = bucket.retry.run(|| bucket.read(&path, None)).await;
            promise.keep(read.ok().flatten());
        }));
    }

    /// Lets all packs go.
    pub(super) fn clear(&self) {
        locked(&self.packs).clear();
        locked(&self.parts).clear();
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

    fn find(&self, pack: &ObjectId) -> Option<Arc<Coming>> {
        let mut packs = locked(&self.packs);
        let place = packs.iter().position(|expected| expected.id == *pack)?;
        let found = packs.remove(place)?;
        let coming = Arc::clone(&found.coming);
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
