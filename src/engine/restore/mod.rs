//! Giving streams back: written beside, proven, and only then renamed to their names.

mod extract;
mod notes;
mod put;
mod select;
mod verify;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode};

use self::extract::{Target, extract};
pub use self::notes::{Flaws, Notes};
use self::put::{Place, Staging};
use self::select::{Part, Selection, choose};
use super::folder::{Located, for_each_entry};
use super::name_of;
use crate::disk::{Disk, Extent, make_folders};
use crate::error::Error;
use crate::event::{Event, Task, Unit};
use crate::format::catalog::CatalogKind;
use crate::format::manifest::{Origin, StreamEntry};
use crate::pipeline::egress::{Egress, EgressError};
use crate::repo::Repository;
use crate::repo::session::host_name;
use crate::repo::snapshots::Snapshot;
use crate::tar::Special;

/// What to give back, and where.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The folder that receives the streams.
    pub to: PathBuf,
    /// Only these streams; all if empty.
    pub streams: Vec<Vec<u8>>,
    /// Only these paths, in every folder stream or behind the name of one; everything if empty.
    pub paths: Vec<Vec<u8>>,
    /// Replaces what is in the way.
    pub overwrite: bool,
    /// Whether setuid bits, capabilities and devices are restored; if nothing is said, those of this host's folders.
    pub special: Option<Special>,
    /// Whoever writes the files.
    pub disk: Disk,
}

/// What became of one stream.
#[derive(Debug)]
pub struct Restored {
    /// Its name.
    pub name: Vec<u8>,
    /// Where it is now.
    pub path: PathBuf,
    /// Its bytes (of a folder stream: of the tar stream).
    pub bytes: u64,
    /// How it differs from what was stored.
    pub flaws: Flaws,
    /// Why it is not there.
    pub failure: Option<Error>,
}

/// Restores streams of a snapshot. A stream that fails does not stop the others.
pub fn restore(repository: &Repository, snapshot: &Snapshot, options: &Options) -> Result<Vec<Restored>, Error> {
    let mut egress = Egress::of(repository, snapshot)?;
    let wanted = choose(&mut egress, snapshot, options)?;
    let mode = Mode::from_raw_mode(0o777);
    make_folders(&options.disk, &options.to, mode)
        .map_err(Error::io(format!("make the folder {}", options.to.display())))?;
    for (stream, _) in &wanted {
        refuse_existing(&options.to.join(file_name(&stream.name)), options.overwrite)?;
    }
    let staging = Staging::create(&options.to, repository, &options.disk)?;
    let mut restored = Vec::new();
    for (stream, part) in wanted {
        let name = name_of(stream);
        repository.env.tell(&Event::Begin {
            task: Task::ONLY,
            what: &name,
            total: Some(stream.content.len),
            unit: Unit::Bytes,
        });
        let file = file_name(&stream.name);
        let place = staging.place(&file, &options.to);
        let staged = part.and_then(|part| stage(&mut egress, snapshot, stream, part, &place, options));
        let outcome = staged.and_then(|flaws| place.put(options.overwrite, &options.disk).map(|()| flaws));
        repository.env.tell(&Event::End(Task::ONLY));
        let (flaws, failure) = match outcome {
            Ok(flaws) => (flaws, None),
            Err(error) if error.category() == crate::Category::Interrupted => return Err(error),
            Err(error) => (Flaws::default(), Some(error)),
        };
        let (name, path) = (stream.name.clone(), place.path);
        restored.push(Restored { name, path, bytes: stream.content.len, flaws, failure });
    }
    Ok(restored)
}

/// The file name of a stream: its own name, but for what a name cannot hold. No two names have the same.
pub fn file_name(name: &[u8]) -> PathBuf {
    let mut safe = Vec::with_capacity(name.len());
    for (place, &byte) in name.iter().enumerate() {
        match byte {
            b'/' => safe.extend(b"%2F"),
            0 => safe.extend(b"%00"),
            // Only what would look like one of these escapes: most names with a percent sign stay as they are.
            b'%' if [&b"2F"[..], b"00", b"2E", b"25"].iter().any(|escape| name[place + 1..].starts_with(escape)) => {
                safe.extend(b"%25");
            }
            _ => safe.push(byte),
        }
    }
    if safe == b"." || safe == b".." {
        safe = safe.iter().flat_map(|_| *b"%2E").collect();
    }
    PathBuf::from(OsStr::from_bytes(&safe))
}

fn refuse_existing(path: &Path, overwrite: bool) -> Result<(), Error> {
    if !overwrite && path.symlink_metadata().is_ok() {
        let text = format!("{} exists already; name another folder, or say --overwrite", path.display());
        return Err(Error::Refused(text));
    }
    Ok(())
}

/// What becomes of setuid bits, capabilities and devices of a stream: they are restored where they come from, unless
/// somebody says otherwise.
fn special(snapshot: &Snapshot, stream: &StreamEntry, options: &Options) -> Special {
    let is_of_this_host = matches!(stream.origin, Origin::Folder(_)) && snapshot.manifest.host == host_name();
    options.special.unwrap_or(if is_of_this_host { Special::Restore } else { Special::LeaveOut })
}

/// Writes what is wanted of a stream to its place in the staging folder.
fn stage(
    egress: &mut Egress<'_>,
    snapshot: &Snapshot,
    stream: &StreamEntry,
    part: Part,
    place: &Place,
    options: &Options,
) -> Result<Flaws, Error> {
    let failed = |error| Error::restore(snapshot.id.short(), name_of(stream), error);
    let disk = &options.disk;
    if stream.catalog.is_none() {
        stage_file(egress, snapshot, stream, place, disk)?;
        return Ok(Flaws::default());
    }
    let made = disk.make_folder(CWD, place.staged.as_os_str().as_bytes(), Mode::RWXU);
    made.map_err(|error| place.failed("make the folder")(error.into()))?;
    let special = special(snapshot, stream, options);
    match part {
        Part::Entries(Selection { ranges, names, mut hashes }) => {
            extract(&Target { place, names: &names, special, disk }, |send| {
                for range in &ranges {
                    let mut at = range.start;
                    let written = egress.write_range(&stream.content, at, range.end - at, |bytes| {
                        hashes.pass(at, bytes);
                        at += bytes.len() as u64;
                        send(bytes)
                    });
                    written.map_err(failed)?;
                }
                hashes.wrong().map_or(Ok(()), |data| Err(wrong_file(egress, snapshot, stream, data)))
            })
        }
        Part::Whole => extract(&Target { place, names: &HashMap::new(), special, disk }, |send| {
            egress.write_aside(&stream.content, send).map_err(failed)
        }),
    }
}

/// The failure of the file whose data begin at this offset.
fn wrong_file(egress: &mut Egress<'_>, snapshot: &Snapshot, stream: &StreamEntry, data: u64) -> Error {
    let mut path = Vec::new();
    let found = for_each_entry(egress, snapshot, stream, |located| {
        if located.data == data && located.entry.kind == CatalogKind::File {
            path = located.entry.path;
        }
    });
    found.err().unwrap_or_else(|| wrong_hash(snapshot, stream, &path))
}

fn wrong_hash(snapshot: &Snapshot, stream: &StreamEntry, path: &[u8]) -> Error {
    let path = String::from_utf8_lossy(path).into_owned();
    Error::restore(snapshot.id.short(), name_of(stream), EgressError::<io::Error>::WrongFile { path })
}

fn stage_file(
    egress: &mut Egress<'_>,
    snapshot: &Snapshot,
    stream: &StreamEntry,
    place: &Place,
    disk: &Disk,
) -> Result<(), Error> {
    let failed = |error| place.failed("write")(error);
    let created = disk.create(CWD, place.staged.as_os_str().as_bytes(), Mode::RUSR | Mode::WUSR);
    let file = created.map_err(|error| failed(error.into()))?;
    let mut offset = 0;
    let written = egress.write_aside(&stream.content, |bytes| {
        disk.write_all(file.as_fd(), bytes, offset)?;
        offset += bytes.len() as u64;
        Ok(())
    });
    written.map_err(|error| match error {
        EgressError::Sink(error) => failed(error),
        error => Error::restore(snapshot.id.short(), name_of(stream), error),
    })?;
    disk.sync(file.as_fd(), Extent::Object).map_err(|error| failed(error.into()))
}

/// How many bytes [`cat`] writes for this path of a stream.
pub fn cat_len(repository: &Repository, snapshot: &Snapshot, stream: &StreamEntry, path: &[u8]) -> Result<u64, Error> {
    if path.is_empty() {
        return Ok(stream.content.len);
    }
    Ok(find_plain(&mut Egress::of(repository, snapshot)?, snapshot, stream, path)?.entry.stored_len)
}

/// Writes one stream, or one file of a folder stream, to `sink`.
pub fn cat(
    repository: &Repository,
    snapshot: &Snapshot,
    stream: &StreamEntry,
    path: &[u8],
    sink: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), Error> {
    cat_from(&mut Egress::of(repository, snapshot)?, snapshot, stream, path, sink)
}

/// The same by a reader that is there.
pub(super) fn cat_from(
    egress: &mut Egress<'_>,
    snapshot: &Snapshot,
    stream: &StreamEntry,
    path: &[u8],
    mut sink: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(), Error> {
    let failed = |error: EgressError<io::Error>| Error::restore(snapshot.id.short(), name_of(stream), error);
    if path.is_empty() {
        return egress.write_all(&stream.content, sink).map_err(failed);
    }
    let found = find_plain(egress, snapshot, stream, path)?;
    let mut hash = blake3::Hasher::new();
    let written = egress.write_range(&stream.content, found.data, found.entry.stored_len, |bytes| {
        hash.update(bytes);
        sink(bytes)
    });
    written.map_err(failed)?;
    let right = *hash.finalize().as_bytes() == found.entry.hash;
    if right { Ok(()) } else { Err(wrong_hash(snapshot, stream, path)) }
}

/// A plain file of a folder stream.
fn find_plain(
    egress: &mut Egress<'_>,
    snapshot: &Snapshot,
    stream: &StreamEntry,
    path: &[u8],
) -> Result<Located, Error> {
    let mut found = find_entry(egress, snapshot, stream, path)?;
    if let Some(located) = found.as_ref().filter(|located| located.entry.kind == CatalogKind::Hardlink) {
        let first = located.entry.link.clone();
        found = find_entry(egress, snapshot, stream, &first)?;
    }
    let name = String::from_utf8_lossy(path).into_owned();
    let found =
        found.ok_or_else(|| Error::Usage(format!("stream `{}` holds no `{name}`; see `sfarc ls`", name_of(stream))))?;
    if found.entry.kind != CatalogKind::File || found.entry.stored_len != found.entry.size {
        let text = format!("`{name}` is not a plain file (or it is a sparse one); use `sfarc restore --path`");
        return Err(Error::Usage(text));
    }
    Ok(found)
}

fn find_entry(
    egress: &mut Egress<'_>,
    snapshot: &Snapshot,
    stream: &StreamEntry,
    path: &[u8],
) -> Result<Option<Located>, Error> {
    let mut found = None;
    for_each_entry(egress, snapshot, stream, |located| {
        if located.entry.path == path {
            found = Some(located);
        }
    })?;
    Ok(found)
}
