//! What an extracted object is given besides its data, in the one order that works: the owner first, because changing
//! it clears setuid bits and capabilities; then attributes, while the mode still lets us; then the mode; the time last,
//! because everything else may touch it.

use super::xattr;
use super::{Entry, LeftOut, Timestamp};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{
    AtFlags, Gid, Mode, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, chmod, chownat, fchmod, fchown, fstat, futimens,
    utimensat,
};
use rustix::io::Errno;
use std::io;

/// Something about an object could not be restored; the object itself is there.
#[derive(Debug, thiserror::Error)]
pub enum ExtractProblem {
    /// The owner is not the original one, although we are privileged. Setuid and setgid bits were not restored either.
    #[error("cannot set the owner {uid}:{gid}")]
    Owner {
        /// The numeric owner it should have.
        uid: u64,
        /// The numeric group it should have.
        gid: u64,
        /// What the system said.
        source: io::Error,
    },
    /// An extended attribute is missing.
    #[error("cannot set the extended attribute {}", String::from_utf8_lossy(name))]
    Attribute {
        /// Full name of the attribute.
        name: Vec<u8>,
        /// What the system said.
        source: io::Error,
    },
    /// The permissions are not the original ones.
    #[error("cannot set the permissions {mode:04o}")]
    Mode {
        /// The permissions it should have.
        mode: u32,
        /// What the system said.
        source: io::Error,
    },
    /// The time of last modification is not the original one.
    #[error("cannot set the time of last modification")]
    Time(#[source] io::Error),
    /// A device or pipe is missing: it could not be created.
    #[error("cannot create the device or pipe")]
    Device(#[source] io::Error),
    /// A folder has neither its owner nor its permissions nor its time, because it could not be opened again at the
    /// end.
    #[error("cannot open the folder again to set its owner, permissions and time")]
    Folder(#[source] io::Error),
    /// Something was not restored because it was not to be.
    #[error("left out: {0}")]
    LeftOut(LeftOut),
}

/// Owner, mode and time of an object: what is applied to folders only when everything in them is there.
#[derive(Debug, Clone)]
pub(super) struct Attributes {
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) mode: u32,
    pub(super) mtime: Timestamp,
}

impl Attributes {
    pub(super) fn of(entry: &Entry) -> Self {
        Self { uid: entry.uid, gid: entry.gid, mode: entry.mode, mtime: entry.mtime }
    }

    /// The mode, without setuid and setgid if it would make a program run as somebody else than the original owner.
    fn mode_for(&self, owner_restored: bool) -> u32 {
        if owner_restored { self.mode & 0o7777 } else { self.mode & 0o1777 }
    }

    fn ids(&self) -> Option<(Uid, Gid)> {
        // The highest number means "do not change" to the kernel.
        let id = |id: u64| u32::try_from(id).ok().filter(|&id| id != u32::MAX);
        Some((Uid::from_raw(id(self.uid)?), Gid::from_raw(id(self.gid)?)))
    }

    fn are_owner_of(&self, stat: &Stat) -> bool {
        u64::from(stat.st_uid) == self.uid && u64::from(stat.st_gid) == self.gid
    }

    fn times(&self) -> Timestamps {
        let mtime = Timespec { tv_sec: self.mtime.secs, tv_nsec: self.mtime.nanos.into() };
        Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification: mtime }
    }
}

/// Applies attributes to one object; passes problems on.
pub(super) struct Applying<'a> {
    pub(super) privileged: bool,
    pub(super) problem: &'a mut dyn FnMut(ExtractProblem),
}

impl Applying<'_> {
    /// Everything, to a file or folder that is open for reading or writing.
    pub(super) fn apply_to_open(&mut self, object: BorrowedFd<'_>, attributes: &Attributes, xattrs: &[xattr::Xattr]) {
        let owner_restored = self.owner(object, attributes, |uid, gid| fchown(object, uid, gid));
        self.xattrs(object, xattrs);
        let mode = attributes.mode_for(owner_restored);
        self.mode(mode, fchmod(object, Mode::from_raw_mode(mode)));
        self.time(futimens(object, &attributes.times()));
    }

    /// Everything, to a link, pipe or device `name` in `dir`; `object` is a path handle of it.
    pub(super) fn apply_to_special(&mut self, dir: BorrowedFd<'_>, name: &[u8], object: BorrowedFd<'_>, entry: &Entry) {
        let attributes = Attributes::of(entry);
        let owner_restored =
            self.owner(object, &attributes, |uid, gid| chownat(dir, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW));
        self.xattrs(object, &entry.xattrs);
        if entry.kind != super::EntryKind::Symlink {
            let mode = attributes.mode_for(owner_restored);
            // The magic path cannot be led astray, and fchmodat cannot be told not to follow links before Linux 6.6.
            self.mode(mode, chmod(xattr::magic_path(object), Mode::from_raw_mode(mode)));
        }
        self.time(utimensat(dir, name, &attributes.times(), AtFlags::SYMLINK_NOFOLLOW));
    }

    /// Sets extended attributes.
    pub(super) fn xattrs(&mut self, object: impl AsFd, xattrs: &[xattr::Xattr]) {
        for (name, value) in xattrs {
            if let Err(error) = xattr::set(&object, name, value) {
                (self.problem)(ExtractProblem::Attribute { name: name.clone(), source: error.into() });
            }
        }
    }

    /// Restores the owner; tells whether the object has the original owner now.
    fn owner(
        &mut self,
        object: BorrowedFd<'_>,
        attributes: &Attributes,
        chown: impl Fn(Option<Uid>, Option<Gid>) -> Result<(), Errno>,
    ) -> bool {
        if fstat(object).is_ok_and(|stat| attributes.are_owner_of(&stat)) {
            return true;
        }
        let Some((uid, gid)) = attributes.ids() else {
            return self.owner_failed(attributes, Errno::INVAL);
        };
        match chown(Some(uid), Some(gid)) {
            Ok(()) => true,
            Err(error) => {
                // Without privileges a group of ours may still be given.
                let _ = chown(None, Some(gid));
                self.owner_failed(attributes, error)
            }
        }
    }

    fn owner_failed(&mut self, attributes: &Attributes, error: Errno) -> bool {
        if self.privileged {
            let (uid, gid) = (attributes.uid, attributes.gid);
            (self.problem)(ExtractProblem::Owner { uid, gid, source: error.into() });
        }
        false
    }

    fn mode(&mut self, mode: u32, result: Result<(), Errno>) {
        if let Err(error) = result {
            (self.problem)(ExtractProblem::Mode { mode, source: error.into() });
        }
    }

    fn time(&mut self, result: Result<(), Errno>) {
        if let Err(error) = result {
            (self.problem)(ExtractProblem::Time(error.into()));
        }
    }
}
