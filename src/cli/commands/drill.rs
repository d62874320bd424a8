//! `sfarc drill`

use super::verify;
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::engine::drill::drill;
use crate::repo::Repository;
use crate::repo::session::host_name;

pub(in crate::cli) fn run(id: &str, repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    let snapshot = repository.resolve(id)?;
    let report = drill(repository, &snapshot, &host_name())?;
    report.checks.iter().try_for_each(|check| verify::print(check, output))?;
    if output.is_json() {
        output.object(&serde_json::json!({
            "type": "drilled",
            "snapshot": snapshot.id.to_string(),
            "proven": report.is_proven,
            "record": report.record.map(|id| id.to_string()),
        }))?;
    } else {
        let verdict = match () {
            () if report.is_bad() => "it cannot be restored as it is",
            () if report.is_proven => "restored into a scratch and proven",
            () => "not everything could be tried here",
        };
        output.summary(format_args!("snapshot {}: {verdict}", snapshot.id.short()))?;
    }
    Ok(match () {
        () if report.is_bad() => Exit::Damaged,
        () if report.is_proven => Exit::Done,
        () => Exit::Incomplete,
    })
}
