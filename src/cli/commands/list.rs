//! `sfarc list`

use std::os::unix::ffi::OsStrExt;

use crate::cli::args::List;
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::{json, text};
use crate::engine::deployment::objects_stream;
use crate::engine::drill::last_proven;
use crate::error::Error;
use crate::event::Event;
use crate::format::manifest::OWN_LABEL;
use crate::ids::ObjectId;
use crate::repo::snapshots::Snapshot;
use crate::repo::{RepoError, Repository};
use crate::schedule::in_words;

pub(in crate::cli) fn run(
    args: &List,
    open: impl FnOnce() -> Result<Repository, Error>,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let labels = args.label.iter().map(|label| text::parse_label(label)).collect::<Result<Vec<_>, Error>>()?;
    let repository = open()?;
    let listing = repository.snapshots()?;
    let mut snapshots = listing.snapshots;
    let drilled = last_proven(snapshots.iter().map(|snapshot| &snapshot.manifest));
    let drilled = drilled.map(|(time, id)| (time, id.get(..8).unwrap_or(id).to_owned()));
    snapshots.retain(|snapshot| matches(args, &labels, snapshot));
    if let Some(latest) = args.latest {
        snapshots.drain(..snapshots.len().saturating_sub(latest));
    }
    if output.is_json() {
        snapshots.iter().try_for_each(|snapshot| output.object(&json::committed(snapshot)))?;
    } else if snapshots.is_empty() {
        output.summary("no snapshots")?;
    } else {
        print(&snapshots, output)?;
        let now = repository.env.clock.now();
        if let Some((time, id)) = drilled {
            output.summary(format_args!("last proven drill: {} ago, of snapshot {id}", in_words(now - time)))?;
        } else if snapshots.iter().any(|snapshot| objects_stream(snapshot).is_some()) {
            output.summary("no drill has proven a snapshot yet; `sfarc drill latest` tries")?;
        }
    }
    for (id, error) in &listing.unreadable {
        let text = format!("snapshot {} cannot be read: {}", id.short(), crate::error::chain(error));
        repository.env.tell(&Event::Warning(&text));
    }
    Ok(exit(&listing.unreadable))
}

fn exit(unreadable: &[(ObjectId, RepoError)]) -> Exit {
    match unreadable {
        [] => Exit::Done,
        some if some.iter().any(|(_, error)| error.is_damage()) => Exit::Damaged,
        _ => Exit::Incomplete,
    }
}

fn matches(args: &List, labels: &[(String, String)], snapshot: &Snapshot) -> bool {
    let manifest = &snapshot.manifest;
    text::is_meant(manifest, &args.tag, labels, args.host.as_deref())
        && args.stream.as_ref().is_none_or(|name| manifest.streams.iter().any(|stream| stream.name == name.as_bytes()))
}

fn print(snapshots: &[Snapshot], output: &mut Output) -> Result<(), CliError> {
    let mut table = text::table(&["id", "time", "host", "streams", "size", "added", "tags"], &[4, 5]);
    for snapshot in snapshots {
        let manifest = &snapshot.manifest;
        let bytes = manifest.streams.iter().map(|stream| stream.content.len).sum();
        table.add_row([
            snapshot.id.short(),
            text::local_time(manifest.time),
            text::name(manifest.host.as_bytes()),
            streams(snapshot),
            text::size(bytes),
            text::size(manifest.added),
            tags(snapshot),
        ]);
    }
    output.table(&table)
}

fn streams(snapshot: &Snapshot) -> String {
    const SHOWN: usize = 3;
    let streams = &snapshot.manifest.streams;
    let names: Vec<String> = streams.iter().take(SHOWN).map(|stream| text::name(&stream.name)).collect();
    let rest = streams.len().saturating_sub(SHOWN);
    if rest == 0 { names.join(", ") } else { format!("{} and {rest} more", names.join(", ")) }
}

fn tags(snapshot: &Snapshot) -> String {
    let manifest = &snapshot.manifest;
    // What sfarc notes for itself is for --json.
    let labels = manifest.labels.iter().filter(|(key, _)| !key.starts_with(OWN_LABEL));
    let labels = labels.map(|(key, value)| format!("{key}={value}"));
    let mut words: Vec<String> = manifest.tags.iter().cloned().chain(labels).collect();
    if !manifest.complete {
        words.push("(incomplete)".to_owned());
    }
    if !manifest.findings.is_empty() {
        words.push("(inconsistent)".to_owned());
    }
    text::name(words.join(", ").as_bytes())
}
