//! `sfarc snapshot`

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::capture;
use crate::cli::args::{self, Global};
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::{access, json, text};
use crate::engine::snapshot::{From, Input, Options, Profile, Report, snapshot};
use crate::env::{Env, UnixNanos};
use crate::error::Error;
use crate::repo::session::host_name;

/// How far the clock of another machine may be ahead.
const AHEAD: UnixNanos = 24 * 60 * 60 * 1_000_000_000;

pub(in crate::cli) fn run(
    args: &args::Snapshot,
    global: &Global,
    env: &Env,
    output: &mut Output,
) -> Result<Exit, CliError> {
    // Everything about the arguments is known to be right before a password is asked for.
    let options = options(args, env)?;
    options.check()?;
    let repository = access::open(global, env)?;
    let report = snapshot(&repository, &options)?;
    if output.is_json() {
        output.object(&json::snapshot(report.id.map(|id| id.to_string()), &report.manifest))?;
    } else {
        print(&report, output)?;
    }
    Ok(if report.manifest.is_good() { Exit::Done } else { Exit::Incomplete })
}

fn options(args: &args::Snapshot, env: &Env) -> Result<Options, CliError> {
    Ok(Options {
        inputs: inputs(args)?,
        profile: match args.profile {
            args::Profile::Dump => Profile::Dump,
            args::Profile::Bulk => Profile::Bulk,
            args::Profile::Auto => Profile::Auto,
        },
        tags: args.tag.clone(),
        labels: args.label.iter().map(|label| text::parse_new_label(label)).collect::<Result<_, _>>()?,
        host: args.host.clone().unwrap_or_else(host_name),
        time: args.time.as_deref().map(|time| shown_time(time, env)).transpose()?,
        dry_run: args.dry_run,
    })
}

/// The moment that a snapshot shows: one far ahead would be `latest` until then.
pub(super) fn shown_time(text: &str, env: &Env) -> Result<UnixNanos, Error> {
    let time = text::parse_time(text)?;
    if time > env.clock.now().saturating_add(AHEAD) {
        return Err(Error::Usage(format!(
            "`{text}` is more than a day in the future: it would be `latest` until then"
        )));
    }
    Ok(time)
}

fn inputs(args: &args::Snapshot) -> Result<Vec<Input>, CliError> {
    let mut inputs = Vec::new();
    if let Some(name) = &args.stdin {
        inputs.push(Input::new(name.as_bytes(), From::Stdin));
    }
    for argument in &args.file {
        let (name, path) = named_path(argument)?;
        inputs.push(Input::new(name, From::File(path)));
    }
    for argument in &args.dir {
        let (name, path) = named_path(argument)?;
        let (exclude, one_file_system) = (args.exclude.clone(), args.one_file_system);
        inputs.push(Input::new(name, From::Folder { path, exclude, one_file_system }));
    }
    for argument in &args.command {
        let (name, command) = text::split_name(argument).ok_or_else(|| {
            Error::Usage(format!("--command wants NAME=COMMAND, not `{}`", argument.to_string_lossy()))
        })?;
        let command = command.to_str().ok_or_else(|| Error::Usage("a command must be UTF-8".to_owned()))?;
        inputs.push(Input::new(name.as_bytes(), From::Command(command.to_owned())));
    }
    inputs.extend(capture::inputs(args, !inputs.is_empty())?);
    Ok(inputs)
}

/// `[NAME=]PATH`. A path that exists as it stands is a path, even with an equals sign in it.
fn named_path(argument: &OsStr) -> Result<(Vec<u8>, PathBuf), Error> {
    let whole = Path::new(argument);
    let split = text::split_name(argument).filter(|(name, _)| !name.is_empty() && !name.as_bytes().contains(&b'/'));
    if let Some((name, path)) = split.filter(|_| whole.symlink_metadata().is_err()) {
        return Ok((name.as_bytes().to_vec(), PathBuf::from(path)));
    }
    let absolute = std::path::absolute(whole).map_err(Error::io(format!("look at {}", whole.display())))?;
    let resolved = whole.canonicalize();
    let name = absolute.file_name().filter(|name| *name != "..").or_else(|| resolved.as_ref().ok()?.file_name());
    let unnamed = || Error::Usage(format!("{} has no name of its own; write NAME={0}", whole.display()));
    Ok((name.ok_or_else(unnamed)?.as_bytes().to_vec(), whole.to_owned()))
}

pub(super) fn print(report: &Report, output: &mut Output) -> Result<(), CliError> {
    let manifest = &report.manifest;
    let mut table = text::table(&["stream", "size", "new", "proof"], &[1, 2]);
    for stream in &manifest.streams {
        let (size, new) = (text::size(stream.content.len), text::size(stream.new_bytes));
        table.add_row([text::name(&stream.name), size, new, stream.proof.to_string()]);
    }
    let table = table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n");
    output.summary(table)?;
    let seconds = manifest.duration as f64 / 1e9;
    match &report.id {
        Some(id) => {
            let added = text::size(manifest.added);
            output.summary(format_args!("snapshot {} saved in {seconds:.1} s, {added} added", id.short()))?;
        }
        None => {
            let new = text::size(report.counts.new_bytes);
            output.summary(format_args!("dry run: nothing was stored; {new} would be new before compression"))?;
        }
    }
    for finding in &manifest.findings {
        output.summary(format_args!("inconsistent: {}", text::message(finding)))?;
    }
    if !manifest.complete {
        output.summary("not everything could be read; the warnings say what is missing")?;
    }
    Ok(())
}
