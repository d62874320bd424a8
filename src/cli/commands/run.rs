//! `sfarc run`

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::capture;
use crate::cli::args::{self, Global, Log};
use crate::cli::exit::Exit;
use crate::cli::output::CliError;
use crate::cli::{access, signals, text};
use crate::config::{Config, Target};
use crate::engine::snapshot::Input;
use crate::env::Env;
use crate::error::Error;
use crate::event::NullObserver;
use crate::k8s::default_namespace;
use crate::plan::PlanError;
use crate::repo::session::host_name;
use crate::service::state::Run;
use crate::service::{Happening, Level, Service, World, http};

pub(in crate::cli) fn run(args: &args::Run, global: &Global, env: &Env) -> Result<Exit, CliError> {
    let config = read(args)?;
    let (listen, has_page) = (config.status.listen, config.status.page);
    let signals = signals::for_service(&env.cancel);
    let service = Arc::new(Service::new(config, world(args, global, env)));
    if args.once {
        let failed = service.run_once();
        return Ok(if failed.is_empty() { Exit::Done } else { Exit::Failed });
    }
    let log = args.log;
    if let Some(address) = listen {
        let failed = Error::io(format!("listen at {address}"));
        let address = http::serve(Arc::clone(&service), address, has_page).map_err(failed)?;
        say(log, env, &told(Level::Info, &format!("listening at {address}")));
    }
    service.run(&signals);
    say(log, env, &told(Level::Info, "ended"));
    Ok(Exit::Done)
}

fn told(level: Level, text: &str) -> Happening {
    Happening { level, of: String::new(), text: text.to_owned(), run: None }
}

fn read(args: &args::Run) -> Result<Config, CliError> {
    let mut config = Config::read(&args.file.config)?;
    config.status.listen = args.listen.or(config.status.listen);
    Ok(config)
}

fn world(args: &args::Run, global: &Global, env: &Env) -> World {
    // Nobody looks on: progress is for terminals.
    let env = Env { observer: Arc::new(NullObserver), ..env.clone() };
    let (global, file, log, listen) = (global.clone(), args.file.clone(), args.log, args.listen);
    let clock = env.clone();
    World {
        open: Box::new(move |config, env| access::open(&access::or_configured(&global, &config.repository), env)),
        inputs: Box::new(inputs),
        reload: Box::new(move || {
            let mut config = Config::read(&file.config).map_err(|error| crate::error::chain(&error))?;
            config.status.listen = listen.or(config.status.listen);
            Ok(config)
        }),
        tell: Box::new(move |happening| say(log, &clock, happening)),
        host: host_name(),
        env,
        grace: Duration::from_secs(args.grace),
    }
}

/// What a target consists of: asks its cluster.
fn inputs(target: &Target) -> Result<Vec<Input>, Error> {
    let namespace = match &target.plan.namespace {
        Some(namespace) => namespace.clone(),
        None => default_namespace(&target.place).map_err(|error| Error::Plan(PlanError::Cluster(error)))?,
    };
    let plan = target.plan.plan(&target.place, &namespace)?;
    Ok(capture::streams(&target.place, plan).collect())
}

/// Writes one line to standard error. Nobody is left to tell if that is gone.
fn say(log: Log, env: &Env, happening: &Happening) {
    let Happening { level, of, text, run } = happening;
    let level = level.word();
    let time = text::utc_time(env.clock.now() / 1_000_000 * 1_000_000);
    let line = match log {
        Log::Json => {
            json!({ "time": time, "level": level, "of": of, "text": text, "run": run.as_ref().map(described) })
                .to_string()
        }
        Log::Text => {
            let of = if of.is_empty() { String::new() } else { format!("{of}: ") };
            format!("{time} {level:7} {of}{}", text::message(text).replace('\n', " | "))
        }
    };
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

fn described(run: &Run) -> serde_json::Value {
    serde_json::to_value(run).unwrap_or_default()
}
