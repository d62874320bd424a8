//! `sfarc diff`

use serde_json::json;

use crate::cli::args;
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::{json, text};
use crate::engine::diff::{Change, Difference, diff};
use crate::repo::Repository;

pub(in crate::cli) fn run(args: &args::Diff, repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    let (first, second) = (repository.resolve(&args.first)?, repository.resolve(&args.second)?);
    let differences = diff(repository, &first, &second)?;
    differences.iter().try_for_each(|difference| print(difference, output))?;
    if !output.is_json() {
        if differences.is_empty() {
            output.summary(format_args!("{} and {} hold the same", first.id.short(), second.id.short()))?;
        } else {
            let count = |change| differences.iter().filter(|difference| difference.change == change).count();
            output.summary(format_args!(
                "{} added, {} removed, {} changed, {} with other metadata",
                count(Change::Added),
                count(Change::Removed),
                count(Change::Changed),
                count(Change::Metadata),
            ))?;
        }
    }
    Ok(Exit::Done)
}

fn print(difference: &Difference, output: &mut Output) -> Result<(), CliError> {
    let (sign, word) = match difference.change {
        Change::Added => ('+', "added"),
        Change::Removed => ('-', "removed"),
        Change::Changed => ('M', "changed"),
        Change::Metadata => ('m', "metadata"),
    };
    if output.is_json() {
        return output.object(&json!({
            "type": "difference",
            "change": word,
            "stream": json::bytes(&difference.stream),
            "path": difference.path.as_deref().map(json::bytes),
            "bytes_before": difference.before,
            "bytes_after": difference.after,
        }));
    }
    let mut name = text::name(&difference.stream);
    if let Some(path) = &difference.path {
        name = format!("{name}/{}", text::name(path));
    }
    let size = |bytes: Option<u64>| bytes.map(text::size);
    match (size(difference.before), size(difference.after)) {
        (Some(before), Some(after)) if before != after => {
            output.line(format_args!("{sign} {name}  {before} -> {after}"))
        }
        (before, after) => output.line(format_args!("{sign} {name}  {}", after.or(before).unwrap_or_default())),
    }
}
