//! Opening a repository whose configuration is lost or damaged, or all of its key slots are: with those of a mirror.

use std::sync::Arc;

use super::Place;
use crate::backend::overlay::Overlay;
use crate::backend::{Backend, Key, Kind};
use crate::env::Env;
use crate::error::Error;
use crate::format::index::PackEntry;
use crate::format::keyslot::KeySlot;
use crate::repo::index::run::{PackTable, Run};
use crate::repo::objects::check_name;
use crate::repo::pack_reader::PackReader;
use crate::repo::{Credential, RepoError, Repository};

/// Objects of a kind of which one must open.
const TRIED: usize = 3;

/// A repository that was opened with what another place has.
pub struct Opened {
    /// The repository.
    pub repository: Repository,
    /// The place.
    pub from: String,
    /// True if the configuration here is lost or damaged, and that of the place is put.
    pub has_config: bool,
    /// True if no key slot here opens, and a new one for the credential is put.
    pub has_slot: bool,
}

/// Opens the repository with the configuration, and if need be the key slots, of the first place that has those of this
/// repository; nothing if none has. Puts the configuration, and a new key slot for the credential, unless it is a dry run.
pub fn open_with(
    backend: &Arc<dyn Backend>,
    places: &[Place],
    credential: &Credential,
    env: &Env,
    dry_run: bool,
) -> Result<Option<Opened>, Error> {
    // Where a slot is whole, a password that opens none was removed, or never was one.
    let has_slot = has_whole_slot(&**backend)?;
    for place in places {
        let Some(config) = place.read(&Key::Config)? else { continue };
        for with_slots in [false, true].into_iter().filter(|with_slots| !(*with_slots && has_slot)) {
            let overlay = Arc::new(lent(backend, place, with_slots)?);
            let shown = Arc::clone(&overlay) as Arc<dyn Backend>;
            let opened = Repository::open(shown, place.name(), || Ok(credential.clone()), env.clone());
            let Ok(opened) = opened else { continue };
            if !is_of(&opened, &**backend)? {
                continue;
            }
            let has_config = backend.get(&Key::Config, None).ok().as_ref() != Some(&config);
            let from = place.name().to_owned();
            let mut opened = Opened { repository: opened, from, has_config, has_slot: with_slots };
            if dry_run {
                return Ok(Some(opened));
            }
            if has_config {
                backend.replace(&Key::Config, &config).map_err(RepoError::from)?;
            }
            opened.repository = opened.repository.on(Arc::clone(backend));
            if with_slots {
                // Of the slots there some may have been removed here: only what has just opened it opens it again.
                opened.repository.add_slot(credential, "repaired")?;
            }
            return Ok(Some(opened));
        }
    }
    Ok(None)
}

fn has_whole_slot(backend: &dyn Backend) -> Result<bool, Error> {
    for listed in backend.list(Kind::Keys).map_err(RepoError::from)? {
        let object = backend.get(&listed.key, None).map_err(RepoError::from)?;
        if check_name(&listed.key, &object).is_ok() && KeySlot::decode(&object).is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The store as it would be with the configuration of a place, and its key slots.
fn lent(backend: &Arc<dyn Backend>, place: &Place, with_slots: bool) -> Result<Overlay, Error> {
    let overlay = Overlay::new(Arc::clone(backend)).map_err(RepoError::from)?;
    let mut keys = vec![Key::Config];
    if with_slots {
        keys.extend(place.list(Kind::Keys)?.into_iter().map(|listed| listed.key));
    }
    for key in keys.iter().filter(|key| matches!(place.read(key), Ok(Some(_)))) {
        overlay.lend(key, place.store()).map_err(RepoError::from)?;
    }
    Ok(overlay)
}

/// True if something that is stored here opens: the configuration is that of this repository and not of another that the
/// same password opens.
pub(in crate::engine) fn is_of(opened: &Repository, backend: &dyn Backend) -> Result<bool, Error> {
    let keys = &opened.keys;
    for kind in [Kind::Packs, Kind::Indexes, Kind::Snapshots, Kind::Gc] {
        for listed in backend.list(kind).map_err(RepoError::from)?.into_iter().take(TRIED) {
            let opens = match listed.key {
                Key::Pack(id) => {
                    let len = u32::try_from(listed.len).unwrap_or(u32::MAX);
                    PackReader::open(backend, keys, PackEntry { id, len }).map(drop)
                }
                Key::Index(id) => Run::open(backend, keys, id, listed.len, &mut PackTable::default()).map(drop),
                Key::Snapshot(_) => opened.read_roots(&listed.key).map(drop),
                Key::Gc(_) => {
                    let object = backend.get(&listed.key, None).map_err(RepoError::from)?;
                    opened.open_gc_record(&listed.key, &object).map(drop)
                }
                _ => continue,
            };
            match opens {
                Ok(()) => return Ok(true),
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(false)
}
