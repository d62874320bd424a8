//! Streams from files and from standard input.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

use super::{SourceError, Verdict};
use crate::env::Cancel;
use crate::format::manifest::Proof;
use crate::pipeline::lanes::Lanes;
use crate::pipeline::pipe;

/// How long a read waits before it looks whether the work was cancelled.
const POLL: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Takes everything from standard input.
pub fn read_stdin(lanes: &mut Lanes, cancel: &Cancel) -> Result<Verdict, SourceError> {
    // A duplicate of the descriptor has no buffer between the pipe and the segment.
    let mut stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let regular = stdin.metadata()?.is_file();
    read(&mut stdin, regular, lanes, cancel)?;
    Ok(Verdict::proven(Proof::P0))
}

/// A regular file never waits for anybody; everything else may, and must stop waiting when the work is cancelled.
fn read(file: &mut File, regular: bool, lanes: &mut Lanes, cancel: &Cancel) -> io::Result<()> {
    if regular {
        return lanes.read_from(0, file);
    }
    pipe::widen(&*file);
    lanes.read_from(0, &mut Interruptible { file, cancel })
}

/// A pipe or terminal whose reads end when the work is cancelled.
struct Interruptible<'a> {
    file: &'a File,
    cancel: &'a Cancel,
}

impl Interruptible<'_> {
    /// Waits for bytes or for the end. A named pipe has not ended before its first writer came.
    fn wait(&self) -> io::Result<()> {
        let mut ready = [PollFd::new(self.file, PollFlags::IN)];
        while poll(&mut ready, Some(&POLL)).or_else(retry_interrupted)? == 0 {
            if self.cancel.is_cancelled() {
                return Err(io::Error::other("interrupted"));
            }
        }
        Ok(())
    }
}

impl Read for Interruptible<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.wait()?;
            match self.file.read(buffer) {
                // Somebody else was faster.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}

fn retry_interrupted(error: rustix::io::Errno) -> io::Result<usize> {
    if error == rustix::io::Errno::INTR { Ok(0) } else { Err(error.into()) }
}

/// Takes a file (or whatever can be read under its path).
pub fn read_file(path: &Path, lanes: &mut Lanes, cancel: &Cancel) -> Result<Verdict, SourceError> {
    let open = |source| SourceError::Open { path: path.display().to_string(), source };
    // Opening a named pipe would wait for its writer, and nobody could interrupt that.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(open)?;
    let before = file.metadata()?;
    read(&mut file, before.is_file(), lanes, cancel)?;
    let after = file.metadata()?;
    let same = before.len() == after.len() && before.modified().ok() == after.modified().ok();
    let mut verdict = Verdict::proven(Proof::P1);
    if before.is_file() && !same {
        verdict.changed.push(format!("{} changed while it was read", path.display()));
    }
    Ok(verdict)
}
