//! `sfarc init`

use serde_json::json;

use crate::cli::access;
use crate::cli::args::Global;
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::env::Env;

pub(in crate::cli) fn run(global: &Global, env: &Env, output: &mut Output) -> Result<Exit, CliError> {
    let repository = access::init(global, env)?;
    let place = access::folder(global)?.display().to_string();
    if output.is_json() {
        output.object(&json!({ "type": "init", "repository": repository.id.to_string(), "path": place }))?;
    } else {
        output.summary(format_args!("made repository {} at {place}", repository.id.short()))?;
        output.summary("Without its password or key file nobody can read it, ever: keep that somewhere else, too.")?;
    }
    Ok(Exit::Done)
}
