//! The verbs. Each takes an opened repository and returns a report; nothing here prints.

pub mod audit;
pub mod check;
pub mod collect;
mod consistency;
pub mod copy;
pub mod deployment;
pub mod diff;
pub mod doctor;
pub mod drill;
pub mod folder;
mod load;
pub mod mirror;
pub mod pin;
pub mod record;
pub mod recovery;
pub mod renew;
pub mod repair;
pub mod restore;
pub mod retention;
pub mod sf_operator;
pub mod snapshot;
pub mod stats;
pub mod verify;
mod writer;

use crate::error::Error;
use crate::format::manifest::StreamEntry;
use crate::repo::snapshots::Snapshot;

/// A stream's name for people.
pub fn name_of(stream: &StreamEntry) -> String {
    String::from_utf8_lossy(&stream.name).into_owned()
}

/// The stream of a snapshot with this name.
pub fn find_stream<'a>(snapshot: &'a Snapshot, name: &[u8]) -> Result<&'a StreamEntry, Error> {
    let found = snapshot.manifest.streams.iter().find(|stream| stream.name == name);
    found.ok_or_else(|| {
        let names: Vec<String> = snapshot.manifest.streams.iter().map(name_of).collect();
        let name = String::from_utf8_lossy(name);
        Error::Usage(format!("snapshot {} has no stream `{name}`; it has: {}", snapshot.id.short(), names.join(", ")))
    })
}

/// Splits `STREAM/PATH` into the stream and the path in it. A stream whose name is the whole text comes first.
pub fn split_stream_path<'a>(snapshot: &'a Snapshot, text: &'a [u8]) -> Result<(&'a StreamEntry, &'a [u8]), Error> {
    let streams = &snapshot.manifest.streams;
    let rest = |stream: &StreamEntry| text.strip_prefix(&stream.name[..]);
    if let Some(stream) = streams.iter().find(|stream| rest(stream) == Some(b"")) {
        return Ok((stream, b""));
    }
    let inside = streams.iter().find_map(|stream| Some((stream, rest(stream)?.strip_prefix(b"/")?)));
    inside.map_or_else(|| find_stream(snapshot, text).map(|stream| (stream, &b""[..])), Ok)
}
