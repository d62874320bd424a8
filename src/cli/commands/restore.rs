//! `sfarc restore`

use std::os::unix::ffi::OsStrExt;

use serde_json::json;

use super::recover;
use crate::cli::args;
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::{json, text};
use crate::engine::restore::{Options, Restored, restore};
use crate::error::{Category, chain};
use crate::event::Event;
use crate::repo::Repository;

pub(in crate::cli) fn run(
    args: &args::Restore,
    repository: &Repository,
    output: &mut Output,
) -> Result<Exit, CliError> {
    if args.cluster.to_cluster {
        return recover::run(args, repository, output);
    }
    let bytes = |names: &[std::ffi::OsString]| names.iter().map(|name| name.as_bytes().to_vec()).collect();
    let snapshot = repository.resolve(&args.id)?;
    let options = Options {
        to: args.to.clone().unwrap_or_default(),
        streams: bytes(&args.stream),
        paths: bytes(&args.path),
        overwrite: args.overwrite,
    };
    let restored = restore(repository, &snapshot, &options)?;
    for stream in &restored {
        print(stream, !args.path.is_empty(), output)?;
        for problem in stream.problems.iter().cloned().chain(stream.failure.iter().map(|error| chain(error))) {
            repository.env.tell(&Event::Warning(&problem));
        }
    }
    Ok(exit(&restored))
}

fn exit(restored: &[Restored]) -> Exit {
    let failures = || restored.iter().filter_map(|stream| stream.failure.as_ref());
    if failures().any(|error| error.category() == Category::Damaged) {
        Exit::Damaged
    } else if failures().next().is_some() {
        Exit::Failed
    } else if restored.iter().any(|stream| !stream.problems.is_empty()) {
        Exit::Incomplete
    } else {
        Exit::Done
    }
}

fn print(stream: &Restored, is_part: bool, output: &mut Output) -> Result<(), CliError> {
    if output.is_json() {
        return output.object(&json!({
            "type": "restored",
            "stream": json::bytes(&stream.name),
            "path": json::bytes(stream.path.as_os_str().as_bytes()),
            "bytes": stream.bytes,
            "problems": stream.problems,
            "failure": stream.failure.as_ref().map(|error| chain(error)),
        }));
    }
    let name = text::name(&stream.name);
    match &stream.failure {
        None => {
            let place = text::name(stream.path.as_os_str().as_bytes());
            let what = if is_part { "what was asked for".to_owned() } else { text::size(stream.bytes) };
            output.summary(format_args!("{name}: {what} in {place}"))
        }
        Some(_) => output.summary(format_args!("{name}: not restored")),
    }
}
