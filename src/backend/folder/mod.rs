//! A repository in a folder of a local (or mounted) file system.
//!
//! An object is written under a temporary name that nobody else draws, synced, and given its own name, which fails if
//! the name is taken; then the folder is synced. Temporary files and sessions carry an advisory lock that the kernel
//! drops with their process, so that what is left of a crash is recognised without clocks.
//!
//! | file | what it knows |
//! |---|---|
//! | `create.rs` | the folders of a new repository, and whether the file system is good for one |
//! | `publish.rs` | how a file gets its name, where hard links are missing, too |
//! | `locks.rs` | who is alive |

mod create;
mod locks;
mod publish;

use std::fmt::Write;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fd::AsFd;
use rustix::fs::{CWD, Mode};
use rustix::io::Errno;

use self::locks::LockedFile;
use self::publish::{Named, Written, is_at};
use super::{Backend, BackendError, Cause, Hold, Key, Kind, Listed, layout};
use crate::disk::{Disk, Extent, sync_folder};
use crate::env::{Entropy, SystemEntropy};
use crate::ids::SessionId;
use crate::limits;

const TEMPORARY: &str = "tmp";

/// How often a file is written again that was swept away before it had its name. Whoever loses that often has somebody
/// who does nothing but sweep.
const ATTEMPTS: usize = 1000;

/// How an object gets its name.
#[derive(Debug, Clone, Copy)]
enum Naming {
    /// The name must be free.
    New,
    /// Whatever has the name loses it.
    Over,
}

/// Objects as files below a folder.
#[derive(Debug)]
pub struct FolderBackend {
    root: PathBuf,
    disk: Disk,
}

/// What the kernel says of a file that is there and whose bytes it cannot get, or whose place in the folder something else
/// has. All but the last come from the disk below, or from what the file system keeps there.
const UNREADABLE: [Errno; 7] =
    [Errno::IO, Errno::NODATA, Errno::REMOTEIO, Errno::ILSEQ, Errno::UCLEAN, Errno::BADMSG, Errno::ISDIR];

fn is_unreadable(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| UNREADABLE.contains(&errno))
}

/// Why reading failed.
fn read_cause(error: io::Error) -> Cause {
    if is_unreadable(&error) { Cause::Unreadable(error) } else { cause(error) }
}

/// True if a folder may be missing like one that is empty: copies that leave out empty folders are common. Not so where
/// its loss would look as if nothing had ever been saved.
const fn may_be_missing(kind: Kind) -> bool {
    !matches!(kind, Kind::Packs | Kind::Snapshots)
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
    /// Makes the folders of a new repository. The folder itself must be missing, empty, or what is left of an attempt
    /// that was cut off.
    pub fn create(root: &Path) -> Result<Self, BackendError> {
        Self::create_on(root, Disk::default())
    }

    /// The same with another way to change the file system.
    pub fn create_on(root: &Path, disk: Disk) -> Result<Self, BackendError> {
        let failed = |error| BackendError::new("make the repository folder", root.display(), Cause::Io(error));
        create::create(root, &disk).map_err(failed)
    }

    /// The repository in this folder; whether there is one shows when its configuration is read.
    pub fn open(root: &Path) -> Self {
        Self::open_on(root, Disk::default())
    }

    /// The same with another way to change the file system.
    pub fn open_on(root: &Path, disk: Disk) -> Self {
        Self { root: root.to_owned(), disk }
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(layout::path(key))
    }

    /// A name that nobody else draws, in whatever container or on whatever machine.
    fn draw_name(&self) -> String {
        let mut random = [0; 16];
        SystemEntropy.fill(&mut random);
        random.iter().fold(String::new(), |mut name, byte| {
            // Text takes whatever is written into it.
            let _ = write!(name, "{byte:02x}");
            name
        })
    }

    /// A new file, locked.
    fn temporary(&self) -> io::Result<(PathBuf, LockedFile)> {
        let path = self.root.join(TEMPORARY).join(self.draw_name());
        let file = self.disk.create(CWD, path.as_os_str().as_bytes(), Mode::RUSR | Mode::WUSR)?;
        let locked = LockedFile::new(&self.disk, file.into());
        if locked.is_err() {
            // Best effort: what stays is swept away some day.
            let _ = self.disk.remove(CWD, path.as_os_str().as_bytes());
        }
        Ok((path, locked?))
    }

    /// Writes an object once, all or nothing, and gives its file, still open and locked. Its name is not durable yet.
    fn write_once(&self, target: &Path, bytes: &[u8], naming: Naming) -> io::Result<(Named, LockedFile)> {
        let (temporary, locked) = self.temporary()?;
        let file = locked.file.as_fd();
        let written = self.disk.write_all(file, bytes, 0).and_then(|()| Ok(self.disk.sync(file, Extent::Data)?));
        let written_file = Written { file: &locked.file, temporary: &temporary, bytes };
        let named = written.and_then(|()| match naming {
            Naming::New => written_file.name(&self.disk, target),
            Naming::Over => written_file.replace(&self.disk, target),
        });
        match self.disk.remove(CWD, temporary.as_os_str().as_bytes()) {
            // It was renamed, or swept away.
            Ok(()) | Err(Errno::NOENT) => Ok((named?, locked)),
            Err(error) => named.and(Err(error.into())),
        }
    }

    /// Writes an object and gives its file, still open and locked.
    fn write(&self, key: &Key, bytes: &[u8], naming: Naming) -> io::Result<LockedFile> {
        self.keep_what_was_seen(relied_on(key.kind()))?;
        let path = self.path(key);
        for _ in 0..ATTEMPTS {
            let (named, file) = match self.write_once(&path, bytes, naming) {
                Ok((Named::Swept, _)) => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound && create::complete(&self.root, &self.disk)? => {
                    continue;
                }
                written => written?,
            };
            // Also where the name is taken: whoever hears that relies on what has it.
            sync_folder(&self.disk, path.parent().unwrap_or(&self.root))?;
            return match named {
                Named::Taken => Err(io::ErrorKind::AlreadyExists.into()),
                _ => Ok(file),
            };
        }
        Err(io::Error::other("its temporary file was removed again and again; who else cleans up the folder `tmp`?"))
    }

    /// Makes durable what others have named and not synced yet. Whoever decides something relies on what it has seen,
    /// and that must outlast the decision.
    fn keep_what_was_seen(&self, kinds: &[Kind]) -> io::Result<()> {
        kinds.iter().try_for_each(|kind| self.sync_kind(*kind))
    }

    fn sync_kind(&self, kind: Kind) -> io::Result<()> {
        match sync_folder(&self.disk, &self.root.join(layout::folder(kind))) {
            // Nothing of this kind was ever put.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Takes the names of objects away.
    fn remove(&self, keys: &[Key]) -> Result<(), BackendError> {
        let failed = |key: &Key, error: io::Error| BackendError::new("remove", key, cause(error));
        let Some(first) = keys.first() else { return Ok(()) };
        if keys.iter().any(|key| matches!(key.kind(), Kind::Packs | Kind::Indexes)) {
            self.keep_what_was_seen(relied_on(Kind::Gc)).map_err(|error| failed(first, error))?;
        }
        for key in keys {
            match self.disk.remove(CWD, self.path(key).as_os_str().as_bytes()) {
                // Whoever removed it may not have synced that yet.
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(failed(key, error.into())),
            }
        }
        let mut kinds: Vec<Kind> = keys.iter().map(Key::kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds.into_iter().try_for_each(|kind| self.sync_kind(kind)).map_err(|error| failed(first, error))
    }
}

/// What an object of this kind rests on that others may have named and not synced yet. Collectors look at all that there
/// is before they condemn, and remove. A snapshot relies on packs alone: they were durable before a run named them, and
/// what no run names is looked for in packs.
const fn relied_on(kind: Kind) -> &'static [Kind] {
    match kind {
        Kind::Gc => &[Kind::Packs, Kind::Indexes, Kind::Gc],
        _ => &[],
    }
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

impl Backend for FolderBackend {
    fn put(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        let written = self.write(key, bytes, Naming::New);
        written.map(drop).map_err(|error| BackendError::new("write", key, cause(error)))
    }

    fn replace(&self, key: &Key, bytes: &[u8]) -> Result<(), BackendError> {
        let written = self.write(key, bytes, Naming::Over);
        written.map(drop).map_err(|error| BackendError::new("replace", key, cause(error)))
    }

    fn get(&self, key: &Key, range: Option<Range<u64>>) -> Result<Vec<u8>, BackendError> {
        read_range(&self.path(key), range).map_err(|error| BackendError::new("read", key, read_cause(error)))
    }

    fn len(&self, key: &Key) -> Result<u64, BackendError> {
        let metadata = fs::metadata(self.path(key));
        metadata.map(|m| m.len()).map_err(|error| BackendError::new("look at", key, read_cause(error)))
    }

    fn list(&self, kind: Kind) -> Result<Vec<Listed>, BackendError> {
        let folder = self.root.join(layout::folder(kind));
        let list = || -> io::Result<Vec<Listed>> {
            let mut found = Vec::new();
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && may_be_missing(kind) => return Ok(found),
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
                    // It is there, and whoever reads it hears that it is damaged.
                    (Some(key), Err(error)) if is_unreadable(&error) => {
                        found.push(Listed { key, len: 0, modified: 0 });
                    }
                    (Some(_), Err(error)) => return Err(error),
                    (None, _) => {}
                }
            }
            Ok(found)
        };
        list().map_err(|error| BackendError::new("list", folder.display(), cause(error)))
    }

    fn delete(&self, key: &Key) -> Result<(), BackendError> {
        self.remove(&[*key])
    }

    fn delete_all(&self, keys: &[Key]) -> Result<Vec<Key>, BackendError> {
        self.remove(keys).map(|()| Vec::new())
    }

    fn announce(&self, session: &SessionId, bytes: &[u8]) -> Result<Box<dyn Hold>, BackendError> {
        let key = Key::Session(*session);
        let file =
            self.write(&key, bytes, Naming::New).map_err(|error| BackendError::new("write", key, cause(error)))?;
        Ok(Box::new(file))
    }

    fn is_held(&self, session: &SessionId) -> Result<bool, BackendError> {
        let key = Key::Session(*session);
        match LockedFile::of_the_dead(&self.disk, &self.path(&key)) {
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
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(swept),
                other => other?,
            };
            for entry in entries {
                let entry = entry?;
                // What is no file is not ours.
                if !entry.file_type()?.is_file() {
                    continue;
                }
                let path = entry.path();
                match LockedFile::of_the_dead(&self.disk, &path) {
                    // Whoever is done with a file removes it before its lock, so what is still there is nobody's.
                    Ok(Some(lock)) if is_at(&lock.file, &path)? => {
                        match self.disk.remove(CWD, path.as_os_str().as_bytes()) {
                            Ok(()) => swept += 1,
                            Err(Errno::NOENT) => {}
                            Err(error) => return Err(error.into()),
                        }
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
