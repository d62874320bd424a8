//! Where streams are written, and how they get from there to their names: whole, and so that a power cut leaves either
//! what was there before or what was restored.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, RenameFlags};
use rustix::io::Errno;

use crate::disk::{Disk, Source, remove_tree, sync_folder};
use crate::error::Error;
use crate::repo::Repository;

const APPEARED: &str = "appeared meanwhile; nothing was overwritten";

const IN_THE_WAY: &str = "is in the way, and this file system cannot exchange it: remove it, or name another folder";

/// True if a file system knows no such renames (NFS, FUSE).
fn is_unknown(error: Errno) -> bool {
    [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP].contains(&error)
}

/// A private folder inside the target, removed with whatever is left in it.
pub(super) struct Staging {
    path: PathBuf,
    disk: Disk,
}

impl Staging {
    pub(super) fn create(target: &Path, repository: &Repository, disk: &Disk) -> Result<Self, Error> {
        let random = u64::from_le_bytes(repository.env.random());
        let path = target.join(format!(".sfarc-restore-{random:016x}"));
        let made = disk.make_folder(CWD, path.as_os_str().as_bytes(), Mode::RWXU);
        made.map_err(|error| Error::io(format!("write into {}", target.display()))(error.into()))?;
        Ok(Self { path, disk: disk.clone() })
    }

    /// The place of a stream of this file name.
    pub(super) fn place(&self, file: &Path, target: &Path) -> Place {
        Place {
            staged: self.path.join(file),
            path: target.join(file),
            staging: self.path.clone(),
            to: target.to_owned(),
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What stays is named so that its owner sees what it is.
        let _ = remove_tree(&self.disk, &self.path);
    }
}

/// Where a stream is written, and where it goes when it is whole. Messages name the latter: the former will be gone.
pub(super) struct Place {
    pub(super) staged: PathBuf,
    pub(super) path: PathBuf,
    staging: PathBuf,
    to: PathBuf,
}

impl Place {
    pub(super) fn failed(&self, doing: &str) -> impl FnOnce(io::Error) -> Error + use<> {
        Error::io(format!("{doing} {}", self.path.display()))
    }

    /// Gives what is whole and durable its name, durably.
    pub(super) fn put(&self, overwrite: bool, disk: &Disk) -> Result<(), Error> {
        match self.rename(disk, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            // What was there goes into the staging folder, and with it.
            Err(Errno::EXIST) if overwrite => match self.rename(disk, RenameFlags::EXCHANGE) {
                Ok(()) => {}
                Err(error) if is_unknown(error) => return Err(self.refused(IN_THE_WAY)),
                Err(error) => return Err(self.failed("replace")(error.into())),
            },
            Err(Errno::EXIST) => return Err(self.refused(APPEARED)),
            Err(error) if is_unknown(error) => self.put_plainly(disk)?,
            Err(error) => return Err(self.failed("make")(error.into())),
        }
        // Before anything of what was replaced is removed: else a power cut could leave that under the name, emptied.
        let synced = sync_folder(disk, &self.to).and_then(|()| sync_folder(disk, &self.staging));
        synced.map_err(self.failed("sync the name of"))
    }

    /// The same where renames can neither refuse to replace something nor exchange it.
    fn put_plainly(&self, disk: &Disk) -> Result<(), Error> {
        if self.path.symlink_metadata().is_ok() {
            return Err(self.refused(IN_THE_WAY));
        }
        // A file can be linked, which replaces nothing whatever appears meanwhile; a rename of a folder replaces no
        // more than an empty one.
        let (staged, path) = (self.staged.as_os_str().as_bytes(), self.path.as_os_str().as_bytes());
        match disk.link(Source::Name(CWD, staged), CWD, path) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(self.refused(APPEARED)),
            Err(_) => self.rename(disk, RenameFlags::empty()).map_err(|error| self.failed("make")(error.into())),
        }
    }

    fn refused(&self, why: &str) -> Error {
        Error::Refused(format!("{} {why}", self.path.display()))
    }

    fn rename(&self, disk: &Disk, flags: RenameFlags) -> Result<(), Errno> {
        disk.rename((CWD, self.staged.as_os_str().as_bytes()), (CWD, self.path.as_os_str().as_bytes()), flags)
    }
}
