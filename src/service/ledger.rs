//! Which pack was read to its last byte when, so that every byte is read within a given time.
//!
//! Each check leaves a record in the repository, a small snapshot with a label: so a service that starts anew, somewhere
//! else, knows what the last one has read. A record is of use until all packs that it names were read again or are gone.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::backend::{Key, Kind};
use crate::engine::deployment::{read_small, stream};
use crate::engine::record::{self, Record};
use crate::env::UnixNanos;
use crate::error::Error;
use crate::format::manifest::OWN_LABEL;
use crate::ids::ObjectId;
use crate::pipeline::egress::Egress;
use crate::repo::Repository;

/// The tag of records of checks.
pub const TAG: &str = "check";

const STREAM: &str = "read.json";

#[derive(Serialize, Deserialize)]
struct Packs {
    packs: Vec<String>,
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
}

/// What a check reads.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// These packs, the most urgent first.
    pub packs: Vec<ObjectId>,
    /// Their bytes.
    pub bytes: u64,
    /// Packs that are overdue and do not fit into the budget.
    pub overdue: u64,
}

impl Ledger {
    /// Reads the records, and which packs there are.
    pub fn read(repository: &Repository) -> Result<Self, Error> {
        let mut ledger = Self::default();
        let label = format!("{OWN_LABEL}checked");
        let mut egress = Egress::open(repository)?;
        for snapshot in repository.snapshots()?.snapshots {
            let Some(entry) = stream(&snapshot, STREAM).filter(|_| snapshot.manifest.label(&label).is_some()) else {
                continue;
            };
            // A record that cannot be read only means that its packs are read again.
            let Ok(bytes) = read_small(&mut egress, &snapshot, entry) else { continue };
            let Ok(record) = serde_json::from_slice::<Packs>(&bytes) else { continue };
            ledger.records.push(snapshot.id);
            for pack in record.packs.iter().filter_map(|pack| pack.parse::<ObjectId>().ok()) {
                // They come oldest first.
                ledger.read.insert(pack, snapshot.manifest.time);
                ledger.last.insert(pack, snapshot.id);
            }
        }
        let packs = repository.list(Kind::Packs)?.into_iter();
        ledger.packs = packs
            .filter_map(|listed| match listed.key {
                Key::Pack(id) => Some((id, listed.len)),
                _ => None,
            })
            .collect();
        Ok(ledger)
    }

    /// The next part: the packs that were not read for longest, those that nobody has ever read first. With a check
    /// every `every`, all are read `within` the time that is wanted; `budget` bounds the bytes, whatever is due.
    pub fn part(&self, now: UnixNanos, every: i64, within: i64, budget: Option<u64>) -> Part {
        let mut packs: Vec<(UnixNanos, ObjectId, u64)> =
            self.packs.iter().map(|(id, len)| (self.read.get(id).copied().unwrap_or(i64::MIN), *id, *len)).collect();
        packs.sort_unstable();
        let total: u64 = packs.iter().map(|(_, _, len)| len).sum();
        // As many bytes each time as would do if all times were alike, and whatever would be too late the next time.
        let checks = (within / every.max(1)).max(1).unsigned_abs();
        let share = total.div_ceil(checks);
        let deadline = now.saturating_add(every).saturating_sub(within);
        let mut part = Part::default();
        for (time, id, len) in packs {
            let is_late = time <= deadline;
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
        self.records.iter().filter(|record| !needed.contains(record)).copied().collect()
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

/// Writes a record into the repository.
pub fn write(repository: &Repository, packs: &HashSet<ObjectId>, is_good: bool, host: &str) -> Result<(), Error> {
    let mut packs: Vec<String> = packs.iter().map(ToString::to_string).collect();
    packs.sort_unstable();
    let bytes = serde_json::to_vec(&Packs { packs }).expect("texts are JSON");
    let word = if is_good { "good" } else { "bad" };
    let labels = vec![(format!("{OWN_LABEL}checked"), word.to_owned())];
    record::write(repository, Record { name: STREAM, bytes, tag: TAG, labels, host })?;
    Ok(())
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
            let part = ledger.part(now, DAY, 10 * DAY, None);
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
    fn a_budget_is_kept_and_what_it_leaves_is_counted() {
        let mut ledger = ledger(10);
        let part = ledger.part(0, DAY, 10 * DAY, Some(250));
        assert_eq!((part.packs.len(), part.bytes), (2, 200));
        let all: Vec<ObjectId> = ledger.packs.iter().map(|(id, _)| *id).collect();
        ledger.add(&all, 0);
        assert_eq!(ledger.all_since(), Some(0));
        let late = ledger.part(30 * DAY, DAY, 10 * DAY, Some(250));
        assert_eq!((late.packs.len(), late.overdue), (2, 8));
        let huge = ledger.part(30 * DAY, DAY, 10 * DAY, Some(1));
        assert_eq!(huge.packs.len(), 1, "something is read in any case");
    }
}
