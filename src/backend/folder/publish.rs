//! From a temporary file to an object under its name.
//!
//! What gets the name is the open file that was written, never whatever has the temporary name by then: where locks are
//! not shared between machines, a sweep may take that name away from a writer that is alive.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fd::AsFd;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::disk::{Disk, Source};

/// What became of a file that was to get a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// It has the name.
    Done,
    /// Another object has it.
    Taken,
    /// The temporary file was swept away before.
    Swept,
}

/// Ways to give a file a name that nobody has, the best first. None of them replaces anything.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// A link to the open file.
    LinkFile,
    /// A link to what has the temporary name, which nobody else draws: where `/proc` is missing.
    LinkName,
    /// A rename that replaces nothing: where there are no hard links (FAT, some network file systems).
    Rename,
}

/// A written and synced file, and its temporary name.
pub(super) struct Written<'a> {
    pub(super) file: &'a File,
    pub(super) temporary: &'a Path,
    pub(super) bytes: &'a [u8],
}

impl Written<'_> {
    /// Gives the file this name, unless it is taken, and makes sure that it is this file that has it.
    pub(super) fn name(&self, disk: &Disk, target: &Path) -> io::Result<Named> {
        let mut failures = Vec::new();
        for way in [Way::LinkFile, Way::LinkName, Way::Rename] {
            match self.attempt(disk, way, target) {
                Ok(()) => return self.prove(target).map(|()| Named::Done),
                // A server may have done it, and lost its answer.
                Err(Errno::EXIST) if is_at(self.file, target)? => return self.prove(target).map(|()| Named::Done),
                Err(Errno::EXIST) => return Ok(Named::Taken),
                Err(Errno::NOENT) if !is_at(self.file, self.temporary)? => return Ok(Named::Swept),
                Err(error) => failures.push(error),
            }
        }
        Err(why(&failures))
    }

    /// Gives the file this name, whatever has it now, and makes sure that it is this file that has it, or had it until
    /// somebody else replaced it, too.
    pub(super) fn replace(&self, disk: &Disk, target: &Path) -> io::Result<Named> {
        let (from, to) = (self.temporary.as_os_str().as_bytes(), target.as_os_str().as_bytes());
        match disk.rename((CWD, from), (CWD, to), RenameFlags::empty()) {
            Ok(()) => match self.prove(target) {
                // Nobody else draws the temporary name, so it was this file that was renamed; now it has no name left.
                Err(_) if self.file.metadata()?.nlink() == 0 => Ok(Named::Done),
                proven => proven.map(|()| Named::Done),
            },
            Err(Errno::NOENT) if !is_at(self.file, self.temporary)? => Ok(Named::Swept),
            Err(error) => Err(error.into()),
        }
    }

    fn attempt(&self, disk: &Disk, way: Way, target: &Path) -> Result<(), Errno> {
        let (from, to) = (self.temporary.as_os_str().as_bytes(), target.as_os_str().as_bytes());
        match way {
            Way::LinkFile => disk.link(Source::Open(self.file.as_fd()), CWD, to),
            Way::LinkName => disk.link(Source::Name(CWD, from), CWD, to),
            Way::Rename => disk.rename((CWD, from), (CWD, to), RenameFlags::NOREPLACE),
        }
    }

    /// The object under the name is the file that was written. Some file systems number the names of a file instead of
    /// the file; there its bytes tell.
    fn prove(&self, target: &Path) -> io::Result<()> {
        if is_at(self.file, target)? && fs::metadata(target)?.len() == self.bytes.len() as u64 {
            return Ok(());
        }
        match fs::read(target) {
            Ok(bytes) if bytes == self.bytes => Ok(()),
            Ok(_) => Err(io::Error::other("the file system has given its name to another file, or lost some of it")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(io::Error::other("it vanished as soon as it was written"))
            }
            Err(error) => Err(error),
        }
    }
}

/// True if this open file is the one under that path.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let open = file.metadata()?;
    Ok((open.dev(), open.ino()) == (there.dev(), there.ino()))
}

/// Why no way leads to the name: what the system said, unless it only said that it cannot do such things at all.
fn why(failures: &[Errno]) -> io::Error {
    let is_unable = |error: &Errno| {
        [Errno::PERM, Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL, Errno::NOENT, Errno::MLINK].contains(error)
    };
    let cannot_rename = |error: &Errno| [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP].contains(error);
    match failures.iter().find(|error| !is_unable(error)).or(failures.last()) {
        Some(error) if !cannot_rename(error) => (*error).into(),
        _ => io::Error::new(
            io::ErrorKind::Unsupported,
            "this file system has neither hard links nor a rename that replaces nothing (`RENAME_NOREPLACE`): keep \
             the repository on another file system, or in a bucket",
        ),
    }
}
