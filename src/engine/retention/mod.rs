//! Which snapshots are kept, and why.
//!
//! A decision is a function of what there is: snapshots in, a reason for each out. Spans of time end with the newest
//! snapshot of a group, so a clock that jumps removes nothing. The clock of whoever decides is asked for one thing only:
//! snapshots that claim to be from the future stay, and take no other's place. If that clock is late, more is kept.
//!
//! Snapshots of one target are one group, where writers have keys of their own those of one writer: none can crowd out
//! what another has taken. In each group rules such as `daily = 7` keep the newest good snapshot of each
//! of the last seven days that have one. Snapshots that are incomplete or do not fit together are kept for a while, but
//! satisfy no rule. Records that sfarc itself has made follow rules of their own. Docs: docs/operations.md.

mod own;
mod periods;
mod policy;

use std::collections::{BTreeMap, HashSet};

use super::pin::PIN_OF;
use super::{drill, name_of};
use crate::env::UnixNanos;
use crate::format::manifest::{Manifest, OWN_LABEL};
use crate::ids::ObjectId;
use crate::limits;
use crate::repo::snapshots::{Listing, Snapshot};

use jiff::tz::TimeZone;

use periods::Period;
pub use policy::{Own, Policy, Span};

/// The label that names the target of a snapshot.
pub const TARGET: &str = "target";

/// What becomes of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The snapshot.
    pub id: ObjectId,
    /// The moment that it shows.
    pub time: UnixNanos,
    /// Its group, in words.
    pub group: String,
    /// Why it is kept; nothing if it is to be forgotten.
    pub reasons: Vec<String>,
}

impl Decision {
    /// True if it stays.
    pub fn is_kept(&self) -> bool {
        !self.reasons.is_empty()
    }
}

/// The group of a snapshot: its target, else its host and the names of its streams; and the writer that made it.
fn group_of(snapshot: &Snapshot) -> String {
    let manifest = &snapshot.manifest;
    let what = manifest.label(TARGET).map(|target| format!("target {target}")).unwrap_or_else(|| {
        let names: Vec<_> = manifest.streams.iter().map(name_of).collect();
        format!("{}: {}", manifest.host, names.join(", "))
    });
    match &snapshot.maker {
        Some(maker) => format!("{what}, by writer {maker}"),
        None => what,
    }
}

/// The rules that a snapshot follows, and the zone that its days begin in.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'p> {
    /// The rules.
    pub policy: &'p Policy,
    /// The zone.
    pub zone: &'p TimeZone,
}

/// Decides about the snapshots of a repository; `rules` says which of them follow rules, and which. A group follows
/// those of its newest snapshot. Nothing is decided about the others, about those that cannot be read, and, without
/// rules for them, about records.
///
/// `listing` must hold all snapshots: what is pinned or drilled is known from records among them. `now` is the moment of
/// the decision.
pub fn decide<'p>(
    listing: &Listing,
    now: UnixNanos,
    own: Option<&Own>,
    mut rules: impl FnMut(&Manifest) -> Option<Rules<'p>>,
) -> Vec<Decision> {
    let known = Known::of(listing, now.saturating_add(limits::CLOCKS_APART));
    let mut groups: BTreeMap<_, Vec<(&Snapshot, Rules<'p>)>> = BTreeMap::new();
    let mut decisions = Vec::new();
    for snapshot in &listing.snapshots {
        if snapshot.manifest.is_own() {
            decisions.extend(own.map(|own| own::decide(snapshot, &known, own)));
        } else if let Some(rules) = rules(&snapshot.manifest) {
            groups
                .entry((group_of(snapshot), snapshot.maker.as_ref().map(|maker| maker.public)))
                .or_default()
                .push((snapshot, rules));
        }
    }
    for ((name, _), mut group) in groups {
        // Newest first; of equal times, the order does not matter as long as it is always the same.
        group.sort_by_key(|(snapshot, _)| std::cmp::Reverse((snapshot.manifest.time, snapshot.id)));
        let Some((_, rules)) = group.iter().find(|(one, _)| known.has_come(one)).or(group.first()).copied() else {
            continue;
        };
        let group: Vec<&Snapshot> = group.into_iter().map(|(snapshot, _)| snapshot).collect();
        decisions.extend(decide_group(&name, &group, rules, &known));
    }
    decisions.sort_by_key(|decision| (decision.time, decision.id));
    decisions
}

/// What has to be known of all snapshots to decide about one.
struct Known {
    /// Their ids, of those that cannot be read, too.
    ids: HashSet<String>,
    pinned: HashSet<String>,
    /// Which a drill has proven last, with and without drills from the future.
    drilled: HashSet<String>,
    /// Snapshots that are later are from the future.
    latest: UnixNanos,
    /// When the newest was taken, of those that are not.
    newest: UnixNanos,
    /// The safety snapshots, newest first.
    safety: Vec<ObjectId>,
}

impl Known {
    fn of(listing: &Listing, latest: UnixNanos) -> Self {
        let all = &listing.snapshots;
        let pinned = all.iter().filter_map(|snapshot| snapshot.manifest.label(PIN_OF)).map(str::to_owned).collect();
        let ids: HashSet<String> = all
            .iter()
            .map(|snapshot| snapshot.id)
            .chain(listing.unreadable.iter().map(|(id, _)| *id))
            .map(|id| id.to_string())
            .collect();
        // Of a snapshot that is gone, the drill proves nothing any more.
        let there = all
            .iter()
            .map(|snapshot| &snapshot.manifest)
            .filter(|manifest| manifest.label(&format!("{OWN_LABEL}drill-of")).is_some_and(|id| ids.contains(id)));
        let come = there.clone().filter(|manifest| manifest.time <= latest);
        let last = [drill::last_proven(there), drill::last_proven(come)];
        let drilled = last.into_iter().flatten().map(|(_, id)| id.to_owned()).collect();
        let times = all.iter().map(|snapshot| snapshot.manifest.time);
        let newest = times.filter(|time| *time <= latest).max().unwrap_or(latest);
        let mut safety: Vec<&Snapshot> = all
            .iter()
            .filter(|snapshot| own::is_safety(&snapshot.manifest) && snapshot.manifest.time <= latest)
            .collect();
        safety.sort_by_key(|snapshot| std::cmp::Reverse((snapshot.manifest.time, snapshot.id)));
        let safety = safety.into_iter().map(|snapshot| snapshot.id).collect();
        Self { ids, pinned, drilled, latest, newest, safety }
    }

    /// False for a snapshot from the future.
    fn has_come(&self, snapshot: &Snapshot) -> bool {
        snapshot.manifest.time <= self.latest
    }
}

fn decide_group(name: &str, group: &[&Snapshot], Rules { policy, zone }: Rules<'_>, known: &Known) -> Vec<Decision> {
    let (come, to_come): (Vec<&Snapshot>, Vec<&Snapshot>) = group.iter().partition(|snapshot| known.has_come(snapshot));
    let good: Vec<&Snapshot> = come.iter().filter(|snapshot| snapshot.manifest.is_good()).copied().collect();
    let mut reasons: BTreeMap<ObjectId, Vec<String>> = BTreeMap::new();
    let mut keep = |snapshot: &Snapshot, why: String| reasons.entry(snapshot.id).or_default().push(why);
    for snapshot in group {
        let id = snapshot.id.to_string();
        if known.pinned.contains(&id) {
            keep(snapshot, "pinned".to_owned());
        }
        if known.drilled.contains(&id) {
            keep(snapshot, "last drilled".to_owned());
        }
        for tag in policy.tags.iter().filter(|tag| snapshot.manifest.tags.contains(tag)) {
            keep(snapshot, format!("tag {tag}"));
        }
    }
    match good.first() {
        Some(last) => keep(last, "last good".to_owned()),
        // Better than none.
        None => come.iter().take(1).for_each(|newest| keep(newest, "the only one".to_owned())),
    }
    for (number, snapshot) in good.iter().take(policy.last).enumerate() {
        keep(snapshot, format!("last {}", number + 1));
    }
    for (period, count) in policy.periods() {
        for (number, snapshot) in newest_of_each(&good, period, zone, count).into_iter().enumerate() {
            keep(snapshot, format!("{} {}", period.word(), number + 1));
        }
    }
    if let (Some(within), Some(newest)) = (policy.within, good.first()) {
        let inside = |snapshot: &&&Snapshot| within.holds(snapshot.manifest.time, newest.manifest.time);
        good.iter().filter(inside).for_each(|snapshot| keep(snapshot, format!("within {within}")));
    }
    to_come.iter().for_each(|snapshot| keep(snapshot, "from the future".to_owned()));
    if let (Some(within), Some(newest)) = (policy.inconsistent_within, come.first()) {
        let bad = come.iter().filter(|snapshot| !snapshot.manifest.is_good());
        let inside = |snapshot: &&&Snapshot| within.holds(snapshot.manifest.time, newest.manifest.time);
        bad.filter(inside).for_each(|snapshot| keep(snapshot, format!("not good, within {within}")));
    }
    let decided = |snapshot: &&Snapshot| Decision {
        id: snapshot.id,
        time: snapshot.manifest.time,
        group: name.to_owned(),
        reasons: reasons.remove(&snapshot.id).unwrap_or_default(),
    };
    group.iter().map(decided).collect()
}

/// The newest snapshot of each of the last `count` periods that have one; `good` begins with the newest.
fn newest_of_each<'a>(good: &[&'a Snapshot], period: Period, zone: &TimeZone, count: usize) -> Vec<&'a Snapshot> {
    let mut newest: Vec<&Snapshot> = Vec::new();
    let mut last = None;
    for snapshot in good {
        if newest.len() == count {
            break;
        }
        let now = Some(period.of(snapshot.manifest.time, zone));
        if now != last {
            newest.push(snapshot);
            last = now;
        }
    }
    newest
}
