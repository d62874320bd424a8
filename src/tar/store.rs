//! Storing the objects of a folder, one after the other, each as it is when it is opened.

use super::contents::{self, Outcome};
use super::folder::{FolderError, FolderObserver, FolderProblem};
use super::links::Links;
use super::writer::{TarWriter, WriteError};
use super::xattr::{Xattr, XattrReader};
use super::{Entry, EntryKind, Extent, Timestamp, beneath};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, OFlags, Stat, fstat, major, minor, readlinkat};
use rustix::io::Errno;
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;

/// Bytes of a file that are read at a time.
const BUFFER: usize = 256 << 10;

/// The walk in progress.
pub(super) struct Storing<'a, W: Write> {
    root: OwnedFd,
    tar: TarWriter<&'a mut W>,
    on: &'a mut dyn FolderObserver,
    links: Links,
    xattrs: XattrReader,
    buffer: Vec<u8>,
}

impl<'a, W: Write> Storing<'a, W> {
    /// Stores what is below `root` into `out`.
    pub(super) fn new(root: OwnedFd, out: &'a mut W, on: &'a mut dyn FolderObserver) -> Self {
        Self {
            root,
            tar: TarWriter::new(out),
            on,
            links: Links::default(),
            xattrs: XattrReader::new(),
            buffer: vec![0; BUFFER],
        }
    }

    /// Ends the stream.
    pub(super) fn finish(self) -> Result<(), FolderError> {
        self.tar.finish().map(drop).map_err(FolderError::Write)
    }

    /// Stores one object, which was listed as a `found`, or reports why it is left out.
    pub(super) fn object(&mut self, path: &[u8], found: std::fs::FileType) -> Result<(), FolderError> {
        let result = match () {
            () if found.is_file() => self.file(path),
            () if found.is_socket() => Err(Skip::Because(FolderProblem::Socket)),
            () => self.special(path),
        };
        match result {
            Err(Skip::Because(problem)) => self.on.problem(path, &problem),
            Err(Skip::End(error)) => return Err(error),
            Ok(()) => {}
        }
        Ok(())
    }

    /// Reports a folder whose contents are left out.
    pub(super) fn unlisted(&mut self, path: &[u8], error: io::Error) {
        self.on.problem(path, &FolderProblem::Unlisted(error));
    }

    fn file(&mut self, path: &[u8]) -> Result<(), Skip> {
        let file = open_file(&self.root, path)?;
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Skip::Because(FolderProblem::Replaced));
        }
        let mut entry = entry_of(path, EntryKind::File, &stat);
        if self.write_link(&mut entry, &stat)? {
            return Ok(());
        }
        entry.size = stat.st_size as u64;
        entry.sparse = contents::data_extents(&file, &stat);
        let extents = entry.sparse.clone().unwrap_or_else(|| vec![(0, entry.size)]);
        entry.stored = extents.iter().map(|&(_, len)| len).sum();
        entry.xattrs = self.attributes(path, &file);
        let header_len = self.append(&entry, &stat)?;
        let (hash, outcome) = self.data(&file, &extents)?;
        let changed = self.report_changes(path, outcome, &stat, &file);
        self.record(&entry, header_len, hash, changed)
    }

    /// Stores anything but a regular file or a socket.
    fn special(&mut self, path: &[u8]) -> Result<(), Skip> {
        let object = beneath::open(&self.root, path, OFlags::PATH)?;
        let stat = fstat(&object)?;
        let kind = special_kind(&stat).ok_or(Skip::Because(FolderProblem::Replaced))?;
        let mut entry = entry_of(path, kind, &stat);
        if kind != EntryKind::Dir && self.write_link(&mut entry, &stat)? {
            return Ok(());
        }
        match kind {
            EntryKind::Symlink => entry.link = readlinkat(&object, c"", Vec::new())?.into_bytes(),
            EntryKind::CharDevice | EntryKind::BlockDevice => entry.device = (major(stat.st_rdev), minor(stat.st_rdev)),
            _ => {}
        }
        entry.xattrs = self.attributes(path, &object);
        let header_len = self.append(&entry, &stat)?;
        self.record(&entry, header_len, *blake3::hash(b"").as_bytes(), false)
    }

    /// Stores the object as a link if another name of it is in the stream already.
    fn write_link(&mut self, entry: &mut Entry, stat: &Stat) -> Result<bool, Skip> {
        let Some(first) = self.links.take(stat) else {
            return Ok(false);
        };
        entry.kind = EntryKind::Hardlink;
        entry.link = first;
        let header_len = self.tar.append(entry)?;
        self.record(entry, header_len, *blake3::hash(b"").as_bytes(), false)?;
        Ok(true)
    }

    /// Writes the header of an entry, and remembers its name for further links to it.
    fn append(&mut self, entry: &Entry, stat: &Stat) -> Result<u64, Skip> {
        let header_len = self.tar.append(entry)?;
        if entry.kind != EntryKind::Dir {
            self.links.remember(stat, &entry.path);
        }
        Ok(header_len)
    }

    fn attributes(&mut self, path: &[u8], object: &OwnedFd) -> Vec<Xattr> {
        self.xattrs.read(object).unwrap_or_else(|error| {
            self.on.problem(path, &FolderProblem::Attributes(error.into()));
            Vec::new()
        })
    }

    fn data(&mut self, file: &OwnedFd, extents: &[Extent]) -> Result<([u8; 32], Outcome), Skip> {
        let mut hasher = blake3::Hasher::new();
        let tar = &mut self.tar;
        let outcome = contents::read_extents(file, extents, &mut self.buffer, |piece| {
            hasher.update(piece);
            tar.write_data(piece)
        })?;
        Ok((*hasher.finalize().as_bytes(), outcome))
    }

    /// Whether the file changed since `before`; says so to the observer.
    fn report_changes(&mut self, path: &[u8], outcome: Outcome, before: &Stat, file: &OwnedFd) -> bool {
        if let Outcome::Failed(error) = outcome {
            self.on.problem(path, &FolderProblem::Cut(error.into()));
            return true;
        }
        let is_same = fstat(file).is_ok_and(|after| state(&after) == state(before));
        let changed = outcome == Outcome::Shorter || !is_same;
        if changed {
            self.on.problem(path, &FolderProblem::Changed);
        }
        changed
    }

    fn record(&mut self, entry: &Entry, header_len: u64, hash: [u8; 32], changed: bool) -> Result<(), Skip> {
        self.on.entry(entry, header_len, hash, changed).map_err(|error| Skip::End(FolderError::Observer(error)))
    }
}

/// Why an object was not stored.
enum Skip {
    /// It alone is left out.
    Because(FolderProblem),
    /// The walk cannot go on.
    End(FolderError),
}

impl From<Errno> for Skip {
    fn from(error: Errno) -> Self {
        Skip::Because(FolderProblem::Unreadable(error.into()))
    }
}

impl From<WriteError> for Skip {
    /// An entry that was refused left nothing in the stream; any other failure left half an entry.
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Unsound(_) | WriteError::TooLong => Skip::Because(FolderProblem::Unstorable(error)),
            WriteError::Length | WriteError::Io(_) => Skip::End(FolderError::Write(error)),
        }
    }
}

/// Opens a file for reading, without waiting for a pipe's writer and, where permitted, without a trace.
fn open_file(root: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    match beneath::open(root, path, flags | OFlags::NOATIME) {
        // Only the owner may ask for that.
        Err(Errno::PERM) => beneath::open(root, path, flags),
        result => result,
    }
}

/// What tells that a file was written to.
fn state(stat: &Stat) -> (i64, [(i64, i64); 2]) {
    let mtime = (stat.st_mtime, stat.st_mtime_nsec as i64);
    let ctime = (stat.st_ctime, stat.st_ctime_nsec as i64);
    (stat.st_size, [mtime, ctime])
}

fn entry_of(path: &[u8], kind: EntryKind, stat: &Stat) -> Entry {
    Entry {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid.into(),
        gid: stat.st_gid.into(),
        mtime: Timestamp { secs: stat.st_mtime, nanos: stat.st_mtime_nsec as u32 },
        ..Entry::new(path, kind)
    }
}

fn special_kind(stat: &Stat) -> Option<EntryKind> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Some(EntryKind::Dir),
        FileType::Symlink => Some(EntryKind::Symlink),
        FileType::Fifo => Some(EntryKind::Fifo),
        FileType::CharacterDevice => Some(EntryKind::CharDevice),
        FileType::BlockDevice => Some(EntryKind::BlockDevice),
        _ => None,
    }
}
