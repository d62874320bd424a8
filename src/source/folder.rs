//! Streams from folders: a tar stream in the first lane, its catalog in the second.

use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

use super::members::{CATALOG, CONTENT, catalog_entry};
use super::{SourceError, Verdict};
use crate::event::chain;
use crate::format::catalog;
use crate::format::manifest::Proof;
use crate::pipeline::lanes::Lanes;
use crate::tar::{Entry, FolderObserver, FolderOptions, FolderProblem, write_folder};

/// Problems that are told one by one; more are only counted.
const PROBLEMS: usize = 1000;

/// Takes a folder with everything below it.
///
/// What cannot be read is named in the verdict; only a folder that cannot be opened at all is an error.
pub fn read_folder(
    path: &Path,
    exclude: &[PathBuf],
    one_file_system: bool,
    lanes: &mut Lanes,
) -> Result<Verdict, SourceError> {
    let lanes = RefCell::new(lanes);
    let options = FolderOptions { exclude: exclude.to_vec(), one_file_system };
    let mut taking = Taking { root: path, lanes: &lanes, verdict: Verdict::proven(Proof::P1), untold: 0 };
    write_folder(path, &options, &mut Content(&lanes), &mut taking).map_err(SourceError::Folder)?;
    if taking.untold > 0 {
        taking.verdict.missing.push(format!("... and {} more", taking.untold));
    }
    Ok(taking.verdict)
}

/// The first lane as a writer; shared with the observer, which writes into the second between two entries.
struct Content<'a, 'b>(&'a RefCell<&'b mut Lanes>);

impl io::Write for Content<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(CONTENT, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Taking<'a, 'b> {
    root: &'a Path,
    lanes: &'a RefCell<&'b mut Lanes>,
    verdict: Verdict,
    untold: usize,
}

impl FolderObserver for Taking<'_, '_> {
    fn entry(&mut self, entry: &Entry, header_len: u64, hash: [u8; 32], changed: bool) -> io::Result<()> {
        let record = catalog::encode(&catalog_entry(entry, header_len, hash, changed));
        self.lanes.borrow_mut().write(CATALOG, &record)
    }

    fn problem(&mut self, path: &[u8], problem: &FolderProblem) {
        let place = self.root.join(PathBuf::from(String::from_utf8_lossy(path).into_owned()));
        let text = format!("{}: {}", place.display(), chain(problem));
        let kept = match problem {
            // A socket is nothing without its process; nobody misses it in a restored folder.
            FolderProblem::Changed | FolderProblem::Socket => &mut self.verdict.changed,
            _ => &mut self.verdict.missing,
        };
        if kept.len() < PROBLEMS {
            kept.push(text);
        } else {
            self.untold += 1;
        }
    }
}
