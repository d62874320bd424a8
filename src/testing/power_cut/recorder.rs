//! A disk that writes down what is changed.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, RenameFlags, Stat, fstat, statat};
use rustix::io::Result;

use crate::disk::{Disk, Extent, FileSystem, Node, Source};

/// What an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link to this.
    Symlink(Vec<u8>),
    /// A device, a pipe or a socket, as the system numbers them.
    Node(u32),
}

/// One change. Objects are numbered in the order in which they are first seen; number 0 is the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// There is another object, with no name yet.
    Made(Made),
    /// A name in a folder means another object now, or nothing.
    Name(usize, Vec<u8>, Option<usize>),
    /// A file has these bytes from this offset on.
    Write(usize, u64, Vec<u8>),
    /// A file has this length.
    Truncate(usize, u64),
    /// An object has this mode, and this time of last modification in nanoseconds.
    Attributes(usize, u32, i128),
    /// Data of a file are durable.
    SyncData(usize),
    /// An object is durable: of a folder, its names.
    SyncObject(usize),
    /// Everything is durable.
    SyncAll,
}

#[derive(Debug, Default)]
struct Record {
    changes: Vec<Change>,
    /// Numbers of objects, by device and inode.
    numbers: HashMap<(u64, u64), usize>,
    objects: usize,
}

impl Record {
    fn push(&mut self, change: Change) {
        self.changes.push(change);
    }

    fn make(&mut self, stat: &Stat, made: Made) -> usize {
        let number = self.objects;
        self.objects += 1;
        self.numbers.insert((stat.st_dev, stat.st_ino), number);
        self.push(Change::Made(made));
        number
    }

    /// An object that exists; one that was never seen is a folder outside of the root.
    fn number(&mut self, stat: &Stat) -> usize {
        let known = self.numbers.get(&(stat.st_dev, stat.st_ino)).copied();
        known.unwrap_or_else(|| self.make(stat, Made::Folder))
    }
}

/// Passes everything on, one call at a time, and writes down what is changed below the root.
#[derive(Debug)]
pub struct RecordingDisk {
    inner: Disk,
    syncs_whole: bool,
    record: Mutex<Record>,
}

/// A folder's handle and a name in it that may lead through others: the last folder, and the last name.
fn resolve<'a>(dir: BorrowedFd<'_>, name: &'a [u8]) -> Result<(Stat, &'a [u8])> {
    match name.iter().rposition(|&byte| byte == b'/') {
        Some(at) => Ok((statat(dir, &name[..at.max(1)], AtFlags::empty())?, &name[at + 1..])),
        None => Ok((statat(dir, ".", AtFlags::empty())?, name)),
    }
}

impl RecordingDisk {
    /// Records what is changed below this empty folder. With `syncs_whole`, a sync of the whole file system is used
    /// where it can be.
    pub fn new(root: &Path, syncs_whole: bool) -> Result<Self> {
        let mut record = Record::default();
        record.number(&statat(CWD, root.as_os_str().as_bytes(), AtFlags::empty())?);
        Ok(Self { inner: Disk::default(), syncs_whole, record: Mutex::new(record) })
    }

    /// How many changes there were.
    pub fn len(&self) -> usize {
        self.record().changes.len()
    }

    /// True if nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The changes.
    pub fn changes(&self) -> Vec<Change> {
        self.record().changes.clone()
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an object and writes down that it has a name.
    fn make<T>(
        &self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        made: impl FnOnce(&Stat) -> Made,
        call: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let mut record = self.record();
        let result = call()?;
        let (folder, last) = resolve(dir, name)?;
        let folder = record.number(&folder);
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let number = record.make(&stat, made(&stat));
        record.push(Change::Name(folder, last.to_vec(), Some(number)));
        Ok(result)
    }

    /// Takes a name away.
    fn unname(&self, dir: BorrowedFd<'_>, name: &[u8], call: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut record = self.record();
        call()?;
        let (folder, last) = resolve(dir, name)?;
        let folder = record.number(&folder);
        record.push(Change::Name(folder, last.to_vec(), None));
        Ok(())
    }
}

impl FileSystem for RecordingDisk {
    fn create(&self, dir: BorrowedFd<'_>, name: &[u8], mode: Mode) -> Result<OwnedFd> {
        self.make(dir, name, |_| Made::File, || self.inner.create(dir, name, mode))
    }

    fn write(&self, file: BorrowedFd<'_>, bytes: &[u8], offset: u64) -> Result<usize> {
        let mut record = self.record();
        let written = self.inner.write(file, bytes, offset)?;
        let number = record.number(&fstat(file)?);
        record.push(Change::Write(number, offset, bytes[..written].to_vec()));
        Ok(written)
    }

    fn truncate(&self, file: BorrowedFd<'_>, len: u64) -> Result<()> {
        let mut record = self.record();
        self.inner.truncate(file, len)?;
        let number = record.number(&fstat(file)?);
        record.push(Change::Truncate(number, len));
        Ok(())
    }

    fn make_folder(&self, dir: BorrowedFd<'_>, name: &[u8], mode: Mode) -> Result<()> {
        self.make(dir, name, |_| Made::Folder, || self.inner.make_folder(dir, name, mode))
    }

    fn symlink(&self, target: &[u8], dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        self.make(dir, name, |_| Made::Symlink(target.to_vec()), || self.inner.symlink(target, dir, name))
    }

    fn make_node(&self, node: Node, dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        self.make(dir, name, |stat| Made::Node(stat.st_mode), || self.inner.make_node(node, dir, name))
    }

    fn link(&self, source: Source<'_>, dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        let mut record = self.record();
        self.inner.link(source, dir, name)?;
        let (folder, last) = resolve(dir, name)?;
        let (folder, number) = (record.number(&folder), record.number(&statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?));
        record.push(Change::Name(folder, last.to_vec(), Some(number)));
        Ok(())
    }

    fn rename(&self, from: (BorrowedFd<'_>, &[u8]), to: (BorrowedFd<'_>, &[u8]), flags: RenameFlags) -> Result<()> {
        let mut record = self.record();
        self.inner.rename(from, to, flags)?;
        let moved = record.number(&statat(to.0, to.1, AtFlags::SYMLINK_NOFOLLOW)?);
        let back = match flags.contains(RenameFlags::EXCHANGE) {
            true => Some(record.number(&statat(from.0, from.1, AtFlags::SYMLINK_NOFOLLOW)?)),
            false => None,
        };
        for ((dir, name), object) in [(to, Some(moved)), (from, back)] {
            let (folder, last) = resolve(dir, name)?;
            let folder = record.number(&folder);
            record.push(Change::Name(folder, last.to_vec(), object));
        }
        Ok(())
    }

    fn remove(&self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        self.unname(dir, name, || self.inner.remove(dir, name))
    }

    fn remove_folder(&self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        self.unname(dir, name, || self.inner.remove_folder(dir, name))
    }

    fn set_attributes(&self, object: BorrowedFd<'_>, set: &mut dyn FnMut()) {
        let mut record = self.record();
        self.inner.set_attributes(object, set);
        if let Ok(stat) = fstat(object.as_fd()) {
            let number = record.number(&stat);
            let modified = i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec);
            record.push(Change::Attributes(number, stat.st_mode & 0o7777, modified));
        }
    }

    fn sync(&self, object: BorrowedFd<'_>, extent: Extent) -> Result<()> {
        let mut record = self.record();
        self.inner.sync(object, extent)?;
        let number = record.number(&fstat(object)?);
        record.push(match extent {
            Extent::Data => Change::SyncData(number),
            Extent::Object => Change::SyncObject(number),
            Extent::FileSystem => Change::SyncAll,
        });
        Ok(())
    }

    fn syncs_as_a_whole(&self, _object: BorrowedFd<'_>) -> bool {
        self.syncs_whole
    }
}
