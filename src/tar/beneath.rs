//! Opening objects below a folder without ever following a symbolic link.
//!
//! Names come from archives and from folders that others may be changing, so a component that is a folder now may be a
//! link to `/etc` a moment later. The kernel resolves a whole name safely with `openat2`; where that is missing (before
//! Linux 5.6, or forbidden by a container's filter) each component is opened by itself.

use super::names;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::{Errno, Result};

/// Opens `path` (canonical) below `root`. Fails with `ELOOP` or `ENOTDIR` if a symbolic link is in the way; with
/// `O_PATH` among the flags the last component may be a link, and is opened as such.
pub(super) fn open(root: impl AsFd, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(root.as_fd(), path, flags, Mode::empty(), resolve) {
        Err(Errno::NOSYS | Errno::PERM) => open_by_components(root.as_fd(), path, flags),
        result => result,
    }
}

fn open_by_components(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
    if names::fault(path).is_some() {
        return Err(Errno::INVAL);
    }
    let (parent, name) = names::split(path);
    let parent = open_parents(root, parent)?;
    let at = parent.as_ref().map_or(root, AsFd::as_fd);
    openat(at, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn open_parents(root: BorrowedFd<'_>, parents: &[u8]) -> Result<Option<OwnedFd>> {
    let mut dir: Option<OwnedFd> = None;
    for part in parents.split(|&b| b == b'/').filter(|part| !part.is_empty()) {
        dir = Some(open_dir(dir.as_ref().map_or(root, AsFd::as_fd), part)?);
    }
    Ok(dir)
}

/// Opens the folder `name` (one component) in `dir`, if it is one; a handle for going on from, not for reading.
pub(super) fn open_dir(dir: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    type Open = fn(BorrowedFd<'_>, &[u8], OFlags) -> Result<OwnedFd>;

    #[test]
    fn both_ways_refuse_links_and_escapes() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("root/a/b")).unwrap();
        fs::write(dir.path().join("secret"), "s").unwrap();
        fs::write(dir.path().join("root/a/b/file"), "f").unwrap();
        symlink("../..", dir.path().join("root/a/up")).unwrap();
        symlink("b", dir.path().join("root/a/inside")).unwrap();
        let root = rustix::fs::open(dir.path().join("root"), OFlags::DIRECTORY, Mode::empty()).unwrap();
        let ways: [Open; 2] =
            [|root, path, flags| open(root, path, flags), |root, path, flags| open_by_components(root, path, flags)];
        for open in ways {
            let read = |path: &[u8]| open(root.as_fd(), path, OFlags::RDONLY);
            for good in [&b"."[..], b"a", b"a/b/file"] {
                assert!(read(good).is_ok(), "{good:?}");
            }
            for bad in [
                &b"../secret"[..],
                b"a/up/secret",
                b"a/inside/file",
                b"a/inside",
                b"/etc/passwd",
                b"",
                b"a/b/file/x",
                b"a\0b",
            ] {
                assert!(read(bad).is_err(), "{bad:?}");
            }
            assert!(open(root.as_fd(), b"a/inside", OFlags::PATH).is_ok());
        }
    }
}
