//! How many bytes of packs nobody needs. Counting chunks is not enough: those in use may be the small ones.

use std::collections::{HashMap, HashSet};

use super::mark::Marked;
use super::plan::{Staying, for_each_row};
use crate::crypto::role::Role;
use crate::format::index::PackEntry;
use crate::ids::ObjectId;
use crate::repo::pack_reader::PackReader;
use crate::repo::{RepoError, Repository};

/// Packs that are measured; what is found with them corrects what was counted of others.
const MEASURED: usize = 256;

/// Corrects the unused bytes of packs, which were guessed from counts: of those with most of them by what their
/// directories say, of the others in proportion.
pub(super) fn measure(repository: &Repository, marked: &Marked, packs: &mut [Staying]) -> Result<(), RepoError> {
    packs.sort_by(|a, b| b.unused.total_cmp(&a.unused).then(a.id.cmp(&b.id)));
    let partial = packs.iter().take_while(|pack| pack.unused > 0.0).count();
    let (measured, others) = packs[..partial].split_at_mut(partial.min(MEASURED));
    if measured.is_empty() {
        return Ok(());
    }
    let live = live_ordinals(repository, marked, measured)?;
    let (mut counted, mut found) = (0.0, 0.0);
    for pack in measured {
        let unused = match unused_bytes(repository, pack, live.get(&pack.id)) {
            Ok(unused) => unused,
            // Removed by another collector, or damaged, which `check` tells: as it was counted.
            Err(error) if error.is_damage() => continue,
            Err(error) => return Err(error),
        };
        (counted, found) = (counted + pack.unused, found + unused);
        pack.set_unused(unused);
    }
    if counted > 0.0 {
        for pack in others {
            pack.set_unused((pack.unused * found / counted).min(pack.len as f64));
        }
    }
    Ok(())
}

/// For each of these packs the places of its chunks in use.
fn live_ordinals(
    repository: &Repository,
    marked: &Marked,
    packs: &[Staying],
) -> Result<HashMap<ObjectId, HashSet<u16>>, RepoError> {
    let mut live: HashMap<ObjectId, HashSet<u16>> = packs.iter().map(|pack| (pack.id, HashSet::new())).collect();
    for_each_row(repository, marked, |number, row, pack| {
        if let Some(live) = live.get_mut(&pack.id).filter(|_| marked.is_kept(number)) {
            live.insert(row.ordinal);
        }
    })?;
    Ok(live)
}

/// Stored bytes of chunks that are not in use: their share of each block's plaintext.
fn unused_bytes(repository: &Repository, pack: &Staying, live: Option<&HashSet<u16>>) -> Result<f64, RepoError> {
    let entry = PackEntry { id: pack.id, len: u32::try_from(pack.len).unwrap_or(u32::MAX) };
    let reader = PackReader::open(&*repository.backend, &repository.keys, entry)?;
    let is_live = |ordinal: usize| live.is_some_and(|live| u16::try_from(ordinal).is_ok_and(|one| live.contains(&one)));
    let moves_blocks = repository.keys.role() != Role::Reader;
    let unused = reader.spans().iter().map(|span| {
        let chunks = reader.directory.chunks_of(span).iter().zip(span.first_chunk..);
        let dead: u64 = chunks.filter(|(_, ordinal)| !is_live(*ordinal)).map(|(chunk, _)| u64::from(chunk.len)).sum();
        // Whoever can only move whole blocks wins nothing by moving one of which something is needed.
        let dead = if moves_blocks && dead < u64::from(span.row.plain_len) { 0 } else { dead };
        f64::from(span.row.stored_len) * dead as f64 / f64::from(span.row.plain_len)
    });
    Ok(unused.sum())
}
