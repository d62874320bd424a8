//! `sfarc prune`

use serde_json::json;

use crate::cli::args;
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::text;
use crate::engine::collect::{Options, Report, collect};
use crate::error::Error;
use crate::repo::Repository;

pub(in crate::cli) fn run(
    args: &args::Prune,
    open: impl FnOnce() -> Result<Repository, Error>,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let options =
        Options { max_unused: text::parse_share(&args.max_unused)?, dry_run: args.dry_run, ..Options::default() };
    let report = collect(&open()?, options)?;
    if output.is_json() {
        output.object(&json!({
            "type": "prune",
            "dry_run": args.dry_run,
            "condemned_packs": report.condemned,
            "repacked_packs": report.repacked,
            "deleted_packs": report.deleted,
            "deleted_bytes": report.deleted_bytes,
            "written_bytes": report.written_bytes,
            "waiting_packs": report.waiting,
            "fenced_sessions": report.fenced,
            "swept_files": report.swept,
            "retained_objects": report.retained,
            "renewed_locks": report.renewed,
        }))?;
    } else {
        print(&report, args.dry_run, output)?;
    }
    Ok(Exit::Done)
}

fn print(report: &Report, dry_run: bool, output: &mut Output) -> Result<(), CliError> {
    let bytes = text::size(report.deleted_bytes);
    if dry_run {
        let packs = text::count(report.condemned, "pack");
        let rewritten = report.repacked;
        return output.line(format_args!(
            "would remove {packs}, {bytes}; {rewritten} of them are partly in use and would be rewritten{}",
            if report.renewed > 0 {
                format!("; would renew {}", text::count(report.renewed, "lock"))
            } else {
                String::new()
            }
        ));
    }
    let packs = text::count(report.deleted, "pack");
    output.summary(format_args!("removed {packs}, {bytes}; wrote {} anew", text::size(report.written_bytes)))?;
    if report.waiting > 0 {
        let waiting = text::count(report.waiting, "pack");
        output.summary(format_args!("{waiting} wait until running snapshots have ended; prune again later"))?;
    }
    if report.fenced > 0 {
        output.summary(format_args!("cleaned up after {}", text::count(report.fenced, "dead session")))?;
    }
    if report.renewed > 0 {
        output.summary(format_args!("renewed {}", text::count(report.renewed, "lock")))?;
    }
    text::tell_retained(report.retained, output)
}
