//! The command line: the only code that prints, and the composition root.

pub mod access;
pub mod args;
mod commands;
pub mod exit;
mod json;
mod keyfile;
mod output;
mod progress;
mod signals;
mod text;
mod traffic;

use std::ffi::OsString;
use std::io::Write;
use std::sync::Arc;

use clap::{CommandFactory, Parser};

use self::args::{Cli, Command, Key};
use self::exit::Exit;
use self::output::{CliError, Output};
use crate::env::Env;
use crate::error::{Category, chain};

/// Runs the program with these arguments in this world and says how it ended.
pub fn run(arguments: impl IntoIterator<Item = OsString>, env: Env) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap prints each where it belongs.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    // The loop has a meaning of its own for them.
    if !matches!(cli.command, Command::Run(_)) {
        signals::cancel_on_signals(&env.cancel);
    }
    let env = Env { observer: Arc::new(progress::Terminal::new(cli.global.quiet || cli.global.json)), ..env };
    let mut output = Output::new(cli.global.json, cli.global.quiet);
    let ended = dispatch(&cli, &env, &mut output);
    let told = traffic::tell(&cli, &mut output);
    let ended = ended.and_then(|exit| told.and_then(|()| output.flush()).map(|()| exit));
    match ended {
        Ok(exit) => exit,
        // Whoever read the output has gone: nothing more to say.
        Err(CliError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Failed,
        Err(error) => fail(&error, cli.global.json),
    }
}

fn fail(error: &CliError, json: bool) -> Exit {
    let exit = match error {
        CliError::Operation(error) => Exit::from(error.category()),
        CliError::Output(_) => Exit::Failed,
    };
    let text = match error {
        CliError::Operation(error) => chain(error),
        CliError::Output(_) => chain(error),
    };
    let line = if json { json::error(&text, exit) } else { format!("sfarc: {}{}", text::message(&text), hint(error)) };
    // Nobody is left to tell if standard error is gone.
    let _ = writeln!(std::io::stderr(), "{line}");
    exit
}

/// What to do next, where the error itself does not say.
fn hint(error: &CliError) -> &'static str {
    let CliError::Operation(error) = error else { return "" };
    match error.category() {
        Category::NoRepository => "\n  `sfarc init` makes one",
        Category::Damaged => {
            "\n  `sfarc check --read-data` tells what else is damaged; `sfarc repair --from PLACE` takes what is whole in a mirror or \
             copy"
        }
        _ => "",
    }
}

fn dispatch(cli: &Cli, env: &Env, output: &mut Output) -> Result<Exit, CliError> {
    let global = &cli.global;
    let open = || access::open(global, env);
    match &cli.command {
        Command::Init(args) => commands::init::run(args, global, env, output),
        Command::Snapshot(args) => commands::snapshot::run(args, global, env, output),
        Command::Import(args) => commands::import::run(args, global, env, output),
        Command::Plan(args) => commands::plan::run(args, output),
        Command::Doctor(args) => commands::doctor::run(args, global, env, output),
        Command::List(args) => commands::list::run(args, open, output),
        Command::Show(args) => commands::show::run(&args.id, &open()?, output),
        Command::Ls(args) => commands::ls::run(args, &open()?, output),
        Command::Restore(args) => commands::restore::run(args, &open()?, output),
        Command::Verify(args) => commands::verify::run(&args.id, &open()?, output),
        Command::Drill(args) => commands::drill::run(args, &open()?, output),
        Command::Cat(args) => commands::cat::run(args, &open()?),
        Command::Diff(args) => commands::diff::run(args, &open()?, output),
        Command::Check(args) => commands::check::run(args, open, output),
        Command::Repair(args) => commands::repair::run(args, global, env, output),
        Command::Run(args) => commands::run::run(args, global, env),
        Command::Status(args) => commands::status::run(args, env, output),
        Command::Config(args::Config::Check(file)) => commands::config::check(file, env, output),
        Command::Config(args::Config::Init { namespace, cr, context, kubeconfig }) => {
            let place = crate::k8s::Place { kubeconfig: kubeconfig.clone(), context: context.clone() };
            commands::config::init(namespace, cr.as_deref(), &place, output)
        }
        Command::Pin(args) => commands::pin::run(args, &open()?, output),
        Command::Forget(args) => commands::forget::run(args, &open()?, output),
        Command::Prune(args) => commands::prune::run(args, open, output),
        Command::Renew(args) => commands::renew::run(args, &open()?, output),
        Command::Copy(args) => commands::copy::run(args, global, env, output),
        Command::Mirror(args) => commands::mirror::run(args, global, env, output),
        Command::Key(Key::Add { new, label }) => commands::key::add(new, label, &open()?, output),
        Command::Key(Key::List) => commands::key::list(&open()?, output),
        Command::Key(Key::Remove { id }) => commands::key::remove(id, &open()?, output),
        Command::Key(Key::Change { new }) => commands::key::change(new, global, env, output),
        Command::Key(Key::Export { role, label }) => commands::key::export(*role, label, &open()?, output),
        Command::Audit(args) => commands::audit::run(args, &access::open_uncached(global, env)?, output),
        Command::Stats => commands::stats::run(&open()?, output),
        Command::Completions { shell } => commands::manual::completions(*shell, output),
        Command::Man { command } => commands::manual::man(command.as_deref(), output),
    }
}

/// The command line as clap knows it, for completions, manual pages and tests.
pub fn command() -> clap::Command {
    Cli::command()
}
