//! `sfarc pin`

use serde_json::json;

use crate::cli::args;
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::engine::pin::{pin, unpin};
use crate::repo::Repository;
use crate::repo::session::host_name;

pub(in crate::cli) fn run(args: &args::Pin, repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    let found = args.ids.iter().map(|id| repository.resolve(id)).collect::<Result<Vec<_>, _>>()?;
    for snapshot in found {
        if args.remove {
            unpin(repository, snapshot.id)?;
        } else {
            pin(repository, snapshot.id, &args.why, &host_name())?;
        }
        if output.is_json() {
            output.object(&json!({ "type": "pin", "id": snapshot.id.to_string(), "pinned": !args.remove }))?;
        } else {
            let word = if args.remove { "not pinned any more" } else { "pinned" };
            output.line(format_args!("snapshot {} is {word}", snapshot.id.short()))?;
        }
    }
    Ok(Exit::Done)
}
