//! `sfarc doctor`

use super::capture;
use crate::cli::args::{self, Global};
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::{access, json, text};
use crate::engine::doctor::{Health, Look, cure, examine};
use crate::env::Env;
use crate::error::{Error, chain};
use crate::plan::PlanError;

pub(in crate::cli) fn run(
    args: &args::Doctor,
    global: &Global,
    env: &Env,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let mut looks = vec![repository(global, env)];
    match capture::plan(&args.cluster, &args.plan) {
        Ok((place, plan)) => {
            let names: Vec<&str> = plan.streams.iter().map(|stream| &stream.name[..]).collect();
            looks.push(Look::good("plan", format!("streams {}", names.join(", "))));
            if let Err(error) = examine(&place, &plan, &*env.clock, &mut |look| looks.push(look)) {
                looks.push(Look::bad("cluster", chain(&error), "see what the message names, then run this again"));
            }
        }
        Err(error) => {
            let cure = match &error {
                CliError::Operation(Error::Plan(plan @ PlanError::Cluster(error))) if !plan.is_usage() => cure(error),
                _ => "see what the message names: without a plan nothing else can be looked at",
            };
            looks.push(Look::bad("plan", chain(&error), cure));
        }
    }
    looks.iter().try_for_each(|look| print(look, output))?;
    Ok(if looks.iter().any(|look| look.health == Health::Bad) { Exit::Failed } else { Exit::Done })
}

fn repository(global: &Global, env: &Env) -> Look {
    if global.repo.is_none() {
        return Look::bad("repository", "none is named", "name one with --repo or $SFARC_REPO");
    }
    match access::open(global, env) {
        Ok(repository) => match repository.require_write() {
            Ok(()) => Look::good("repository", "it opens, and this version may write to it"),
            Err(error) => Look::bad("repository", chain(&error), "use a newer sfarc"),
        },
        Err(error) => Look::bad("repository", chain(&error), "`sfarc init` makes one where there is none"),
    }
}

fn print(look: &Look, output: &mut Output) -> Result<(), CliError> {
    if output.is_json() {
        return output.object(&json::look(look));
    }
    let mark = match look.health {
        Health::Good => "ok  ",
        Health::Poor => "poor",
        Health::Bad => "BAD ",
    };
    output.line(format_args!("{mark}  {}: {}", text::message(&look.what), text::message(&look.seen)))?;
    if look.cure.is_empty() { Ok(()) } else { output.line(format_args!("      {}", look.cure)) }
}
