//! One run of a command in a container, from its start to the kubelet's verdict.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::spill::Spill;
use super::trailer::{KILLER, Nonce, WRAPPER};
use super::{PodCommand, Run};
use crate::env::Cancel;
use crate::k8s::Cluster;
use crate::k8s::exec::{ExecError, Output, Session, Target, Verdict};
use crate::source::SourceError;
use crate::source::last_lines::LastLines;

const CANCEL_POLL: Duration = Duration::from_millis(50);
/// How long a source waits for a slow repository before what it writes is spilled.
const PATIENCE: Duration = Duration::from_secs(1);
/// A repository that is slow is no reason for servers in between to give the connection up.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long a process that is not wanted any more is sought.
const KILL_WAIT: Duration = Duration::from_secs(10);

/// How a command's session ended.
pub(super) struct Ended {
    pub(super) target: Target,
    pub(super) verdict: Verdict,
    pub(super) stderr: Vec<String>,
    /// Bytes of standard output.
    pub(super) received: u64,
    /// True if it ran under the wrapper.
    pub(super) wrapped: bool,
}

/// Runs a command; what it writes goes into `spill`. Nothing of it runs any more when this has failed.
pub(super) fn run(
    run: &Run<'_>,
    nonce: &Nonce,
    spill: &Spill,
    plain: &AtomicBool,
    cancel: &Cancel,
) -> Result<Ended, SourceError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let cluster = Cluster::connect(run.place).await.map_err(ExecError::from)?;
        let target = cluster.find(run.pod).await.map_err(ExecError::from)?;
        let running = Running { run, cluster: &cluster, target: &target, nonce, spill, cancel };
        let line = run.command.line();
        let ended = running.to_the_end(&["sh", "-c", WRAPPER, &nonce.0, &line].map(str::to_owned)).await?;
        match run.command {
            PodCommand::Program(program) if has_no_shell(&ended) => {
                plain.store(true, Ordering::Release);
                Ok(Ended { wrapped: false, ..running.to_the_end(program).await? })
            }
            _ => Ok(ended),
        }
    })
}

/// True if nothing ran because there is no shell; the runtime's words for that.
fn has_no_shell(ended: &Ended) -> bool {
    ended.received == 0 && matches!(&ended.verdict, Verdict::Failure(words) if words.contains("exec: \"sh\""))
}

struct Running<'a> {
    run: &'a Run<'a>,
    cluster: &'a Cluster,
    target: &'a Target,
    nonce: &'a Nonce,
    spill: &'a Spill,
    cancel: &'a Cancel,
}

impl Running<'_> {
    async fn to_the_end(&self, argv: &[String]) -> Result<Ended, SourceError> {
        let mut session = match Session::start(self.cluster, self.target.clone(), argv).await {
            Err(ExecError::Cluster(error)) if error.may_be_done() => {
                self.try_to_kill().await;
                return Err(ExecError::from(error).into());
            }
            started => started?,
        };
        let mut stderr = LastLines::default();
        let limit = self.run.bounds.timeout;
        let ended = tokio::select! {
            ended = tokio::time::timeout(limit, self.pass_on(&mut session, &mut stderr)) => ended.ok(),
            () = cancelled(self.cancel) => Some(Err(io::Error::other("interrupted").into())),
        };
        let too_long = || ExecError::TooLong { target: self.target.clone(), received: session.received(), limit };
        match ended.unwrap_or_else(|| Err(too_long().into())) {
            Ok(verdict) => {
                let (target, stderr) = (self.target.clone(), stderr.finish());
                Ok(Ended { target, verdict, stderr, received: session.received(), wrapped: true })
            }
            Err(error) => {
                self.try_to_kill().await;
                Err(error)
            }
        }
    }

    /// Passes on what comes out of the command, to its end.
    async fn pass_on(&self, session: &mut Session, stderr: &mut LastLines) -> Result<Verdict, SourceError> {
        loop {
            match session.next(self.run.bounds.silence).await? {
                Output::Stdout(bytes) => self.write(session, &bytes).await?,
                Output::Stderr(bytes) => stderr.push(&bytes),
                Output::Ended(verdict) => return Ok(verdict),
            }
        }
    }

    /// Waits for the pipeline, and keeps the connection alive meanwhile.
    async fn write(&self, session: &mut Session, bytes: &Bytes) -> Result<(), SourceError> {
        if self.spill.write(bytes, true)? {
            return Ok(());
        }
        let mut wait = PATIENCE;
        loop {
            let waited = tokio::time::timeout(wait, self.spill.room()).await.is_err();
            if waited && wait > PATIENCE {
                session.ping().await?;
            }
            if self.spill.write(bytes, !waited)? {
                return Ok(());
            }
            if waited {
                wait = PING_EVERY;
            }
        }
    }

    /// Whoever cannot be reached any more ends by itself: its output has no reader.
    async fn try_to_kill(&self) {
        let _ = tokio::time::timeout(KILL_WAIT, self.kill()).await;
    }

    /// Ends a wrapper and everything that it started: it leads a process group, and its nonce is in its arguments.
    async fn kill(&self) -> Result<(), SourceError> {
        let argv = ["sh", "-c", KILLER, &self.nonce.0].map(str::to_owned);
        let mut session = Session::start(self.cluster, self.target.clone(), &argv).await?;
        while !matches!(session.next(KILL_WAIT).await?, Output::Ended(_)) {}
        Ok(())
    }
}

async fn cancelled(cancel: &Cancel) {
    while !cancel.is_cancelled() {
        tokio::time::sleep(CANCEL_POLL).await;
    }
}
