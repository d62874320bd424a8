//! `sfarc config`

use std::path::Path;

use serde_json::json;

use crate::cli::args;
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::text;
use crate::config::Config;
use crate::config::example::{ExampleTarget, example};
use crate::env::Env;
use crate::error::Error;
use crate::k8s::{Place, default_namespace};
use crate::plan::discovery::discover;
use crate::plan::software_factory;
use crate::schedule::When;

/// Says whether a file can be meant, and what it means.
pub(in crate::cli) fn check(args: &args::File, env: &Env, output: &mut Output) -> Result<Exit, CliError> {
    let config = Config::read(&args.config)?;
    prove(&config)?;
    let now = env.clock.now();
    if output.is_json() {
        let targets: Vec<_> = config
            .targets
            .iter()
            .map(|target| {
                json!({
                    "name": target.name,
                    "namespace": target.plan.namespace,
                    "next": text::utc_time(target.schedule.next(None, now)),
                })
            })
            .collect();
        output.object(&json!({ "type": "config", "targets": targets }))?;
        return Ok(Exit::Done);
    }
    let mut table = text::table(&["target", "namespace", "when", "kept"], &[]);
    for target in &config.targets {
        let when = match &target.schedule.when {
            When::Every(every) => format!("every {}", crate::engine::retention::Span(*every)),
            When::Cron(cron, _) => {
                let next = text::local_time(target.schedule.next(None, now));
                format!("{} (next: {next})", cron.as_str())
            }
        };
        let usual = if target.plan.needs_cluster() { "that of the context" } else { "none" };
        let namespace = target.plan.namespace.clone().unwrap_or_else(|| usual.to_owned());
        table.add_row([text::name(target.name.as_bytes()), namespace, when, target.retention.to_string()]);
    }
    output.table(&table)?;
    output.summary(format_args!("{} can be meant", args.config.display()))?;
    Ok(Exit::Done)
}

/// Fails if what a file says of a target cannot be meant, which is only known when it is used.
pub(super) fn prove(config: &Config) -> Result<(), Error> {
    for target in &config.targets {
        let namespace = target.plan.namespace.clone().unwrap_or_default();
        target.plan.streams(&namespace)?;
        target.plan.here()?;
    }
    Ok(())
}

/// Prints a file to begin with.
pub(in crate::cli) fn init(
    namespaces: &[String],
    cr: Option<&Path>,
    place: &Place,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let mut names = namespaces.to_vec();
    if names.is_empty() {
        names.push(default_namespace(place).map_err(|error| Error::Usage(crate::error::chain(&error)))?);
    }
    if names.len() > 1 && cr.is_some() {
        return Err(Error::Usage("--cr is for one namespace".to_owned()).into());
    }
    let target = |namespace: &String| -> Result<ExampleTarget, CliError> {
        let found = discover(place, namespace)?;
        Ok(ExampleTarget {
            name: namespace.clone(),
            namespace: namespace.clone(),
            software_factory: cr.is_some() || software_factory::is_there(&found),
            cr: cr.map(|path| path.display().to_string()),
        })
    };
    let targets = names.iter().map(target).collect::<Result<Vec<_>, _>>()?;
    output.raw(example(&targets).as_bytes())?;
    Ok(Exit::Done)
}
