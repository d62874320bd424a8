//! `sfarc status`

use serde_json::json;

use crate::cli::args;
use crate::cli::exit::Exit;
use crate::cli::output::{CliError, Output};
use crate::cli::text;
use crate::config::Config;
use crate::env::Env;
use crate::error::Error;
use crate::schedule::{in_words, in_words_until};
use crate::service::state::{Ending, State, TargetState};

pub(in crate::cli) fn run(args: &args::Status, env: &Env, output: &mut Output) -> Result<Exit, CliError> {
    let path = match &args.from {
        Some(path) => path.clone(),
        None => Config::read(&args.file.config)?.status.file.ok_or_else(|| {
            Error::Usage("the file names no status file (`file` in `[status]`); --from names one".to_owned())
        })?,
    };
    std::fs::metadata(&path).map_err(Error::io(format!("read the status file {}", path.display())))?;
    let (state, now) = (State::read(&path), env.clock.now());
    let warnings = state.warnings(now);
    if output.is_json() {
        output.object(&json!({ "type": "status", "state": state, "warnings": warnings }))?;
    } else {
        print(&state, now, output)?;
        warnings.iter().try_for_each(|warning| output.summary(format_args!("warning: {}", text::message(warning))))?;
    }
    Ok(if warnings.is_empty() { Exit::Done } else { Exit::Incomplete })
}

fn print(state: &State, now: i64, output: &mut Output) -> Result<(), CliError> {
    let mut table = text::table(&["target", "last 48 runs", "last good", "next", "snapshots", "added"], &[4, 5]);
    for (name, target) in &state.targets {
        let ago = |time: i64| format!("{} ago", in_words(now - time));
        table.add_row([
            text::name(name.as_bytes()),
            history(target),
            target.last_good.map_or_else(|| "never".to_owned(), ago),
            target.next.map_or_else(|| "runs now".to_owned(), |next| in_words_until(next - now)),
            target.snapshots.to_string(),
            target.runs.back().map_or_else(String::new, |run| text::size(run.added)),
        ]);
    }
    output.table(&table)?;
    for (name, known) in &state.upkeep {
        let last = known.last.map_or_else(String::new, |last| format!("{} ago", in_words(now - last)));
        output.summary(format_args!("{name}: {last}: {}", text::message(&known.did)))?;
    }
    if let Some((_, stored, protected)) = state.growth.back() {
        output.summary(format_args!("{} stored for {} protected", text::size(*stored), text::size(*protected)))?;
    }
    let read =
        state.read_since.map_or_else(|| "not yet".to_owned(), |since| format!("within {}", in_words(now - since)));
    let drilled = state.drilled.map_or_else(|| "none yet".to_owned(), |time| format!("{} ago", in_words(now - time)));
    output.summary(format_args!("every byte was read: {read}; last proven drill: {drilled}"))
}

/// A sign for each run: its height says how much it added, `!` that it was not good, `x` that it failed.
fn history(target: &TargetState) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = target.runs.iter().map(|run| run.added).max().unwrap_or(0).max(1) as f64;
    let sign = |run: &crate::service::state::Run| match run.ending {
        Ending::Failed => 'x',
        Ending::Flawed => '!',
        Ending::Good => BARS[((run.added as f64 / most).sqrt() * 7.0).round() as usize % 8],
    };
    target.runs.iter().map(sign).collect()
}
