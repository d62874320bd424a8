//! Where streams are written, and how they get from there to their names: whole, and so that a power cut leaves either
//! what was there before or what was restored.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, RenameFlags};
use rustix::io::Errno;

use crate::disk::{Disk, remove_tree, sync_folder};
use crate::error::Error;
use crate::repo::Repository;

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
        let Self { staged, path, .. } = self;
        let rename =
            |flags| disk.rename((CWD, staged.as_os_str().as_bytes()), (CWD, path.as_os_str().as_bytes()), flags);
        match rename(RenameFlags::NOREPLACE) {
            Ok(()) => {}
            // What was there goes into the staging folder, and with it.
            Err(Errno::EXIST) if overwrite => {
                rename(RenameFlags::EXCHANGE).map_err(|error| self.failed("replace")(error.into()))?;
            }
            Err(Errno::EXIST) => {
                return Err(Error::Refused(format!("{} appeared meanwhile; nothing was overwritten", path.display())));
            }
            Err(error) => return Err(self.failed("make")(error.into())),
        }
        // Before anything of what was replaced is removed: else a power cut could leave that under the name, emptied.
        let synced = sync_folder(disk, &self.to).and_then(|()| sync_folder(disk, &self.staging));
        synced.map_err(self.failed("sync the name of"))
    }
}
