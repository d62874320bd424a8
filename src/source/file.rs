//! Streams from files and from standard input.

use std::fs::File;
use std::path::Path;

use super::{SourceError, Verdict};
use crate::pipeline::lanes::Lanes;

/// Takes everything from standard input.
pub fn read_stdin(lanes: &mut Lanes) -> Result<Verdict, SourceError> {
    use std::os::fd::AsFd;
    // A duplicate of the descriptor has no buffer between the pipe and the segment.
    let stdin = std::io::stdin().as_fd().try_clone_to_owned()?;
    lanes.read_from(0, &mut File::from(stdin))?;
    Ok(Verdict::default())
}

/// Takes a file (or whatever can be read under its path).
pub fn read_file(path: &Path, lanes: &mut Lanes) -> Result<Verdict, SourceError> {
    let open = |source| SourceError::Open { path: path.display().to_string(), source };
    let mut file = File::open(path).map_err(open)?;
    let before = file.metadata()?;
    lanes.read_from(0, &mut file)?;
    let after = file.metadata()?;
    let same = before.len() == after.len() && before.modified().ok() == after.modified().ok();
    let mut verdict = Verdict::default();
    if !same {
        verdict.changed.push(format!("{} changed while it was read", path.display()));
    }
    Ok(verdict)
}
