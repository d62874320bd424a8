//! `sfarc audit`

use std::fs;
use std::io;
use std::path::Path;

use serde_json::json;

use crate::cli::args;
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::text;
use crate::engine::audit::{Ledger, audit};
use crate::error::Error;
use crate::repo::Repository;
use crate::service::state::write_whole;

pub(in crate::cli) fn run(args: &args::Audit, repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    let before = args.ledger.as_deref().map(read).transpose()?.flatten();
    let (report, ledger) = audit(repository, before.as_ref())?;
    for finding in &report.findings {
        if output.is_json() {
            output.object(&json!({ "type": "audit_finding", "object": finding.object, "problem": finding.what }))?;
        } else {
            output.line(format_args!("{}: {}", finding.object, finding.what))?;
        }
    }
    let findings = report.findings.len() as u64;
    // What was found is found again, until somebody has accepted it.
    if let Some(path) = args.ledger.as_deref().filter(|_| findings == 0 || args.accept) {
        write(path, &ledger)?;
    }
    if output.is_json() {
        output.object(&json!({
            "type": "audit",
            "snapshots": report.snapshots,
            "writers": report.writers,
            "epoch": ledger.epoch,
            "compared": before.is_some(),
            "findings": findings,
        }))?;
    } else {
        let compared = if before.is_some() { "compared with the ledger" } else { "nothing to compare with" };
        output.summary(format_args!(
            "{} and {} verified, {compared}; {}",
            text::count(report.snapshots, "snapshot"),
            text::count(report.writers, "writer"),
            if findings == 0 { "all is well".to_owned() } else { text::count(findings, "finding") },
        ))?;
    }
    Ok(if findings == 0 { Exit::Done } else { Exit::Damaged })
}

/// The ledger; nothing if there is none yet.
fn read(path: &Path) -> Result<Option<Ledger>, Error> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(format!("read the ledger {}", path.display()))(error)),
    };
    let wrong = |error| Error::Refused(format!("{} is no ledger of an audit: {error}", path.display()));
    serde_json::from_slice(&bytes).map(Some).map_err(wrong)
}

fn write(path: &Path, ledger: &Ledger) -> Result<(), Error> {
    let bytes = serde_json::to_vec(ledger).map_err(|error| Error::io("write the ledger")(error.into()))?;
    write_whole(path, &bytes).map_err(Error::io(format!("write the ledger {}", path.display())))
}
