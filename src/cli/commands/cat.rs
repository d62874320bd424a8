//! `sfarc cat`

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use crate::cli::args;
use crate::cli::exit::Exit;
use crate::cli::output::CliError;
use crate::engine::restore::cat;
use crate::engine::split_stream_path;
use crate::pipeline::pipe;
use crate::repo::Repository;

/// Bytes that go to a pipe at a time where a part of a stream comes chunk by chunk.
const BUFFER_BYTES: usize = 256 << 10;

pub(in crate::cli) fn run(args: &args::Cat, repository: &Repository) -> Result<Exit, CliError> {
    let snapshot = repository.resolve(&args.id)?;
    let (stream, path) = split_stream_path(&snapshot, args.stream.as_bytes())?;
    // The descriptor itself: standard output of the library would look for line breaks.
    let stdout = io::stdout().as_fd().try_clone_to_owned().map_err(CliError::Output)?;
    pipe::widen(&stdout);
    let mut out = io::BufWriter::with_capacity(BUFFER_BYTES, File::from(stdout));
    let mut broken = None;
    let done = cat(repository, &snapshot, stream, path, |bytes| {
        out.write_all(bytes).map_err(|error| {
            let kind = error.kind();
            broken = Some(error);
            kind.into()
        })
    });
    match (broken, done) {
        (Some(error), _) => Err(CliError::Output(error)),
        (None, done) => {
            done?;
            out.flush().map_err(CliError::Output)?;
            Ok(Exit::Done)
        }
    }
}
