//! `sfarc init`

use std::os::unix::ffi::OsStrExt;

use serde_json::json;

use crate::backend::place::Place;
use crate::cli::access;
use crate::cli::args::{Global, Init};
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::{json, text};
use crate::env::Env;

pub(in crate::cli) fn run(args: &Init, global: &Global, env: &Env, output: &mut Output) -> Result<Exit, CliError> {
    let repository = access::init(args, global, env)?;
    let place = access::place(global)?;
    let place = match &place {
        Place::Folder(path) => path.as_os_str().as_bytes().to_vec(),
        place => place.to_string().into_bytes(),
    };
    if output.is_json() {
        output
            .object(&json!({ "type": "init", "repository": repository.id.to_string(), "path": json::bytes(&place) }))?;
    } else {
        output.summary(format_args!("made repository {} at {}", repository.id, text::name(&place)))?;
        output.summary("Without its password or key file nobody can read it, ever: keep that somewhere else, too.")?;
    }
    Ok(Exit::Done)
}
