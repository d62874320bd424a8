//! What differs between two snapshots: streams, and files inside folder streams.

use std::collections::BTreeMap;

use super::folder::for_each_entry;
use crate::error::Error;
use crate::format::catalog::CatalogEntry;
use crate::format::manifest::StreamEntry;
use crate::pipeline::egress::Egress;
use crate::repo::Repository;
use crate::repo::snapshots::Snapshot;

/// How something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Only the second snapshot has it.
    Added,
    /// Only the first snapshot has it.
    Removed,
    /// Its content differs.
    Changed,
    /// Its content is the same, but not its owner, mode, time or link target.
    Metadata,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The stream, as bytes.
    pub stream: Vec<u8>,
    /// The path in a folder stream; nothing for the stream itself.
    pub path: Option<Vec<u8>>,
    /// How it differs.
    pub change: Change,
    /// Its length in the first snapshot, in bytes.
    pub before: Option<u64>,
    /// Its length in the second snapshot, in bytes.
    pub after: Option<u64>,
}

/// Compares two snapshots.
pub fn diff(repository: &Repository, first: &Snapshot, second: &Snapshot) -> Result<Vec<Difference>, Error> {
    let mut differences = Vec::new();
    let names = |snapshot: &Snapshot| -> BTreeMap<Vec<u8>, StreamEntry> {
        snapshot.manifest.streams.iter().map(|stream| (stream.name.clone(), stream.clone())).collect()
    };
    let (before, after) = (names(first), names(second));
    for name in before.keys().chain(after.keys().filter(|name| !before.contains_key(*name))) {
        let (old, new) = (before.get(name), after.get(name));
        let lens = (old.map(|stream| stream.content.len), new.map(|stream| stream.content.len));
        let change = match (old, new) {
            (Some(old), Some(new)) if old.content.hash == new.content.hash => continue,
            (Some(_), Some(_)) => Change::Changed,
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
        };
        differences.push(Difference { stream: name.clone(), path: None, change, before: lens.0, after: lens.1 });
        if let (Some(old), Some(new)) = (old, new)
            && old.catalog.is_some()
            && new.catalog.is_some()
        {
            diff_folders(repository, (first, old), (second, new), &mut differences)?;
        }
    }
    Ok(differences)
}

type Entries = BTreeMap<Vec<u8>, CatalogEntry>;

fn entries(repository: &Repository, (snapshot, stream): (&Snapshot, &StreamEntry)) -> Result<Entries, Error> {
    let mut entries = Entries::new();
    for_each_entry(&mut Egress::of(repository, snapshot)?, snapshot, stream, |located| {
        entries.insert(located.entry.path.clone(), located.entry);
    })?;
    Ok(entries)
}

fn diff_folders(
    repository: &Repository,
    first: (&Snapshot, &StreamEntry),
    second: (&Snapshot, &StreamEntry),
    differences: &mut Vec<Difference>,
) -> Result<(), Error> {
    let (before, after) = (entries(repository, first)?, entries(repository, second)?);
    let mut paths: Vec<&Vec<u8>> = before.keys().chain(after.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    for path in paths {
        let (old, new) = (before.get(path), after.get(path));
        if let Some(change) = compare(old, new) {
            differences.push(Difference {
                stream: first.1.name.clone(),
                path: Some(path.clone()),
                change,
                before: old.map(|entry| entry.size),
                after: new.map(|entry| entry.size),
            });
        }
    }
    Ok(())
}

fn compare(old: Option<&CatalogEntry>, new: Option<&CatalogEntry>) -> Option<Change> {
    let (Some(old), Some(new)) = (old, new) else {
        return Some(if old.is_none() { Change::Added } else { Change::Removed });
    };
    if (old.kind, old.size, old.hash) != (new.kind, new.size, new.hash) {
        return Some(Change::Changed);
    }
    let metadata = |entry: &CatalogEntry| {
        (entry.mode, entry.uid, entry.gid, entry.mtime_secs, entry.mtime_nanos, entry.link.clone())
    };
    (metadata(old) != metadata(new)).then_some(Change::Metadata)
}
