//! Dropping the rows of removed packs from the index.

use std::collections::HashSet;

use crate::backend::{Key, Kind};
use crate::ids::ObjectId;
use crate::repo::gc_log::GcLog;
use crate::repo::index::Index;
use crate::repo::index::build::GroupWriter;
use crate::repo::index::merge::{for_each_row, require_names};
use crate::repo::index::run::Run;
use crate::repo::{RepoError, Repository};

/// Writes runs that name removed packs anew without their rows.
///
/// Other writers may bring such rows back by merging runs that they had opened; the gc log makes them harmless, and the
/// next call drops them again.
pub(super) fn drop_rows(repository: &Repository, log: &GcLog) -> Result<(), RepoError> {
    let present: HashSet<ObjectId> = repository
        .list(Kind::Packs)?
        .iter()
        .filter_map(|listed| match listed.key {
            Key::Pack(id) => Some(id),
            _ => None,
        })
        .collect();
    let gone = |pack: &ObjectId| log.is_condemned(pack) && !present.contains(pack);
    let index = Index::open_whole(repository, log)?;
    rewrite_without(repository, index.runs(), gone)
}

/// Writes those of the runs anew that have rows of such packs, without these rows. The new runs are durable before the old
/// ones go.
pub(in crate::engine) fn rewrite_without(
    repository: &Repository,
    runs: &[Run],
    is_gone: impl Fn(&ObjectId) -> bool,
) -> Result<(), RepoError> {
    let stale: Vec<&Run> = runs.iter().filter(|run| run.packs().any(|pack| is_gone(&pack.id))).collect();
    let Some(level) = stale.iter().map(|run| run.footer.level).max() else {
        return Ok(());
    };
    require_names(repository, stale.iter().copied())?;
    let mut writer = GroupWriter::new(repository, level);
    for_each_row(repository, &stale, |row| if is_gone(&row.pack.id) { Ok(()) } else { writer.push(row) })?;
    writer.finish()?;
    for run in stale {
        repository.backend.delete(&Key::Index(run.id))?;
    }
    Ok(())
}
