//! Using gathers, and making them: a shelf that lacks many objects fills itself from them, and whoever collects garbage
//! sees to it that there are some.

use std::collections::{BTreeMap, HashSet};

use super::gather::{self, Row};
use super::{Backend, BackendError, Key, Shelf};
use crate::ids::ObjectId;

/// Objects that are asked for one by one sooner than gathers are looked for.
const WORTH_LOOKING: usize = 8;

/// Objects for which a new gather is made.
const WORTH_GATHERING: usize = 64;

/// Gathers for each that would do, before they are made anew.
const SPLIT: usize = 8;

impl Shelf {
    /// Takes those of these objects that are gathered from there. What that does not bring is asked for one by one.
    pub(super) fn take_from_gathers(&self, keys: &[Key]) {
        let mut missing: HashSet<Key> =
            keys.iter().filter(|key| gather::holds(key) && !self.files.has(key)).copied().collect();
        if missing.len() < WORTH_LOOKING {
            return;
        }
        let Ok(mut gathers) = self.bucket.gathers() else { return };
        // The largest first: it may have all.
        gathers.sort_by_key(|(_, len)| std::cmp::Reverse(*len));
        for (id, _) in gathers {
            if missing.len() < WORTH_LOOKING {
                return;
            }
            let Ok(bytes) = self.bucket.whole_gather(&id) else { continue };
            let mut objects = gather::decode(&bytes).unwrap_or_default();
            // Copies of the gc log are known by having no gap.
            objects.sort_by_key(|(key, _)| *key);
            for (key, bytes) in objects {
                if missing.remove(&key) {
                    self.keep(&key, bytes);
                }
            }
        }
    }

    /// Sees to it that these objects are gathered, but for a few, and that little else is.
    pub(super) fn make_gathers(&self, keys: &[Key]) -> Result<(), BackendError> {
        let wanted: HashSet<Key> = keys.iter().filter(|key| gather::holds(key)).copied().collect();
        let gathers = self.bucket.gathers()?;
        let mut rows = Vec::new();
        for (id, len) in &gathers {
            let begin = self.bucket.begin_of_gather(id, gather::DIRECTORY.min(*len))?;
            rows.push(gather::directory(&begin).map(|(rows, _)| rows).unwrap_or_default());
        }
        let gathered: HashSet<Key> = rows.iter().flatten().map(|(key, _)| *key).collect();
        let missing: BTreeMap<Key, ()> = wanted.difference(&gathered).map(|key| (*key, ())).collect();
        if is_untidy(&rows, &wanted) {
            let all: Vec<Key> = wanted.into_iter().collect();
            self.take_from_gathers(&all);
            self.put_gathers(all)?;
            let old: Vec<ObjectId> = gathers.into_iter().map(|(id, _)| id).collect();
            return self.bucket.delete_gathers(&old);
        }
        if missing.len() >= WORTH_GATHERING { self.put_gathers(missing.into_keys().collect()) } else { Ok(()) }
    }

    fn put_gathers(&self, mut keys: Vec<Key>) -> Result<(), BackendError> {
        keys.sort_unstable();
        let (mut objects, mut len) = (BTreeMap::new(), 0);
        for key in keys {
            let bytes = match self.get(&key, None) {
                Ok(bytes) => bytes,
                // Forgotten meanwhile.
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error),
            };
            len += bytes.len();
            objects.insert(key, bytes);
            if objects.len() == gather::OBJECTS || len >= gather::BYTES {
                self.bucket.put_gather(gather::encode(&std::mem::take(&mut objects)))?;
                len = 0;
            }
        }
        if objects.is_empty() { Ok(()) } else { self.bucket.put_gather(gather::encode(&objects)) }
    }
}

/// True if there are too many gathers, or if too much in them is not wanted or is there twice.
fn is_untidy(gathers: &[Vec<Row>], wanted: &HashSet<Key>) -> bool {
    let all: usize = gathers.iter().map(Vec::len).sum();
    let used: HashSet<Key> = gathers.iter().flatten().map(|(key, _)| *key).filter(|key| wanted.contains(key)).collect();
    let bytes: usize = gathers.iter().flatten().map(|(_, len)| len).sum();
    let enough = 1 + (all / gather::OBJECTS).max(bytes / gather::BYTES);
    gathers.len() > enough * SPLIT || (all > WORTH_GATHERING && used.len() * 2 < all)
}
