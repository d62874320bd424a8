//! Packs and the index: what is damaged, and rows for all that can be read and for nothing else.

use std::collections::{BTreeSet, HashSet, VecDeque};

use super::places::Place;
use super::rows::RowWriter;
use super::tally::{Rows, Tally};
use super::{Fault, Repair, Runs, damage};
use crate::backend::{Key, Kind, Listed};
use crate::engine::check::is_gone;
use crate::engine::collect::sweep::rewrite_without;
use crate::error::{Error, chain};
use crate::event::{Event, Task, Unit};
use crate::format::index::PackEntry;
use crate::format::pack::Directory;
use crate::ids::{ChunkId, ObjectId};
use crate::limits;
use crate::repo::index::merge::merge_full_levels;
use crate::repo::index::run::{PackTable, Run};
use crate::repo::objects::check_name;
use crate::repo::pack_reader::PackReader;
use crate::repo::pool::{Pool, Ticket};
use crate::repo::{RepoError, Repository};

/// How often it is looked again while others merge runs.
const ATTEMPTS: usize = 10;

/// What a look at the packs has found that the index must follow.
pub(super) struct Found {
    runs: Runs,
    tally: Tally,
    /// Packs with rows of which some are wrong.
    wrong: BTreeSet<ObjectId>,
}

impl Repair<'_> {
    /// Finds packs that are missing, cut or damaged, and writes rows for what no run names. That needs no gc log.
    pub(super) fn look_at_packs(&mut self) -> Result<Found, Error> {
        for _ in 1..ATTEMPTS {
            match self.try_to_look() {
                // A run was merged into another since it was listed.
                Err(Error::Repo(error)) if is_gone(&error) => {}
                other => return other,
            }
        }
        self.try_to_look()
    }

    fn try_to_look(&mut self) -> Result<Found, Error> {
        self.faults.retain(|_, fault| matches!(fault, Fault::Rotten));
        let mut runs = self.open_runs()?;
        let tally = Tally::of(&self.repository, &mut runs)?;
        // Listed after the runs: a pack that one of them names was put before.
        let listed = list_packs(&self.repository)?;
        self.report.packs = listed.len() as u64;
        let is_there = |id: &ObjectId| listed.binary_search_by_key(id, |pack| pack.id).is_ok();
        let gone = tally.packs().filter(|id| !is_there(id) && !self.faults.contains_key(*id)).copied();
        let gone: Vec<ObjectId> = gone.collect();
        self.faults.extend(gone.into_iter().map(|id| (id, Fault::Missing)));
        let mut found = Found { runs, tally, wrong: BTreeSet::new() };
        let (repository, faults) = (&self.repository, &mut self.faults);
        let mut writer = RowWriter::new(repository);
        for_each_directory(repository, &listed, |pack, opened| {
            match opened {
                Ok(reader) => {
                    found.give_rows(pack, &reader.directory, &mut writer)?;
                    // Perhaps it is the rows that are wrong, and perhaps it is another pack under this name.
                    if found.wrong.contains(&pack.id) && damage(read_whole(repository, pack))?.is_some() {
                        faults.insert(pack.id, Fault::Rotten);
                    }
                }
                Err(error) if is_gone(&error) => drop(faults.insert(pack.id, Fault::Missing)),
                Err(error) if error.is_damage() => {
                    let opens = found.opens_as_named(repository, pack, &mut writer)?;
                    let fault = if opens { Fault::Rotten } else { Fault::Closed(chain(&error)) };
                    faults.insert(pack.id, fault);
                }
                Err(error) => return Err(error),
            }
            Ok(())
        })?;
        self.finish_rows(writer)?;
        Ok(found)
    }

    fn finish_rows(&mut self, mut writer: RowWriter) -> Result<(), RepoError> {
        writer.flush()?;
        let (packs, rows) = writer.added();
        self.report.indexed_packs += packs;
        self.report.indexed_rows += rows;
        Ok(())
    }

    /// Lets the index follow what was found: drops rows that lead nowhere, and removes damaged runs, since everything that
    /// they could name is named by others now.
    pub(super) fn mend_index(&mut self, mut found: Found) -> Result<(), Error> {
        if !self.report.waiting_records.is_empty() {
            // Rows of packs that are gone must not come back by a merge while nothing says that they are.
            return Ok(());
        }
        for _ in 1..ATTEMPTS {
            match self.try_to_mend(found) {
                Err(Error::Repo(error)) if is_gone(&error) => found = self.look_at_packs()?,
                other => return other,
            }
        }
        self.try_to_mend(found)
    }

    fn try_to_mend(&mut self, found: Found) -> Result<(), Error> {
        self.distrust()?;
        let mut stale = found.wrong;
        let is_closed = |fault: &Fault| !matches!(fault, Fault::Rotten);
        stale.extend(self.faults.iter().filter(|(_, fault)| is_closed(fault)).map(|(id, _)| *id));
        stale.retain(|pack| found.tally.has(pack));
        rewrite_without(&self.repository, &found.runs.whole, |pack| stale.contains(pack))?;
        self.report.dropped_packs += stale.len() as u64;
        for id in &found.runs.damaged {
            self.repository.backend.delete(&Key::Index(*id)).map_err(RepoError::from)?;
            self.report.removed_runs += 1;
        }
        drop(found.runs);
        Ok(merge_full_levels(&self.repository)?)
    }

    /// Opens the runs that are what their names say, and takes others from where they are whole.
    fn open_runs(&mut self) -> Result<Runs, Error> {
        let (mut runs, mut table) = (Runs::default(), PackTable::default());
        for listed in self.repository.list(Kind::Indexes)? {
            let Key::Index(id) = listed.key else { continue };
            self.repository.check_cancel()?;
            match open_run(&self.repository, id, &mut table) {
                Ok(run) => runs.whole.push(run),
                Err(error) if is_gone(&error) => {}
                Err(error) if error.is_damage() => {
                    let brought = self.bring(&listed.key, |_| true)?;
                    match open_run(&self.repository, id, &mut table) {
                        Ok(run) if brought => runs.whole.push(run),
                        _ => drop(runs.damaged.insert(id)),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(runs)
    }

    /// Takes from other places what is missing or damaged here, and gives it rows. Packs that a collector has removed are
    /// brought when something needs them. What follows goes by what it gives back.
    pub(super) fn bring_packs(&mut self, mut found: Found) -> Result<Found, Error> {
        let log = self.repository.gc_log_for_reading()?;
        let (mut writer, mut was_another) = (RowWriter::new(&self.repository), false);
        for (id, fault) in std::mem::take(&mut self.faults) {
            let key = Key::Pack(id);
            if matches!(fault, Fault::Missing) && log.is_condemned(&id) {
                self.faults.insert(id, Fault::Removed);
            } else if self.bring(&key, |_| true)? {
                was_another |= found.wrong.contains(&id);
                let len =
                    u32::try_from(self.repository.backend.len(&key).map_err(RepoError::from)?).unwrap_or(u32::MAX);
                let (backend, keys) = (&*self.repository.backend, &self.repository.keys);
                match PackReader::open(backend, keys, PackEntry { id, len }) {
                    Ok(reader) => found.give_rows(reader.entry, &reader.directory, &mut writer)?,
                    // It is what its name says, and never was a pack of ours.
                    Err(error) if error.is_damage() => drop(self.faults.insert(id, Fault::Closed(chain(&error)))),
                    Err(error) => return Err(error.into()),
                }
            } else {
                self.faults.insert(id, fault);
            }
        }
        self.finish_rows(writer)?;
        // Rows were written for what lay under its name.
        if was_another { self.look_at_packs() } else { Ok(found) }
    }

    /// Reads packs to the last byte: all, or only those that somebody has distrusted.
    pub(super) fn find_rotten_packs(&mut self) -> Result<(), Error> {
        let log = self.repository.gc_log_for_reading()?;
        let mut packs = list_packs(&self.repository)?;
        packs.retain(|pack| {
            let is_chosen = self.options.read_data || log.is_condemned(&pack.id);
            is_chosen && !self.faults.contains_key(&pack.id)
        });
        let total = packs.iter().map(|pack| u64::from(pack.len)).sum();
        begin(&self.repository, "reading data", total, Unit::Bytes);
        let (faults, report) = (&mut self.faults, &mut self.report);
        for_each(&self.repository, READ_AHEAD, &packs, read_whole, |pack, read| {
            match read {
                Ok(()) => {}
                Err(error) if is_gone(&error) => {}
                Err(error) if error.is_damage() => drop(faults.insert(pack.id, Fault::Rotten)),
                Err(error) => return Err(error),
            }
            report.packs_read += 1;
            Ok(u64::from(pack.len))
        })
    }

    /// Says for ever that no writer relies on what is damaged.
    fn distrust(&mut self) -> Result<(), Error> {
        let mut log = self.repository.gc_log()?;
        for (id, fault) in &mut self.faults {
            if matches!(fault, Fault::Missing) && log.is_condemned(id) {
                *fault = Fault::Removed;
            }
        }
        let suspects: Vec<ObjectId> = self.faults.keys().copied().collect();
        let new = self.repository.distrust(&mut log, &suspects)?;
        self.report.distrusted.extend(new);
        Ok(())
    }

    /// Takes packs from a place that have chunks which are missed here, and gives them rows; says how many.
    pub(super) fn bring_packs_with(
        &mut self,
        place: &Place,
        missing: &mut HashSet<ChunkId>,
        tried: &mut HashSet<ObjectId>,
    ) -> Result<usize, Error> {
        let here = list_packs(&self.repository)?;
        let (mut writer, mut brought) = (RowWriter::new(&self.repository), 0);
        for listed in place.list(Kind::Packs)? {
            let (Key::Pack(id), Ok(len)) = (listed.key, u32::try_from(listed.len)) else { continue };
            let is_here = here.binary_search_by_key(&id, |pack| pack.id).is_ok();
            if missing.is_empty() || (is_here && !self.faults.contains_key(&id)) || tried.contains(&id) {
                continue;
            }
            self.repository.check_cancel()?;
            // What does not open is none of ours.
            let pack = PackEntry { id, len };
            let Ok(reader) = PackReader::open(&**place.store(), &self.repository.keys, pack) else { continue };
            let chunks = reader.directory.chunks();
            if !chunks.iter().any(|chunk| missing.contains(&chunk.id)) {
                continue;
            }
            tried.insert(id);
            let Some(bytes) = place.read(&listed.key)? else { continue };
            self.put(&listed.key, &bytes, place)?;
            self.faults.remove(&id);
            writer.add(pack, &reader.directory)?;
            chunks.iter().for_each(|chunk| {
                missing.remove(&chunk.id);
            });
            brought += 1;
        }
        self.finish_rows(writer)?;
        Ok(brought)
    }
}

impl Found {
    /// True if a pack opens when it is taken to be as long as its rows say: whoever reads does so, and what it holds is not
    /// lost by something having been added to its end.
    fn opens_as_named(
        &mut self,
        repository: &Repository,
        pack: PackEntry,
        writer: &mut RowWriter,
    ) -> Result<bool, RepoError> {
        let Some(len) = self.tally.len_of(&pack.id).filter(|len| *len < pack.len) else { return Ok(false) };
        let named = PackEntry { len, ..pack };
        match PackReader::open(&*repository.backend, &repository.keys, named) {
            Ok(reader) => self.give_rows(named, &reader.directory, writer).map(|()| true),
            Err(error) if error.is_damage() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sees to it that a pack has just the rows that its directory says.
    fn give_rows(&mut self, pack: PackEntry, directory: &Directory, writer: &mut RowWriter) -> Result<(), RepoError> {
        match self.tally.compare(&pack, directory) {
            Rows::Right => Ok(()),
            Rows::None => writer.add(pack, directory),
            Rows::Wrong => {
                self.wrong.insert(pack.id);
                writer.add(pack, directory)
            }
        }
    }
}

/// Fails if the bytes of a pack are not what its name says.
fn read_whole(repository: &Repository, pack: PackEntry) -> Result<(), RepoError> {
    let key = Key::Pack(pack.id);
    let object = repository.backend.get(&key, None)?;
    check_name(&key, &object)
}

/// Packs that are read whole at a time.
const READ_AHEAD: usize = 2;

/// Opens a run whose bytes are what its name says.
fn open_run(repository: &Repository, id: ObjectId, table: &mut PackTable) -> Result<Run, RepoError> {
    let key = Key::Index(id);
    let object = repository.backend.get(&key, None)?;
    check_name(&key, &object)?;
    Run::open(&*repository.backend, &repository.keys, id, object.len() as u64, table)
}

/// The packs in the order of their names. One that is longer than any may be opens as little with this length as with its
/// own.
fn list_packs(repository: &Repository) -> Result<Vec<PackEntry>, RepoError> {
    let entry = |listed: Listed| match listed.key {
        Key::Pack(id) => Some(PackEntry { id, len: u32::try_from(listed.len).unwrap_or(u32::MAX) }),
        _ => None,
    };
    let mut packs: Vec<PackEntry> = repository.backend.list(Kind::Packs)?.into_iter().filter_map(entry).collect();
    packs.sort_unstable_by_key(|pack| pack.id);
    Ok(packs)
}

fn begin(repository: &Repository, what: &str, total: u64, unit: Unit) {
    repository.env.tell(&Event::Begin { task: Task::ONLY, what, total: Some(total), unit });
}

/// Opens the directories of packs, several at a time, in order.
fn for_each_directory(
    repository: &Repository,
    packs: &[PackEntry],
    mut each: impl FnMut(PackEntry, Result<PackReader, RepoError>) -> Result<(), RepoError>,
) -> Result<(), Error> {
    begin(repository, "reading the directories of packs", packs.len() as u64, Unit::Items);
    let open =
        |repository: &Repository, pack: PackEntry| PackReader::open(&*repository.backend, &repository.keys, pack);
    let ahead = if repository.backend.is_remote() { limits::READS_AT_A_TIME } else { repository.env.workers };
    for_each(repository, ahead, packs, open, |pack, opened| each(pack, opened).map(|()| 1))
}

/// Does something with each pack, several at a time, and hands over what came of it in order.
fn for_each<T: Send + 'static>(
    repository: &Repository,
    ahead: usize,
    packs: &[PackEntry],
    read: impl Fn(&Repository, PackEntry) -> Result<T, RepoError> + Copy + Send + 'static,
    mut each: impl FnMut(PackEntry, Result<T, RepoError>) -> Result<u64, RepoError>,
) -> Result<(), Error> {
    let pool = Pool::new(ahead)?;
    let mut reading: VecDeque<(PackEntry, Ticket<Result<T, RepoError>>)> = VecDeque::new();
    let mut packs = packs.iter().copied();
    loop {
        while reading.len() < 2 * ahead
            && let Some(pack) = packs.next()
        {
            let repository = repository.clone();
            reading.push_back((pack, pool.submit(move || read(&repository, pack))));
        }
        let Some((pack, ticket)) = reading.pop_front() else { break };
        repository.check_cancel()?;
        let done = each(pack, ticket.wait().map_err(RepoError::from)?)?;
        repository.env.tell(&Event::Advance(Task::ONLY, done));
    }
    repository.env.tell(&Event::End(Task::ONLY));
    Ok(())
}
