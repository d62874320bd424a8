//! `sfarc run`

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::capture;
use super::config::prove;
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
use crate::schedule::When;
use crate::service::state::Run;
use crate::service::{Happening, Level, Service, World, http};

pub(in crate::cli) fn run(args: &args::Run, global: &Global, env: &Env) -> Result<Exit, CliError> {
    let config = read(args)?;
    let (listen, has_page) = (config.status.listen, config.status.page);
    let signals = signals::for_service(&env.cancel);
    let service = Arc::new(Service::new(config, world(args, global, env)));
    if args.once {
        let ended = service.run_once();
        if ended.is_damaged {
            return Ok(Exit::Damaged);
        }
        return Ok(match (ended.failed.is_empty(), ended.flawed.is_empty()) {
            (true, true) => Exit::Done,
            (true, false) => Exit::Incomplete,
            (false, _) => Exit::Failed,
        });
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

/// The file, and what the command line and the environment say instead.
fn read(args: &args::Run) -> Result<Config, Error> {
    let mut config = Config::read(&args.file.config)?;
    prove(&config)?;
    if let Some(every) = &args.every {
        let every = text::parse_span(every)?;
        config.targets.iter_mut().for_each(|target| target.schedule.when = When::Every(every));
    }
    config.parallel = args.parallel.map_or(config.parallel, NonZeroUsize::get);
    let status = &mut config.status;
    status.listen = args.listen.or(status.listen);
    status.page |= args.page;
    status.file = args.status_file.clone().or(status.file.take());
    status.textfile = args.textfile.clone().or(status.textfile.take());
    if let Some(path) = &args.webhook_file {
        status.webhook = Some(crate::config::read_webhook(path)?);
    }
    Ok(config)
}

fn world(args: &args::Run, global: &Global, env: &Env) -> World {
    // Nobody looks on: progress is for terminals.
    let env = Env { observer: Arc::new(NullObserver), ..env.clone() };
    let (global, args, log) = (global.clone(), args.clone(), args.log);
    let clock = env.clone();
    World {
        open: Box::new(move |config, env| access::open(&access::or_configured(&global, &config.repository), env)),
        inputs: Box::new(inputs),
        grace: Duration::from_secs(args.grace),
        reload: Box::new(move || read(&args).map_err(|error| crate::error::chain(&error))),
        tell: Arc::new(move |happening| say(log, &clock, happening)),
        host: host_name(),
        env,
    }
}

/// What a target consists of: asks its cluster, if it is in one.
fn inputs(target: &Target) -> Result<Vec<Input>, Error> {
    let mut inputs = target.plan.here()?;
    if !target.plan.needs_cluster() {
        return Ok(inputs);
    }
    let namespace = match &target.plan.namespace {
        Some(namespace) => namespace.clone(),
        None => default_namespace(&target.place).map_err(|error| Error::Plan(PlanError::Cluster(error)))?,
    };
    let plan = target.plan.plan(&target.place, &namespace)?;
    inputs.extend(capture::streams(&target.place, plan));
    Ok(inputs)
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
