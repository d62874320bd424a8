//! `sfarc verify`

use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::text;
use crate::engine::verify::{Check, Outcome, verify};
use crate::repo::Repository;

pub(in crate::cli) fn run(id: &str, repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    let snapshot = repository.resolve(id)?;
    let report = verify(repository, &snapshot)?;
    report.checks.iter().try_for_each(|check| print(check, output))?;
    let verdict = if report.is_bad() { "something is wrong with it" } else { "all that can be proven here is" };
    if !output.is_json() {
        output.summary(format_args!("snapshot {}: {verdict}", snapshot.id.short()))?;
    }
    Ok(if report.is_bad() { Exit::Damaged } else { Exit::Done })
}

pub(super) fn print(check: &Check, output: &mut Output) -> Result<(), CliError> {
    let (word, why) = match &check.outcome {
        Outcome::Good => ("ok", ""),
        Outcome::Bad(why) => ("BAD", &why[..]),
        Outcome::Note(why) => ("note", &why[..]),
    };
    if output.is_json() {
        let (outcome, why) = (word.to_ascii_lowercase(), (!why.is_empty()).then_some(why));
        return output.object(&json!({
            "type": "verified", "stream": check.stream, "what": check.what, "outcome": outcome, "why": why,
        }));
    }
    let stream = if check.stream.is_empty() { "snapshot" } else { &check.stream };
    let colon = if why.is_empty() { "" } else { ": " };
    output.line(format_args!("{word:4} {}: {}{colon}{}", text::name(stream.as_bytes()), check.what, text::message(why)))
}
