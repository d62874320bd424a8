//! The module as a whole: round trips, other programs, hostile streams.

mod folders;
mod hostile;
mod others;
mod properties;

use super::*;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use std::io::{self, Read};
use std::path::Path;

/// What an observer was told.
#[derive(Debug, Default)]
struct Seen {
    entries: Vec<(Entry, u64, [u8; 32], bool)>,
    problems: Vec<(Vec<u8>, String)>,
}

impl FolderObserver for Seen {
    fn entry(&mut self, entry: &Entry, header_len: u64, hash: [u8; 32], changed: bool) -> io::Result<()> {
        self.entries.push((entry.clone(), header_len, hash, changed));
        Ok(())
    }

    fn problem(&mut self, path: &[u8], problem: &FolderProblem) {
        self.problems.push((path.to_vec(), problem.to_string()));
    }
}

impl Seen {
    fn paths(&self) -> Vec<&str> {
        self.entries.iter().map(|(entry, ..)| std::str::from_utf8(&entry.path).unwrap()).collect()
    }
}

/// A folder as a stream, and what the observer was told.
fn pack_with(root: &Path, options: &FolderOptions) -> (Vec<u8>, Seen) {
    let (mut out, mut seen) = (Vec::new(), Seen::default());
    write_folder(root, options, &mut out, &mut seen).unwrap();
    (out, seen)
}

fn pack(root: &Path) -> (Vec<u8>, Seen) {
    pack_with(root, &FolderOptions::default())
}

fn open_folder(path: &Path) -> OwnedFd {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

/// Extracts a sound stream; gives the problems.
fn unpack(stream: &[u8], target: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    let mut on_problem =
        |path: &[u8], problem: ExtractProblem| problems.push(format!("{}: {problem}", String::from_utf8_lossy(path)));
    let mut extractor = Extractor::new(open_folder(target), ExtractOptions::default(), &mut on_problem);
    let mut reader = TarReader::new(stream);
    while let Some((entry, _)) = reader.next_entry().unwrap() {
        extractor.extract(&entry, &mut reader).unwrap();
    }
    extractor.finish().unwrap();
    problems
}

/// All entries of a stream with their data, or the error it ends with.
fn read_all(mut reader: TarReader<&[u8]>) -> Result<Vec<(Entry, u64, Vec<u8>)>, TarError> {
    let mut all = Vec::new();
    while let Some((entry, header_len)) = reader.next_entry()? {
        let mut data = Vec::new();
        reader.read_to_end(&mut data).map_err(TarError::Io)?;
        all.push((entry, header_len, data));
    }
    Ok(all)
}

/// A stream of entries, each with its data.
fn archive(entries: &[(Entry, &[u8])]) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    for (entry, data) in entries {
        tar.append(entry).unwrap();
        tar.write_data(data).unwrap();
    }
    tar.finish().unwrap()
}

fn file(path: impl Into<Vec<u8>>, data: &[u8]) -> Entry {
    Entry { size: data.len() as u64, stored: data.len() as u64, ..Entry::new(path, EntryKind::File) }
}

fn link(path: &str, kind: EntryKind, target: &str) -> Entry {
    Entry { link: target.into(), ..Entry::new(path, kind) }
}
