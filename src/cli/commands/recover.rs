//! `sfarc restore --to-cluster`

use std::io::{BufRead, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use serde_json::json;

use super::capture;
use super::restore::classes;
use crate::cli::args;
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::text;
use crate::engine::recovery::{Options, Patience, Plan, Recovery, Report};
use crate::error::Error;
use crate::repo::Repository;
use crate::repo::session::host_name;

pub(super) fn run(args: &args::Restore, repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    let wanted = &args.cluster;
    let options = options(args)?;
    let snapshot = repository.resolve(&args.id)?;
    let recovery = Recovery::open(repository, &snapshot, &options)?;
    if let Some(other) = recovery.supersedes() {
        let text = format!("the restore of snapshot {} is not finished here; this one takes its place", short(other));
        say(output, "note", &text)?;
    } else if recovery.continues() {
        say(output, "note", "a restore of this snapshot is not finished here; this goes on from there")?;
    }
    let plan = recovery.plan()?;
    print(&plan, output)?;
    if wanted.dry_run {
        return Ok(Exit::Done);
    }
    if plan.is_empty() && !recovery.continues() {
        say(output, "note", "there is nothing to do")?;
        return Ok(Exit::Done);
    }
    output.flush()?;
    if !wanted.yes && !is_confirmed()? {
        return Err(Error::Refused("nothing was done".to_owned()).into());
    }
    let report = recovery.carry_out(&plan)?;
    tell(&report, &plan, output)?;
    Ok(if report.is_open { Exit::Incomplete } else { Exit::Done })
}

fn options(args: &args::Restore) -> Result<Options, CliError> {
    let wanted = &args.cluster;
    let place = capture::place(&wanted.cluster);
    let namespace = capture::namespace(&wanted.cluster, None, &place)?;
    if args.path.len() > 1 || (!args.path.is_empty() && wanted.only.len() != 1) {
        let text = "--path into a cluster is one file of the one stream that --only names";
        return Err(Error::Usage(text.to_owned()).into());
    }
    Ok(Options {
        place,
        namespace,
        only: wanted.only.clone(),
        with: wanted.with.clone(),
        path: args.path.first().map(|path| path.as_bytes().to_vec()),
        overwrite: args.overwrite,
        safety: !wanted.no_safety,
        drop_old: wanted.drop_old,
        classes: classes(args)?,
        wait: Duration::from_secs(wanted.wait),
        patience: Patience { silence: Duration::from_secs(wanted.silence), limit: Duration::from_secs(wanted.timeout) },
        host: host_name(),
    })
}

fn say(output: &mut Output, kind: &str, text: &str) -> Result<(), CliError> {
    if output.is_json() {
        return output.object(&json!({ "type": kind, "text": text }));
    }
    output.line(format_args!("{}: {}", kind.replace('_', " "), text::message(text)))
}

fn print(plan: &Plan, output: &mut Output) -> Result<(), CliError> {
    plan.notes.iter().try_for_each(|note| say(output, "note", note))?;
    for action in plan.actions() {
        if output.is_json() {
            output.object(&json!({ "type": "action", "verb": action.verb, "what": action.what }))?;
        } else {
            output.line(format_args!("{:8} {}", action.verb, text::message(&action.what)))?;
        }
    }
    let left_out: Vec<String> = plan.left_out.iter().cloned().chain(plan.left_objects()).collect();
    left_out.iter().try_for_each(|left| say(output, "left_alone", left))
}

/// Asks on the terminal; without one, nobody can have agreed.
fn is_confirmed() -> Result<bool, CliError> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(
            Error::Usage("this changes a cluster: say --yes, or --dry-run to see what it would do".to_owned()).into()
        );
    }
    let mut answer = String::new();
    let asked = write!(std::io::stderr(), "Do this? [yes/no] ").and_then(|()| stdin.lock().read_line(&mut answer));
    asked.map_err(Error::io("read the answer"))?;
    Ok(answer.trim() == "yes")
}

fn tell(report: &Report, plan: &Plan, output: &mut Output) -> Result<(), CliError> {
    if output.is_json() {
        return output.object(&json!({
            "type": "recovered",
            "open": report.is_open,
            "safety": report.safety,
            "kept": report.kept,
            "by_hand": plan.by_hand,
        }));
    }
    if let Some(id) = &report.safety {
        output.summary(format_args!(
            "what was there before is safety snapshot {}; restoring it undoes this",
            short(id)
        ))?;
    }
    for kept in &report.kept {
        output.summary(format_args!("kept: {}; --drop-old drops it", text::message(kept)))?;
    }
    plan.by_hand.iter().try_for_each(|text| output.summary(format_args!("now: {}", text::message(text))))
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
