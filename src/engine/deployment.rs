//! What a snapshot of a deployment holds, read back: its objects, its keys, its database.

use std::collections::BTreeMap;

use serde_json::Value;
use zeroize::Zeroizing;

use super::folder::for_each_entry;
use super::name_of;
use crate::error::Error;
use crate::format::catalog::CatalogKind;
use crate::format::manifest::{Origin, StreamEntry};
use crate::pipeline::egress::Egress;
use crate::repo::snapshots::Snapshot;

/// Objects and keys are small: what is longer, in bytes, is not read into memory.
pub const SMALL: u64 = 256 << 20;

/// The stream of objects of a snapshot, if it has one.
pub fn objects_stream(snapshot: &Snapshot) -> Option<&StreamEntry> {
    snapshot.manifest.streams.iter().find(|stream| matches!(stream.origin, Origin::Objects { .. }))
}

/// The stream of a snapshot with this name, if it has one.
pub fn stream<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a StreamEntry> {
    snapshot.manifest.streams.iter().find(|stream| stream.name == name.as_bytes())
}

/// A fact of a stream.
pub fn fact<'a>(stream: &'a StreamEntry, name: &str) -> Option<&'a str> {
    stream.facts.iter().find(|(fact, _)| fact == name).map(|(_, value)| &value[..])
}

/// A whole stream that must be small.
pub fn read_small(
    egress: &mut Egress<'_>,
    snapshot: &Snapshot,
    stream: &StreamEntry,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let len = stream.content.len;
    if len > SMALL {
        let text = format!("stream `{}` has {len} bytes; {SMALL} are the most that it may have", name_of(stream));
        return Err(Error::Refused(text));
    }
    // At its final size from the start: growing would leave copies of secrets behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(len).unwrap_or(0)));
    let read = egress.write_all(&stream.content, |part| {
        bytes.extend_from_slice(part);
        Ok::<(), std::convert::Infallible>(())
    });
    read.map_err(|error| Error::restore(snapshot.id.short(), name_of(stream), error))?;
    Ok(bytes)
}

/// The objects of a snapshot, and the files beside them.
#[derive(Debug, Default)]
pub struct SavedObjects {
    files: BTreeMap<String, Zeroizing<Vec<u8>>>,
    /// Paths that no capture makes.
    strange: Vec<String>,
}

/// True for a path that a capture makes: a file, or a folder and a file in it. The names become parts of other paths, on
/// disk and in requests, and whoever made the snapshot may have chosen them.
fn is_plain(path: &str) -> bool {
    let is_name = |name: &str| {
        let is_safe = |letter: char| letter.is_ascii_alphanumeric() || "-._:@".contains(letter);
        !name.is_empty() && name != "." && name != ".." && name.chars().all(is_safe)
    };
    path.split('/').count() <= 2 && path.split('/').all(is_name)
}

impl SavedObjects {
    /// Reads the objects of a snapshot; there are none in one without such a stream.
    pub fn read(egress: &mut Egress<'_>, snapshot: &Snapshot) -> Result<Self, Error> {
        let mut saved = Self::default();
        let Some(stream) = objects_stream(snapshot) else { return Ok(saved) };
        let bytes = read_small(egress, snapshot, stream)?;
        for_each_entry(egress, snapshot, stream, |located| {
            let range = usize::try_from(located.data).ok().zip(usize::try_from(located.entry.stored_len).ok());
            let range = range.and_then(|(start, len)| bytes.get(start..start.checked_add(len)?));
            if let (CatalogKind::File, Some(content)) = (located.entry.kind, range) {
                let path = String::from_utf8_lossy(&located.entry.path).into_owned();
                if is_plain(&path) {
                    saved.files.insert(path, Zeroizing::new(content.to_vec()));
                } else {
                    saved.strange.push(path);
                }
            }
        })?;
        Ok(saved)
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// A file that lies beside the objects, such as `cr.yaml`.
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(|content| &content[..])
    }

    /// The objects of a type (`secrets`, `configmaps`, ...), by name. What is not JSON is left out.
    pub fn of(&self, plural: &str) -> impl Iterator<Item = (&str, Value)> {
        self.files.iter().filter_map(move |(path, content)| {
            let name = path.strip_prefix(plural)?.strip_prefix('/')?.strip_suffix(".json")?;
            Some((name, serde_json::from_slice(content).ok()?))
        })
    }

    /// All objects: type, name, object.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, Value)> {
        self.files.iter().filter_map(|(path, content)| {
            let (plural, name) = path.split_once('/')?;
            Some((plural, name.strip_suffix(".json")?, serde_json::from_slice(content).ok()?))
        })
    }

    /// Paths of objects that are not JSON, or that no object can have.
    pub fn unreadable(&self) -> impl Iterator<Item = &str> {
        let is_broken = |(path, content): &(&String, &Zeroizing<Vec<u8>>)| {
            path.ends_with(".json") && serde_json::from_slice::<Value>(content).is_err()
        };
        let broken = self.files.iter().filter(is_broken).map(|(path, _)| &path[..]);
        broken.chain(self.strange.iter().map(|path| &path[..]))
    }

    /// Replicas, images and volumes of all workloads when the snapshot was taken; `null` if it does not say.
    pub fn workloads(&self) -> Value {
        self.file("workloads.json").and_then(|file| serde_json::from_slice(file).ok()).unwrap_or_default()
    }

    /// A value of a Secret.
    pub fn secret(&self, name: &str, key: &str) -> Option<Zeroizing<Vec<u8>>> {
        let secret: Value = serde_json::from_slice(self.file(&format!("secrets/{name}.json"))?).ok()?;
        let value: crate::k8s::ByteString = serde_json::from_value(secret["data"][key].clone()).ok()?;
        Some(Zeroizing::new(value.0))
    }
}
