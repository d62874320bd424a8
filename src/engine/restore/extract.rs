//! From a tar stream to files, on a thread of its own.

use std::collections::HashMap;
use std::fs::File;
use std::io;

use super::Place;
use crate::error::Error;
use crate::tar::{Entry, EntryKind, ExtractError, ExtractOptions, ExtractProblem, Extractor, TarReader};

/// Bytes of a tar stream that travel together to the extractor.
const PIECE_BYTES: usize = 256 << 10;

/// Extracts the tar stream that `produce` sends, on a thread of its own.
pub(super) fn extract(
    place: &Place,
    names: &HashMap<Vec<u8>, Vec<u8>>,
    produce: impl FnOnce(&mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Error>,
) -> Result<Vec<String>, Error> {
    let (sender, receiver) = crossbeam_channel::bounded::<Vec<u8>>(4);
    std::thread::scope(|scope| {
        let extractor = scope.spawn(move || run_extractor(place, names, Pieces { receiver, piece: Vec::new(), at: 0 }));
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
            (Ok(()), Ok(problems)) => Ok(problems),
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

/// Problems that are told one by one; more are only counted.
const PROBLEMS: usize = 1000;

fn run_extractor(place: &Place, names: &HashMap<Vec<u8>, Vec<u8>>, pieces: Pieces) -> Result<Vec<String>, Error> {
    let failed = |error: &dyn std::error::Error| {
        Error::Refused(format!("cannot write below {}: {}", place.path.display(), crate::error::chain(error)))
    };
    let folder = File::open(&place.staged).map_err(place.failed("open"))?;
    let (mut problems, mut untold) = (Vec::new(), 0);
    let note = |problems: &mut Vec<String>, untold: &mut usize, path: &[u8], error: &dyn std::error::Error| {
        if problems.len() < PROBLEMS {
            problems.push(format!("{}: {}", String::from_utf8_lossy(path), crate::error::chain(error)));
        } else {
            *untold += 1;
        }
    };
    let mut refused: Vec<(Vec<u8>, ExtractError)> = Vec::new();
    let mut on_problem = |path: &[u8], problem: ExtractProblem| note(&mut problems, &mut untold, path, &problem);
    let options = ExtractOptions { replace: false, holes: false };
    let mut extractor = Extractor::new(folder.into(), options, &mut on_problem);
    let mut reader = TarReader::new_part(pieces);
    while let Some((mut entry, _)) = reader.next_entry().map_err(|error| failed(&error))? {
        if !rename(&mut entry, names) {
            continue;
        }
        match extractor.extract(&entry, &mut reader) {
            Ok(()) => {}
            // The target itself fails: more of the same would follow.
            Err(error @ (ExtractError::Data(_) | ExtractError::Io { .. })) => return Err(failed(&error)),
            Err(error) if refused.len() < PROBLEMS => refused.push((entry.path, error)),
            Err(_) => {}
        }
    }
    extractor.finish();
    refused.iter().for_each(|(path, error)| note(&mut problems, &mut untold, path, error));
    if untold > 0 {
        problems.push(format!("... and {untold} more"));
    }
    Ok(problems)
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
