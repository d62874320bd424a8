//! Walks a folder and writes it as a tar stream, in an order and in a form that depend on nothing but its contents.

use super::store::Storing;
use super::writer::WriteError;
use super::{Entry, names};
use rustix::fs::{Mode, OFlags, open};
use std::collections::HashSet;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

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
    /// `header_len` is the number of bytes from the end of the previous entry to the data of this one, `hash` the
    /// BLAKE3 of the stored data (without padding; of no bytes for all but files). `changed` says that the file was
    /// modified while it was read: the data may mix old and new.
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
    /// The file changed while being read; what is stored may mix old and new, and is padded with zeros if it became
    /// shorter.
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

/// Writes the folder `root` as a complete tar stream, itself (`.`) first, then what it holds, depth first, ordered by
/// the bytes of the names.
///
/// Memory does not grow with the number of files, except for the names of files with several hard links (until all
/// links were seen) and the sorted names of the folders on the way to the current one.
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
    let mut storing = Storing::new(handle, out, on);
    for found in walk.into_iter().filter_entry(|found| !excluded.contains(&name_of(root, found.path()))) {
        match found {
            Ok(found) => storing.object(&name_of(root, found.path()), found.file_type())?,
            Err(error) => storing.unlisted(&name_of(root, error.path().unwrap_or(root)), error.into()),
        }
    }
    storing.finish()
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
            false => {
                path.strip_prefix(root).or(path.strip_prefix(&real_root)).or(real_path.strip_prefix(&real_root)).ok()
            }
        };
        relative.map(|relative| names::normalise(&[b"./", relative.as_os_str().as_bytes()].concat()))
    };
    exclude.iter().filter_map(below_root).collect()
}
