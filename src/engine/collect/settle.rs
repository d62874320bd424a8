//! Work on the index beside others that change it.

use crate::backend::{Key, Kind};
use crate::repo::{RepoError, Repository};

/// How often work on the index is begun anew.
const ATTEMPTS: usize = 10;

/// Does something that reads the index; does it again if it failed while others merged runs or moved chunks.
pub(in crate::engine) fn settle<T>(
    repository: &Repository,
    mut attempt: impl FnMut() -> Result<T, RepoError>,
) -> Result<T, RepoError> {
    for _ in 1..ATTEMPTS {
        let before = runs(repository)?;
        match attempt() {
            Err(error) if may_be_stale(&error) && runs(repository)? != before => {}
            outcome => return outcome,
        }
    }
    attempt()
}

fn may_be_stale(error: &RepoError) -> bool {
    match error {
        RepoError::WillNotCollect { source, .. } => may_be_stale(source),
        error => error.is_damage(),
    }
}

fn runs(repository: &Repository) -> Result<Vec<Key>, RepoError> {
    Ok(repository.list(Kind::Indexes)?.into_iter().map(|listed| listed.key).collect())
}
