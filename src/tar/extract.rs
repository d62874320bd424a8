//! Creates what entries describe, below one folder and nowhere else, whatever the entries say and in whatever order
//! they come.
//!
//! No name is ever resolved by more than one component at a time, no symbolic link is followed, and nothing is written
//! through a file that exists: what is in the way is an error or is unlinked.

pub use super::attributes::ExtractProblem;
use super::attributes::{Applying, Attributes};
use super::contents_out::{self, Failure};
use super::{Entry, EntryKind, beneath, names, xattr};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, fchmod, fstat, linkat, makedev, mkdirat, mknodat, openat, statat, symlinkat,
    unlinkat,
};
use rustix::io::Errno;
use std::collections::BTreeMap;
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
    privileged: bool,
    on_problem: &'a mut dyn FnMut(&[u8], ExtractProblem),
    /// What folders get in the end, by path.
    folders: BTreeMap<Vec<u8>, Folder>,
    /// Bytes of attributes in `folders`.
    deferred: usize,
    /// The folder of the entry before, open, as the next entry is most often in the same one.
    last_parent: Option<(Vec<u8>, OwnedFd)>,
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
        Self {
            target,
            options,
            privileged: rustix::process::geteuid().is_root(),
            on_problem,
            folders: BTreeMap::new(),
            deferred: 0,
            last_parent: None,
            buffer: vec![0; contents_out::BUFFER],
        }
    }

    /// Creates what the entry describes; reads [`Entry::stored`] bytes from `data`, which only files have.
    pub fn extract(&mut self, entry: &Entry, data: &mut impl Read) -> Result<()> {
        // The name first: that an entry is hostile is worth more than that it is unsound.
        names::fault(&entry.path).map_or(Ok(()), |fault| Err(ExtractError::Refused(fault)))?;
        entry.check().map_err(|unsound| ExtractError::Refused(unsound.0))?;
        if entry.path == names::ROOT {
            return self.folder_at(self.target.try_clone().map_err(io_error("open the target"))?, entry);
        }
        let (parent, name) = names::split(&entry.path);
        let dir = self.parent(parent)?;
        let result = self.create(dir.as_fd(), name, entry, data);
        self.last_parent = Some((parent.to_vec(), dir));
        result
    }

    /// Gives all folders their owner, access control lists, mode and time, the deepest first.
    pub fn finish(mut self) {
        // A path sorts after those of the folders it is in.
        for (path, folder) in std::mem::take(&mut self.folders).into_iter().rev() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            match beneath::open(&self.target, &path, flags) {
                Ok(open) => self
                    .applying(&path, |applying| applying.apply_to_open(open.as_fd(), &folder.attributes, &folder.acls)),
                Err(error) => (self.on_problem)(&path, ExtractProblem::Folder(error.into())),
            }
        }
    }

    fn create(&mut self, dir: BorrowedFd<'_>, name: &[u8], entry: &Entry, data: &mut impl Read) -> Result<()> {
        if entry.kind != EntryKind::Dir {
            self.make_room(dir, name)?;
        }
        match entry.kind {
            EntryKind::Dir => self.folder(dir, name, entry),
            EntryKind::File => self.file(dir, name, entry, data),
            EntryKind::Hardlink => self.hard_link(dir, name, entry),
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
            Ok(_) => unlinkat(dir, name, AtFlags::empty()).map_err(io_error("remove what is in the way")),
        }
    }

    fn folder(&mut self, dir: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = match mkdirat(dir, name, Mode::RWXU) {
            Ok(()) => openat(dir, name, flags, Mode::empty()),
            Err(Errno::EXIST) => match openat(dir, name, flags, Mode::empty()) {
                Err(Errno::LOOP | Errno::NOTDIR) => {
                    self.make_room(dir, name)?;
                    mkdirat(dir, name, Mode::RWXU).map_err(io_error("create the folder"))?;
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
                let _ = fchmod(&open, writable);
            }
        }
        let (acls, others): (Vec<_>, Vec<_>) = entry.xattrs.iter().cloned().partition(|(name, _)| xattr::is_acl(name));
        self.applying(&entry.path, |applying| applying.xattrs(&open, &others));
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
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(dir, name, flags, Mode::RUSR | Mode::WUSR).map_err(io_error("create the file"))?;
        let written = contents_out::write(&file, entry, data, &mut self.buffer, self.options.holes);
        if let Err(failure) = written {
            // Half a file must not pass for a file. If it cannot be removed, the error says that it is not complete.
            let _ = unlinkat(dir, name, AtFlags::empty());
            return Err(match failure {
                Failure::Data(error) => ExtractError::Data(error),
                Failure::File(source) => ExtractError::Io { doing: "write the file", source },
            });
        }
        self.applying(&entry.path, |applying| {
            applying.apply_to_open(file.as_fd(), &Attributes::of(entry), &entry.xattrs)
        });
        Ok(())
    }

    fn hard_link(&mut self, dir: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Result<()> {
        let (parent, target) = names::split(&entry.link);
        let parent = self.existing_parent(parent)?;
        // Without SYMLINK_FOLLOW a link to a symbolic link is one to the link itself.
        linkat(parent, target, dir, name, AtFlags::empty()).map_err(io_error("link the file"))
    }

    fn symlink(&mut self, dir: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Result<()> {
        symlinkat(&entry.link[..], dir, name).map_err(io_error("create the symbolic link"))?;
        self.finish_special(dir, name, entry)
    }

    fn device(&mut self, dir: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Result<()> {
        let file_type = match entry.kind {
            EntryKind::CharDevice => FileType::CharacterDevice,
            EntryKind::BlockDevice => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        let number = makedev(entry.device.0, entry.device.1);
        match mknodat(dir, name, file_type, Mode::RUSR | Mode::WUSR, number) {
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
        self.applying(&entry.path, |applying| applying.apply_to_special(dir, name, object.as_fd(), entry));
        Ok(())
    }

    /// The folder `path` below the target (the target itself for an empty one), created if need be.
    fn parent(&mut self, path: &[u8]) -> Result<OwnedFd> {
        match self.last_parent.take() {
            Some((last, dir)) if last == path => Ok(dir),
            _ => self.walk(path, |dir, part| match beneath::open_dir(dir, part) {
                Err(Errno::NOENT) => {
                    mkdirat(dir, part, Mode::RWXU)?;
                    beneath::open_dir(dir, part)
                }
                result => result,
            }),
        }
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

    fn applying(&mut self, path: &[u8], apply: impl FnOnce(&mut Applying<'_>)) {
        let on_problem = &mut self.on_problem;
        let mut problem = |problem| on_problem(path, problem);
        apply(&mut Applying { privileged: self.privileged, problem: &mut problem });
    }
}

fn io_error<E: Into<io::Error>>(doing: &'static str) -> impl Fn(E) -> ExtractError {
    move |error| ExtractError::Io { doing, source: error.into() }
}
