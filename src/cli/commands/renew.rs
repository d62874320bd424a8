//! `sfarc renew`

use serde_json::json;

use crate::cli::args;
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::text;
use crate::engine::renew::{Options, Renewal, renew};
use crate::error::Error;
use crate::repo::Repository;

pub(in crate::cli) fn run(args: &args::Renew, repository: &Repository, output: &mut Output) -> Result<Exit, CliError> {
    if repository.backend.lock_period().is_none() {
        let text = "nothing says for how long: name it with `--lock-for 30d` or $SFARC_LOCK_FOR, as for every command \
                    that writes into this bucket";
        return Err(Error::Usage(text.to_owned()).into());
    }
    let log = repository.gc_log().map_err(Error::from)?;
    let renewal = renew(repository, &log, Options { now: args.now, dry_run: args.dry_run, ..Options::default() })?;
    let (renewed, next) = match renewal {
        Renewal::Done(renewed) => (renewed, None),
        Renewal::NotBefore(next) => (0, Some(next)),
    };
    if output.is_json() {
        output.object(&json!({
            "type": "renewal",
            "dry_run": args.dry_run,
            "renewed_locks": renewed,
            "due": next.map(text::utc_time),
        }))?;
        return Ok(Exit::Done);
    }
    match next {
        Some(next) => output.summary(format_args!("nothing is due before {}", text::local_time(next)))?,
        None if args.dry_run => output.line(format_args!("would renew {}", text::count(renewed, "lock")))?,
        None => output.summary(format_args!("renewed {}", text::count(renewed, "lock")))?,
    }
    Ok(Exit::Done)
}
