//! A folder of files at any depth, whatever they are called: an object is the file whose bytes hash to its name.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::read_only::{Objects, ReadOnly};
use super::{BackendError, Cause, Key, Kind, Listed};
use crate::ids::ObjectId;
use crate::limits;

/// Files by the BLAKE3 of their bytes. They are read when something is asked for first.
#[derive(Debug)]
pub struct LooseFiles {
    root: PathBuf,
    files: OnceLock<HashMap<ObjectId, (PathBuf, u64)>>,
}

impl LooseFiles {
    /// The files below a folder. Fails if that cannot be listed.
    pub fn open(root: &Path) -> Result<ReadOnly<Self>, BackendError> {
        let failed = |error| BackendError::new("list", root.display(), Cause::Io(error));
        fs::read_dir(root).map_err(failed)?;
        Ok(ReadOnly(Self { root: root.to_owned(), files: OnceLock::new() }))
    }

    fn files(&self) -> &HashMap<ObjectId, (PathBuf, u64)> {
        self.files.get_or_init(|| {
            let mut files = HashMap::new();
            add_files(&self.root, &mut files);
            files
        })
    }
}

/// Adds the files below a folder. What cannot be read is as good as not there; links are not followed.
fn add_files(folder: &Path, files: &mut HashMap<ObjectId, (PathBuf, u64)>) {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if metadata.is_file()
                && metadata.len() <= limits::OBJECT_MAX_BYTES
                && let Ok((id, len)) = hash(&entry.path())
            {
                files.insert(id, (entry.path(), len));
            }
        }
    }
}

fn hash(path: &Path) -> io::Result<(ObjectId, u64)> {
    let mut hasher = blake3::Hasher::new();
    let len = io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok((ObjectId::new(*hasher.finalize().as_bytes()), len))
}

impl Objects for LooseFiles {
    fn read(&self, key: &Key) -> Result<Vec<u8>, BackendError> {
        let failed = |cause| BackendError::new("read", key, cause);
        let id = key.content_id().ok_or_else(|| failed(Cause::NotFound))?;
        let (path, _) = self.files().get(id).ok_or_else(|| failed(Cause::NotFound))?;
        fs::read(path).map_err(|error| failed(Cause::Io(error)))
    }

    /// Any file may be an object of any kind that is named by its content.
    fn list(&self, kind: Kind) -> Result<Vec<Listed>, BackendError> {
        let key: fn(ObjectId) -> Key = match kind {
            Kind::Keys => Key::Slot,
            Kind::Packs => Key::Pack,
            Kind::Indexes => Key::Index,
            Kind::Snapshots => Key::Snapshot,
            Kind::Writers => Key::Writer,
            Kind::Config | Kind::Sessions | Kind::Gc => return Ok(Vec::new()),
        };
        Ok(self.files().iter().map(|(id, (_, len))| Listed { key: key(*id), len: *len, modified: 0 }).collect())
    }
}
