//! `sfarc check`

use serde_json::json;

use crate::cli::args;
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::{json, text};
use crate::engine::check::{Problem, ReadData, Report, check};
use crate::error::Error;
use crate::repo::Repository;

pub(in crate::cli) fn run(
    args: &args::Check,
    open: impl FnOnce() -> Result<Repository, Error>,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let share = args.read_data.as_deref().map(text::parse_share).transpose()?;
    let read_data = match share {
        None => ReadData::None,
        Some(share) if share < 1.0 => ReadData::Share(share),
        Some(_) => ReadData::All,
    };
    let report = check(&open()?, &read_data)?;
    if output.is_json() {
        json_lines(&report, output)?
    } else {
        print(&report, output)?
    }
    let clean = report.problems.is_empty() && report.hits.is_empty();
    Ok(if clean { Exit::Done } else { Exit::Damaged })
}

fn json_lines(report: &Report, output: &mut Output) -> Result<(), CliError> {
    for problem in &report.problems {
        output.object(&json!({ "type": "problem", "object": problem.object, "problem": problem.what }))?;
    }
    for hit in &report.hits {
        output.object(&json::hit(hit))?;
    }
    output.object(&json!({
        "type": "check",
        "snapshots": report.snapshots,
        "packs": report.packs,
        "packs_read": report.packs_read.len(),
        "bytes_read": report.bytes_read,
        "problems": report.problems.len(),
        "hits": report.hits.len(),
        "notes": report.notes,
    }))
}

/// Most errors name the object themselves, and say that it is damaged.
fn damage(problem: &Problem) -> String {
    let Problem { object, what } = problem;
    if what.contains(object) { what.replacen(" is damaged", "", 1) } else { format!("{object}: {what}") }
}

fn print(report: &Report, output: &mut Output) -> Result<(), CliError> {
    for problem in &report.problems {
        output.line(format_args!("damaged: {}", damage(problem)))?;
    }
    for hit in &report.hits {
        let (id, stream) = (hit.snapshot.short(), text::name(&hit.stream));
        let (from, len) = (hit.offset, hit.len);
        output.line(format_args!("hit: snapshot {id}, stream {stream}: {len} bytes from offset {from} are lost"))?;
    }
    for note in &report.notes {
        output.summary(format_args!("note: {note}"))?;
    }
    let (snapshots, packs) = (text::count(report.snapshots, "snapshot"), text::count(report.packs, "pack"));
    output.summary(format_args!("checked {snapshots} and {packs}"))?;
    if !report.packs_read.is_empty() {
        let (packs, bytes) = (text::count(report.packs_read.len() as u64, "pack"), text::size(report.bytes_read));
        output.summary(format_args!("read {packs} to the last byte: {bytes}"))?;
    }
    let (problems, hits) = (report.problems.len() as u64, report.hits.len() as u64);
    if problems + hits == 0 {
        output.summary("no damage found")
    } else {
        output.summary(format_args!(
            "found {}; {} of snapshots cannot be restored",
            text::count(problems, "damaged object"),
            text::count(hits, "part")
        ))
    }
}
