//! Telling how much was asked of a bucket.

use std::io::Write;

use serde_json::{Map, Value, json};

use super::CliError;
use super::args::{Cli, Command};
use super::output::Output;
use super::text;
use crate::backend::traffic::{Request, Traffic};

/// Says how many requests a command has sent, if any.
pub(super) fn tell(cli: &Cli, output: &mut Output) -> Result<(), CliError> {
    let traffic = &cli.global.bucket.traffic;
    // What `cat` prints is data.
    if traffic.all() == 0 || matches!(cli.command, Command::Cat(_)) {
        return Ok(());
    }
    if output.is_json() {
        return output.object(&object(traffic));
    }
    if !cli.global.quiet {
        let (sent, received) = (text::size(traffic.sent()), text::size(traffic.received()));
        // Nobody is left to tell if standard error is gone.
        let _ = writeln!(std::io::stderr(), "requests: {traffic}; {sent} sent, {received} received");
    }
    Ok(())
}

fn object(traffic: &Traffic) -> Value {
    let requests: Map<String, Value> =
        Request::ALL.into_iter().map(|of| (of.word().to_owned(), traffic.requests(of).into())).collect();
    json!({ "type": "requests", "requests": requests, "sent_bytes": traffic.sent(), "received_bytes": traffic.received() })
}
