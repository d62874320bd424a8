//! Reading packs to their last byte.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::packs::missing;
use super::{Broken, ReadData, Report, is_gone};
use crate::backend::{Cause, Key, Kind};
use crate::error::Error;
use crate::event::{Event, Task, Unit};
use crate::format::index::PackEntry;
use crate::ids::{ChunkId, ObjectId};
use crate::repo::index::Index;
use crate::repo::objects::check_name;
use crate::repo::pack_reader::PackReader;
use crate::repo::pool::{Pool, Ticket};
use crate::repo::{RepoError, Repository};

/// Packs read at the same time; each is in memory as a whole.
const PACKS_AHEAD: usize = 2;

/// What is wrong with a pack.
#[derive(Debug, Default)]
struct Findings {
    errors: Vec<RepoError>,
    /// The chunks that cannot be read because of it.
    chunks: Vec<ChunkId>,
}

/// Reads packs and proves every chunk in them; adds what does not open to `broken`.
pub(in crate::engine) fn read_packs(
    repository: &Repository,
    index: &Index,
    read_data: &ReadData,
    broken: &mut Broken,
    report: &mut Report,
) -> Result<(), Error> {
    let packs = chosen(repository, all_packs(repository, index)?, read_data, report);
    let total = packs.iter().map(|pack| u64::from(pack.len)).sum();
    repository.env.tell(&Event::Begin {
        task: Task::ONLY,
        what: "reading data",
        total: Some(total),
        unit: Unit::Bytes,
    });
    let pool = Pool::new(repository.env.workers)?;
    let mut reading: VecDeque<(PackEntry, Ticket<Result<Findings, RepoError>>)> = VecDeque::new();
    let mut packs = packs.into_iter();
    loop {
        while reading.len() < PACKS_AHEAD
            && !is_enough(read_data)
            && let Some(pack) = packs.next()
        {
            let repository = repository.clone();
            reading.push_back((pack, pool.submit(move || read_pack(&repository, pack))));
        }
        let Some((pack, ticket)) = reading.pop_front() else { break };
        repository.check_cancel()?;
        let found = match ticket.wait().map_err(RepoError::from)? {
            // What was missing before is named already.
            Err(error) if is_gone(&error) => {
                if broken.packs.insert(pack.id) {
                    missing(repository, pack.id, report)?;
                }
                continue;
            }
            other => other?,
        };
        found.errors.iter().for_each(|error| report.problem(Key::Pack(pack.id), error));
        broken.chunks.extend(found.chunks.into_iter().map(|chunk| (pack.id, chunk)));
        report.packs_read.insert(pack.id);
        report.bytes_read += u64::from(pack.len);
        repository.env.tell(&Event::Advance(Task::ONLY, u64::from(pack.len)));
    }
    repository.env.tell(&Event::End(Task::ONLY));
    Ok(())
}

fn is_enough(read_data: &ReadData) -> bool {
    matches!(read_data, ReadData::These(_, enough) if enough.is_cancelled())
}

/// The packs that the index names, and those that are there without: where a run is lost, readers look into them.
fn all_packs(repository: &Repository, index: &Index) -> Result<HashMap<ObjectId, PackEntry>, RepoError> {
    let mut all = index.packs();
    for listed in repository.list(Kind::Packs)? {
        if let (Key::Pack(id), Ok(len)) = (listed.key, u32::try_from(listed.len)) {
            all.entry(id).or_insert(PackEntry { id, len });
        }
    }
    Ok(all)
}

/// The packs to read, in the order in which they are read.
fn chosen(
    repository: &Repository,
    all: HashMap<ObjectId, PackEntry>,
    read_data: &ReadData,
    report: &mut Report,
) -> Vec<PackEntry> {
    if let ReadData::These(packs, _) = read_data {
        // What is neither named nor there cannot be read.
        report.packs_read.extend(packs.iter().filter(|id| !all.contains_key(id)));
        return packs.iter().filter_map(|id| all.get(id)).copied().collect();
    }
    let is_chosen = |_: &PackEntry| match read_data {
        ReadData::Share(share) => f64::from(u32::from_le_bytes(repository.env.random())) < share * f64::from(u32::MAX),
        ReadData::All => true,
        ReadData::None | ReadData::These(..) => false,
    };
    let mut packs: Vec<PackEntry> = all.into_values().filter(is_chosen).collect();
    packs.sort_by_key(|pack| pack.id);
    packs
}

fn read_pack(repository: &Repository, pack: PackEntry) -> Result<Findings, RepoError> {
    let key = Key::Pack(pack.id);
    let mut found = Findings::default();
    let object = match repository.backend.get(&key, None) {
        Ok(object) => Some(object),
        // Named by the check of structure already.
        Err(error) if matches!(error.cause, Cause::TooLong) => return Ok(found),
        // Some of its blocks may be readable.
        Err(error) if error.is_damage() => {
            found.errors.push(error.into());
            None
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(Err(error)) = object.as_ref().map(|object| check_name(&key, object)) {
        found.errors.push(error);
    }
    let reader = match PackReader::open(&*repository.backend, &repository.keys, pack) {
        Ok(reader) => Arc::new(reader),
        // Named by the check of structure already, with everything in it.
        Err(error) if error.is_damage() && !is_gone(&error) => return Ok(found),
        Err(error) => return Err(error),
    };
    for span in reader.spans() {
        if !reader.opens(span) {
            // Whoever cannot open it knows that its bytes are those that were stored.
            continue;
        }
        let (from, to) = (span.offset as usize, span.offset as usize + span.row.stored_len as usize);
        let opened = match &object {
            Some(object) => {
                reader.open_block(&repository.keys, span, object.get(from..to).unwrap_or_default().to_vec())
            }
            None => reader.read_block(repository, span),
        };
        match opened {
            Ok(_) => {}
            // The store failed, which says nothing of the block.
            Err(error) if object.is_none() && !error.is_damage() => return Err(error),
            Err(error) => {
                found.errors.push(error);
                found.chunks.extend(reader.directory.chunks_of(span).iter().map(|chunk| chunk.id));
            }
        }
    }
    Ok(found)
}
