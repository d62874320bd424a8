//! The folders of a repository: of a new one all of them and proven to be good for one, or none.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode};
use rustix::io::Errno;

use super::publish::Named;
use super::{FolderBackend, Naming, TEMPORARY, may_be_missing};
use crate::backend::{Kind, layout};
use crate::disk::{Disk, make_folders, sync_folder};

/// Names that an `init` may have left when it was cut off. It has put no more than key slots by then.
const FILLED: &[&str] = &["keys", TEMPORARY];

fn names() -> impl Iterator<Item = &'static str> {
    let kinds = Kind::ALL.iter().filter(|kind| **kind != Kind::Config);
    kinds.map(|kind| layout::folder(*kind)).chain([TEMPORARY])
}

/// Makes the folders. If that fails, takes away again what it has made.
pub(super) fn create(root: &Path, disk: &Disk) -> io::Result<FolderBackend> {
    let mut made = Vec::new();
    let created = fill(root, disk, &mut made);
    if created.is_err() {
        for path in made.iter().rev() {
            // Best effort: the error says what is wrong, and an empty folder is in nobody's way.
            let _ = disk.remove_folder(CWD, path.as_os_str().as_bytes());
        }
    }
    created
}

/// Makes the folders that are missing and may be; true if there were any. For copies that left out empty folders.
pub(super) fn complete(root: &Path, disk: &Disk) -> io::Result<bool> {
    let kinds = Kind::ALL.iter().filter(|kind| **kind != Kind::Config && may_be_missing(**kind));
    let mut has_made = false;
    for name in kinds.map(|kind| layout::folder(*kind)).chain([TEMPORARY]) {
        match disk.make_folder(CWD, root.join(name).as_os_str().as_bytes(), Mode::RWXU) {
            Ok(()) => has_made = true,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if has_made {
        sync_folder(disk, root)?;
    }
    Ok(has_made)
}

fn fill(root: &Path, disk: &Disk, made: &mut Vec<PathBuf>) -> io::Result<FolderBackend> {
    made.extend(make_folders(disk, root, Mode::RWXU)?);
    refuse_others(root)?;
    for path in names().map(|name| root.join(name)) {
        match disk.make_folder(CWD, path.as_os_str().as_bytes(), Mode::RWXU) {
            Ok(()) => made.push(path),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    sync_folder(disk, root)?;
    let backend = FolderBackend::open_on(root, disk.clone());
    probe(&backend)?;
    Ok(backend)
}

/// The folder must be empty, or what is left of an `init` that was cut off before it had made a repository.
fn refuse_others(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let known = names().find(|name| entry.file_name() == *name);
        let is_rest = match known {
            Some(name) => FILLED.contains(&name) || fs::read_dir(entry.path())?.next().is_none(),
            None => false,
        };
        if !is_rest {
            return Err(io::Error::other("it is not empty; name a new or empty folder"));
        }
    }
    Ok(())
}

/// Tries what every object needs: a lock, and a name that is given to one of two. Leaves nothing behind.
fn probe(backend: &FolderBackend) -> io::Result<()> {
    let target = backend.root.join(TEMPORARY).join(backend.draw_name());
    let (first, _lock) = backend.write_once(&target, b"probe", Naming::New)?;
    let second = backend.write_once(&target, b"another", Naming::New).map(|(named, _)| named);
    match backend.disk.remove(CWD, target.as_os_str().as_bytes()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    match (first, second?) {
        (Named::Done, Named::Taken) => Ok(()),
        (Named::Swept, _) | (_, Named::Swept) => Err(io::Error::other("somebody else removes files in it")),
        _ => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this file system gives one name to two files: keep the repository on another, or in a bucket",
        )),
    }
}
