//! Which snapshots may not restore, by what is known without reading data: for whoever is about to forget others.

use std::collections::BTreeSet;

use super::lists::walk_snapshots;
use super::{Broken, Report};
use crate::error::Error;
use crate::ids::ObjectId;
use crate::repo::Repository;
use crate::repo::index::Index;

/// The snapshots that need something of a pack that is missing, cut or distrusted, and that no other pack has. Walks the
/// lists of all snapshots if there is such a pack.
pub fn doubtful_snapshots(repository: &Repository) -> Result<BTreeSet<ObjectId>, Error> {
    let log = repository.gc_log_for_reading()?;
    let index = Index::open_what_opens(repository, &log, |_, _| {})?;
    let mut broken = Broken { packs: repository.doubtful_packs(&index, &log)?, ..Broken::default() };
    if broken.packs.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut report = Report::default();
    walk_snapshots(repository, index, &mut broken, &mut report)?;
    Ok(report.hits.into_iter().map(|hit| hit.snapshot).collect())
}
