//! `sfarc repair`

use std::sync::Arc;

use serde_json::json;

use crate::backend::place;
use crate::cli::args::{self, Global};
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::{access, json, text};
use crate::engine::repair::{Brought, Lost, Options, Place, Report, repair};
use crate::env::Env;
use crate::error::Error;
use crate::repo::RepoError;

pub(in crate::cli) fn run(
    args: &args::Repair,
    global: &Global,
    env: &Env,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let places = places(args, global)?;
    let options = Options { read_data: args.read_data, nobody_prunes: args.nobody_prunes, dry_run: args.dry_run };
    let repository = access::open_to_repair(global, env, &places, args.dry_run)?;
    let report = repair(&repository, &places, options)?;
    if output.is_json() {
        json_lines(&report, args, output)?;
    } else {
        print(&report, args, output)?;
    }
    Ok(match report {
        _ if report.is_healthy() => Exit::Done,
        Report { ref lost, ref hits, .. } if lost.is_empty() && hits.is_empty() => Exit::Incomplete,
        _ => Exit::Damaged,
    })
}

/// The places that are named, and what this machine and the bucket have copies of.
fn places(args: &args::Repair, global: &Global) -> Result<Vec<Place>, Error> {
    let mut bucket = global.bucket.clone();
    bucket.endpoint = args.from_endpoint.clone().or(bucket.endpoint);
    bucket.region = args.from_region.clone().or(bucket.region);
    bucket.addressing = args.from_addressing.or(bucket.addressing);
    bucket.profile.clone_from(&args.from_profile);
    bucket.lock_for = None;
    let mut places = Vec::new();
    for from in &args.from {
        let place = place::Place::parse(from.clone()).map_err(Error::Usage)?;
        let store = place.open_source(&bucket.access());
        let failed = |error| Error::Place { place: place.to_string(), source: RepoError::from(error) };
        places.push(Place::new(place.to_string(), store.map_err(failed)?));
    }
    let copies = access::place(global)?.copies(&global.bucket.access()).map_err(RepoError::from)?;
    places.extend(copies.map(|copies| Place::cache("the cache", Arc::clone(&copies))));
    Ok(places)
}

fn json_lines(report: &Report, args: &args::Repair, output: &mut Output) -> Result<(), CliError> {
    for Brought { key, from, len } in &report.brought {
        output.object(&json!({ "type": "taken", "object": key.to_string(), "from": from, "bytes": len }))?;
    }
    for Lost { key, why } in report.damaged_packs.iter().chain(&report.lost) {
        output.object(&json!({ "type": "lost", "object": key.to_string(), "problem": why }))?;
    }
    for hit in &report.hits {
        output.object(&json::hit(hit))?;
    }
    output.object(&json!({
        "type": "repair",
        "dry_run": args.dry_run,
        "healthy": report.is_healthy(),
        "snapshots": report.snapshots,
        "packs": report.packs,
        "packs_read": report.packs_read,
        "taken": report.brought.len(),
        "taken_bytes": report.brought.iter().map(|brought| brought.len).sum::<u64>(),
        "indexed_packs": report.indexed_packs,
        "indexed_chunks": report.indexed_rows,
        "dropped_packs": report.dropped_packs,
        "removed_runs": report.removed_runs,
        "distrusted_packs": report.distrusted.len(),
        "replaced_records": report.replaced_records,
        "waiting_records": report.waiting_records,
        "hits": report.hits.len(),
        "notes": report.notes,
    }))
}

fn print(report: &Report, args: &args::Repair, output: &mut Output) -> Result<(), CliError> {
    let will = |done: &str, would: &str| if args.dry_run { format!("would {would}") } else { done.to_owned() };
    for Brought { key, from, len } in &report.brought {
        output.line(format_args!("{} {key} from {from}, {}", will("took", "take"), text::size(*len)))?;
    }
    let packs = |count: u64| text::count(count, "pack");
    if report.indexed_packs > 0 {
        let (packs, chunks) = (packs(report.indexed_packs), text::count(report.indexed_rows, "chunk"));
        output.line(format_args!("{} rows for {packs} with {chunks}", will("wrote", "write")))?;
    }
    if report.dropped_packs > 0 {
        let packs = packs(report.dropped_packs);
        output.line(format_args!("{} rows of {packs} that led nowhere", will("dropped", "drop")))?;
    }
    if report.removed_runs > 0 {
        let runs = text::count(report.removed_runs, "damaged index run");
        output.line(format_args!("{} {runs}: others name all that is there", will("removed", "remove")))?;
    }
    for epoch in &report.replaced_records {
        let will = will("replaced", "replace");
        output.line(format_args!("{will} record {epoch} of the gc log by what is known of it"))?;
    }
    for pack in &report.distrusted {
        let will = will("distrusted", "distrust");
        output
            .line(format_args!("{will} pack {}: what it held is stored again when a snapshot has it", pack.short()))?;
    }
    lost(report, output)?;
    for note in &report.notes {
        output.summary(format_args!("note: {note}"))?;
    }
    let snapshots = text::count(report.snapshots, "snapshot");
    let verdict = match report {
        _ if report.is_healthy() && !args.read_data => {
            "nothing is missing; `--read-data` also reads what is in the packs"
        }
        _ if report.is_healthy() && args.dry_run => "all of every snapshot would restore",
        _ if report.is_healthy() => "all of every snapshot restores",
        Report { waiting_records, .. } if !waiting_records.is_empty() => "not everything could be done",
        Report { hits, .. } if hits.is_empty() => "what is named above is lost, and hits no snapshot",
        _ => "what is named above is lost; `sfarc forget` removes a snapshot that you give up",
    };
    output.summary(format_args!("looked at {snapshots} and {}: {verdict}", packs(report.packs)))
}

fn lost(report: &Report, output: &mut Output) -> Result<(), CliError> {
    let why = |lost: &Lost| lost.why.replacen(&format!("{} is damaged: ", lost.key), "", 1);
    for pack in &report.damaged_packs {
        output.line(format_args!("damaged: {}: {}", pack.key, why(pack)))?;
    }
    for object in &report.lost {
        output.line(format_args!("lost: {}: {}", object.key, why(object)))?;
    }
    for hit in &report.hits {
        let (id, stream) = (hit.snapshot.short(), text::name(&hit.stream));
        let (from, len) = (hit.offset, hit.len);
        output.line(format_args!("hit: snapshot {id}, stream {stream}: {len} bytes from offset {from} are lost"))?;
    }
    for epoch in &report.waiting_records {
        output.line(format_args!(
            "waits: record {epoch} of the gc log is lost, and no place has it. End every `sfarc run` and `sfarc prune`, \
             then repeat with --nobody-prunes"
        ))?;
    }
    Ok(())
}
