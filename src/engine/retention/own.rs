//! Snapshots that sfarc has taken for itself: the undo of restores, records of drills and checks, pins.

use super::{Decision, Own};
use crate::engine::pin::PIN_OF;
use crate::format::manifest::OWN_LABEL;
use crate::repo::snapshots::Snapshot;

/// What becomes of one; `all` are all snapshots, in any order.
pub(super) fn decide(snapshot: &Snapshot, all: &[Snapshot], rules: &Own) -> Decision {
    let newest = all.iter().map(|snapshot| snapshot.manifest.time).max().unwrap_or_default();
    let (manifest, time) = (&snapshot.manifest, snapshot.manifest.time);
    let label = |name: &str| manifest.label(&format!("{OWN_LABEL}{name}"));
    let is_there = |id: &str| all.iter().any(|other| other.id.to_string() == id);
    let mut reasons = Vec::new();
    let group = if let Some(id) = manifest.label(PIN_OF) {
        if is_there(id) {
            reasons.push("its snapshot is there".to_owned());
        }
        "pins"
    } else if label("safety-of").is_some() {
        let is_safety = |other: &&Snapshot| other.manifest.label(&format!("{OWN_LABEL}safety-of")).is_some();
        let newer = all.iter().filter(is_safety).filter(|other| (other.manifest.time, other.id) > (time, snapshot.id));
        let place = newer.count() + 1;
        if place <= rules.safety_last {
            reasons.push(format!("last {place}"));
        }
        if rules.safety_within.holds(time, newest) {
            reasons.push(format!("within {}", rules.safety_within));
        }
        if is_pinned(snapshot, all) {
            reasons.push("pinned".to_owned());
        }
        "safety snapshots"
    } else {
        if label("proven") == Some("true") && label("drill-of").is_some_and(is_there) {
            reasons.push("proves a snapshot that is there".to_owned());
        }
        if rules.records_within.holds(time, newest) {
            reasons.push(format!("within {}", rules.records_within));
        }
        "records"
    };
    Decision { id: snapshot.id, time, group: group.to_owned(), reasons }
}

fn is_pinned(snapshot: &Snapshot, all: &[Snapshot]) -> bool {
    let id = snapshot.id.to_string();
    all.iter().any(|other| other.manifest.label(PIN_OF) == Some(&id[..]))
}
