//! Streams from commands in containers, each proven to have arrived whole (docs/decisions/0009).

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::last_lines::LastLines;
use super::trailer::{End, KILLER, Nonce, Tail, WRAPPER};
use super::{SourceError, Verdict};
use crate::env::Cancel;
use crate::format::manifest::Proof;
use crate::k8s::exec::{self, Output, Session, Target};
use crate::k8s::{Cluster, Place};
use crate::pipeline::lanes::Lanes;

/// Pieces between the connection and the pipeline: at most 32 KiB each.
const PIECES: usize = 128;
const CANCEL_POLL: Duration = Duration::from_millis(50);
/// A repository that is slow is no reason for servers in between to give the connection up.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long a process that is not wanted any more is sought.
const KILL_WAIT: Duration = Duration::from_secs(10);

/// A command in a container.
#[derive(Debug, Clone)]
pub struct PodCommand {
    /// The cluster.
    pub place: Place,
    /// Where in it.
    pub target: Target,
    /// The command, for the container's shell.
    pub command: String,
    /// How long it may be silent.
    pub silence: Duration,
    /// The least proof that is good enough.
    pub min_proof: Proof,
}

/// How a command's session ended.
struct Ended {
    target: Target,
    verdict: exec::Verdict,
    stderr: Vec<String>,
}

/// Runs a command in a container and takes its standard output. `random` is made up for this run.
pub fn run(command: &PodCommand, random: [u8; 16], lanes: &mut Lanes, cancel: &Cancel) -> Result<Verdict, SourceError> {
    let nonce = Nonce::new(random);
    let (sender, receiver) = channel(PIECES);
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("exec".to_owned());
        let session = thread.spawn_scoped(scope, || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(pump(command, &nonce, sender, cancel))
        })?;
        let mut tail = Tail::new();
        let written = receive(receiver, &mut tail, lanes);
        let ended = session.join().expect("sessions do not panic");
        // Where writing failed, the session ended for that reason.
        written?;
        let ended = ended?;
        let end = match &ended.verdict {
            exec::Verdict::Success => tail.finish(&nonce, |part| Ok(lanes.write(0, part)?)),
            other => Err(failed(&ended, &describe(other))),
        };
        let end = end.map_err(|error| name(error, &ended.target))?;
        judge(command, &ended, end)
    })
}

fn receive(mut receiver: Receiver<Bytes>, tail: &mut Tail, lanes: &mut Lanes) -> io::Result<()> {
    while let Some(piece) = receiver.blocking_recv() {
        tail.push(&piece, |part| lanes.write(0, part))?;
    }
    Ok(())
}

fn judge(command: &PodCommand, ended: &Ended, end: End) -> Result<Verdict, SourceError> {
    if end.exit != 0 {
        return Err(failed(ended, &format!("failed with exit code {}", end.exit)));
    }
    let proof = if end.digested { Proof::P2 } else { Proof::P1 };
    if proof < command.min_proof {
        return Err(failed(ended, "cannot be proven by a digest: its container has no sha256sum"));
    }
    Ok(Verdict::proven(proof))
}

fn failed(ended: &Ended, how: &str) -> SourceError {
    SourceError::Exec { target: ended.target.to_string(), how: how.to_owned(), stderr: ended.stderr.clone() }
}

fn describe(verdict: &exec::Verdict) -> String {
    match verdict {
        exec::Verdict::Success => "succeeded".to_owned(),
        exec::Verdict::ExitCode(code) => format!("was ended with exit code {code}"),
        exec::Verdict::Failure(words) => format!("could not be run: {words}"),
    }
}

fn name(error: SourceError, target: &Target) -> SourceError {
    match error {
        SourceError::Trailer { source, .. } => SourceError::Trailer { target: target.to_string(), source },
        other => other,
    }
}

/// Passes on what comes out of the command, to its end.
async fn pump(command: &PodCommand, nonce: &Nonce, to: Sender<Bytes>, cancel: &Cancel) -> Result<Ended, SourceError> {
    let cluster = Cluster::connect(&command.place).await.map_err(exec::ExecError::from)?;
    let target = command.target.clone();
    let argv = ["sh", "-c", WRAPPER, &nonce.0, &command.command].map(str::to_owned);
    let mut session = Session::start(&cluster, target.clone(), &argv).await?;
    let mut stderr = LastLines::default();
    let ended = tokio::select! {
        ended = pass_on(&mut session, command.silence, &to, &mut stderr) => ended,
        () = cancelled(cancel) => Err(io::Error::other("interrupted").into()),
    };
    match ended {
        Ok(verdict) => Ok(Ended { target, verdict, stderr: stderr.finish() }),
        Err(error) => {
            // Whoever cannot be reached any more ends by itself: its output has no reader.
            let _ = tokio::time::timeout(KILL_WAIT, kill(&cluster, target, nonce)).await;
            Err(error)
        }
    }
}

async fn pass_on(
    session: &mut Session,
    silence: Duration,
    to: &Sender<Bytes>,
    stderr: &mut LastLines,
) -> Result<exec::Verdict, SourceError> {
    loop {
        match session.next(silence).await? {
            Output::Stdout(bytes) => send(session, to, bytes).await?,
            Output::Stderr(bytes) => stderr.push(&bytes),
            Output::Ended(verdict) => return Ok(verdict),
        }
    }
}

/// Waits for the pipeline, and keeps the connection alive meanwhile.
async fn send(session: &mut Session, to: &Sender<Bytes>, bytes: Bytes) -> Result<(), SourceError> {
    loop {
        match tokio::time::timeout(PING_EVERY, to.reserve()).await {
            Ok(Ok(place)) => {
                place.send(bytes);
                return Ok(());
            }
            // The pipeline says itself why it takes no more.
            Ok(Err(_)) => return Err(io::Error::other("the repository takes no more").into()),
            Err(_) => session.ping().await?,
        }
    }
}

async fn cancelled(cancel: &Cancel) {
    while !cancel.is_cancelled() {
        tokio::time::sleep(CANCEL_POLL).await;
    }
}

/// Ends a wrapper and everything that it started: it leads a process group, and its nonce is in its arguments.
async fn kill(cluster: &Cluster, target: Target, nonce: &Nonce) -> Result<(), SourceError> {
    let argv = ["sh", "-c", KILLER, &nonce.0].map(str::to_owned);
    let mut session = Session::start(cluster, target, &argv).await?;
    while !matches!(session.next(KILL_WAIT).await?, Output::Ended(_)) {}
    Ok(())
}
