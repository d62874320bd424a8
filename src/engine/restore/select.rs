//! Which streams are wanted, and what of them.

use std::collections::HashMap;

use super::Options;
use super::verify::FileHashes;
use crate::engine::find_stream;
use crate::engine::folder::{Located, for_each_entry, is_below};
use crate::error::Error;
use crate::format::catalog::CatalogKind;
use crate::format::manifest::StreamEntry;
use crate::pipeline::egress::Egress;
use crate::repo::snapshots::Snapshot;

/// What is wanted of a stream.
pub(super) enum Part {
    /// Everything.
    Whole,
    /// Some of the entries of a folder stream.
    Entries(Selection),
}

/// What is wanted of a folder stream.
#[derive(Default)]
pub(super) struct Selection {
    /// The ranges of the tar stream that hold it, neighbours joined.
    pub(super) ranges: Vec<std::ops::Range<u64>>,
    /// First names of files that are not wanted themselves, and the wanted hard links that take their places.
    pub(super) names: HashMap<Vec<u8>, Vec<u8>>,
    /// What its files hash to.
    pub(super) hashes: FileHashes,
}

impl Selection {
    fn add(&mut self, located: &Located) {
        match self.ranges.last_mut() {
            Some(last) if last.end == located.start => last.end = located.end,
            _ => self.ranges.push(located.start..located.end),
        }
        self.hashes.expect(located);
    }
}

/// A wanted stream. The part is an error if it cannot be found out, which does not stop the others.
type Wanted<'a> = (&'a StreamEntry, Result<Part, Error>);

/// Chooses streams and parts of them; refuses names and paths that the snapshot does not have.
pub(super) fn choose<'a>(
    egress: &mut Egress<'_>,
    snapshot: &'a Snapshot,
    options: &Options,
) -> Result<Vec<Wanted<'a>>, Error> {
    let streams: Vec<&StreamEntry> = if options.streams.is_empty() {
        snapshot.manifest.streams.iter().collect()
    } else {
        options.streams.iter().map(|name| find_stream(snapshot, name)).collect::<Result<_, _>>()?
    };
    if options.paths.is_empty() {
        return Ok(streams.into_iter().map(|stream| (stream, Ok(Part::Whole))).collect());
    }
    let mut missing = vec![true; options.paths.len()];
    let part = |stream| (stream, choose_part(egress, snapshot, stream, &options.paths, &mut missing));
    let chosen: Vec<_> = streams.into_iter().map(part).collect();
    // What is in no catalog may be in one that cannot be read.
    let all_read = chosen.iter().all(|(_, part)| part.is_ok());
    if let Some(place) = missing.iter().position(|&missing| missing).filter(|_| all_read) {
        let (id, path) = (snapshot.id.short(), String::from_utf8_lossy(&options.paths[place]));
        let text = format!("no stream of snapshot {id} holds anything at `{path}`; see `sfarc ls`");
        return Err(Error::Usage(text));
    }
    Ok(chosen.into_iter().filter_map(|(stream, part)| Some((stream, part.transpose()?))).collect())
}

/// What is wanted of a stream by its paths, if anything.
fn choose_part(
    egress: &mut Egress<'_>,
    snapshot: &Snapshot,
    stream: &StreamEntry,
    paths: &[Vec<u8>],
    missing: &mut [bool],
) -> Result<Option<Part>, Error> {
    if stream.catalog.is_some() {
        let selection = select(egress, snapshot, stream, paths, missing)?;
        return Ok((!selection.ranges.is_empty()).then_some(Part::Entries(selection)));
    }
    let mut part = None;
    for (path, missing) in paths.iter().zip(missing) {
        if *path == stream.name {
            (part, *missing) = (Some(Part::Whole), false);
        }
    }
    Ok(part)
}

/// The names that a path can have in a stream: as it stands, and as `ls` prints it, behind the stream's name.
fn names_in<'a>(stream: &StreamEntry, path: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let rest = path.strip_prefix(&stream.name[..]);
    let inside = rest.and_then(|rest| if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b"/") });
    std::iter::once(path).chain(inside)
}

fn select(
    egress: &mut Egress<'_>,
    snapshot: &Snapshot,
    stream: &StreamEntry,
    paths: &[Vec<u8>],
    missing: &mut [bool],
) -> Result<Selection, Error> {
    let names: Vec<(usize, &[u8])> = paths
        .iter()
        .enumerate()
        .flat_map(|(place, path)| names_in(stream, path).map(move |name| (place, name)))
        .collect();
    let is_wanted = |path: &[u8]| names.iter().any(|(_, name)| is_below(path, name));
    let mut selection = Selection::default();
    for_each_entry(egress, snapshot, stream, |located| {
        let mut wanted = false;
        for (place, _) in names.iter().filter(|(_, name)| is_below(&located.entry.path, name)) {
            (wanted, missing[*place]) = (true, false);
        }
        if wanted {
            selection.add(&located);
            let entry = located.entry;
            if entry.kind == CatalogKind::Hardlink && !is_wanted(&entry.link) {
                selection.names.entry(entry.link).or_insert(entry.path);
            }
        }
    })?;
    if selection.names.is_empty() {
        return Ok(selection);
    }
    // The contents of hard links are where their first names are: once more, now that these are known.
    let mut whole = Selection { names: selection.names, ..Selection::default() };
    for_each_entry(egress, snapshot, stream, |located| {
        if is_wanted(&located.entry.path) || whole.names.contains_key(&located.entry.path) {
            whole.add(&located);
        }
    })?;
    Ok(whole)
}
