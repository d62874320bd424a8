//! Snapshots that sfarc has taken for itself: the undo of restores, records of drills and checks, pins.

use super::{Decision, Known, Own};
use crate::engine::pin::PIN_OF;
use crate::format::manifest::{Manifest, OWN_LABEL};
use crate::repo::snapshots::Snapshot;

/// True for the undo of a restore.
pub(super) fn is_safety(manifest: &Manifest) -> bool {
    manifest.label(&format!("{OWN_LABEL}safety-of")).is_some()
}

/// What becomes of one.
pub(super) fn decide(snapshot: &Snapshot, known: &Known, rules: &Own) -> Decision {
    let (manifest, time) = (&snapshot.manifest, snapshot.manifest.time);
    let label = |name: &str| manifest.label(&format!("{OWN_LABEL}{name}"));
    let is_there = |id: &str| known.ids.contains(id);
    let mut reasons = Vec::new();
    let group = if let Some(id) = manifest.label(PIN_OF) {
        if is_there(id) {
            reasons.push("its snapshot is there".to_owned());
        }
        "pins"
    } else if is_safety(manifest) {
        let place = known.safety.iter().position(|id| *id == snapshot.id).map_or(1, |newer| newer + 1);
        if place <= rules.safety_last {
            reasons.push(format!("last {place}"));
        }
        if rules.safety_within.holds(time, known.newest) {
            reasons.push(format!("within {}", rules.safety_within));
        }
        if known.pinned.contains(&snapshot.id.to_string()) {
            reasons.push("pinned".to_owned());
        }
        "safety snapshots"
    } else {
        if label("proven") == Some("true") && label("drill-of").is_some_and(is_there) {
            reasons.push("proves a snapshot that is there".to_owned());
        }
        if rules.records_within.holds(time, known.newest) {
            reasons.push(format!("within {}", rules.records_within));
        }
        "records"
    };
    Decision { id: snapshot.id, time, group: group.to_owned(), reasons }
}
