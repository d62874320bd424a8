//! Streams from commands in containers, each proven to have arrived whole (docs/decisions/0009).
//!
//! | file | what it knows |
//! |---|---|
//! | `wrapper.sh`, `trailer.rs` | the trailer that proves a stream: made in the container, compared here |
//! | `session.rs` | the connection: one run of a command, what comes out of it, its end |
//! | `spill.rs`, `arriving.rs` | the way from the connection to whoever takes the stream |
//! | `killer.sh` | what ends a command that nobody listens to any more |

mod arriving;
mod session;
mod spill;
mod trailer;

pub use arriving::Arriving;
pub use trailer::TrailerError;
pub(crate) use trailer::{KILLER, Nonce, Passed, Words};

use std::io;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use self::session::Ended;
use self::spill::Spill;
use self::trailer::End;
use super::SourceError;
use crate::env::Cancel;
use crate::format::manifest::Proof;
use crate::k8s::exec::{ExecError, Target};
use crate::k8s::{Place, PodPlace, exec};

/// Runs a command that writes little and takes its output, proven like any other.
pub fn ask(run: &Run<'_>, limit: Duration, random: &[u8; 48], cancel: &Cancel) -> Result<Vec<u8>, SourceError> {
    use std::io::Read;
    /// What is asked for is some lines of text.
    const MOST: usize = 16 << 20;
    let bounds = Bounds { timeout: limit, ..run.bounds.clone() };
    let run = Run { bounds: &bounds, ..run.clone() };
    let ((bytes, more), _) = self::run(&run, random, cancel, |arriving| {
        let mut bytes = Vec::new();
        arriving.by_ref().take(MOST as u64).read_to_end(&mut bytes)?;
        Ok((bytes, arriving.read(&mut [0])? > 0))
    })?;
    if more {
        let target = Target {
            namespace: run.pod.namespace.clone(),
            pod: run.pod.pod.to_string(),
            container: run.pod.container.clone(),
        };
        return Err(ExecError::TooMuch { target, limit: MOST }.into());
    }
    Ok(bytes)
}

/// What runs in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodCommand {
    /// A command for the container's shell.
    Shell(String),
    /// A program and its arguments; needs no shell, but without one there is little proof.
    Program(Vec<String>),
}

impl PodCommand {
    /// A script for `sh`, with arguments.
    pub fn script(script: &str, arguments: &[&str]) -> Self {
        let words = ["sh", "-c", script, "sh"].into_iter().chain(arguments.iter().copied());
        Self::Program(words.map(str::to_owned).collect())
    }

    /// As a line for a shell.
    pub fn line(&self) -> String {
        match self {
            Self::Shell(line) => line.clone(),
            Self::Program(words) => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
        }
    }
}

fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:,@%+".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// How long, how much and how well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// How long a command may be silent.
    pub silence: Duration,
    /// How long it may take.
    pub timeout: Duration,
    /// How often it is tried where the reason of a failure passes.
    pub attempts: u32,
    /// The pause after the first attempt; it doubles with each.
    pub pause: Duration,
    /// Bytes of temporary file for what the repository does not take in time.
    pub spill: u64,
    /// The least proof that is good enough.
    pub min_proof: Proof,
}

impl Default for Bounds {
    fn default() -> Self {
        let (silence, timeout) = (Duration::from_secs(3600), Duration::from_secs(24 * 3600));
        let pause = Duration::from_secs(1);
        Self { silence, timeout, attempts: 3, pause, spill: 1 << 30, min_proof: Proof::P2 }
    }
}

/// A command in a container.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    /// The cluster.
    pub place: &'a Place,
    /// Where in it.
    pub pod: &'a PodPlace,
    /// The command.
    pub command: &'a PodCommand,
    /// Its bounds.
    pub bounds: &'a Bounds,
    /// Exit codes other than 0 that are no failure.
    pub tolerated: &'a [i32],
}

/// How a command ended whose output is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// How well that is proven.
    pub proof: Proof,
    /// Its exit code: 0, or one that is tolerated.
    pub exit: i32,
    /// The end of what it wrote to standard error.
    pub stderr: Vec<String>,
}

/// Runs a command and lets `consume` take its standard output, which is believed only when this returns.
///
/// `random` is made up for this run: 16 bytes to know its trailer by, 32 for the key of what is spilled.
pub fn run<T>(
    run: &Run<'_>,
    random: &[u8; 48],
    cancel: &Cancel,
    consume: impl FnOnce(&mut Arriving<'_>) -> Result<T, SourceError>,
) -> Result<(T, Whole), SourceError> {
    let nonce = Nonce::new(*random.first_chunk().expect("it is longer"));
    let spill = Spill::new(run.bounds.spill, random.last_chunk().expect("it is longer"));
    let plain = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("exec".to_owned());
        let session = thread.spawn_scoped(scope, || {
            let _end = spill.ended_by_drop();
            session::run(run, &nonce, &spill, &plain, cancel)
        })?;
        let close = spill.closed_by_drop();
        let mut arriving = Arriving::new(&spill, &nonce, &plain);
        let consumed = consume(&mut arriving);
        // What is wrong with the content may be so because bytes got lost: only the trailer tells.
        let consumed = arriving.drain().and(consumed);
        drop(close);
        let lost = |_| Err(io::Error::other("the thread of the session panicked").into());
        match (session.join().unwrap_or_else(lost), consumed) {
            // Nobody took what came: why is for the consumer to say.
            (Err(SourceError::Unwanted), Err(error)) => Err(error),
            (ended, consumed) => {
                let ended = ended?;
                let whole = judge(run, &ended, arriving.end)?;
                Ok((consumed?, whole))
            }
        }
    })
}

fn judge(run: &Run<'_>, ended: &Ended, end: Option<Result<End, TrailerError>>) -> Result<Whole, SourceError> {
    let target = || ended.target.to_string();
    let failed = |how: String, received, killed| SourceError::Exec {
        target: target(),
        how,
        received,
        killed,
        stderr: ended.stderr.clone(),
    };
    if let Some(how) = describe(&ended.verdict) {
        return Err(failed(how, ended.received, is_kill(&ended.verdict)));
    }
    let received = ended.received;
    let end = match end {
        Some(end) => end,
        None if ended.wrapped => Err(TrailerError::Missing { received }),
        None => Ok(End { exit: 0, received, proof: Proof::P0 }),
    };
    let end = end.map_err(|source| SourceError::Trailer { target: target(), source })?;
    if end.exit != 0 && !run.tolerated.contains(&end.exit) {
        let how = format!("failed with exit code {}", end.exit);
        return Err(failed(how, end.received, KILLED.contains(&end.exit)));
    }
    let wanted = run.bounds.min_proof.min(Proof::P2);
    if end.proof < wanted {
        let lacks = match (ended.wrapped, end.proof) {
            (false, _) => "its container has no `sh`",
            (true, Proof::P0) => "its container has no `tee`, or nothing to count with such as `wc`",
            (true, _) => "its container has neither `openssl` nor `sha256sum`",
        };
        return Err(SourceError::Unproven { target: target(), reached: end.proof, wanted, lacks });
    }
    Ok(Whole { proof: end.proof, exit: end.exit, stderr: ended.stderr.clone() })
}

/// Exit codes of what was killed (SIGKILL) or told to end (SIGTERM).
const KILLED: [i32; 2] = [137, 143];

fn is_kill(verdict: &exec::Verdict) -> bool {
    matches!(verdict, exec::Verdict::ExitCode(code) if KILLED.contains(code))
}

/// How a command did not end well.
pub(crate) fn describe(verdict: &exec::Verdict) -> Option<String> {
    match verdict {
        exec::Verdict::Success => None,
        exec::Verdict::ExitCode(code) => Some(format!("was ended with exit code {code}")),
        exec::Verdict::Failure(words) => Some(format!("could not be run: {words}")),
    }
}
