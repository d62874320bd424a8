//! Where one call syncs a whole file system as well as one call a file would.

use rustix::fd::AsFd;
use rustix::fs::fstatfs;
use rustix::system::uname;

/// File systems of local disks whose `syncfs` writes everything, waits for it, and tells of errors: ext2 to ext4, xfs,
/// btrfs, f2fs, bcachefs, zfs, and tmpfs, which forgets everything anyway. Others (FUSE, network file systems, layers)
/// may not be asked by it.
const LOCAL: &[u32] = &[0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010, 0xCA45_1A4E, 0x2FC1_2FC1, 0x0102_1994];

/// The first Linux whose `syncfs` tells that something could not be written.
const TELLS_ERRORS: (u32, u32) = (5, 8);

/// True if `syncfs` is as good as a sync of each file in the file system of this object.
pub(super) fn syncs_as_a_whole(object: impl AsFd) -> bool {
    let is_local = fstatfs(object).is_ok_and(|stat| LOCAL.contains(&(stat.f_type as u32)));
    is_local && version(&uname().release().to_string_lossy()).is_some_and(|version| version >= TELLS_ERRORS)
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|char: char| !char.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_as_numbers() {
        assert_eq!(version("6.18.4-generic"), Some((6, 18)));
        assert_eq!(version("5.8"), Some((5, 8)));
        assert!(version("5.10.1") > Some(TELLS_ERRORS) && version("4.19.0") < Some(TELLS_ERRORS));
        assert_eq!(version("unknown"), None);
    }

    #[test]
    fn the_kernels_own_views_are_not_synced() {
        assert!(!syncs_as_a_whole(std::fs::File::open("/proc").expect("opened")));
    }
}
