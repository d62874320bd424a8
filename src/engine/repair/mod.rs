//! Restores what damage has left, here and at other places, and says what is lost.
//!
//! Nothing is removed that still reads, and whatever is put is proven first: so it may be stopped anywhere, and begun
//! again. The order is that of every writer: packs, then index rows, then snapshots. docs/gc-protocol.md, "Repair", has
//! what it relies on beside collectors.

mod config;
mod log;
mod need;
mod packs;
mod places;
mod rows;
mod small;
mod tally;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(in crate::engine) use self::config::is_of;
pub use self::config::{Opened, open_with};
pub use self::places::Place;
use super::check::{Hit, is_gone};
use crate::backend::Key;
use crate::backend::overlay::Overlay;
use crate::crypto::CryptoError;
use crate::crypto::role::Role;
use crate::error::{Error, chain};
use crate::ids::ObjectId;
use crate::repo::index::run::Run;
use crate::repo::{RepoError, Repository};

/// How to repair.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Reads every pack to find damage first.
    pub read_data: bool,
    /// Somebody promises that nobody prunes meanwhile, and that whoever did does not go on: a lost record of the gc log
    /// may then be replaced by one that says what is known of it.
    pub nobody_prunes: bool,
    /// Says what would be done, and does nothing.
    pub dry_run: bool,
}

/// An object that was taken from another place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// The object.
    pub key: Key,
    /// Where it was whole.
    pub from: String,
    /// Its length in bytes.
    pub len: u64,
}

/// An object that is needed, and is whole nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The object.
    pub key: Key,
    /// What is wrong with it.
    pub why: String,
}

/// What was done, and what is lost.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Packs that were looked at.
    pub packs: u64,
    /// Packs that were read to the last byte.
    pub packs_read: u64,
    /// Snapshots that were walked.
    pub snapshots: u64,
    /// Objects that were taken from other places.
    pub brought: Vec<Brought>,
    /// Packs for which rows were written.
    pub indexed_packs: u64,
    /// These rows.
    pub indexed_rows: u64,
    /// Packs whose rows led nowhere, and were dropped or written anew.
    pub dropped_packs: u64,
    /// Damaged index runs that were removed.
    pub removed_runs: u64,
    /// Packs that no writer relies on from now on.
    pub distrusted: Vec<ObjectId>,
    /// Records of the gc log that say from now on what is known of them.
    pub replaced_records: Vec<u64>,
    /// Lost records of the gc log that are not replaced while somebody may prune.
    pub waiting_records: Vec<u64>,
    /// Damaged packs of which something may be needed, or not: `hits` says what.
    pub damaged_packs: Vec<Lost>,
    /// Other objects that are damaged, and whole nowhere.
    pub lost: Vec<Lost>,
    /// What of snapshots cannot be restored.
    pub hits: Vec<Hit>,
    /// Things to know.
    pub notes: Vec<String>,
}

impl Report {
    /// True if all of every snapshot restores, and everything else is as it must be.
    pub fn is_healthy(&self) -> bool {
        self.lost.is_empty() && self.hits.is_empty() && self.waiting_records.is_empty()
    }

    /// True if something was done.
    pub fn has_changed(&self) -> bool {
        !self.brought.is_empty()
            || !self.distrusted.is_empty()
            || !self.replaced_records.is_empty()
            || self.indexed_packs + self.dropped_packs + self.removed_runs > 0
    }
}

/// What is wrong with a pack.
#[derive(Debug)]
enum Fault {
    /// It is not there, and nothing says that it may be gone.
    Missing,
    /// A collector removed it, or it was missed before.
    Removed,
    /// Its directory does not open, or it is not as long as it must be: nothing in it can be read.
    Closed(String),
    /// Its bytes are not those that were stored; its directory opens.
    Rotten,
}

/// A repair under way.
struct Repair<'a> {
    /// The repository; that of a dry run is what it would be.
    repository: Repository,
    overlay: Option<Arc<Overlay>>,
    places: &'a [Place],
    options: Options,
    /// Packs that are not whole.
    faults: BTreeMap<ObjectId, Fault>,
    report: Report,
}

/// Repairs the repository with what is there, and with what is whole at these places. Damage that stays is in the report;
/// an error means that the repair itself could not go on, and may be begun again.
pub fn repair(repository: &Repository, places: &[Place], options: Options) -> Result<Report, Error> {
    if !matches!(repository.keys.role(), Role::Reader | Role::Maintainer) {
        return Err(RepoError::from(CryptoError::CannotDo("repair the repository")).into());
    }
    repository.require_write()?;
    let overlay = match options.dry_run {
        true => Some(Arc::new(Overlay::new(Arc::clone(&repository.backend)).map_err(RepoError::from)?)),
        false => None,
    };
    let repository = match &overlay {
        Some(overlay) => repository.on(Arc::clone(overlay) as _),
        None => repository.on(Arc::clone(&repository.backend)),
    };
    let (faults, report) = (BTreeMap::new(), Report::default());
    let mut repair = Repair { repository, overlay, places, options, faults, report };
    repair.tell_places()?;
    repair.slots()?;
    let found = repair.look_at_packs()?;
    repair.find_rotten_packs()?;
    repair.log()?;
    repair.writers()?;
    let found = repair.bring_packs(found)?;
    repair.mend_index(found)?;
    let absent = repair.snapshots()?;
    repair.need(&absent)?;
    repair.tell_damaged_packs();
    Ok(repair.report)
}

impl Repair<'_> {
    /// Says which places cannot be what whoever named them meant.
    fn tell_places(&mut self) -> Result<(), Error> {
        let config = self.config()?;
        for place in self.places {
            if let Some(why) = place.doubt(&config)? {
                self.report.notes.push(format!("{}: {why}", place.name()));
            }
        }
        Ok(())
    }

    /// Takes a whole object from the first place that has it, if one has it and it is right; true if so.
    fn bring(&mut self, key: &Key, is_right: impl Fn(&[u8]) -> bool) -> Result<bool, Error> {
        for place in self.places {
            self.repository.check_cancel()?;
            if let Some(bytes) = place.read(key)?.filter(|bytes| is_right(bytes)) {
                self.put(key, &bytes, place)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Puts the bytes of a place where they belong, whatever is there.
    fn put(&mut self, key: &Key, bytes: &[u8], place: &Place) -> Result<(), Error> {
        match &self.overlay {
            Some(overlay) if matches!(key, Key::Pack(_)) => overlay.lend(key, place.store()),
            _ => self.repository.backend.replace(key, bytes),
        }
        .map_err(RepoError::from)?;
        self.tell_brought(key, bytes, place);
        Ok(())
    }

    fn tell_brought(&mut self, key: &Key, bytes: &[u8], place: &Place) {
        self.report.brought.push(Brought { key: *key, from: place.name().to_owned(), len: bytes.len() as u64 });
    }

    fn tell_damaged_packs(&mut self) {
        for (id, fault) in &self.faults {
            let why = match fault {
                Fault::Removed => continue,
                Fault::Missing => "it is missing".to_owned(),
                Fault::Closed(why) => why.clone(),
                Fault::Rotten => "its bytes do not hash to its name".to_owned(),
            };
            self.report.damaged_packs.push(Lost { key: Key::Pack(*id), why });
        }
    }

    fn lose(&mut self, key: Key, error: &RepoError) {
        self.report.lost.push(Lost { key, why: chain(error) });
    }
}

/// The damage among what became of reading something; nothing if it was removed meanwhile.
fn damage<T>(read: Result<T, RepoError>) -> Result<Option<RepoError>, RepoError> {
    match read {
        Ok(_) => Ok(None),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) if error.is_damage() => Ok(Some(error)),
        Err(error) => Err(error),
    }
}

/// Index runs that open, and the names of those that do not.
#[derive(Default)]
struct Runs {
    whole: Vec<Run>,
    damaged: BTreeSet<ObjectId>,
}
