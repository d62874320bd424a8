//! `sfarc forget`

use serde_json::json;

use crate::cli::args;
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::text;
use crate::ids::ObjectId;
use crate::repo::{RepoError, Repository};

pub(in crate::cli) fn run(args: &args::Forget, repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    let mut ids = args.ids.iter().map(|id| find(repository, id)).collect::<Result<Vec<_>, _>>()?;
    ids.sort_unstable();
    ids.dedup();
    if !args.dry_run {
        repository.forget(&ids)?;
    }
    for id in &ids {
        if output.is_json() {
            output.object(&json!({ "type": "forgotten", "id": id.to_string(), "dry_run": args.dry_run }))?;
        } else {
            let word = if args.dry_run { "would forget" } else { "forgot" };
            output.line(format_args!("{word} snapshot {}", id.short()))?;
        }
    }
    if !output.is_json() && !args.dry_run {
        let count = text::count(ids.len() as u64, "snapshot");
        output.summary(format_args!("{count} forgotten; `sfarc prune` frees their space"))?;
    }
    Ok(Exit::Done)
}

/// The snapshot that a person means; one that cannot be read can still be forgotten by its id.
fn find(repository: &Repository, text: &str) -> Result<ObjectId, RepoError> {
    match repository.resolve(text) {
        Err(error) if error.is_damage() && !text.starts_with("latest") => {
            let ids = repository.snapshot_ids()?;
            ids.into_iter().find(|id| id.to_string().starts_with(text)).ok_or(error)
        }
        other => other.map(|snapshot| snapshot.id),
    }
}
