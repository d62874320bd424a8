//! Reading ahead: packs that will be read soon come as a whole, in one request each, while others are used.

use std::collections::VecDeque;
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

/// Packs that are expected; the oldest make room for new ones.
pub(super) struct Ahead {
    bucket: Bucket,
    packs: Mutex<VecDeque<(ObjectId, Arc<Coming>)>>,
}

impl Ahead {
    pub(super) fn new(bucket: Bucket) -> Self {
        Self { bucket, packs: Mutex::default() }
    }

    /// Begins to read a pack.
    pub(super) fn expect(&self, pack: &ObjectId) {
        let coming = Arc::new(Coming::default());
        {
            let mut packs = locked(&self.packs);
            if packs.iter().any(|(id, _)| id == pack) {
                return;
            }
            if packs.len() >= limits::PACKS_AHEAD {
                packs.pop_front();
            }
            packs.push_back((*pack, Arc::clone(&coming)));
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
    }

    /// A part of a pack that was expected; nothing if it was not, or if it has no such part.
    pub(super) fn get(&self, pack: &ObjectId, range: &Range<u64>) -> Option<Vec<u8>> {
        let coming = locked(&self.packs).iter().find(|(id, _)| id == pack).map(|(_, coming)| Arc::clone(coming))?;
        let bytes = coming.wait()?;
        let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
        bytes.get(range).map(<[u8]>::to_vec)
    }
}
