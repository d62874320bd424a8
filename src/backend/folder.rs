//! A repository in a folder of a local (or mounted) file system.
//!
//! An object is written under a temporary name, synced, and linked to its own name, which fails if the name is
//! taken; then the folder is synced. Temporary files and sessions carry an advisory lock that the kernel drops
//! with their process, so that what is left of a crash is recognised without clocks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};

use super::{Backend, BackendError, Cause, Hold, Key, Kind, Listed, layout};
use crate::ids::SessionId;
use crate::limits;

const TEMPORARY: &str = "tmp";

/// Objects as files below a folder.
#[derive(Debug)]
pub struct FolderBackend {
    root: PathBuf,
    temporaries: AtomicU64,
}

/// An open file with an advisory lock of ours.
#[derive(Debug)]
struct LockedFile(File);

impl Hold for LockedFile {}

impl Drop for LockedFile {
    /// Unlocks by name: closing alone leaves the lock to a child process that was just forked and has not yet replaced
    /// itself, which would look alive for that long.
    fn drop(&mut self) {
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

fn cause(error: io::Error) -> Cause {
    match error.kind() {
        io::ErrorKind::NotFound => Cause::NotFound,
        io::ErrorKind::AlreadyExists => Cause::Exists,
        io::ErrorKind::UnexpectedEof => Cause::TooShort,
        io::ErrorKind::FileTooLarge => Cause::TooLong,
        _ => Cause::Io(error),
    }
}

impl FolderBackend {
    /// Makes the folders of a new repository. The folder itself must be missing or empty.
    pub fn create(root: &Path) -> Result<Self, BackendError> {
        let failed =
            |error: io::Error| BackendError::new("make the repository folder", root.display(), Cause::Io(error));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(failed)?;
        if fs::read_dir(root).map_err(failed)?.next().is_some() {
            let error = io::Error::other("it is not empty; name a new or empty folder");
            return Err(failed(error));
        }
        for kind in Kind::ALL.iter().filter(|kind| **kind != Kind::Config) {
            make_folder(&root.join(layout::folder(*kind))).map_err(failed)?;
        }
        make_folder(&root.join(TEMPORARY)).map_err(failed)?;
        sync_folder(root).map_err(failed)?;
        if let Some(parent) = root.canonicalize().map_err(failed)?.parent() {
            sync_folder(parent).map_err(failed)?;
        }
        Ok(Self::open(root))
    }

    /// The repository in this folder; whether there is one shows when its configuration is read.
    pub fn open(root: &Path) -> Self {
        Self { root: root.to_owned(), temporaries: AtomicU64::new(0) }
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(layout::path(key))
    }

    fn temporary(&self) -> io::Result<(PathBuf, LockedFile)> {
        loop {
            let number = self.temporaries.fetch_add(1, Ordering::Relaxed);
            let path = self.root.join(TEMPORARY).join(format!("{}-{number}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => {
                    flock(&file, FlockOperation::LockExclusive)?;
                    let file = LockedFile(file);
                    // Swept away before it was locked, it may have made room for a file of another writer, which has
                    // the same process id in another container.
                    if is_at(&file.0, &path)? {
                        return Ok((path, file));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes an object beside the one that has its name, and renames it over that.
    fn write_over(&self, key: &Key, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(key);
        let (temporary, mut file) = self.temporary()?;
        let written = file.0.write_all(bytes).and_then(|()| file.0.sync_data());
        let renamed = written.and_then(|()| fs::rename(&temporary, &path));
        if renamed.is_err() {
            // What failed first is told; what is left is swept later.
            let _ = fs::remove_file(&temporary);
        }
        renamed.and_then(|()| sync_folder(path.parent().unwrap_or(&self.root)))
    }

    /// Writes an object and gives its file, still open and locked.
    fn write(&self, key: &Key, bytes: &[u8]) -> io::Result<LockedFile> {
        let path = self.path(key);
        let (temporary, mut file) = self.temporary()?;
        let written = file.0.write_all(bytes).and_then(|()| file.0.sync_data());
        let linked = written.and_then(|()| fs::hard_link(&temporary, &path));
        let removed = fs::remove_file(&temporary);
        linked.and(removed)?;
        sync_folder(path.parent().unwrap_or(&self.root))?;
        Ok(file)
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn read_range(path: &Path, range: Option<Range<u64>>) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    let wanted = range.unwrap_or(0..end);
    if wanted.end > end || wanted.start > wanted.end {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if wanted.end - wanted.start > limits::OBJECT_MAX_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = vec![0; (wanted.end - wanted.start) as usize];
    file.seek(SeekFrom::Start(wanted.start))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// True if this open file is the one under that path.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let there = match fs::metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let open = file.metadata()?;
    Ok((open.dev(), open.ino()) == (there.dev(), there.ino()))
}

/// Takes the lock of a file if its owner is gone; nothing if the owner is alive.
fn lock_of_the_dead(path: &Path) -> io::Result<Option<LockedFile>> {
    let file = File::open(path)?;
    // Shared, so that two who ask at once do not take each other for the owner.
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(Some(LockedFile(file))),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Backend for FolderBackend {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        let written = self.write(key, bytes);
        written.map(drop).map_err(|error| BackendError::new("write", key, cause(error)))
    }

    fn replace(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        self.write_over(key, bytes).map_err(|error| BackendError::new("replace", key, cause(error)))
    }

    fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Vec<u8>, BackendError> {
        read_range(&self.path(key), range).map_err(|error| BackendError::new("read", key, cause(error)))
    }

    fn len(&self, key: &Key) -> Result<u64, BackendError> {
        let metadata = fs::metadata(self.path(key));
        metadata.map(|m| m.len()).map_err(|error| BackendError::new("look at", key, cause(error)))
    }

    fn list(&self, kind: Kind) -> Result<Vec<Listed>, BackendError> {
        let folder = self.root.join(layout::folder(kind));
        let list = || -> io::Result<Vec<Listed>> {
            let mut found = Vec::new();
            let entries = match fs::read_dir(&folder) {
                // Made before there were writers with names.
                Err(error) if error.kind() == io::ErrorKind::NotFound && kind == Kind::Writers => return Ok(found),
                other => other?,
            };
            for entry in entries {
                let entry = entry?;
                let key = entry.file_name().to_str().and_then(|name| layout::parse(kind, name));
                match (key, entry.metadata()) {
                    (Some(key), Ok(metadata)) => {
                        let modified = metadata.mtime().saturating_mul(1_000_000_000) + metadata.mtime_nsec();
                        found.push(Listed { key, len: metadata.len(), modified });
                    }
                    // Removed since the folder was read.
                    (Some(_), Err(error)) if error.kind() == io::ErrorKind::NotFound => {}
                    (Some(_), Err(error)) => return Err(error),
                    (None, _) => {}
                }
            }
            Ok(found)
        };
        list().map_err(|error| BackendError::new("list", folder.display(), cause(error)))
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        let path = self.path(key);
        let deleted = match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.and_then(|()| sync_folder(path.parent().unwrap_or(&self.root))),
        };
        deleted.map_err(|error| BackendError::new("remove", key, cause(error)))
    }

    fn announce(&self, session: &SessionId, bytes: &[u8]) -> Result<Box<dyn Hold>, BackendError> {
        let key = Key::Session(*session);
        let file = self.write(&key, bytes).map_err(|error| BackendError::new("write", key, cause(error)))?;
        Ok(Box::new(file))
    }

    fn is_held(&self, session: &SessionId) -> Result<bool, BackendError> {
        let key = Key::Session(*session);
        match lock_of_the_dead(&self.path(&key)) {
            Ok(lock) => Ok(lock.is_none()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(BackendError::new("look at", key, cause(error))),
        }
    }

    fn folder(&self) -> Option<&Path> {
        Some(&self.root)
    }

    fn sweep(&self) -> Result<usize, BackendError> {
        let folder = self.root.join(TEMPORARY);
        let sweep = || -> io::Result<usize> {
            let mut swept = 0;
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                match lock_of_the_dead(&path) {
                    // Whoever is done with a file removes it before its lock, so what is still there is nobody's. What
                    // is not there any more may have made room for another's.
                    Ok(Some(lock)) if is_at(&lock.0, &path)? => {
                        fs::remove_file(&path)?;
                        swept += 1;
                    }
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(swept)
        };
        sweep().map_err(|error| BackendError::new("sweep", folder.display(), cause(error)))
    }
}
