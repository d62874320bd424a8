//! Walks a folder and writes it as a tar stream, in an order and in a form that depend on nothing but its contents.

use super::contents::{self, Outcome};
use super::writer::{TarWriter, WriteError};
use super::xattr::XattrReader;
use super::{Entry, EntryKind, Timestamp, beneath, names};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, major, minor, open, readlinkat};
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// Bytes of a file that are read at a time.
const BUFFER: usize = 256 << 10;

/// What of a folder is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderOptions {
    /// Files and whole folders to leave out: absolute, or relative to the root.
    pub exclude: Vec<PathBuf>,
    /// Do not descend into folders where another file system is mounted; the folders themselves are stored.
    pub one_file_system: bool,
}

/// Hears about everything that is stored, and about everything that could not be.
pub trait FolderObserver {
    /// An entry is in the stream, with its data and padding. An error ends the walk.
    ///
    /// `header_len` is the number of bytes from the end of the previous entry to the data of this one, `hash` the BLAKE3 of the stored data
    /// (without padding; of no bytes for all but files). `changed` says that the file was modified while it was read: the data may mix old and new.
    fn entry(&mut self, entry: &Entry, header_len: u64, hash: [u8; 32], changed: bool) -> io::Result<()>;

    /// Something is missing from the stream, or may be wrong in it. `path` is relative to the root.
    fn problem(&mut self, path: &[u8], problem: &FolderProblem);
}

/// Why something below the root was not stored, or not faithfully.
#[derive(Debug, thiserror::Error)]
pub enum FolderProblem {
    /// The object is not in the stream: it cannot be opened or examined.
    #[error("left out: cannot be read")]
    Unreadable(#[source] io::Error),
    /// What is in the folder (or in part of it) is not in the stream.
    #[error("left out what is in it: cannot be listed")]
    Unlisted(#[source] io::Error),
    /// The object is not in the stream: a socket means nothing without its process.
    #[error("left out: it is a socket")]
    Socket,
    /// The object is not in the stream: it became something else since its folder was listed.
    #[error("left out: it was replaced while being read")]
    Replaced,
    /// The object is not in the stream: its name or its attributes cannot be stored.
    #[error("left out: it cannot be stored")]
    Unstorable(#[source] WriteError),
    /// The object is stored without its extended attributes.
    #[error("stored without extended attributes: they cannot be read")]
    Attributes(#[source] io::Error),
    /// The file changed while being read; what is stored may mix old and new, and is padded with zeros if it became shorter.
    #[error("changed while being read")]
    Changed,
    /// Reading failed in the middle; zeros are stored for the rest.
    #[error("stored with zeros in place of what cannot be read")]
    Cut(#[source] io::Error),
}

/// The walk had to end; the stream is incomplete.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The root is not a folder or cannot be opened.
    #[error("cannot open the folder {path:?}")]
    Root {
        /// The root.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The stream could not be written.
    #[error("cannot write the folder's stream")]
    Write(#[source] WriteError),
    /// The observer refused to go on.
    #[error("the folder's entries cannot be recorded")]
    Observer(#[source] io::Error),
}

/// Writes the folder `root` as a complete tar stream, itself (`.`) first, then what it holds, depth first, ordered by the bytes of the names.
///
/// Memory does not grow with the number of files, except for the names of files with several hard links (until all links were seen) and the
/// sorted names of the folders on the way to the current one.
pub fn write_folder(
    root: &Path,
    options: &FolderOptions,
    out: &mut impl Write,
    on: &mut dyn FolderObserver,
) -> Result<(), FolderError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = open(root, flags, Mode::empty())
        .map_err(|error| FolderError::Root { path: root.to_owned(), source: error.into() })?;
    let excluded = excluded_names(root, &options.exclude);
    let walk = WalkDir::new(root).sort_by_file_name().same_file_system(options.one_file_system);
    let mut writing = Writing {
        root: handle,
        tar: TarWriter::new(out),
        on,
        links: Links::default(),
        xattrs: XattrReader::new(),
        buffer: vec![0; BUFFER],
    };
    for found in walk.into_iter().filter_entry(|found| !excluded.contains(&name_of(root, found.path()))) {
        match found {
            Ok(found) => writing.object(name_of(root, found.path()), &found)?,
            Err(error) => writing.unlisted(root, error),
        }
    }
    writing.tar.finish().map_err(FolderError::Write)?;
    Ok(())
}

/// The name of `path` in the archive.
fn name_of(root: &Path, path: &Path) -> Vec<u8> {
    let relative = path.strip_prefix(root).unwrap_or(path).as_os_str().as_bytes();
    if relative.is_empty() { names::ROOT.to_vec() } else { relative.to_vec() }
}

/// The excluded paths that lie below the root, as names in the archive.
fn excluded_names(root: &Path, exclude: &[PathBuf]) -> HashSet<Vec<u8>> {
    let real_root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let below_root = |path: &PathBuf| {
        let real_path = path.canonicalize().unwrap_or_else(|_| path.clone());
        let relative = match path.is_relative() {
            true => Some(path.as_path()),
            false => path.strip_prefix(root).or(path.strip_prefix(&real_root)).or(real_path.strip_prefix(&real_root)).ok(),
        };
        relative.map(|relative| names::normalise(&[b"./", relative.as_os_str().as_bytes()].concat()))
    };
    exclude.iter().filter_map(below_root).collect()
}

/// The walk in progress.
struct Writing<'a, W: Write> {
    root: OwnedFd,
    tar: TarWriter<&'a mut W>,
    on: &'a mut dyn FolderObserver,
    links: Links,
    xattrs: XattrReader,
    buffer: Vec<u8>,
}

impl<W: Write> Writing<'_, W> {
    /// Stores one object, or reports why it is left out.
    fn object(&mut self, path: Vec<u8>, found: &DirEntry) -> Result<(), FolderError> {
        let file_type = found.file_type();
        let result = match () {
            () if file_type.is_file() => self.file(&path),
            () if file_type.is_socket() => Err(Skip::Because(FolderProblem::Socket)),
            () => self.special(&path),
        };
        match result {
            Err(Skip::Because(problem)) => self.on.problem(&path, &problem),
            Err(Skip::End(error)) => return Err(error),
            Ok(()) => {}
        }
        Ok(())
    }

    fn unlisted(&mut self, root: &Path, error: walkdir::Error) {
        let path = name_of(root, error.path().unwrap_or(root));
        let problem = FolderProblem::Unlisted(error.into());
        self.on.problem(&path, &problem);
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
        let Some(first) = self.links.take(stat) else { return Ok(false) };
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

    fn attributes(&mut self, path: &[u8], object: &OwnedFd) -> Vec<super::xattr::Xattr> {
        self.xattrs.read(object).unwrap_or_else(|error| {
            self.on.problem(path, &FolderProblem::Attributes(error.into()));
            Vec::new()
        })
    }

    fn data(&mut self, file: &OwnedFd, extents: &[super::Extent]) -> Result<([u8; 32], Outcome), Skip> {
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

/// First names of objects with several hard links, by device and inode; forgotten when all links have been seen.
#[derive(Debug, Default)]
struct Links(HashMap<(u64, u64), FirstLink>);

#[derive(Debug)]
struct FirstLink {
    path: Vec<u8>,
    to_come: u64,
}

impl Links {
    fn take(&mut self, stat: &Stat) -> Option<Vec<u8>> {
        let key = (stat.st_dev, stat.st_ino);
        let first = self.0.get_mut(&key)?;
        first.to_come -= 1;
        if first.to_come > 0 {
            return Some(first.path.clone());
        }
        self.0.remove(&key).map(|first| first.path)
    }

    fn remember(&mut self, stat: &Stat, path: &[u8]) {
        let links = u64::from(stat.st_nlink as u32);
        if links > 1 {
            self.0.insert((stat.st_dev, stat.st_ino), FirstLink { path: path.to_owned(), to_come: links - 1 });
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
    let mtime = (stat.st_mtime as i64, stat.st_mtime_nsec as i64);
    let ctime = (stat.st_ctime as i64, stat.st_ctime_nsec as i64);
    (stat.st_size, [mtime, ctime])
}

fn entry_of(path: &[u8], kind: EntryKind, stat: &Stat) -> Entry {
    Entry {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid.into(),
        gid: stat.st_gid.into(),
        mtime: Timestamp { secs: stat.st_mtime as i64, nanos: stat.st_mtime_nsec as u32 },
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
