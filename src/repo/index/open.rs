//! Opening the index: which runs there are, and what becomes of those that are damaged.

use std::collections::{BTreeMap, BTreeSet};

use super::Index;
use super::run::{PackTable, Run};
use crate::backend::{BackendError, Key, Kind, Listed};
use crate::event::Event;
use crate::ids::ObjectId;
use crate::limits;
use crate::repo::gc_log::GcLog;
use crate::repo::{RepoError, Repository};

/// How often runs are listed while others merge them. What is open stays open, so each time there is less to open, and
/// less time for others to be quicker.
const LISTINGS: usize = 64;

/// What becomes of damaged runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum OnDamage {
    /// The index does not open: whoever removes something must know all of it.
    #[default]
    Refuse,
    /// A writer passes over them: a chunk that it misses is stored again.
    StoreAgain,
    /// A reader passes over them: other runs, or the packs themselves, may do.
    LookElsewhere,
}

/// Index runs with their lengths in bytes.
type Runs = BTreeMap<ObjectId, u64>;

/// The runs among what was listed.
fn runs_of(listed: Vec<Listed>) -> Runs {
    let run = |listed: Listed| match listed.key {
        Key::Index(id) => Some((id, listed.len)),
        _ => None,
    };
    listed.into_iter().filter_map(run).collect()
}

/// The runs in the store.
fn list_runs(repository: &Repository) -> Result<Runs, RepoError> {
    Ok(runs_of(repository.list(Kind::Indexes)?))
}

/// An index that is being opened.
struct Opening<'a> {
    repository: &'a Repository,
    on_damage: OnDamage,
    runs: BTreeMap<ObjectId, Run>,
    packs: PackTable,
    /// Runs that are damaged, or whose filters are.
    damaged: BTreeSet<ObjectId>,
}

impl<'a> Opening<'a> {
    fn new(repository: &'a Repository, on_damage: OnDamage) -> Self {
        Self { repository, on_damage, runs: BTreeMap::new(), packs: PackTable::default(), damaged: BTreeSet::new() }
    }

    /// Opens the listed runs that are not open yet, and closes those that are not listed any more. Says if one is gone.
    fn open_missing(&mut self, listed: &Runs) -> Result<Option<BackendError>, RepoError> {
        self.runs.retain(|id, _| listed.contains_key(id));
        self.damaged.retain(|id| listed.contains_key(id));
        self.packs.tidy();
        let Repository { backend, keys, .. } = self.repository;
        let mut gone = None;
        for (&id, &len) in listed {
            if self.runs.contains_key(&id) || self.damaged.contains(&id) {
                continue;
            }
            match Run::open(&**backend, keys, id, len, &mut self.packs) {
                Ok(run) => drop(self.runs.insert(id, run)),
                Err(RepoError::Backend(error)) if error.is_not_found() => gone = Some(error),
                Err(error) => self.pass_over(id, error)?,
            }
        }
        Ok(self.load_filters()?.or(gone))
    }

    /// Reads filters into memory, smallest first, as far as the bound on their size allows. Says if a run is gone, and
    /// closes it.
    fn load_filters(&mut self) -> Result<Option<BackendError>, RepoError> {
        let mut order: Vec<(usize, ObjectId)> = self.runs.values().map(|run| (run.filter_len(), run.id)).collect();
        order.sort_unstable();
        let (mut filters, mut gone) = (0usize, None);
        for (len, id) in order.into_iter().filter(|(len, _)| *len > 0) {
            let Some(run) = self.runs.get_mut(&id).filter(|_| filters.saturating_add(len) <= limits::FILTER_BYTES)
            else {
                break;
            };
            filters += len;
            match run.load_filter(&*self.repository.backend) {
                Ok(()) => {}
                Err(RepoError::Backend(error)) if error.is_not_found() => {
                    self.runs.remove(&id);
                    gone = Some(error);
                }
                // Its rows are found without the filter, by reading pages.
                Err(error) => self.pass_over(id, error)?,
            }
        }
        Ok(gone)
    }

    fn pass_over(&mut self, id: ObjectId, error: RepoError) -> Result<(), RepoError> {
        if self.on_damage == OnDamage::Refuse || !error.is_damage() {
            return Err(error);
        }
        let why = crate::event::chain(&error);
        let text = format!("{why}; what only it names is stored again: `sfarc repair` mends the index");
        self.repository.env.tell(&Event::Warning(&text));
        self.damaged.insert(id);
        Ok(())
    }
}

impl Index {
    /// Opens the runs for a writer, who passes over damaged ones. Chunks of condemned packs are known as such by `log`.
    pub fn open(repository: &Repository, log: &GcLog) -> Result<Self, RepoError> {
        Self::open_listed(repository, log, list_runs(repository)?, OnDamage::StoreAgain)
    }

    /// Opens the runs that were there when the store was opened, or later.
    pub fn open_lately(repository: &Repository, log: &GcLog) -> Result<Self, RepoError> {
        Self::open_listed(repository, log, runs_of(repository.list_lately(Kind::Indexes)?), OnDamage::StoreAgain)
    }

    /// Opens all runs, or fails: for whoever removes what no row leads to.
    pub fn open_whole(repository: &Repository, log: &GcLog) -> Result<Self, RepoError> {
        Self::open_listed(repository, log, list_runs(repository)?, OnDamage::Refuse)
    }

    fn open_listed(
        repository: &Repository,
        log: &GcLog,
        mut listed: Runs,
        on_damage: OnDamage,
    ) -> Result<Self, RepoError> {
        let mut opening = Opening::new(repository, on_damage);
        let mut listings = 1;
        // A run that vanished since it was listed was merged into another: look again.
        while let Some(gone) = opening.open_missing(&listed)? {
            if listings == LISTINGS {
                return Err(gone.into());
            }
            listings += 1;
            listed = list_runs(repository)?;
        }
        let Opening { runs, packs, damaged, .. } = opening;
        let mut index = Self { packs, on_damage, incomplete: !damaged.is_empty(), ..Self::default() };
        index.listed = runs.keys().copied().chain(damaged).collect();
        runs.into_values().for_each(|run| index.add(run));
        index.condemn(log);
        index.bound_ranges(repository);
        Ok(index)
    }

    /// Opens the runs that open and reports the others; for `check` and for reading what damage left.
    pub fn open_what_opens(
        repository: &Repository,
        log: &GcLog,
        report: impl FnMut(ObjectId, RepoError),
    ) -> Result<Self, RepoError> {
        Self::open_of(repository, log, list_runs(repository)?, report)
    }

    /// Opens those of the runs that were there when the store was opened, or later, that open. What they do not know is
    /// looked for in runs that are listed then.
    pub fn open_to_read(repository: &Repository, log: &GcLog) -> Result<Self, RepoError> {
        let listed = runs_of(repository.list_lately(Kind::Indexes)?);
        Ok(Self { dated: true, ..Self::open_of(repository, log, listed, |_, _| {})? })
    }

    fn open_of(
        repository: &Repository,
        log: &GcLog,
        listed: Runs,
        mut report: impl FnMut(ObjectId, RepoError),
    ) -> Result<Self, RepoError> {
        let mut index = Self { on_damage: OnDamage::LookElsewhere, ..Self::default() };
        for (id, len) in listed {
            index.listed.insert(id);
            match Run::open(&*repository.backend, &repository.keys, id, len, &mut index.packs) {
                Ok(run) => index.add(run),
                // Merged into another since it was listed: whoever misses a chunk opens the index anew.
                Err(RepoError::Backend(error)) if error.is_not_found() => {}
                Err(error) if error.is_damage() => {
                    index.incomplete = true;
                    report(id, error);
                }
                Err(error) => return Err(error),
            }
        }
        index.condemn(log);
        index.bound_ranges(repository);
        Ok(index)
    }

    /// Opens the index anew, in the way in which it was opened.
    pub fn reopen(&mut self, repository: &Repository) -> Result<(), RepoError> {
        let index = match self.on_damage {
            OnDamage::LookElsewhere => Self::open_what_opens(repository, &repository.gc_log_for_reading()?, |_, _| {})?,
            OnDamage::StoreAgain => Self::open(repository, &repository.gc_log()?)?,
            OnDamage::Refuse => Self::open_whole(repository, &repository.gc_log()?)?,
        };
        let before = std::mem::replace(self, index);
        self.condemned.extend(before.condemned);
        self.generation = before.generation + 1;
        Ok(())
    }

    /// Opens the index anew if others added or removed runs since it was opened.
    pub fn refresh(&mut self, repository: &Repository) -> Result<(), RepoError> {
        if list_runs(repository)?.into_keys().eq(self.listed.iter().copied()) {
            Ok(())
        } else {
            self.reopen(repository)
        }
    }
}
