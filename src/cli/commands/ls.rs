//! `sfarc ls`

use std::os::unix::ffi::OsStrExt;

use serde_json::json;

use crate::cli::args::Ls;
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::{json, text};
use crate::engine::folder::{Located, for_each_entry, is_below};
use crate::engine::split_stream_path;
use crate::error::Error;
use crate::format::catalog::CatalogKind;
use crate::format::manifest::StreamEntry;
use crate::pipeline::egress::Egress;
use crate::repo::Repository;
use crate::repo::snapshots::Snapshot;

pub(in crate::cli) fn run(args: &Ls, repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    let target = args.target.as_bytes();
    let (id, inside) = match target.iter().position(|&byte| byte == b':') {
        Some(place) => (&target[..place], Some(&target[place + 1..])),
        None => (target, None),
    };
    let id = std::str::from_utf8(id).map_err(|_| Error::Usage("a snapshot's id is plain text".to_owned()))?;
    let snapshot = repository.resolve(id)?;
    let mut egress = Egress::of(repository, &snapshot)?;
    let mut list = |stream: &StreamEntry, path: &[u8], output: &mut Output| {
        list_stream(&mut egress, &snapshot, stream, path, args.long, output)
    };
    match inside.filter(|inside| !inside.is_empty()) {
        Some(inside) => {
            let (stream, path) = split_stream_path(&snapshot, inside)?;
            if list(stream, path, output)? == 0 && !path.is_empty() {
                let text = format!("`{}` holds nothing at `{}`", text::name(&stream.name), text::name(path));
                return Err(Error::Usage(text).into());
            }
        }
        None => {
            for stream in &snapshot.manifest.streams {
                if stream.catalog.is_some() {
                    list(stream, b"", output)?;
                } else {
                    plain_stream(stream, args.long, output)?;
                }
            }
        }
    }
    Ok(Exit::Done)
}

fn plain_stream(stream: &StreamEntry, long: bool, output: &mut Output) -> Result<(), CliError> {
    if output.is_json() {
        return output
            .object(&json!({ "type": "stream", "stream": json::bytes(&stream.name), "bytes": stream.content.len }));
    }
    let name = text::name(&stream.name);
    if long { output.line(format_args!("{:>47} {name}", stream.content.len)) } else { output.line(name) }
}

/// Prints the entries below `path` and says how many there were.
fn list_stream(
    egress: &mut Egress<'_>,
    snapshot: &Snapshot,
    stream: &StreamEntry,
    path: &[u8],
    long: bool,
    output: &mut Output,
) -> Result<u64, CliError> {
    let (mut count, mut failure) = (0, None);
    for_each_entry(egress, snapshot, stream, |located| {
        if failure.is_none() && is_below(&located.entry.path, path) {
            count += 1;
            failure = print(stream, &located, long, output).err();
        }
    })?;
    failure.map_or(Ok(count), Err)
}

fn kind_letter(kind: CatalogKind) -> char {
    match kind {
        CatalogKind::File | CatalogKind::Hardlink => '-',
        CatalogKind::Folder => 'd',
        CatalogKind::Symlink => 'l',
        CatalogKind::Fifo => 'p',
        CatalogKind::CharDevice => 'c',
        CatalogKind::BlockDevice => 'b',
    }
}

fn kind_word(kind: CatalogKind) -> &'static str {
    match kind {
        CatalogKind::File => "file",
        CatalogKind::Folder => "dir",
        CatalogKind::Symlink => "symlink",
        CatalogKind::Hardlink => "hardlink",
        CatalogKind::Fifo => "fifo",
        CatalogKind::CharDevice => "char_device",
        CatalogKind::BlockDevice => "block_device",
    }
}

/// As `ls -l` writes them, with the bits for setuid, setgid and sticky in the places of `x`.
fn permissions(mode: u32) -> String {
    let is_set = |bit: usize| mode >> bit & 1 == 1;
    let letters = "rwxrwxrwx".chars().enumerate();
    let letter = |(place, letter): (usize, char)| {
        let special = if place == 8 { 't' } else { 's' };
        match (is_set(8 - place), place % 3 == 2 && is_set(11 - place / 3)) {
            (true, false) => letter,
            (false, false) => '-',
            (true, true) => special,
            (false, true) => special.to_ascii_uppercase(),
        }
    };
    letters.map(letter).collect()
}

fn print(stream: &StreamEntry, located: &Located, long: bool, output: &mut Output) -> Result<(), CliError> {
    let entry = &located.entry;
    let nanos = entry.mtime_secs.saturating_mul(1_000_000_000).saturating_add(i64::from(entry.mtime_nanos));
    if output.is_json() {
        return output.object(&json!({
            "type": "entry",
            "stream": json::bytes(&stream.name),
            "path": json::bytes(&entry.path),
            "kind": kind_word(entry.kind),
            "mode": format!("{:04o}", entry.mode),
            "uid": entry.uid,
            "gid": entry.gid,
            "mtime": text::utc_time(nanos),
            "bytes": entry.size,
            "link": if entry.link.is_empty() { serde_json::Value::Null } else { json::bytes(&entry.link) },
            "blake3": (entry.kind == CatalogKind::File).then(|| crate::ids::ObjectId::new(entry.hash).to_string()),
            "changed": entry.changed,
        }));
    }
    let name = match entry.path.as_slice() {
        b"." => text::name(&stream.name),
        path => format!("{}/{}", text::name(&stream.name), text::name(path)),
    };
    if !long {
        return output.line(name);
    }
    let arrow = match entry.kind {
        CatalogKind::Symlink => format!(" -> {}", text::name(&entry.link)),
        CatalogKind::Hardlink => format!(" = {}", text::name(&entry.link)),
        _ => String::new(),
    };
    output.line(format_args!(
        "{}{} {:>5} {:>5} {:>12} {} {name}{arrow}",
        kind_letter(entry.kind),
        permissions(entry.mode),
        entry.uid,
        entry.gid,
        entry.size,
        text::local_time(nanos),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_look_as_they_do_elsewhere() {
        let cases = [(0o755, "rwxr-xr-x"), (0o4755, "rwsr-xr-x"), (0o2640, "rw-r-S---"), (0o1777, "rwxrwxrwt")];
        for (mode, text) in cases {
            assert_eq!(permissions(mode), text);
        }
    }
}
