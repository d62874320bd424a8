//! `sfarc copy`

use std::collections::HashSet;

use serde_json::json;

use crate::cli::args::{self, Global};
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::{access, text};
use crate::engine::copy::{Copied, Options, copy};
use crate::env::Env;
use crate::error::{Error, chain};
use crate::event::Event;
use crate::ids::ObjectId;
use crate::repo::RepoError;
use crate::repo::snapshots::Snapshot;

pub(in crate::cli) fn run(
    args: &args::Copy,
    global: &Global,
    env: &Env,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let labels = args.label.iter().map(|label| text::parse_label(label)).collect::<Result<Vec<_>, Error>>()?;
    let from = access::open(global, env)?;
    let to = access::open_other(&args.to, &args.opened_by, global, env)?;
    let named = args.ids.iter().map(|id| from.resolve(id).map(|snapshot| snapshot.id));
    let named = named.collect::<Result<HashSet<ObjectId>, RepoError>>().map_err(Error::from)?;
    let is_chosen = |snapshot: &Snapshot| {
        // Safety snapshots and records speak of this repository's snapshots: they go only where they are sent.
        let is_named = if args.ids.is_empty() { !snapshot.manifest.is_own() } else { named.contains(&snapshot.id) };
        is_named && text::is_meant(&snapshot.manifest, &args.tag, &labels, args.host.as_deref())
    };
    let blindly = !args.ids.is_empty();
    let options = Options { dry_run: args.dry_run, read_back: args.read_back, blindly };
    let report = copy(&from, &to, is_chosen, options)?;
    for copied in &report.copied {
        tell(copied, args.dry_run, output)?;
    }
    for (id, error) in &report.damaged {
        env.tell(&Event::Warning(&format!("snapshot {} is not copied: {}", id.short(), chain(error))));
    }
    for (id, error) in &report.spoilt {
        env.tell(&Event::Warning(&format!(
            "the copy of snapshot {} is damaged there: {}; after `sfarc check --read-data` there, `sfarc forget` it \
             there and copy it again: what is damaged is then stored anew",
            id.short(),
            chain(error)
        )));
    }
    if report.copied.is_empty() && report.damaged.is_empty() && report.present == 0 {
        env.tell(&Event::Warning("no snapshot is meant: there are none, or none is like that"));
    }
    let (copied, damaged) = (report.copied.len() as u64, report.damaged.len() as u64);
    if output.is_json() {
        output.object(&json!({
            "type": "copy",
            "dry_run": args.dry_run,
            "copied": copied,
            "present": report.present,
            "read": report.read,
            "damaged": damaged,
            "damaged_there": report.spoilt.len(),
        }))?;
    } else {
        let copied = text::count(copied, "snapshot");
        let word = if args.dry_run { "would be copied" } else { "copied" };
        let read = if report.read > 0 { format!(" ({} of them read)", report.read) } else { String::new() };
        output.summary(format_args!("{copied} {word}, {} there already{read}", report.present))?;
    }
    Ok(if report.is_damaged() { Exit::Damaged } else { Exit::Done })
}

fn tell(copied: &Copied, dry_run: bool, output: &mut Output) -> Result<(), CliError> {
    let counts = copied.counts;
    if output.is_json() {
        return output.object(&json!({
            "type": "copied",
            "original": copied.original.to_string(),
            "id": copied.id.map(|id| id.to_string()),
            "bytes": copied.manifest.streams.iter().map(|stream| stream.content.len).sum::<u64>(),
            "new_bytes": counts.new_bytes,
            "added_bytes": counts.stored_bytes,
        }));
    }
    let (short, new) = (copied.original.short(), text::size(counts.new_bytes));
    match copied.id {
        Some(id) if !dry_run => {
            let added = text::size(counts.stored_bytes);
            output.line(format_args!("copied {short} as {}: {new} new, {added} stored", id.short()))
        }
        _ => output.line(format_args!("would copy {short}: {new} new")),
    }
}
