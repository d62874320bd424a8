//! Objects with several names.

use rustix::fs::Stat;
use std::collections::HashMap;

/// First names of objects with several hard links, by device and inode; forgotten when all links have been seen.
#[derive(Debug, Default)]
pub(super) struct Links(HashMap<(u64, u64), FirstLink>);

#[derive(Debug)]
struct FirstLink {
    path: Vec<u8>,
    to_come: u64,
}

impl Links {
    /// The first name of this object, if it is in the stream.
    pub(super) fn take(&mut self, stat: &Stat) -> Option<Vec<u8>> {
        let key = (stat.st_dev, stat.st_ino);
        let first = self.0.get_mut(&key)?;
        first.to_come -= 1;
        if first.to_come > 0 {
            return Some(first.path.clone());
        }
        self.0.remove(&key).map(|first| first.path)
    }

    /// Keeps the name of an object that was just stored, if it has others.
    pub(super) fn remember(&mut self, stat: &Stat, path: &[u8]) {
        let links = u64::from(stat.st_nlink as u32);
        if links > 1 {
            self.0.insert((stat.st_dev, stat.st_ino), FirstLink { path: path.to_owned(), to_come: links - 1 });
        }
    }
}
