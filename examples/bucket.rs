//! Runs a stand-in for a bucket's servers, for trying sfarc out and for measurements.
//!
//! ```text
//! bucket --latency-ms 20 --port 9000
//! sfarc init --repo s3://bucket/backup --endpoint http://127.0.0.1:9000
//! ```

use std::error::Error;
use std::io::{Read, Write};
use std::time::Duration;

use clap::Parser;
use sfarc::testing::bucket::{Options, Server};

/// Runs a stand-in for a bucket's servers until its standard input ends.
#[derive(Parser)]
struct Cli {
    /// Added to each request, in milliseconds.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// The port; 0: any that is free.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

fn main() -> Result<(), Box<dyn Error>> {
    let cli = Cli::parse();
    let latency = Duration::from_millis(cli.latency_ms);
    let server = Server::start(Options { latency, port: cli.port, ..Options::default() })?;
    writeln!(std::io::stdout(), "{}", server.endpoint())?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
