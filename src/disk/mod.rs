//! The calls that change a file system, by one door.
//!
//! What a power cut leaves depends on every one of these calls and on their order. Repositories in folders and restores
//! into folders change nothing by any other way, so that a test can record all of it and open every state that a file
//! system may leave (docs/decisions/0019-power-cuts.md).

mod folders;
mod whole;

use std::fmt::Debug;
use std::ops::Deref;
use std::sync::Arc;

use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RenameFlags, fdatasync, flock, fsync, ftruncate, linkat,
    makedev, mkdirat, mknodat, openat, renameat_with, symlinkat, syncfs, unlinkat,
};
use rustix::io::{Result, pwrite, retry_on_intr};

pub use folders::{make_folders, remove_tree, sync_folder, sync_tree};

/// What a new name is given to.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// The file behind a handle, whatever its names are by now.
    Open(BorrowedFd<'a>),
    /// Whatever has this name in this folder.
    Name(BorrowedFd<'a>, &'a [u8]),
}

/// A device, a pipe, or a socket.
#[derive(Debug, Clone, Copy)]
pub struct Node {
    /// Which of them.
    pub file_type: FileType,
    /// The major and minor number of a device.
    pub device: (u32, u32),
}

/// How much is made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The data of a file and its length.
    Data,
    /// All of a file or folder: of a folder the names in it.
    Object,
    /// All of the file system that the object is in.
    FileSystem,
}

/// The calls. Names are relative to a folder's handle, or absolute; no symbolic link at their end is followed. Each
/// does what the system does, unless a double says otherwise.
pub trait FileSystem: Send + Sync + Debug {
    /// Creates a file for writing; fails if the name is taken.
    fn create(&self, dir: BorrowedFd<'_>, name: &[u8], mode: Mode) -> Result<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(dir, name, flags, mode)
    }

    /// Writes into a file, and says how many bytes.
    fn write(&self, file: BorrowedFd<'_>, bytes: &[u8], offset: u64) -> Result<usize> {
        retry_on_intr(|| pwrite(file, bytes, offset))
    }

    /// Gives a file its length.
    fn truncate(&self, file: BorrowedFd<'_>, len: u64) -> Result<()> {
        ftruncate(file, len)
    }

    /// Makes a folder.
    fn make_folder(&self, dir: BorrowedFd<'_>, name: &[u8], mode: Mode) -> Result<()> {
        mkdirat(dir, name, mode)
    }

    /// Makes a symbolic link.
    fn symlink(&self, target: &[u8], dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        symlinkat(target, dir, name)
    }

    /// Makes a device, a pipe, or a socket that only its owner can use.
    fn make_node(&self, node: Node, dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        let number = makedev(node.device.0, node.device.1);
        mknodat(dir, name, node.file_type, Mode::RUSR | Mode::WUSR, number)
    }

    /// Gives a file another name; fails if it is taken.
    fn link(&self, source: Source<'_>, dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        match source {
            Source::Open(file) => {
                let file = format!("/proc/self/fd/{}", file.as_raw_fd());
                linkat(CWD, file, dir, name, AtFlags::SYMLINK_FOLLOW)
            }
            Source::Name(from, old) => linkat(from, old, dir, name, AtFlags::empty()),
        }
    }

    /// Gives an object another name instead of its own.
    fn rename(&self, from: (BorrowedFd<'_>, &[u8]), to: (BorrowedFd<'_>, &[u8]), flags: RenameFlags) -> Result<()> {
        renameat_with(from.0, from.1, to.0, to.1, flags)
    }

    /// Takes a name away.
    fn remove(&self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        unlinkat(dir, name, AtFlags::empty())
    }

    /// Removes an empty folder.
    fn remove_folder(&self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        unlinkat(dir, name, AtFlags::REMOVEDIR)
    }

    /// Sets the attributes of an object: `set` does it.
    fn set_attributes(&self, _object: BorrowedFd<'_>, set: &mut dyn FnMut()) {
        set();
    }

    /// Makes durable what was changed.
    fn sync(&self, object: BorrowedFd<'_>, extent: Extent) -> Result<()> {
        match extent {
            Extent::Data => fdatasync(object),
            Extent::Object => fsync(object),
            Extent::FileSystem => syncfs(object),
        }
    }

    /// True if a sync of the whole file system is as good as one of each object in it.
    fn syncs_as_a_whole(&self, object: BorrowedFd<'_>) -> bool {
        whole::syncs_as_a_whole(object)
    }

    /// Takes or drops an advisory lock of a file.
    fn lock(&self, file: BorrowedFd<'_>, operation: FlockOperation) -> Result<()> {
        flock(file, operation)
    }
}

/// The file systems of this machine.
#[derive(Debug)]
struct System;

impl FileSystem for System {}

/// Whoever carries out the calls: the system, unless a test says otherwise.
#[derive(Debug, Clone)]
pub struct Disk(Arc<dyn FileSystem>);

impl Default for Disk {
    fn default() -> Self {
        Self(Arc::new(System))
    }
}

impl Disk {
    /// A double of the system.
    pub fn new(double: Arc<dyn FileSystem>) -> Self {
        Self(double)
    }

    /// Writes all bytes into a file.
    pub fn write_all(&self, file: BorrowedFd<'_>, mut bytes: &[u8], mut offset: u64) -> std::io::Result<()> {
        while !bytes.is_empty() {
            let written = self.write(file, bytes, offset)?;
            if written == 0 {
                return Err(std::io::ErrorKind::WriteZero.into());
            }
            bytes = &bytes[written..];
            offset += written as u64;
        }
        Ok(())
    }
}

impl Deref for Disk {
    type Target = dyn FileSystem;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}
