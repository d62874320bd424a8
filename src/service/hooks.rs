//! Commands of this machine around a run, and messages to a URL.

use std::sync::Arc;
use std::time::Duration;

use super::plain::PlainText;
use crate::env::{Cancel, Env};
use crate::error::Error;
use crate::process::Environment;
use crate::source::pod::PodCommand;
use crate::target::TargetError;
use crate::target::local::LocalShell;
use crate::target::shell::Shell;

/// A hook that takes longer is ended.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs a hook; these variables tell it what happened. It has the environment of any command of the user besides.
pub(super) fn run(
    name: &str,
    line: &str,
    variables: impl IntoIterator<Item = (&'static str, PlainText)>,
    env: &Env,
    cancel: &Cancel,
) -> Result<(), Error> {
    let environment = variables
        .into_iter()
        .fold(Environment::for_command(), |environment, (name, value)| environment.with(name, value));
    let env = Env { cancel: cancel.clone(), ..env.clone() };
    let shell = LocalShell { env: &env, environment };
    let ran = shell.ask(&PodCommand::Shell(line.to_owned()), LIMIT);
    ran.map(drop).map_err(|error: TargetError| Error::target(format!("run the hook `{name}`"), error))
}

/// Posts JSON to a URL. What comes back is of no interest, but that it was taken.
pub(super) fn post(url: &str, body: &str) -> Result<(), String> {
    const LIMIT: Duration = Duration::from_secs(20);
    let tls = ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build();
    let agent = ureq::Agent::config_builder().timeout_global(Some(LIMIT)).tls_config(tls).build().new_agent();
    let sent = agent.post(url).header("Content-Type", "application/json").send(body);
    // The URL may be a secret: an error must not quote it.
    sent.map(drop).map_err(|error| error.to_string().replace(url, "the webhook"))
}
