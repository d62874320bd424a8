//! `sfarc restore`

use std::os::unix::ffi::OsStrExt;

use serde_json::json;

use super::recover;
use crate::cli::args;
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::{json, text};
use crate::disk::Disk;
use crate::engine::restore::{Flaws, Options, Restored, restore};
use crate::engine::sf_operator::{self, LayoutOptions};
use crate::error::{Category, Error, chain};
use crate::event::Event;
use crate::repo::Repository;
use crate::tar::Special;

pub(in crate::cli) fn run(
    args: &args::Restore,
    repository: &Repository,
    output: &mut Output,
) -> Result<Exit, CliError> {
    if args.cluster.to_cluster {
        return recover::run(args, repository, output);
    }
    if args.layout == Some(args::Layout::SfOperator) {
        return write_layout(args, repository, output);
    }
    if !args.map_storage_class.is_empty() {
        let text = "--map-storage-class is for a folder of --layout sf-operator, or for --to-cluster";
        return Err(Error::Usage(text.to_owned()).into());
    }
    let bytes = |names: &[std::ffi::OsString]| names.iter().map(|name| name.as_bytes().to_vec()).collect();
    let snapshot = repository.resolve(&args.id)?;
    if !snapshot.manifest.complete {
        let text = format!(
            "snapshot {} is incomplete: something could not be read when it was taken; `sfarc show {}` names it",
            snapshot.id.short(),
            snapshot.id.short()
        );
        repository.env.tell(&Event::Warning(&text));
    }
    let options = Options {
        to: args.to.clone().unwrap_or_default(),
        streams: bytes(&args.stream),
        paths: bytes(&args.path),
        overwrite: args.overwrite,
        special: special(args),
        disk: Disk::default(),
    };
    let restored = restore(repository, &snapshot, &options)?;
    for stream in &restored {
        print(stream, !args.path.is_empty(), output)?;
        let failure = stream.failure.iter().map(|error| chain(error));
        for problem in stream.flaws.problems.sentences().chain(failure) {
            repository.env.tell(&Event::Warning(&problem));
        }
        if !args.no_special {
            tell_left_out(stream, repository);
        }
    }
    Ok(exit(&restored, args.no_special))
}

/// Says what was left out although nobody has asked for that.
fn tell_left_out(stream: &Restored, repository: &Repository) {
    let left_out = &stream.flaws.left_out;
    left_out.sentences().for_each(|sentence| repository.env.tell(&Event::Warning(&sentence)));
    if !left_out.is_empty() {
        let name = text::name(&stream.name);
        let sentence = format!(
            "{name}: setuid bits, capabilities and devices of {} entries are left out, because the stream is no folder \
             of this host: --special restores them, --no-special agrees",
            left_out.count()
        );
        repository.env.tell(&Event::Warning(&sentence));
    }
}

/// What the user wants of setuid bits, capabilities and devices.
fn special(args: &args::Restore) -> Option<Special> {
    match (args.special, args.no_special) {
        (true, _) => Some(Special::Restore),
        (_, true) => Some(Special::LeaveOut),
        _ => None,
    }
}

/// Old names of storage classes, and new ones.
pub(super) fn classes(args: &args::Restore) -> Result<Vec<(String, String)>, Error> {
    let class = |pair: &String| {
        let wrong = || Error::Usage(format!("--map-storage-class wants OLD=NEW, not `{pair}`"));
        pair.split_once('=').map(|(old, new)| (old.to_owned(), new.to_owned())).ok_or_else(wrong)
    };
    args.map_storage_class.iter().map(class).collect()
}

/// The folder of another tool.
fn write_layout(args: &args::Restore, repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    let to = args.to.clone().unwrap_or_default();
    let options = LayoutOptions { to, overwrite: args.overwrite, classes: classes(args)? };
    let snapshot = repository.resolve(&args.id)?;
    let written = sf_operator::write(repository, &snapshot, &options)?;
    if output.is_json() {
        return output
            .object(&json!({
                "type": "layout",
                "path": json::bytes(options.to.as_os_str().as_bytes()),
                "secrets": written.secrets,
                "more": written.more,
                "custom_resource": written.custom_resource,
            }))
            .map(|()| Exit::Done);
    }
    let path = text::name(options.to.as_os_str().as_bytes());
    output.summary(format_args!("{path}: {} Secrets, the keys and the database for sf-operator", written.secrets))?;
    if written.more > 0 {
        let more = written.more;
        output
            .summary(format_args!("it does not know {more} more objects: `kubectl apply -f {path}/more` before it"))?;
    }
    Ok(Exit::Done)
}

/// `asked` says that something was to be left out.
fn exit(restored: &[Restored], asked: bool) -> Exit {
    let is_whole = |flaws: &Flaws| flaws.problems.is_empty() && (asked || flaws.left_out.is_empty());
    let failures = || restored.iter().filter_map(|stream| stream.failure.as_ref());
    if failures().any(|error| error.category() == Category::Damaged) {
        Exit::Damaged
    } else if failures().next().is_some() {
        Exit::Failed
    } else if restored.iter().any(|stream| !is_whole(&stream.flaws)) {
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
            "problems": stream.flaws.problems.told(),
            "problem_count": stream.flaws.problems.count(),
            "left_out": stream.flaws.left_out.told(),
            "left_out_count": stream.flaws.left_out.count(),
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
