//! Damage that is open: what a check has found, until a later one has read the same and finds nothing.
//!
//! While damage is open, nothing is collected: what looks like garbage may be the last copy of something.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

use super::plain::PlainText;
use crate::backend::Key;
use crate::engine::check::Report;
use crate::env::UnixNanos;
use crate::ids::ObjectId;

/// Objects that are named at most; and snapshots.
const NAMED: usize = 1000;

/// What is open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Damage {
    /// Since when there is any, in nanoseconds since 1970.
    pub since: Option<UnixNanos>,
    /// Damaged objects, and what is wrong with each.
    pub objects: BTreeMap<PlainText, PlainText>,
    /// The ids of snapshots that cannot be restored as a whole.
    pub snapshots: BTreeSet<PlainText>,
    /// More was found by this moment than is named here. It is open until everything was read since.
    pub unnamed: Option<UnixNanos>,
}

/// What a check has looked at.
pub struct Looked<'a> {
    /// What it found.
    pub report: &'a Report,
    /// The packs that were there before it.
    pub packs: &'a HashSet<ObjectId>,
    /// The moment since when every pack has been read, if each was.
    pub all_read_since: Option<UnixNanos>,
    /// When it was.
    pub now: UnixNanos,
}

impl Damage {
    /// Damage of which no more is known than that it was found at this moment.
    pub fn unnamed(moment: UnixNanos) -> Self {
        Self { since: Some(moment), unnamed: Some(moment), ..Self::default() }
    }

    /// One damaged object.
    pub fn of_object(name: impl Into<PlainText>, what: impl Into<PlainText>, moment: UnixNanos) -> Self {
        Self { since: Some(moment), objects: BTreeMap::from([(name.into(), what.into())]), ..Self::default() }
    }

    /// True if there is any.
    pub fn is_open(&self) -> bool {
        !self.objects.is_empty() || !self.snapshots.is_empty() || self.unnamed.is_some()
    }

    /// Everything that is open by either.
    pub fn merge(&mut self, other: Self) {
        self.since = [self.since, other.since].into_iter().flatten().min();
        self.objects.extend(other.objects);
        self.snapshots.extend(other.snapshots);
        self.unnamed = self.unnamed.max(other.unnamed);
    }

    /// True for a pack that is damaged.
    pub fn is_suspect(&self, pack: &ObjectId) -> bool {
        !self.objects.is_empty() && self.objects.contains_key(&Key::Pack(*pack).to_string()[..])
    }

    /// True if it is not known that a snapshot is whole.
    pub fn may_hit(&self, snapshot: &ObjectId) -> bool {
        self.unnamed.is_some() || self.snapshots.contains(&snapshot.to_string()[..])
    }

    /// What is open after a check: what it found, and what it did not look at.
    #[must_use]
    pub fn after(self, looked: &Looked<'_>) -> Self {
        let since = self.since.unwrap_or(looked.now);
        let mut open = found(looked);
        let mut is_all_looked_at = true;
        for (name, what) in self.objects {
            if looked.is_unread(&name) {
                is_all_looked_at = false;
                open.objects.insert(name, what);
            }
        }
        // What hits a snapshot is known by the objects. Those that were not read hit what they hit.
        if !is_all_looked_at {
            open.snapshots.extend(self.snapshots);
        }
        let is_read = |found: &UnixNanos| looked.all_read_since.is_some_and(|since| since > *found);
        open.unnamed = open.unnamed.max(self.unnamed.filter(|found| !is_read(found)));
        open.since = open.is_open().then_some(since);
        open
    }

    /// How bad it is, in words.
    pub fn in_words(&self) -> String {
        let counted =
            |count: usize, what: &str| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") };
        let mut text = format!(
            "{} damaged, {} hit",
            counted(self.objects.len(), "object"),
            counted(self.snapshots.len(), "snapshot")
        );
        if let Some((name, what)) = self.objects.first_key_value() {
            text += &format!("; the first: {name}: {what}");
        }
        if self.unnamed.is_some() {
            text += "; more was found that is not named: everything is read again";
        }
        text
    }
}

/// What a check found. Of more than can be named, the rest is unnamed.
fn found(looked: &Looked<'_>) -> Damage {
    let Report { problems, hits, .. } = looked.report;
    let mut damage = Damage::default();
    for problem in problems {
        damage.objects.entry((&problem.object[..]).into()).or_insert_with(|| (&problem.what[..]).into());
    }
    damage.snapshots.extend(hits.iter().map(|hit| PlainText::from(hit.snapshot.to_string())));
    if damage.objects.len() > NAMED || damage.snapshots.len() > NAMED {
        damage.unnamed = Some(looked.now);
        damage.objects = damage.objects.into_iter().take(NAMED).collect();
        damage.snapshots = damage.snapshots.into_iter().take(NAMED).collect();
    }
    damage
}

impl Looked<'_> {
    /// True for a pack that is there and was not read. Everything else is looked at by each check.
    fn is_unread(&self, name: &str) -> bool {
        let pack = name.rsplit('/').next().and_then(|id| id.parse::<ObjectId>().ok());
        let is_name = |id: &ObjectId| Key::Pack(*id).to_string() == name;
        pack.filter(is_name).is_some_and(|id| self.packs.contains(&id) && !self.report.packs_read.contains(&id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::check::{Hit, Problem};

    fn id(number: u8) -> ObjectId {
        ObjectId::new([number; 32])
    }

    fn pack(number: u8) -> String {
        Key::Pack(id(number)).to_string()
    }

    fn report(read: &[u8], problems: &[String], hits: &[u8]) -> Report {
        let problem = |object: &String| Problem { object: object.clone(), what: "it is damaged".to_owned() };
        let hit = |number: &u8| Hit { snapshot: id(*number), stream: b"s".to_vec(), offset: 0, len: 1 };
        Report {
            packs_read: read.iter().copied().map(id).collect(),
            problems: problems.iter().map(problem).collect(),
            hits: hits.iter().map(hit).collect(),
            ..Report::default()
        }
    }

    fn after(damage: Damage, report: &Report, there: &[u8], all_read_since: Option<UnixNanos>, now: i64) -> Damage {
        let packs = there.iter().copied().map(id).collect();
        damage.after(&Looked { report, packs: &packs, all_read_since, now })
    }

    #[test]
    fn a_pack_is_damaged_until_it_is_read_again_and_found_whole() {
        let found = after(Damage::default(), &report(&[1], &[pack(1)], &[7]), &[1, 2], None, 5);
        assert!(
            found.is_suspect(&id(1)) && !found.is_suspect(&id(2)) && found.may_hit(&id(7)) && !found.may_hit(&id(8))
        );
        let other = after(found.clone(), &report(&[2], &[], &[]), &[1, 2], None, 6);
        assert_eq!(other, found, "it was not read");
        assert_eq!(other.since, Some(5));
        let worse = after(found.clone(), &report(&[2], &[pack(2)], &[8]), &[1, 2], None, 6);
        assert_eq!((worse.objects.len(), worse.snapshots.len(), worse.since), (2, 2, Some(5)));
        assert!(!after(found.clone(), &report(&[1], &[], &[]), &[1, 2], None, 6).is_open());
        assert!(
            !after(found.clone(), &report(&[2], &[], &[]), &[2], None, 6).is_open(),
            "it is gone, and nothing lacks it"
        );
        let hit_only = after(found, &report(&[1], &[], &[7]), &[1], None, 6);
        assert!(hit_only.objects.is_empty() && hit_only.may_hit(&id(7)), "its chunks are nowhere yet");
        assert!(!after(hit_only, &report(&[], &[], &[]), &[1], None, 7).is_open());
    }

    #[test]
    fn what_is_no_pack_is_looked_at_by_each_check() {
        let log = "the gc log".to_owned();
        let found = after(Damage::default(), &report(&[], &[log], &[]), &[1], None, 5);
        assert!(found.is_open() && !after(found, &report(&[], &[], &[]), &[1], None, 6).is_open());
    }

    #[test]
    fn what_is_not_named_is_open_until_everything_was_read() {
        let unnamed = Damage::unnamed(5);
        assert!(unnamed.may_hit(&id(1)));
        let nothing = report(&[], &[], &[]);
        for read in [None, Some(4), Some(5)] {
            assert!(after(unnamed.clone(), &nothing, &[], read, 9).is_open(), "{read:?}");
        }
        assert_eq!(after(unnamed, &nothing, &[], Some(6), 9), Damage::default());
        let many: Vec<String> = (0..2000).map(|number| format!("indexes/{number}")).collect();
        let found = after(Damage::default(), &report(&[], &many, &[]), &[], None, 5);
        assert_eq!((found.objects.len(), found.unnamed), (NAMED, Some(5)));
    }
}
