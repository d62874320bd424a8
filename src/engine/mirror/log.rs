//! What has no name that proves it: the configuration, and the records of the gc log.
//!
//! Records are numbered. If somebody has used the mirror as a repository, one number says two things there and here; then
//! nothing is copied. Whether one of two that differ is only damaged, the keys tell.

use super::proof::Proof;
use super::rebase::{can_take_back, take_back};
use super::transfer::Transfer;
use super::{Objects, Report, failed, there};
use crate::backend::{Backend, BackendError, Key};
use crate::engine::repair::is_of;
use crate::error::Error;
use crate::format::config::ConfigHead;
use crate::repo::RepoError;

fn stored(backend: &dyn Backend) -> Result<Option<Vec<u8>>, BackendError> {
    match backend.get(&Key::Config, None) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The configuration comes first: whatever else is in the mirror is then part of a mirror of this repository. True if
/// there is none even now, because this is a dry run.
pub(super) fn copy_config(pair: &Transfer<'_>, report: &mut Report) -> Result<bool, Error> {
    let missing = || RepoError::NoRepository { place: "the place that is to be mirrored".to_owned() };
    let config = stored(pair.from).map_err(failed)?.ok_or_else(missing)?;
    let known = stored(pair.to).map_err(there)?;
    if known.as_ref() == Some(&config) {
        report.present += 1;
        return Ok(false);
    }
    let is_missing = known.is_none();
    if let Some(known) = known {
        require_damage(pair, &config, &known)?;
        report.healed += 1;
    }
    report.copied += 1;
    report.copied_bytes += config.len() as u64;
    match (pair.dry_run, is_missing) {
        (true, _) => {}
        (false, true) => pair.to.put(&Key::Config, &config).map_err(there)?,
        (false, false) => pair.to.replace(&Key::Config, &config).map_err(there)?,
    }
    Ok(pair.dry_run && is_missing)
}

/// Fails unless the configuration there is a damaged one of this repository.
fn require_damage(pair: &Transfer<'_>, config: &[u8], known: &[u8]) -> Result<(), Error> {
    let repo = |bytes: &[u8]| ConfigHead::decode(bytes).ok().map(|head| head.repo);
    let text = match (repo(known) == repo(config), pair.prover.0) {
        // Only the right configuration opens.
        (true, Some(_)) => return Ok(()),
        // It is the name of the repository that is damaged: what lies beside it is ours.
        (false, Some(opened)) if is_of(opened, pair.to)? => return Ok(()),
        (true, None) => {
            "the configuration there is not the one here, though of the same repository: one of the two is damaged. If \
             `sfarc list` works here, `sfarc mirror --delete`, which opens the repository, mends the one there"
        }
        (false, _) => "another repository is there; a mirror is made in an empty place",
    };
    Err(Error::Refused(text.to_owned()))
}

/// Compares the records that both have: the newest, those of other lengths, or all. Mends those that are damaged there.
/// Fails if the mirror was changed by itself.
pub(super) fn compare_log(
    pair: &Transfer<'_>,
    here: &Objects,
    known: &Objects,
    verify: bool,
    report: &mut Report,
) -> Result<(), Error> {
    let later: Vec<&Key> = known.keys().filter(|key| !here.contains_key(key)).collect();
    if !can_take_back(pair, &later)? {
        let text = "the gc log there has records that the repository does not have: either the mirror was changed by \
                    itself (garbage was collected or snapshots were forgotten there), or the repository has lost \
                    records, or an older state of it was put back. A mirror is only read: if it was changed, make a new \
                    one in an empty place; if only a check was run there, `sfarc mirror --delete`, which opens the \
                    repository, goes on; otherwise `sfarc repair --from` brings back here what was lost";
        return Err(Error::Refused(text.to_owned()));
    }
    // The last first: a log has no gap.
    for key in later.into_iter().rev() {
        take_back(pair, key, None, report)?;
    }
    // Whether the newest is the same: so are all before it then, unless one is damaged.
    let mut is_doubtful = true;
    for (key, len) in known.iter().rev().filter(|(key, _)| here.contains_key(key)) {
        if verify || is_doubtful || here.get(key) != Some(len) {
            is_doubtful = compare_record(pair, key, report)?;
        }
    }
    Ok(())
}

/// True if the mirror had another record there, which was taken back.
fn compare_record(pair: &Transfer<'_>, key: &Key, report: &mut Report) -> Result<bool, Error> {
    let one = pair.from.get(key, None).map_err(failed)?;
    let other = pair.to.get(key, None).map_err(there)?;
    if one == other {
        return Ok(false);
    }
    match (pair.prover.prove(key, &one), pair.prover.prove(key, &other)) {
        (Proof::Whole, Proof::Wrong) => {
            if !pair.dry_run {
                pair.to.replace(key, &one).map_err(there)?;
            }
            report.copied += 1;
            report.copied_bytes += one.len() as u64;
            report.healed += 1;
            Ok(false)
        }
        (Proof::Wrong, Proof::Whole) => {
            name_once(&mut report.damaged, key);
            Ok(false)
        }
        (Proof::Wrong, Proof::Wrong) => {
            name_once(&mut report.damaged, key);
            name_once(&mut report.spoilt, key);
            Ok(false)
        }
        _ => {
            if take_back(pair, key, Some(&one), report)? {
                return Ok(true);
            }
            let text = format!(
                "{key} is another there than here: either the mirror was changed by itself (garbage was collected or \
                 snapshots were forgotten there), or one of the two is damaged. A mirror is only read: if it was \
                 changed, make a new one in an empty place. `sfarc check` of both tells which is damaged; `sfarc \
                 mirror --delete`, which opens the repository, mends one that is damaged there, and takes back what only a \
                 check has noted"
            );
            Err(Error::Refused(text))
        }
    }
}

/// Names an object, however often a round is begun anew.
fn name_once(keys: &mut Vec<Key>, key: &Key) {
    if !keys.contains(key) {
        keys.push(*key);
    }
}
