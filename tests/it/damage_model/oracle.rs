//! What restores, and what could.

use std::collections::BTreeSet;
use std::sync::Arc;

use sfarc::backend::{Backend, Key, Kind};
use sfarc::ids::ObjectId;
use sfarc::repo::Repository;
use sfarc::repo::objects::check_name;
use sfarc::testing::memory::MemoryBackend;
use sfarc::testing::world::read_streams;

use super::store::Store;
use crate::common::Expected;

/// Those of the expected snapshots that can be seen and restore byte for byte. Other bytes are a violation.
pub(super) fn restorable(repository: &Repository, expected: &Expected) -> Result<BTreeSet<ObjectId>, String> {
    let visible: BTreeSet<ObjectId> = match repository.snapshot_ids() {
        Ok(ids) => ids.into_iter().collect(),
        // A gc log that lost a record in its middle says so; nothing can be seen until it is repaired.
        Err(_) => return Ok(BTreeSet::new()),
    };
    let mut found = BTreeSet::new();
    for (id, streams) in expected.iter().filter(|(id, _)| visible.contains(*id)) {
        let read = repository.read_snapshot(*id).map_err(sfarc::Error::from);
        match read.and_then(|snapshot| read_streams(repository, &snapshot)) {
            Ok(read) if read == *streams => drop(found.insert(*id)),
            Ok(_) => return Err(format!("snapshot {} restores other bytes", id.short())),
            Err(_) => {}
        }
    }
    Ok(found)
}

/// What could be restored from all that is whole here and there, and from what is partly whole here: the same objects in a
/// store without an index, where packs are looked into one by one, and without a gc log. The first store is the one here.
pub(super) fn salvageable(
    repository: &Repository,
    stores: &[&Store],
    expected: &Expected,
) -> Result<BTreeSet<ObjectId>, String> {
    let union = MemoryBackend::default();
    for kind in [Kind::Config, Kind::Keys, Kind::Writers, Kind::Packs, Kind::Snapshots] {
        for key in stores.iter().flat_map(|store| store.keys(kind)).collect::<BTreeSet<_>>() {
            let whole =
                stores.iter().filter_map(|store| store.bytes(&key)).find(|bytes| check_name(&key, bytes).is_ok());
            if let Some(bytes) = whole.or_else(|| stores[0].bytes(&key)) {
                union.tamper(&key, &bytes);
            }
        }
    }
    if let Some(config) = stores.iter().find_map(|store| store.bytes(&Key::Config)) {
        union.tamper(&Key::Config, &config);
    }
    restorable(&repository.on(Arc::new(union) as Arc<dyn Backend>), expected)
}
