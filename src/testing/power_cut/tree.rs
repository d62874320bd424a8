//! One state, in memory and as files.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::recorder::{Change, Made};

/// No test nests folders deeper; a state in which a folder is in itself is cut there.
const DEEPEST: usize = 40;

/// Mode and time of an object, if they were ever set.
pub type Attributes = Option<(u32, i128)>;

/// A file or a folder with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Tree {
    /// A file.
    File(Vec<u8>, Attributes),
    /// A folder.
    Folder(BTreeMap<Vec<u8>, Tree>, Attributes),
    /// A symbolic link.
    Symlink(Vec<u8>),
    /// Something else, as the system numbers it.
    Node(u32),
}

/// A file's bytes when what is durable has arrived, and of the rest: everything (0), the last write only or its first
/// half (1), the last write cut in half (2 of 4 or 5 ways), the length without the data, nothing. Ways are counted from
/// the newest; see `Uncertain::Data`.
pub(super) fn file_after(durable: &[Change], pending: &[Change], way: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    durable.iter().for_each(|change| apply(&mut bytes, change));
    let Some((last, before)) = pending.split_last() else { return bytes };
    // With one write there is no way in which only the last arrives.
    let way = if before.is_empty() && way > 0 { way + 1 } else { way };
    match way {
        0 => pending.iter().for_each(|change| apply(&mut bytes, change)),
        1 => apply(&mut bytes, last),
        2 => {
            before.iter().for_each(|change| apply(&mut bytes, change));
            if let Change::Write(object, offset, written) = last {
                apply(&mut bytes, &Change::Write(*object, *offset, written[..written.len() / 2].to_vec()));
            }
        }
        3 => {
            let mut all = bytes.clone();
            pending.iter().for_each(|change| apply(&mut all, change));
            bytes.resize(all.len(), 0);
        }
        _ => {}
    }
    bytes
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(_, offset, written) => {
            let (start, end) = (*offset as usize, *offset as usize + written.len());
            bytes.resize(bytes.len().max(end), 0);
            bytes[start..end].copy_from_slice(written);
        }
        Change::Truncate(_, len) => bytes.resize(*len as usize, 0),
        _ => {}
    }
}

impl Tree {
    pub(super) fn build(
        object: usize,
        content: &impl Fn(usize) -> (Made, Vec<u8>, Attributes),
        children: &impl Fn(usize) -> Vec<(Vec<u8>, usize)>,
        depth: usize,
    ) -> Self {
        let (made, bytes, attributes) = content(object);
        match made {
            Made::File => Self::File(bytes, attributes),
            Made::Symlink(target) => Self::Symlink(target),
            Made::Node(mode) => Self::Node(mode),
            Made::Folder => {
                let below = if depth < DEEPEST { children(object) } else { Vec::new() };
                let below = below.into_iter();
                let built = below.map(|(name, object)| (name, Self::build(object, content, children, depth + 1)));
                Self::Folder(built.collect(), attributes)
            }
        }
    }

    /// What is at this path below.
    pub fn at(&self, path: &str) -> Option<&Self> {
        path.split('/').filter(|name| !name.is_empty()).try_fold(self, |tree, name| match tree {
            Self::Folder(below, _) => below.get(name.as_bytes()),
            _ => None,
        })
    }

    /// Makes it at this path, where there is nothing.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::File(bytes, attributes) => {
                fs::write(path, bytes)?;
                set(path, attributes)
            }
            Self::Symlink(target) => symlink(OsStr::from_bytes(target), path),
            // What it says matters, not what it is.
            Self::Node(mode) => fs::write(path, mode.to_string()),
            Self::Folder(below, attributes) => {
                fs::create_dir(path)?;
                below.iter().try_for_each(|(name, tree)| tree.write(&path.join(OsStr::from_bytes(name))))?;
                set(path, attributes)
            }
        }
    }
}

fn set(path: &Path, attributes: &Attributes) -> io::Result<()> {
    let Some((mode, modified)) = attributes else { return Ok(()) };
    let since = Duration::from_nanos(u64::try_from(*modified).unwrap_or(0));
    File::open(path)?.set_modified(SystemTime::UNIX_EPOCH + since)?;
    fs::set_permissions(path, fs::Permissions::from_mode(*mode))
}
