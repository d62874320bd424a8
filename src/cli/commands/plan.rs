//! `sfarc plan`

use super::capture;
use crate::cli::args;
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::{json, text};
use crate::plan::{Plan, role};

pub(in crate::cli) fn run(args: &args::ShowPlan, output: &mut Output) -> Result<Exit, CliError> {
    let (_, plan) = capture::plan(&args.cluster, &args.plan)?;
    if args.role {
        for (number, (namespace, permissions)) in plan.permissions().iter().enumerate() {
            let separator = if number > 0 { "---\n" } else { "" };
            output.raw(format!("{separator}{}", role::role(namespace, permissions)).as_bytes())?;
        }
    } else if output.is_json() {
        plan.streams.iter().try_for_each(|planned| output.object(&json::planned(planned)))?;
        plan.left_out.iter().try_for_each(|left_out| output.object(&json::left_out(left_out)))?;
    } else {
        print(&plan, output)?;
    }
    Ok(Exit::Done)
}

fn print(plan: &Plan, output: &mut Output) -> Result<(), CliError> {
    let mut table = text::table(&["stream", "from", "proof", "why"], &[]);
    for planned in &plan.streams {
        let (name, place) = (text::name(planned.name.as_bytes()), text::name(planned.take.place().as_bytes()));
        table.add_row([name, place, planned.take.best_proof().to_string(), text::name(planned.why.as_bytes())]);
    }
    output.table(&table)?;
    if !plan.left_out.is_empty() {
        output.summary("\nleft out:")?;
        for left_out in &plan.left_out {
            output.summary(format_args!("  {}: {}", text::message(&left_out.what), text::message(&left_out.why)))?;
        }
    }
    Ok(())
}
