//! Copies of objects in a folder of this machine. A file holds when the store says that the object was stored, the
//! BLAKE3 of its bytes, and its bytes; what is not whole is removed and fetched again, so nothing is synced.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::backend::{Key, Kind, Listed, layout};

/// Before the bytes of an object: eight bytes of time, 32 of BLAKE3.
const HEAD: u64 = 40;

/// Kinds that are kept.
const KINDS: [Kind; 5] = [Kind::Config, Kind::Keys, Kind::Gc, Kind::Indexes, Kind::Snapshots];

/// Copies of objects of one repository.
#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
    /// Files whose bytes this process has compared with their BLAKE3.
    proven: Mutex<HashSet<Key>>,
}

/// A copy: its bytes, and when the store has stored it.
pub(super) struct Copy {
    pub bytes: Vec<u8>,
    pub modified: i64,
}

impl Files {
    /// Makes the folder if it is missing, and removes the oldest copies while there are more than `limit` bytes.
    pub(super) fn open(root: PathBuf, limit: u64) -> io::Result<Self> {
        for kind in KINDS {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(root.join(layout::folder(kind)))?;
        }
        let files = Self { root, proven: Mutex::default() };
        files.shrink(limit)?;
        Ok(files)
    }

    /// The copies in a folder as they are.
    pub(super) fn of(root: PathBuf) -> Self {
        Self { root, proven: Mutex::default() }
    }

    /// True if objects of this kind are kept.
    pub(super) fn keeps(kind: Kind) -> bool {
        KINDS.contains(&kind)
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(layout::path(key))
    }

    /// True if there is a copy, whole or not.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.path(key).exists()
    }

    /// A copy, or a part of it; nothing if there is none that is whole, or if it has no such part.
    pub(super) fn read(&self, key: &Key, range: Option<Range<u64>>) -> Option<Copy> {
        self.try_read(key, range).ok().flatten()
    }

    fn try_read(&self, key: &Key, range: Option<Range<u64>>) -> io::Result<Option<Copy>> {
        let mut file = File::open(self.path(key))?;
        let mut head = [0; HEAD as usize];
        file.read_exact(&mut head)?;
        let (modified, hash) = head.split_at(8);
        let modified = i64::from_le_bytes(modified.try_into().expect("eight bytes"));
        let is_proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner).contains(key);
        if !is_proven {
            let mut hasher = blake3::Hasher::new();
            io::copy(&mut file, &mut hasher)?;
            if hasher.finalize().as_bytes() != hash {
                self.remove(key);
                return Ok(None);
            }
            self.proven.lock().unwrap_or_else(PoisonError::into_inner).insert(*key);
        }
        let len = file.metadata()?.len().saturating_sub(HEAD);
        let range = range.unwrap_or(0..len);
        if range.start > range.end || range.end > len {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(HEAD + range.start))?;
        let mut bytes = vec![0; usize::try_from(range.end - range.start).map_err(io::Error::other)?];
        file.read_exact(&mut bytes)?;
        Ok(Some(Copy { bytes, modified }))
    }

    /// Keeps a copy. That it cannot be kept only costs time.
    pub(super) fn keep(&self, key: &Key, bytes: &[u8], modified: i64) {
        let path = self.path(key);
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&self.root)?;
            file.write_all(&modified.to_le_bytes())?;
            file.write_all(blake3::hash(bytes).as_bytes())?;
            file.write_all(bytes)?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        let _ = write();
    }

    /// Removes a copy.
    pub(super) fn remove(&self, key: &Key) {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        let _ = fs::remove_file(self.path(key));
    }

    /// Removes all copies.
    pub(super) fn clear(&self) {
        for kind in KINDS {
            self.list(kind).iter().for_each(|key| self.remove(key));
        }
    }

    /// What there are copies of.
    pub(super) fn list(&self, kind: Kind) -> Vec<Key> {
        let Ok(entries) = fs::read_dir(self.root.join(layout::folder(kind))) else { return Vec::new() };
        entries.flatten().filter_map(|entry| layout::parse(kind, entry.file_name().to_str()?)).collect()
    }

    /// Copies of the gc log from its first record to the last without a gap.
    pub(super) fn gc_log(&self) -> Vec<Listed> {
        let mut log = Vec::new();
        for epoch in 1.. {
            let key = Key::Gc(epoch);
            let Some(copy) = self.read(&key, None) else { break };
            log.push(Listed { key, len: copy.bytes.len() as u64, modified: copy.modified });
        }
        log
    }

    /// Removes the copies that were made first. Records and keys are small and stay.
    fn shrink(&self, limit: u64) -> io::Result<()> {
        let mut found: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for kind in [Kind::Indexes, Kind::Snapshots] {
            for entry in fs::read_dir(self.root.join(layout::folder(kind)))?.flatten() {
                if let Ok(metadata) = entry.metadata() {
                    found.push((metadata.modified()?, metadata.len(), entry.path()));
                }
            }
        }
        let mut whole: u64 = found.iter().map(|(_, len, _)| len).sum();
        found.sort_unstable();
        for (_, len, path) in found {
            if whole <= limit {
                break;
            }
            remove(&path);
            whole -= len;
        }
        Ok(())
    }
}

fn remove(path: &Path) {
    // Another process may have been quicker.
    let _ = fs::remove_file(path);
}
