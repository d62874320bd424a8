//! File systems that lack something, and others who come in between.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{FlockOperation, Mode, RenameFlags};
use rustix::io::{Errno, Result};

use crate::disk::{Disk, Extent, FileSystem, Node, Source};

/// Which hard links there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// All.
    All,
    /// None of open files, as where `/proc` is missing.
    ByName,
    /// None at all, as on FAT.
    None,
}

/// A moment at which others may come in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before a written file gets another name.
    BeforeName,
    /// Before the names in a folder are made durable.
    BeforeFolderSync,
}

type Hook = Box<dyn FnOnce() + Send>;

/// Passes everything on, but for what its file system cannot do.
pub struct DiskDouble {
    inner: Disk,
    links: Links,
    renames_without_replacing: bool,
    locks_are_shared: bool,
    hook: Mutex<Option<(Moment, usize, Hook)>>,
}

impl fmt::Debug for DiskDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskDouble").field("links", &self.links).finish_non_exhaustive()
    }
}

impl Default for DiskDouble {
    fn default() -> Self {
        Self::new(Disk::default())
    }
}

impl DiskDouble {
    /// A double that lacks nothing yet.
    pub fn new(inner: Disk) -> Self {
        let hook = Mutex::new(None);
        Self { inner, links: Links::All, renames_without_replacing: true, locks_are_shared: true, hook }
    }

    /// The same with these links only.
    #[must_use]
    pub fn with_links(self, links: Links) -> Self {
        Self { links, ..self }
    }

    /// The same without `RENAME_NOREPLACE`.
    #[must_use]
    pub fn without_noreplace(self) -> Self {
        Self { renames_without_replacing: false, ..self }
    }

    /// The same with locks that nobody else sees: every file looks as if its owner were gone.
    #[must_use]
    pub fn with_unshared_locks(self) -> Self {
        Self { locks_are_shared: false, ..self }
    }

    /// As a disk.
    pub fn disk(self) -> Disk {
        Disk::new(Arc::new(self))
    }

    /// Runs `hook` once, the `nth` time (from 0) that such a moment comes.
    pub fn ambush(&self, moment: Moment, nth: usize, hook: impl FnOnce() + Send + 'static) {
        *self.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some((moment, nth, Box::new(hook)));
    }

    /// True if an ambush waits still.
    pub fn is_ambushed(&self) -> bool {
        self.hook.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn spring(&self, now: Moment) {
        let mut slot = self.hook.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = slot.take_if(|(moment, left, _)| {
            let is_now = *moment == now && *left == 0;
            *left -= usize::from(*moment == now && *left > 0);
            is_now
        });
        drop(slot);
        if let Some((_, _, hook)) = taken {
            hook();
        }
    }
}

impl FileSystem for DiskDouble {
    fn create(&self, dir: BorrowedFd<'_>, name: &[u8], mode: Mode) -> Result<OwnedFd> {
        self.inner.create(dir, name, mode)
    }

    fn write(&self, file: BorrowedFd<'_>, bytes: &[u8], offset: u64) -> Result<usize> {
        self.inner.write(file, bytes, offset)
    }

    fn truncate(&self, file: BorrowedFd<'_>, len: u64) -> Result<()> {
        self.inner.truncate(file, len)
    }

    fn make_folder(&self, dir: BorrowedFd<'_>, name: &[u8], mode: Mode) -> Result<()> {
        self.inner.make_folder(dir, name, mode)
    }

    fn symlink(&self, target: &[u8], dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        self.inner.symlink(target, dir, name)
    }

    fn make_node(&self, node: Node, dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        self.inner.make_node(node, dir, name)
    }

    fn link(&self, source: Source<'_>, dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        self.spring(Moment::BeforeName);
        match (self.links, source) {
            (Links::None, _) => Err(Errno::PERM),
            (Links::ByName, Source::Open(_)) => Err(Errno::NOENT),
            _ => self.inner.link(source, dir, name),
        }
    }

    fn rename(&self, from: (BorrowedFd<'_>, &[u8]), to: (BorrowedFd<'_>, &[u8]), flags: RenameFlags) -> Result<()> {
        if !flags.is_empty() && !self.renames_without_replacing {
            return Err(Errno::INVAL);
        }
        self.inner.rename(from, to, flags)
    }

    fn remove(&self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        self.inner.remove(dir, name)
    }

    fn remove_folder(&self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        self.inner.remove_folder(dir, name)
    }

    fn set_attributes(&self, object: BorrowedFd<'_>, set: &mut dyn FnMut()) {
        self.inner.set_attributes(object, set);
    }

    fn sync(&self, object: BorrowedFd<'_>, extent: Extent) -> Result<()> {
        if extent == Extent::Object {
            self.spring(Moment::BeforeFolderSync);
        }
        self.inner.sync(object, extent)
    }

    fn syncs_as_a_whole(&self, object: BorrowedFd<'_>) -> bool {
        self.inner.syncs_as_a_whole(object)
    }

    fn lock(&self, file: BorrowedFd<'_>, operation: FlockOperation) -> Result<()> {
        if self.locks_are_shared { self.inner.lock(file, operation) } else { Ok(()) }
    }
}
