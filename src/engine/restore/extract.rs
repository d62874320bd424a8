//! From a tar stream to files, on a thread of its own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io;

use super::Place;
use super::notes::{Flaws, Notes};
use crate::disk::Disk;
use crate::error::Error;
use crate::tar::{Entry, EntryKind, ExtractError, ExtractOptions, ExtractProblem, Extractor, Special, TarReader};

/// Bytes of a tar stream that travel together to the extractor.
const PIECE_BYTES: usize = 256 << 10;

/// Where a tar stream goes, and how.
pub(super) struct Target<'a> {
    pub(super) place: &'a Place,
    /// The names of files whose own are not in the stream.
    pub(super) names: &'a HashMap<Vec<u8>, Vec<u8>>,
    pub(super) special: Special,
    pub(super) disk: &'a Disk,
}

/// Extracts the tar stream that `produce` sends, on a thread of its own. What it has written is durable then.
pub(super) fn extract(
    target: &Target<'_>,
    produce: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Error>,
) -> Result<Flaws, Error> {
    let (sender, receiver) = crossbeam_channel::bounded::<Vec<u8>>(4);
    std::thread::scope(|scope| {
        let extractor = scope.spawn(move || run_extractor(target, Pieces { receiver, piece: Vec::new(), at: 0 }));
        let mut open = Vec::with_capacity(PIECE_BYTES);
        let mut send = |bytes: &[u8]| -> io::Result<()> {
            open.extend_from_slice(bytes);
            if open.len() >= PIECE_BYTES {
                let full = std::mem::replace(&mut open, Vec::with_capacity(PIECE_BYTES));
                sender.send(full).map_err(|_| io::Error::other("the files could not be written"))?;
            }
            Ok(())
        };
        let produced = produce(&mut send);
        if produced.is_ok() {
            // Fails only if the extractor has failed, which is reported below.
            let _ = sender.send(open);
        }
        drop(sender);
        let extracted = extractor.join().expect("the extractor does not panic");
        match (produced, extracted) {
            // The cause of a broken pipe is on the other side.
            (Err(Error::Restore { damaged: false, .. }), Err(error)) => Err(error),
            (Err(error), _) | (Ok(()), Err(error)) => Err(error),
            (Ok(()), Ok(flaws)) => Ok(flaws),
        }
    })
}

/// Pieces of a stream as a reader.
struct Pieces {
    receiver: crossbeam_channel::Receiver<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
}

impl io::Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            match self.receiver.recv() {
                Ok(piece) => (self.piece, self.at) = (piece, 0),
                Err(_) => return Ok(0),
            }
        }
        let read = (&self.piece[self.at..]).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

fn run_extractor(target: &Target<'_>, pieces: Pieces) -> Result<Flaws, Error> {
    let place = target.place;
    let failed = |error: &dyn std::error::Error| {
        Error::Refused(format!("cannot write below {}: {}", place.path.display(), crate::error::chain(error)))
    };
    let folder = File::open(&place.staged).map_err(place.failed("open"))?;
    let flaws = RefCell::new(Flaws::default());
    let mut on_problem = |path: &[u8], problem: ExtractProblem| {
        let mut flaws = flaws.borrow_mut();
        let flaws = &mut *flaws;
        note(
            if matches!(problem, ExtractProblem::LeftOut(_)) { &mut flaws.left_out } else { &mut flaws.problems },
            path,
            &problem,
        );
    };
    let options = ExtractOptions { special: target.special, durable: true, ..ExtractOptions::default() };
    let mut extractor = Extractor::new(folder.into(), options, &mut on_problem).with_disk(target.disk.clone());
    let mut reader = TarReader::new_part(pieces);
    while let Some((mut entry, _)) = reader.next_entry().map_err(|error| failed(&error))? {
        if !rename(&mut entry, target.names) {
            continue;
        }
        match extractor.extract(&entry, &mut reader) {
            Ok(()) => {}
            // The target itself fails: more of the same would follow.
            Err(error @ (ExtractError::Data(_) | ExtractError::Io { .. })) => return Err(failed(&error)),
            Err(error) => note(&mut flaws.borrow_mut().problems, &entry.path, &error),
        }
    }
    extractor.finish().map_err(|error| failed(&error))?;
    Ok(flaws.into_inner())
}

fn note(notes: &mut Notes, path: &[u8], error: &dyn std::error::Error) {
    notes.add(|| format!("{}: {}", String::from_utf8_lossy(path), crate::error::chain(error)));
}

/// Gives an entry its name in this restore; false if it is there already.
fn rename(entry: &mut Entry, names: &HashMap<Vec<u8>, Vec<u8>>) -> bool {
    if let Some(name) = names.get(&entry.path) {
        entry.path.clone_from(name);
    } else if let Some(name) = names.get(&entry.link).filter(|_| entry.kind == EntryKind::Hardlink) {
        if *name == entry.path {
            return false;
        }
        entry.link.clone_from(name);
    }
    true
}
