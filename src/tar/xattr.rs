//! Extended attributes: which ones travel, and how they are read and set.

use rustix::fd::{AsFd, AsRawFd};
use rustix::fs::{XattrFlags, getxattr, listxattr, setxattr};
use rustix::io::Errno;

/// Most bytes the kernel returns for a list of names or for a value.
const MAX_BYTES: usize = 64 << 10;

/// Most bytes of attributes that are stored for one entry. Leaves room in the extended header for names and times.
const MAX_TOTAL: usize = super::MAX_PAX / 2;

/// Name and value.
pub(super) type Xattr = (Vec<u8>, Vec<u8>);

/// A path that leads to the object behind a handle, also to a symbolic link itself and with handles that cannot be
/// read.
pub(super) fn magic_path(object: impl AsFd) -> String {
    format!("/proc/self/fd/{}", object.as_fd().as_raw_fd())
}

/// Reads attributes; holds the buffers for it.
pub(super) struct XattrReader {
    names: Vec<u8>,
    value: Vec<u8>,
}

impl XattrReader {
    pub(super) fn new() -> Self {
        Self { names: vec![0; MAX_BYTES], value: vec![0; MAX_BYTES] }
    }

    /// The attributes of `object` that travel, sorted by name; none where the file system has no attributes.
    ///
    /// Those the caller may not read are left out. Fails with `E2BIG` if they are more than fit into an extended
    /// header.
    pub(super) fn read(&mut self, object: impl AsFd) -> Result<Vec<Xattr>, Errno> {
        let path = magic_path(object);
        let len = match listxattr(path.as_str(), &mut self.names[..]) {
            Err(Errno::OPNOTSUPP) => 0,
            result => result?,
        };
        let mut names: Vec<&[u8]> = self.names[..len].split(|&b| b == 0).filter(|name| travels(name)).collect();
        names.sort_unstable();
        let mut xattrs = Vec::with_capacity(names.len());
        for name in names {
            match getxattr(path.as_str(), name, &mut self.value[..]) {
                Ok(len) => xattrs.push((name.to_vec(), self.value[..len].to_vec())),
                Err(Errno::NODATA | Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP) => {}
                Err(error) => return Err(error),
            }
        }
        let total: usize = xattrs.iter().map(|(name, value)| 3 * name.len() + value.len() + 32).sum();
        if total > MAX_TOTAL { Err(Errno::TOOBIG) } else { Ok(xattrs) }
    }
}

/// Sets one attribute of the object behind `object`.
pub(super) fn set(object: impl AsFd, name: &[u8], value: &[u8]) -> Result<(), Errno> {
    setxattr(magic_path(object), name, value, XattrFlags::empty())
}

/// Whether an attribute is an access control list, which changes how later objects below a folder are created.
pub(super) fn is_acl(name: &[u8]) -> bool {
    name.starts_with(b"system.posix_acl_")
}

/// Other `system.` attributes are views of the file system's own state.
fn travels(name: &[u8]) -> bool {
    [&b"user."[..], b"security.", b"trusted."].iter().any(|space| name.starts_with(space)) || is_acl(name)
}

/// An attribute's name as part of a pax key, where `=` would end it. GNU tar writes the same.
pub(super) fn escape(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    for &byte in name {
        match byte {
            b'%' => out.extend_from_slice(b"%25"),
            b'=' => out.extend_from_slice(b"%3D"),
            _ => out.push(byte),
        }
    }
    out
}

/// Reverses [`escape`]; any other `%` stands for itself.
pub(super) fn unescape(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len());
    let mut rest = key;
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = match after.get(..2) {
            Some(b"25") if byte == b'%' => (b'%', &after[2..]),
            Some(b"3D") if byte == b'%' => (b'=', &after[2..]),
            _ => (byte, after),
        };
        out.push(byte);
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping() {
        for (name, key) in [(&b"user.a"[..], &b"user.a"[..]), (b"user.a=b%c", b"user.a%3Db%25c"), (b"%3D", b"%253D")] {
            assert_eq!(escape(name), key);
            assert_eq!(unescape(key), name);
        }
        assert_eq!(unescape(b"%3d%"), b"%3d%");
    }

    #[test]
    fn only_portable_attributes_travel() {
        assert!(travels(b"user.x") && travels(b"security.capability") && travels(b"system.posix_acl_default"));
        assert!(!travels(b"system.nfs4_acl") && !travels(b"") && !travels(b"overlay.x"));
    }
}
