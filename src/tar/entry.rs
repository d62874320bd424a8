//! One archive member.

use super::{MAX_NAME, names, sparse};

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A regular file, dense or sparse.
    File,
    /// A folder.
    Dir,
    /// A symbolic link; [`Entry::link`] is its target, any bytes at all.
    Symlink,
    /// Another name for an earlier entry; [`Entry::link`] is that entry's path.
    Hardlink,
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

/// A moment: `secs` since 1970 (negative before), plus `nanos` (below 10⁹) *after* that second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Whole seconds, rounded down.
    pub secs: i64,
    /// Nanoseconds since that second, 0 to 999 999 999.
    pub nanos: u32,
}

/// One archive member: everything about it but its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Raw bytes, relative to the root of the archive, without `./` in front or `/` behind; `.` is the root itself.
    /// From a stream nobody vouches for it may still be absolute or contain `..`: see [`Entry::check`].
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// The twelve permission bits, setuid, setgid and sticky included.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Owner's name; empty in what sfarc writes.
    pub uname: Vec<u8>,
    /// Group's name; empty in what sfarc writes.
    pub gname: Vec<u8>,
    /// Last modification.
    pub mtime: Timestamp,
    /// Logical size in bytes, holes included; 0 for everything but files.
    pub size: u64,
    /// Target of a symbolic or hard link, empty otherwise.
    pub link: Vec<u8>,
    /// Major and minor number of a device, `(0, 0)` otherwise.
    pub device: (u32, u32),
    /// Extended attributes: full name (`user.x`) and value.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// The extents that hold data, if the file is stored without its holes: ordered, apart, none empty.
    pub sparse: Option<Vec<sparse::Extent>>,
    /// Bytes of data in the stream, before padding to 512: `size`, or the sum of the extents.
    pub stored: u64,
}

/// An [`Entry`] contradicts itself or has a name that cannot be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsound(pub(super) &'static str);

impl Entry {
    /// An empty entry with the mode 0755 for folders and 0644 for all else, owned by root, from 1970.
    pub fn new(path: impl Into<Vec<u8>>, kind: EntryKind) -> Self {
        Self {
            path: path.into(),
            kind,
            mode: if kind == EntryKind::Dir { 0o755 } else { 0o644 },
            uid: 0,
            gid: 0,
            uname: Vec::new(),
            gname: Vec::new(),
            mtime: Timestamp::default(),
            size: 0,
            link: Vec::new(),
            device: (0, 0),
            xattrs: Vec::new(),
            sparse: None,
            stored: 0,
        }
    }

    /// Whether the entry can be stored and restored: a canonical path below the root, and fields that agree with one
    /// another.
    pub fn check(&self) -> Result<(), Unsound> {
        let faults = [self.name_fault(), self.kind_fault(), self.size_fault(), self.xattr_fault()];
        match faults.into_iter().flatten().next() {
            Some(fault) => Err(Unsound(fault)),
            None => Ok(()),
        }
    }

    fn name_fault(&self) -> Option<&'static str> {
        let target = match self.kind {
            EntryKind::Hardlink => names::fault(&self.link).map(|_| "the link target is not below the root"),
            EntryKind::Symlink if self.link.is_empty() => Some("the link target is empty"),
            EntryKind::Symlink => None,
            _ if self.link.is_empty() => None,
            _ => Some("only links have a target"),
        };
        let texts = [&self.link, &self.uname, &self.gname];
        names::fault(&self.path)
            .or(target)
            .or(texts.iter().any(|text| text.len() > MAX_NAME).then_some("a link target or owner is too long"))
            .or(texts.iter().any(|text| text.contains(&0)).then_some("a link target or owner contains a NUL byte"))
    }

    fn kind_fault(&self) -> Option<&'static str> {
        let is_device = matches!(self.kind, EntryKind::CharDevice | EntryKind::BlockDevice);
        match () {
            () if self.mode & !0o7777 != 0 => Some("the mode has more than twelve bits"),
            () if self.mtime.nanos >= 1_000_000_000 => Some("the time has more than 10^9 nanoseconds"),
            () if !is_device && self.device != (0, 0) => Some("only devices have a device number"),
            () if self.kind != EntryKind::Dir && self.path == names::ROOT => Some("the root is not a folder"),
            () => None,
        }
    }

    fn size_fault(&self) -> Option<&'static str> {
        if self.kind != EntryKind::File {
            let empty = self.size == 0 && self.stored == 0 && self.sparse.is_none();
            return (!empty).then_some("only files have data");
        }
        if self.size > i64::MAX as u64 {
            return Some("the file is too large");
        }
        match &self.sparse {
            Some(map) if sparse::check(map, self.size) != Some(self.stored) => {
                Some("the map of a sparse file does not fit it")
            }
            Some(map) if map.iter().any(|&(_, len)| len == 0) => Some("the map of a sparse file has an empty extent"),
            None if self.stored != self.size => Some("the stored length of a file is not its size"),
            _ => None,
        }
    }

    fn xattr_fault(&self) -> Option<&'static str> {
        let bad = self.xattrs.iter().any(|(name, _)| name.is_empty() || name.contains(&0));
        bad.then_some("an extended attribute has an impossible name")
    }
}
