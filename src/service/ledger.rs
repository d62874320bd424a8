//! Which pack was read to its last byte when, so that every byte is read within a given time.
//!
//! Each check leaves a record in the repository, a small snapshot with a label: so a service that starts anew, somewhere
//! else, knows what the last one has read. A record is of use until all packs that it names were read again or are gone.
//!
//! A record also tells what damage is open. Nothing forgets that but a later check that has read the same: its record
//! names the ones that it settles. It knew these before it began; what another service finds meanwhile stays open. A
//! record that cannot be read settles nothing, and its own damage stays open until everything was read again.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::damage::{Damage, Looked};
use crate::backend::{Key, Kind};
use crate::engine::check::Report;
use crate::engine::deployment::{read_small, stream};
use crate::engine::record::{self, Record};
use crate::env::UnixNanos;
use crate::error::{Error, chain};
use crate::format::manifest::OWN_LABEL;
use crate::ids::ObjectId;
use crate::pipeline::egress::Egress;
use crate::repo::Repository;
use crate::repo::snapshots::{Listing, Snapshot};

/// The tag of records of checks.
pub const TAG: &str = "check";

const STREAM: &str = "read.json";
/// The value of the label of a record with damage that is open.
const BAD: &str = "bad";
const GOOD: &str = "good";

/// What a record says.
#[derive(Default, Serialize, Deserialize)]
struct Checked {
    /// The packs that were read.
    packs: Vec<String>,
    /// What was open then.
    #[serde(default)]
    damage: Damage,
    /// Earlier records whose damage counts no more: what of it was still open is in this one.
    #[serde(default)]
    settles: Vec<String>,
}

/// When packs were read.
#[derive(Debug, Default)]
pub struct Ledger {
    read: HashMap<ObjectId, UnixNanos>,
    packs: Vec<(ObjectId, u64)>,
    /// For each pack the last record that names it.
    last: HashMap<ObjectId, ObjectId>,
    /// The records, oldest first.
    records: Vec<ObjectId>,
    /// What is open by all records together.
    damage: Damage,
    /// The records by which it is.
    open: Vec<ObjectId>,
    /// The records that settle others which are there.
    settling: HashSet<ObjectId>,
}

/// What a check reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// These packs, the most urgent first.
    pub packs: Vec<ObjectId>,
    /// Their bytes.
    pub bytes: u64,
    /// Packs that are overdue and do not fit into the budget.
    pub overdue: u64,
}

/// The label that marks records of checks.
fn label() -> String {
    format!("{OWN_LABEL}checked")
}

/// How a check went whose record this is; nothing for other snapshots. What a writer with a key of its own says of
/// checks does not count: it cannot check anything.
pub(super) fn verdict(snapshot: &Snapshot) -> Option<&str> {
    snapshot.manifest.label(&label()).filter(|_| snapshot.maker.is_none())
}

/// True if damage may be open by what a listing tells; without a request.
pub(super) fn may_be_damaged(listing: &Listing) -> bool {
    listing.snapshots.iter().any(|snapshot| verdict(snapshot) == Some(BAD))
        || listing.unreadable.iter().any(|(_, error)| error.is_damage())
}

impl Ledger {
    /// Reads the records, and which packs there are.
    pub fn read(repository: &Repository) -> Result<Self, Error> {
        Self::of(repository, &repository.snapshots()?)
    }

    /// The same from a listing of all snapshots.
    pub fn of(repository: &Repository, listing: &Listing) -> Result<Self, Error> {
        let mut ledger = Self::default();
        let mut egress = Egress::open(repository)?;
        let mut found: Vec<(ObjectId, Damage)> = Vec::new();
        let mut settled: HashMap<ObjectId, ObjectId> = HashMap::new();
        for snapshot in &listing.snapshots {
            let Some(verdict) = verdict(snapshot) else { continue };
            let (id, time) = (snapshot.id, snapshot.manifest.time);
            let bytes = stream(snapshot, STREAM).map(|entry| read_small(&mut egress, snapshot, entry));
            let checked = bytes.and_then(Result::ok).and_then(|bytes| serde_json::from_slice::<Checked>(&bytes).ok());
            // A record that cannot be read only means that its packs are read again, unless it tells of damage.
            let is_read = checked.is_some();
            let checked = checked.unwrap_or_default();
            if verdict != GOOD {
                let is_named = checked.damage.is_open();
                found.push((id, if is_named { checked.damage } else { Damage::unnamed(time) }));
            }
            if is_read {
                ledger.records.push(id);
            }
            for pack in checked.packs.iter().filter_map(|pack| pack.parse::<ObjectId>().ok()) {
                // They come oldest first.
                ledger.read.insert(pack, time);
                ledger.last.insert(pack, id);
            }
            settled.extend(checked.settles.iter().filter_map(|other| Some((other.parse().ok()?, id))));
        }
        let packs = repository.list(Kind::Packs)?.into_iter();
        ledger.packs = packs
            .filter_map(|listed| match listed.key {
                Key::Pack(id) => Some((id, listed.len)),
                _ => None,
            })
            .collect();
        ledger.settle(found, &settled);
        // Each could be a record. `sfarc check` names them, too.
        for (id, error) in listing.unreadable.iter().filter(|(_, error)| error.is_damage()) {
            let name = Key::Snapshot(*id).to_string();
            ledger.damage.merge(Damage::of_object(name, chain(error), repository.env.clock.now()));
        }
        Ok(ledger)
    }

    /// Takes note of the damage of records, but for those that a later one has settled.
    fn settle(&mut self, found: Vec<(ObjectId, Damage)>, settled: &HashMap<ObjectId, ObjectId>) {
        let all_read_since = self.all_since();
        for (id, mut damage) in found {
            if let Some(by) = settled.get(&id) {
                self.settling.insert(*by);
                continue;
            }
            damage.unnamed = damage.unnamed.filter(|found| all_read_since.is_none_or(|since| since <= *found));
            if damage.is_open() {
                self.damage.merge(damage);
                self.open.push(id);
            }
        }
    }

    /// What is open.
    pub fn damage(&self) -> &Damage {
        &self.damage
    }

    /// True for a record without which damage would be forgotten, or come back.
    pub fn must_stay(&self, record: &ObjectId) -> bool {
        self.open.contains(record) || self.settling.contains(record)
    }

    /// The packs that are damaged, as far as they are there.
    pub fn suspects(&self, damage: &Damage) -> Vec<ObjectId> {
        self.packs.iter().map(|(id, _)| *id).filter(|id| damage.is_suspect(id)).collect()
    }

    /// What is open after a check, where `damage` was open before; takes note of what it read.
    pub fn after(&mut self, damage: Damage, report: &Report, now: UnixNanos) -> Damage {
        self.add(&report.packs_read, now);
        let packs = self.packs.iter().map(|(id, _)| *id).collect();
        damage.after(&Looked { report, packs: &packs, all_read_since: self.all_since(), now })
    }

    /// Writes a record into the repository: what was read, and what is open now. It takes the place of those by which
    /// something was open when this was read.
    pub fn write(
        &self,
        repository: &Repository,
        packs: &HashSet<ObjectId>,
        damage: &Damage,
        host: &str,
    ) -> Result<(), Error> {
        let mut packs: Vec<String> = packs.iter().map(ToString::to_string).collect();
        packs.sort_unstable();
        let settles = self.open.iter().map(ToString::to_string).collect();
        let bytes = serde_json::to_vec(&Checked { packs, damage: damage.clone(), settles }).expect("texts are JSON");
        let word = if damage.is_open() { BAD } else { GOOD };
        let labels = vec![(label(), word.to_owned())];
        record::write(repository, Record { name: STREAM, bytes, tag: TAG, labels, host })?;
        Ok(())
    }

    /// The next part: the packs that were not read for longest, those that nobody has ever read first. With a check
    /// every `every`, all are read `within` the time that is wanted; `budget` bounds the bytes, whatever is due. Where
    /// `damage` is open, its packs come before all others.
    pub fn part(&self, now: UnixNanos, every: i64, within: i64, budget: Option<u64>, damage: &Damage) -> Part {
        let read = |id: &ObjectId| self.read.get(id).copied().unwrap_or(i64::MIN);
        let mut packs: Vec<(bool, UnixNanos, ObjectId, u64)> =
            self.packs.iter().map(|(id, len)| (!damage.is_suspect(id), read(id), *id, *len)).collect();
        packs.sort_unstable();
        let total: u64 = packs.iter().map(|(.., len)| len).sum();
        // As many bytes each time as would do if all times were alike, and whatever would be too late the next time.
        let checks = (within / every.max(1)).max(1).unsigned_abs();
        let share = total.div_ceil(checks);
        let deadline = now.saturating_add(every).saturating_sub(within);
        let mut part = Part::default();
        for (is_sound, time, id, len) in packs {
            let is_late = time <= deadline || !is_sound || damage.unnamed.is_some_and(|found| time <= found);
            if !is_late && part.bytes >= share {
                break;
            }
            if budget.is_some_and(|budget| !part.packs.is_empty() && part.bytes + len > budget) {
                part.overdue += u64::from(is_late && time > i64::MIN);
                continue;
            }
            part.packs.push(id);
            part.bytes += len;
        }
        part
    }

    /// Records that say nothing any more: what they name was read again since, or is gone. The newest stays.
    pub fn superseded(&self) -> HashSet<ObjectId> {
        let needed = self.packs.iter().filter_map(|(pack, _)| self.last.get(pack));
        let needed: HashSet<&ObjectId> = needed.chain(self.records.last()).collect();
        let is_needed = |record: &ObjectId| needed.contains(record) || self.must_stay(record);
        self.records.iter().filter(|record| !is_needed(record)).copied().collect()
    }

    /// The moment since when every pack has been read; nothing if one never was.
    pub fn all_since(&self) -> Option<UnixNanos> {
        let times = self.packs.iter().map(|(id, _)| self.read.get(id).copied());
        times.collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    /// Takes note of packs that were read.
    pub fn add<'a>(&mut self, packs: impl IntoIterator<Item = &'a ObjectId>, now: UnixNanos) {
        self.read.extend(packs.into_iter().map(|pack| (*pack, now)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000_000;

    fn id(number: u8) -> ObjectId {
        ObjectId::new([number; 32])
    }

    fn ledger(packs: u8) -> Ledger {
        Ledger { packs: (0..packs).map(|number| (id(number), 100)).collect(), ..Ledger::default() }
    }

    #[test]
    fn every_byte_is_read_in_time_though_packs_come_and_go() {
        let mut ledger = ledger(50);
        let mut born: HashMap<ObjectId, i64> = ledger.packs.iter().map(|(id, _)| (*id, 0)).collect();
        for day in 0..100 {
            let now = day * DAY;
            // The first part is larger: nothing was ever read.
            let part = ledger.part(now, DAY, 10 * DAY, None, &Damage::default());
            assert!(part.overdue == 0);
            ledger.add(&part.packs, now);
            for (pack, _) in &ledger.packs {
                let last = ledger.read.get(pack).copied().unwrap_or(born[pack]);
                assert!(now - last <= 10 * DAY, "day {day}");
            }
            let new = id(50 + u8::try_from(day).expect("small"));
            ledger.packs.push((new, 100));
            born.insert(new, now);
            ledger.packs.remove(0);
        }
        assert!(ledger.all_since().is_none_or(|since| since >= 90 * DAY));
    }

    #[test]
    fn a_record_is_of_use_while_it_is_the_last_to_name_a_pack_that_is_there() {
        let last = [(id(0), id(102)), (id(1), id(101)), (id(9), id(100))];
        let records = (100..104).map(id).collect();
        let ledger = Ledger { last: last.into(), records, ..ledger(2) };
        assert_eq!(ledger.superseded(), HashSet::from([id(100)]), "its pack is gone; the newest stays");
    }

    #[test]
    fn what_is_damaged_is_read_first_and_after_what_is_not_named_everything() {
        let mut ledger = ledger(10);
        let all: Vec<ObjectId> = ledger.packs.iter().map(|(id, _)| *id).collect();
        ledger.add(&all, DAY);
        let damaged = Damage::of_object(Key::Pack(id(7)).to_string(), "it is damaged", 0);
        let part = ledger.part(2 * DAY, DAY, 30 * DAY, Some(100), &damaged);
        assert_eq!(part.packs, [id(7)]);
        assert_eq!(ledger.suspects(&damaged), [id(7)]);
        let part = ledger.part(2 * DAY, DAY, 30 * DAY, None, &Damage::unnamed(DAY));
        assert_eq!(part.packs.len(), 10);
    }

    #[test]
    fn damage_is_open_until_a_record_settles_the_one_that_tells_of_it() {
        let found = |record: u8| (id(record), Damage::of_object("indexes/x", "it is damaged", 5));
        let mut ledger = Ledger { records: vec![id(1), id(2), id(3)], ..ledger(1) };
        ledger.settle(vec![found(1), found(2)], &HashMap::from([(id(1), id(3))]));
        assert!(ledger.damage().is_open());
        assert_eq!(ledger.open, [id(2)], "another service has found it meanwhile");
        assert!(ledger.must_stay(&id(2)) && ledger.must_stay(&id(3)) && !ledger.must_stay(&id(1)));
        assert_eq!(ledger.superseded(), HashSet::from([id(1)]));
    }

    #[test]
    fn damage_that_is_not_named_is_settled_by_reading_everything_since() {
        let mut ledger = ledger(1);
        ledger.add(&[id(0)], 5);
        ledger.settle(vec![(id(9), Damage::unnamed(5))], &HashMap::new());
        assert!(ledger.damage().is_open());
        let mut read = Ledger { packs: ledger.packs, ..Ledger::default() };
        read.add(&[id(0)], 6);
        read.settle(vec![(id(9), Damage::unnamed(5))], &HashMap::new());
        assert!(!read.damage().is_open() && !read.must_stay(&id(9)));
    }

    #[test]
    fn a_budget_is_kept_and_what_it_leaves_is_counted() {
        let mut ledger = ledger(10);
        let part = ledger.part(0, DAY, 10 * DAY, Some(250), &Damage::default());
        assert_eq!((part.packs.len(), part.bytes), (2, 200));
        let all: Vec<ObjectId> = ledger.packs.iter().map(|(id, _)| *id).collect();
        ledger.add(&all, 0);
        assert_eq!(ledger.all_since(), Some(0));
        let late = ledger.part(30 * DAY, DAY, 10 * DAY, Some(250), &Damage::default());
        assert_eq!((late.packs.len(), late.overdue), (2, 8));
        let huge = ledger.part(30 * DAY, DAY, 10 * DAY, Some(1), &Damage::default());
        assert_eq!(huge.packs.len(), 1, "something is read in any case");
    }
}
