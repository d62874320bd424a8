//! Creates what entries describe, below one folder and nowhere else, whatever the entries say and in whatever order
//! they come.
//!
//! No name is ever resolved by more than one component at a time, no symbolic link is followed, and nothing is written
//! through a file that exists: what is in the way is an error or is unlinked.

pub use super::attributes::ExtractProblem;
use super::attributes::{Applying, Attributes};
use super::contents_out::{self, Failure};
use super::{Entry, EntryKind, LeftOut, Special, beneath, names, xattr};
use crate::disk::{Disk, Extent, Node, Source};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fchmod, fstat, openat, statat};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

/// Attributes that are set on folders at the very end take this much memory at most, in bytes.
const MAX_DEFERRED: usize = 16 << 20;

/// How to extract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExtractOptions {
    /// Unlink files, links and devices that are in the way. Folders are merged in any case, and never removed.
    pub replace: bool,
    /// Do not write blocks of 4 KiB of zeros, so that they become holes. (Holes that the archive knows of are kept in
    /// any case.)
    pub holes: bool,
    /// What becomes of setuid bits, capabilities and devices.
    pub special: Special,
    /// What was extracted is durable when [`finish`](Extractor::finish) returns.
    pub durable: bool,
}

/// How what is extracted becomes durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syncing {
    /// Not at all.
    No,
    /// The whole file system at the end.
    Whole,
    /// Each file when it is written, each folder at the end.
    Each,
}

impl Syncing {
    fn new(disk: &Disk, target: BorrowedFd<'_>, options: ExtractOptions) -> Self {
        match options.durable {
            false => Self::No,
            true if disk.syncs_as_a_whole(target) => Self::Whole,
            true => Self::Each,
        }
    }
}

/// An entry was not extracted. The extractor can go on with others.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The entry names something outside the target, or contradicts itself.
    #[error("refused: {0}")]
    Refused(&'static str),
    /// Something of this name exists, and replacing is off.
    #[error("it exists already")]
    Exists,
    /// A folder is where something else should go. It is left alone.
    #[error("a folder of this name is in the way")]
    FolderInTheWay,
    /// The path leads through something that is not a folder, such as a symbolic link.
    #[error("the path leads through something that is not a folder")]
    NotAFolder,
    /// The data could not be read, or ended too early. What was written has been removed.
    #[error("cannot read its data")]
    Data(#[source] io::Error),
    /// The system refused.
    #[error("cannot {doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

type Result<T> = std::result::Result<T, ExtractError>;

/// Extracts entries into one folder. Call [`finish`](Self::finish) at the end: folders get their owner, mode and time
/// then.
///
/// Folders that no entry describes are created as needed, with the mode 0700.
pub struct Extractor<'a> {
    target: OwnedFd,
    options: ExtractOptions,
    disk: Disk,
    syncing: Syncing,
    privileged: bool,
    on_problem: &'a mut dyn FnMut(&[u8], ExtractProblem),
    /// What folders get in the end, by path.
    folders: BTreeMap<Vec<u8>, Folder>,
    /// Bytes of attributes in `folders`.
    deferred: usize,
    /// The folder of the entry before, open, as the next entry is most often in the same one.
    last_parent: Option<(Vec<u8>, OwnedFd)>,
    /// Folders in which something was created, where each is synced by itself.
    touched: BTreeSet<Vec<u8>>,
    buffer: Vec<u8>,
}

struct Folder {
    attributes: Attributes,
    /// Access control lists, which would pass themselves on to what is created in the folder.
    acls: Vec<xattr::Xattr>,
}

impl<'a> Extractor<'a> {
    /// An extractor into the folder `target`. What could not be restored about an entry is told to `on_problem`, with
    /// the entry's path.
    pub fn new(target: OwnedFd, options: ExtractOptions, on_problem: &'a mut dyn FnMut(&[u8], ExtractProblem)) -> Self {
        let disk = Disk::default();
        Self {
            syncing: Syncing::new(&disk, target.as_fd(), options),
            target,
            options,
            disk,
            privileged: rustix::process::geteuid().is_root(),
            on_problem,
            folders: BTreeMap::new(),
            deferred: 0,
            last_parent: None,
            touched: BTreeSet::new(),
            buffer: vec![0; contents_out::BUFFER],
        }
    }

    /// The same with another way to change the file system.
    #[must_use]
    pub fn with_disk(self, disk: Disk) -> Self {
        Self { syncing: Syncing::new(&disk, self.target.as_fd(), self.options), disk, ..self }
    }

    /// Creates what the entry describes; reads [`Entry::stored`] bytes from `data`, which only files have.
    pub fn extract(&mut self, entry: &Entry, data: &mut impl Read) -> Result<()> {
        // The name first: that an entry is hostile is worth more than that it is unsound.
        names::fault(&entry.path).map_or(Ok(()), |fault| Err(ExtractError::Refused(fault)))?;
        entry.check().map_err(|unsound| ExtractError::Refused(unsound.0))?;
        if entry.path == names::ROOT {
            return self.folder_at(self.target.try_clone().map_err(io_error("open the target"))?, entry);
        }
        if self.options.special.leaves_out(entry) {
            (self.on_problem)(&entry.path, ExtractProblem::LeftOut(LeftOut::Device));
            return Ok(());
        }
        let (parent, name) = names::split(&entry.path);
        let dir = self.parent(parent)?;
        let result = self.create(dir.as_fd(), name, entry, data);
        self.last_parent = Some((parent.to_vec(), dir));
        result
    }

    /// Gives all folders their owner, access control lists, mode and time, the deepest first, and makes everything
    /// durable if that was asked for.
    pub fn finish(mut self) -> Result<()> {
        let mut folders = std::mem::take(&mut self.folders);
        let touched: Vec<Vec<u8>> = std::mem::take(&mut self.touched).into_iter().collect();
        // A path sorts after those of the folders it is in.
        for path in touched.iter().rev().filter(|path| !folders.contains_key(*path)) {
            let open = beneath::open(&self.target, path, OFlags::RDONLY | OFlags::DIRECTORY);
            self.sync(open.map_err(io_error("open the folder to sync it"))?.as_fd())?;
        }
        while let Some((path, folder)) = folders.pop_last() {
            match beneath::open(&self.target, &path, OFlags::RDONLY | OFlags::DIRECTORY) {
                Ok(open) => {
                    self.applying(open.as_fd(), &path, |applying| {
                        applying.apply_to_open(open.as_fd(), &folder.attributes, &folder.acls);
                    });
                    self.sync(open.as_fd())?;
                }
                Err(error) => (self.on_problem)(&path, ExtractProblem::Folder(error.into())),
            }
        }
        match self.syncing {
            Syncing::Whole => self.sync_extent(self.target.as_fd(), Extent::FileSystem),
            Syncing::Each => self.sync(self.target.as_fd()),
            Syncing::No => Ok(()),
        }
    }

    /// Makes a file or folder durable, if each is by itself.
    fn sync(&self, object: BorrowedFd<'_>) -> Result<()> {
        if self.syncing == Syncing::Each { self.sync_extent(object, Extent::Object) } else { Ok(()) }
    }

    fn sync_extent(&self, object: BorrowedFd<'_>, extent: Extent) -> Result<()> {
        match self.disk.sync(object, extent) {
            // Some network file systems sync no folders: what they answer is as durable as it becomes.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(error) => Err(io_error("sync what was written")(error)),
        }
    }

    fn create(&mut self, dir: BorrowedFd<'_>, name: &[u8], entry: &Entry, data: &mut impl Read) -> Result<()> {
        if entry.kind != EntryKind::Dir {
            self.make_room(dir, name)?;
        }
        match entry.kind {
            EntryKind::Dir => self.folder(dir, name, entry),
            EntryKind::File => self.file(dir, name, entry, data),
            EntryKind::Hardlink => self.link_again(dir, name, entry),
            EntryKind::Symlink => self.symlink(dir, name, entry),
            EntryKind::Fifo | EntryKind::CharDevice | EntryKind::BlockDevice => self.device(dir, name, entry),
        }
    }

    /// Sees to it that nothing is in the way of a new object.
    fn make_room(&self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(io_error("look for what is in the way")(error)),
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                Err(ExtractError::FolderInTheWay)
            }
            Ok(_) if !self.options.replace => Err(ExtractError::Exists),
            Ok(_) => self.disk.remove(dir, name).map_err(io_error("remove what is in the way")),
        }
    }

    fn folder(&mut self, dir: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = match self.disk.make_folder(dir, name, Mode::RWXU) {
            Ok(()) => openat(dir, name, flags, Mode::empty()),
            Err(Errno::EXIST) => match openat(dir, name, flags, Mode::empty()) {
                Err(Errno::LOOP | Errno::NOTDIR) => {
                    self.make_room(dir, name)?;
                    self.disk.make_folder(dir, name, Mode::RWXU).map_err(io_error("create the folder"))?;
                    openat(dir, name, flags, Mode::empty())
                }
                result => result,
            },
            Err(error) => Err(error),
        };
        self.folder_at(open.map_err(io_error("create the folder"))?, entry)
    }

    /// Sets what can be set on a folder before it is filled, and keeps the rest for the end.
    fn folder_at(&mut self, open: OwnedFd, entry: &Entry) -> Result<()> {
        if let Ok(stat) = fstat(&open) {
            let writable = Mode::from_raw_mode(stat.st_mode) | Mode::RWXU;
            if Mode::from_raw_mode(stat.st_mode) != writable {
                // An existing folder may be closed to us; if it is not ours, creating things in it will tell.
                self.disk.set_attributes(open.as_fd(), &mut || {
                    let _ = fchmod(&open, writable);
                });
            }
        }
        let (acls, others): (Vec<_>, Vec<_>) = entry.xattrs.iter().cloned().partition(|(name, _)| xattr::is_acl(name));
        self.applying(open.as_fd(), &entry.path, |applying| applying.xattrs(&open, &others));
        let acls = self.within_budget(&entry.path, acls);
        self.folders.insert(entry.path.clone(), Folder { attributes: Attributes::of(entry), acls });
        Ok(())
    }

    /// The access control lists, if there is memory for them until the end; no sound archive comes near the limit.
    fn within_budget(&mut self, path: &[u8], acls: Vec<xattr::Xattr>) -> Vec<xattr::Xattr> {
        let len: usize = acls.iter().map(|(name, value)| name.len() + value.len()).sum();
        if self.deferred + len <= MAX_DEFERRED {
            self.deferred += len;
            return acls;
        }
        for (name, _) in acls {
            (self.on_problem)(path, ExtractProblem::Attribute { name, source: Errno::TOOBIG.into() });
        }
        Vec::new()
    }

    fn file(&mut self, dir: BorrowedFd<'_>, name: &[u8], entry: &Entry, data: &mut impl Read) -> Result<()> {
        let file = self.disk.create(dir, name, Mode::RUSR | Mode::WUSR).map_err(io_error("create the file"))?;
        let written = contents_out::write(&self.disk, file.as_fd(), entry, data, &mut self.buffer, self.options.holes);
        if let Err(failure) = written {
            // Half a file must not pass for a file. If it cannot be removed, the error says that it is not complete.
            let _ = self.disk.remove(dir, name);
            return Err(match failure {
                Failure::Data(error) => ExtractError::Data(error),
                Failure::File(source) => ExtractError::Io { doing: "write the file", source },
            });
        }
        let left_out = |what| (self.on_problem)(&entry.path, ExtractProblem::LeftOut(what));
        let (mode, xattrs) = self.options.special.of_file(entry, left_out);
        let attributes = Attributes { mode, ..Attributes::of(entry) };
        self.applying(file.as_fd(), &entry.path, |applying| {
            applying.apply_to_open(file.as_fd(), &attributes, &xattrs);
        });
        self.sync(file.as_fd())
    }

    fn link_again(&mut self, dir: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Result<()> {
        let (parent, target) = names::split(&entry.link);
        let parent = self.existing_parent(parent)?;
        // A link to a symbolic link is one to the link itself.
        match self.disk.link(Source::Name(parent.as_fd(), target), dir, name) {
            Err(Errno::NOENT) => Err(ExtractError::Refused("it is another name of something that was not restored")),
            linked => linked.map_err(io_error("link the file")),
        }
    }

    fn symlink(&mut self, dir: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Result<()> {
        self.disk.symlink(&entry.link, dir, name).map_err(io_error("create the symbolic link"))?;
        self.finish_special(dir, name, entry)
    }

    fn device(&mut self, dir: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Result<()> {
        let file_type = match entry.kind {
            EntryKind::CharDevice => FileType::CharacterDevice,
            EntryKind::BlockDevice => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        match self.disk.make_node(Node { file_type, device: entry.device }, dir, name) {
            Ok(()) => self.finish_special(dir, name, entry),
            Err(error) => {
                (self.on_problem)(&entry.path, ExtractProblem::Device(error.into()));
                Ok(())
            }
        }
    }

    fn finish_special(&mut self, dir: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let object = openat(dir, name, flags, Mode::empty()).map_err(io_error("open what was created"))?;
        self.applying(object.as_fd(), &entry.path, |applying| {
            applying.apply_to_special(dir, name, object.as_fd(), entry);
        });
        Ok(())
    }

    /// The folder `path` below the target (the target itself for an empty one), created if need be.
    fn parent(&mut self, path: &[u8]) -> Result<OwnedFd> {
        match self.last_parent.take() {
            Some((last, dir)) if last == path => return Ok(dir),
            _ => {}
        }
        let dir = self.walk(path, |dir, part| match beneath::open_dir(dir, part) {
            Err(Errno::NOENT) => {
                self.disk.make_folder(dir, part, Mode::RWXU)?;
                beneath::open_dir(dir, part)
            }
            result => result,
        })?;
        if self.syncing == Syncing::Each {
            // Those that this one is in have got a name, too, if they are new.
            let ends = (0..path.len()).filter(|&at| path[at] == b'/').chain([path.len()]);
            self.touched.extend(ends.map(|end| path[..end].to_vec()).filter(|path| !path.is_empty()));
        }
        Ok(dir)
    }

    fn existing_parent(&self, path: &[u8]) -> Result<OwnedFd> {
        self.walk(path, |dir, part| beneath::open_dir(dir, part))
    }

    fn walk(
        &self,
        path: &[u8],
        step: impl Fn(BorrowedFd<'_>, &[u8]) -> std::result::Result<OwnedFd, Errno>,
    ) -> Result<OwnedFd> {
        let mut dir = self.target.try_clone().map_err(io_error("open the target"))?;
        for part in path.split(|&b| b == b'/').filter(|part| !part.is_empty()) {
            dir = step(dir.as_fd(), part).map_err(|error| match error {
                Errno::LOOP | Errno::NOTDIR => ExtractError::NotAFolder,
                error => io_error("open the folder it is in")(error),
            })?;
        }
        Ok(dir)
    }

    fn applying(&mut self, object: BorrowedFd<'_>, path: &[u8], apply: impl Fn(&mut Applying<'_>)) {
        let (on_problem, privileged) = (&mut self.on_problem, self.privileged);
        self.disk.set_attributes(object, &mut || {
            let mut problem = |problem| on_problem(path, problem);
            apply(&mut Applying { privileged, problem: &mut problem });
        });
    }
}

fn io_error<E: Into<io::Error>>(doing: &'static str) -> impl Fn(E) -> ExtractError {
    move |error| ExtractError::Io { doing, source: error.into() }
}
