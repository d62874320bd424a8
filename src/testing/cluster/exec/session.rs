//! One exec session: a process at one end, a WebSocket at the other.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::task::JoinHandle;

use super::Socket;
use super::faults::Fault;
use super::input::Input;
use super::options::Options;
use super::output::{Next, Output, STDERR};
use super::process::{Process, why_not_started};
use super::protocol::Protocol;
use crate::testing::cluster::container::Container;
use crate::testing::cluster::mark::Mark;
use crate::testing::cluster::status::Status;

/// How long a session waits for the client's answer to its end.
const FAREWELL: Duration = Duration::from_secs(5);

/// The exit code of a killed process.
const KILLED: i32 = 137;

/// A session that is about to begin.
pub(super) struct Session {
    pub(super) options: Options,
    pub(super) protocol: Protocol,
    pub(super) fault: Option<Fault>,
    pub(super) container: Container,
    pub(super) mark: Mark,
    /// The runtime's name for it.
    pub(super) id: String,
}

impl Session {
    pub(super) async fn run(self, socket: Socket) {
        let (sink, frames) = socket.split();
        let mut output = Output::new(sink, self.protocol, self.fault);
        let greeted = output.greet(self.options.stdout, self.options.stderr).await;
        match Process::start(&self.options, &self.container, &self.mark) {
            Ok(mut process) => {
                let input = Input::new(process.stdin.take(), self.protocol, self.fault);
                let mut input = tokio::spawn(input.run(frames));
                let next = match greeted {
                    Next::Go => self.pass(&mut process, &mut output, &mut input).await,
                    next => next,
                };
                self.end(next, process, output, input).await;
            }
            Err(error) => {
                let why = why_not_started(&error, &self.options.command[0]);
                let input = tokio::spawn(Input::new(None, self.protocol, None).run(frames));
                finish(output, Some(&self.protocol.not_started(&self.id, &why)), input).await;
            }
        }
    }

    /// Passes the process's output on until it ends, or something happens.
    async fn pass(&self, process: &mut Process, output: &mut Output, input: &mut JoinHandle<()>) -> Next {
        let mut noise = self.noise();
        loop {
            let next = tokio::select! {
                written = process.written.recv() => match written {
                    Some((channel, bytes)) => output.pass(channel, bytes).await,
                    None if noise.is_none() => return Next::Go,
                    // Endless: the session outlives its process.
                    None => output.pass(STDERR, tick(&mut noise).await).await,
                },
                bytes = tick(&mut noise) => output.pass(STDERR, bytes).await,
                _ = &mut *input => Next::Gone,
            };
            if next != Next::Go {
                return next;
            }
        }
    }

    fn noise(&self) -> Option<tokio::time::Interval> {
        let endless = self.fault == Some(Fault::EndlessStderr) && self.options.stderr;
        endless.then(|| tokio::time::interval(Duration::from_millis(1)))
    }

    async fn end(&self, next: Next, mut process: Process, output: Output, input: JoinHandle<()>) {
        match (next, self.fault) {
            (Next::Go, _) => {
                let status = self.protocol.exit(process.exit_code().await, &self.options.command);
                finish(output, Some(&status), input).await;
            }
            (Next::Strike, Some(Fault::CutThenSuccess(_))) => {
                process.kill();
                finish(output, Some(&Status::exec_success()), input).await;
            }
            (Next::Strike, Some(Fault::CutWithoutStatus(_))) => {
                process.kill();
                finish(output, None, input).await;
            }
            (Next::Strike, Some(Fault::Kill(_))) => {
                process.kill();
                finish(output, Some(&self.protocol.exit(KILLED, &self.options.command)), input).await;
            }
            (Next::Gone, Some(Fault::KillInput(_))) => process.kill(),
            (Next::Strike, Some(Fault::Stall(_))) => {
                let _ = input.await;
                abandon(process, output).await;
            }
            _ => {
                input.abort();
                abandon(process, output).await;
            }
        }
    }
}

/// The next bytes of an endless standard error, or never any.
async fn tick(noise: &mut Option<tokio::time::Interval>) -> Bytes {
    match noise {
        Some(interval) => {
            interval.tick().await;
            Bytes::from_static(b"warning: nobody stops this\n")
        }
        None => std::future::pending().await,
    }
}

/// Ends a session in due form: the status, the closing frame, and then the client has the last word.
async fn finish(mut output: Output, status: Option<&Status>, input: JoinHandle<()>) {
    let gone = match status {
        Some(status) => output.status(status).await == Next::Gone,
        None => false,
    };
    if !gone {
        output.close().await;
        // A client that does not answer is left alone.
        let _ = tokio::time::timeout(FAREWELL, input).await;
    }
}

/// A process whose client is gone stays: nobody reads what it writes, its standard input has ended, and nothing
/// kills it. So it is in a cluster.
async fn abandon(mut process: Process, output: Output) {
    drop(output);
    process.exit_code().await;
}
