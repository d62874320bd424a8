//! Advisory locks that tell who is alive. The kernel drops them with their process, so that no clock is needed.
//!
//! Where they are not shared between machines, the living look dead: their temporary files may be swept away, which
//! they notice, and their sessions fenced, which they notice, too (docs/gc-protocol.md).

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fd::AsFd;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::backend::Hold;
use crate::disk::Disk;

/// An open file with an advisory lock of ours.
#[derive(Debug)]
pub(super) struct LockedFile {
    pub(super) file: File,
    disk: Disk,
}

impl Hold for LockedFile {}

impl Drop for LockedFile {
    /// Unlocks by name: closing alone leaves the lock to a child process that was just forked and has not yet replaced
    /// itself, which would look alive for that long.
    fn drop(&mut self) {
        let _ = self.disk.lock(self.file.as_fd(), FlockOperation::Unlock);
    }
}

impl LockedFile {
    /// Locks a file that was just created.
    pub(super) fn new(disk: &Disk, file: File) -> io::Result<Self> {
        match disk.lock(file.as_fd(), FlockOperation::LockExclusive) {
            Ok(()) => Ok(Self { file, disk: disk.clone() }),
            Err(error @ (Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOLCK)) => Err(io::Error::other(format!(
                "this file system locks no files (`flock`: {error}): keep the repository on another, or in a bucket"
            ))),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the lock of a file if its owner is gone; nothing if the owner is alive.
    pub(super) fn of_the_dead(disk: &Disk, path: &Path) -> io::Result<Option<Self>> {
        // Whatever lies there: a pipe would wait for its writer, a link would lead elsewhere.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        // Shared, so that two who ask at once do not take each other for the owner.
        match disk.lock(file.as_fd(), FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(Some(Self { file, disk: disk.clone() })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
