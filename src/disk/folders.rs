//! Folders by path: made so that they stay, and removed with all that is in them.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{CWD, Dir, Mode, OFlags, openat};
use rustix::io::Errno;

use super::{Disk, Extent};

/// Makes the names in a folder durable.
pub fn sync_folder(disk: &Disk, path: &Path) -> io::Result<()> {
    match disk.sync(File::open(path)?.as_fd(), Extent::Object) {
        // Some network file systems sync no folders: what they answer is as durable as it becomes.
        Ok(()) | Err(Errno::INVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Makes a folder and those that it is in, as far as they are missing, and sees to it that they stay. Gives those that
/// were made, the outermost first.
pub fn make_folders(disk: &Disk, path: &Path, mode: Mode) -> io::Result<Vec<PathBuf>> {
    let mut made = Vec::new();
    let done = make_missing(disk, path, mode, &mut made);
    if done.is_err() {
        for path in made.iter().rev() {
            // Best effort: an empty folder is in nobody's way.
            let _ = disk.remove_folder(CWD, path.as_os_str().as_bytes());
        }
    }
    done.map(|()| made)
}

fn make_missing(disk: &Disk, path: &Path, mode: Mode, made: &mut Vec<PathBuf>) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|path| is_missing(path)).collect();
    for path in missing.into_iter().rev() {
        match disk.make_folder(CWD, path.as_os_str().as_bytes(), mode) {
            Ok(()) => made.push(path.to_owned()),
            // Somebody else was quicker; that it stays is in our interest, too.
            Err(Errno::EXIST) if path.is_dir() => {}
            Err(error) => return Err(error.into()),
        }
        sync_folder(disk, parent(path))?;
    }
    // Something else than a folder is not missing, and no folder.
    fs::read_dir(path).map(drop)
}

fn is_missing(path: &Path) -> bool {
    !path.as_os_str().is_empty() && fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// The folder that this path is in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a folder durable with all files and folders that are in it. Follows no link.
pub fn sync_tree(disk: &Disk, path: &Path) -> io::Result<()> {
    for found in walkdir::WalkDir::new(path).follow_links(false) {
        let found = found?;
        if found.file_type().is_dir() {
            sync_folder(disk, found.path())?;
        } else if found.file_type().is_file() {
            disk.sync(File::open(found.path())?.as_fd(), Extent::Object)?;
        }
    }
    Ok(())
}

/// Removes a folder with all that is in it. Follows no link, whatever others put in there meanwhile.
pub fn remove_tree(disk: &Disk, path: &Path) -> io::Result<()> {
    Ok(remove_below(disk, CWD, path.as_os_str().as_bytes())?)
}

fn remove_below(disk: &Disk, dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = openat(dir, name, flags, Mode::empty())?;
    for entry in Dir::read_from(&open)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if [&b"."[..], b".."].contains(&name) {
            continue;
        }
        match disk.remove(open.as_fd(), name) {
            Err(Errno::ISDIR | Errno::PERM) => remove_below(disk, open.as_fd(), name)?,
            other => other?,
        }
    }
    disk.remove_folder(dir, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_once_and_removed_with_what_is_in_them() {
        let dir = tempfile::tempdir().expect("a folder");
        let disk = Disk::default();
        let path = dir.path().join("a/b/c");
        assert_eq!(make_folders(&disk, &path, Mode::RWXU).expect("made").len(), 3);
        assert_eq!(make_folders(&disk, &path, Mode::RWXU).expect("there").len(), 0);
        fs::write(path.join("file"), "x").expect("written");
        std::os::unix::fs::symlink("/etc", path.join("link")).expect("linked");
        assert!(make_folders(&disk, &path.join("file/d"), Mode::RWXU).is_err());
        assert!(make_folders(&disk, &path.join("file"), Mode::RWXU).is_err());
        remove_tree(&disk, &dir.path().join("a")).expect("removed");
        assert!(!dir.path().join("a").exists() && Path::new("/etc").exists());
    }
}
