//! `sfarc import`

use super::snapshot::{print, shown_time};
use crate::cli::args::{self, Global};
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::{access, json, text};
use crate::engine::sf_operator::{ImportOptions, inputs};
use crate::engine::snapshot::{Options, snapshot};
use crate::env::Env;
use crate::repo::session::host_name;

/// Tells imported snapshots from others.
const LABEL: (&str, &str) = ("imported-from", "sf-operator");

pub(in crate::cli) fn run(
    args: &args::Import,
    global: &Global,
    env: &Env,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let (inputs, newest) = inputs(&ImportOptions { folder: args.folder.clone(), namespace: args.namespace.clone() })?;
    let mut labels = vec![(LABEL.0.to_owned(), LABEL.1.to_owned())];
    for label in &args.label {
        labels.push(text::parse_new_label(label)?);
    }
    let options = Options {
        inputs,
        tags: args.tag.clone(),
        labels,
        host: args.host.clone().unwrap_or_else(host_name),
        time: Some(args.time.as_deref().map(|time| shown_time(time, env)).transpose()?.unwrap_or(newest)),
        ..Options::default()
    };
    options.check()?;
    let report = snapshot(&access::open(global, env)?, &options)?;
    if output.is_json() {
        output.object(&json::snapshot(report.id.map(|id| id.to_string()), &report.manifest))?;
    } else {
        print(&report, output)?;
    }
    Ok(Exit::Done)
}
