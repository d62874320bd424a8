//! Bytes into a command in a container.
//!
//! The length goes first, so that the end of the input needs no word of its own: servers that speak v4 of the protocol
//! have none for it. The container counts or digests what the command got, and says so when the command has ended.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::TargetError;
use crate::env::Cancel;
use crate::k8s::exec::{ExecError, Input, Output, Session, Target, Verdict};
use crate::k8s::{Cluster, Place, PodPlace};
use crate::source::command::cancelled;
use crate::source::last_lines::LastLines;
use crate::source::pod::{KILLER, Nonce, Passed, Words, describe};

const RECEIVER: &str = include_str!("receiver.sh");

/// Bytes of one frame.
const FRAME: usize = 64 << 10;
/// Frames that wait for the connection.
const AHEAD: usize = 32;
/// Bytes that the container acknowledges by one dot.
const BLOCK: u64 = 4 << 20;
/// Bytes of output that are kept: its end is the last acknowledgement.
const MOST: usize = 4 << 10;
const PING_EVERY: Duration = Duration::from_secs(20);
const KILL_WAIT: Duration = Duration::from_secs(10);
/// How long the end of a command is waited for whose input is closed.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A command that takes a stream.
#[derive(Debug, Clone)]
pub struct Feed<'a> {
    /// The cluster.
    pub place: &'a Place,
    /// Where in it.
    pub pod: &'a PodPlace,
    /// The command, for the container's shell; its input ends with the stream.
    pub line: String,
    /// Bytes of the stream.
    pub len: u64,
    /// How long it may take.
    pub patience: Patience,
}

/// How long is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long the container may not acknowledge anything, while there is something to acknowledge.
    pub silence: Duration,
    /// How long the whole may take.
    pub limit: Duration,
}

/// The command takes nothing any more; why is known when [`feed`] returns.
#[derive(Debug, thiserror::Error)]
#[error("the command takes no more")]
pub struct Closed;

/// Takes the bytes of the stream.
pub struct Sender {
    frames: mpsc::Sender<Bytes>,
    digest: Context,
    sent: u64,
    closed: bool,
}

impl Sender {
    /// Sends the next bytes.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Closed> {
        self.digest.update(bytes);
        self.sent += bytes.len() as u64;
        for frame in bytes.chunks(FRAME) {
            if self.frames.blocking_send(Bytes::copy_from_slice(frame)).is_err() {
                self.closed = true;
                return Err(Closed);
            }
        }
        Ok(())
    }
}

/// Why a stream did not get where it was to go.
#[derive(Debug)]
pub enum FeedError<E> {
    /// Whoever gives the bytes failed.
    Giver(E),
    /// Whoever takes them did.
    Taker(TargetError),
}

/// Starts a command and gives it what `give` sends. When this returns, the command has ended with success and has got
/// every byte; or nothing of it runs any more.
pub fn feed<E: Send>(
    feed: &Feed<'_>,
    random: [u8; 16],
    cancel: &Cancel,
    give: impl FnOnce(&mut Sender) -> Result<(), E>,
) -> Result<(), FeedError<E>> {
    let nonce = Nonce::new(random);
    let take = |queue| run(feed, &nonce, queue, cancel);
    beside(give, take, |ended, sent, digest| judge(&ended, &nonce, sent, digest))
}

/// Runs `give` here and `take` beside it, with a queue between; `judge` compares what was taken with the number of
/// bytes that were sent and their digest.
pub(super) fn beside<T: Send, E>(
    give: impl FnOnce(&mut Sender) -> Result<(), E>,
    take: impl FnOnce(mpsc::Receiver<Bytes>) -> Result<T, TargetError> + Send,
    judge: impl FnOnce(T, u64, &[u8]) -> Result<(), TargetError>,
) -> Result<(), FeedError<E>> {
    let (frames, queue) = mpsc::channel(AHEAD);
    let mut sender = Sender { frames, digest: Context::new(&SHA256), sent: 0, closed: false };
    let (given, sender, taken) = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("feed".to_owned());
        let taking = thread.spawn_scoped(scope, || take(queue));
        let taking = taking.map_err(|error| FeedError::Taker(error.into()))?;
        let given = give(&mut sender);
        let Sender { frames, digest, sent, closed } = sender;
        drop(frames);
        let taken = taking.join().expect("whoever takes does not panic");
        Ok((given, (digest, sent, closed), taken))
    })?;
    let (digest, sent, closed) = sender;
    match given {
        Err(error) if !closed => Err(FeedError::Giver(error)),
        given => {
            let judged = taken.and_then(|taken| judge(taken, sent, digest.finish().as_ref()));
            judged.map_err(FeedError::Taker)?;
            given.map_err(FeedError::Giver)
        }
    }
}

struct Ended {
    target: Target,
    verdict: Verdict,
    stdout: Vec<u8>,
    stderr: Vec<String>,
}

/// What the container says must be what was sent.
fn judge(ended: &Ended, nonce: &Nonce, sent: u64, digest: &[u8]) -> Result<(), TargetError> {
    let target = ended.target.to_string();
    let failed = |how: String| TargetError::Failed { target: target.clone(), how, sent, stderr: ended.stderr.clone() };
    let Some(words) = Words::at_end(&ended.stdout, nonce) else {
        let how = describe(&ended.verdict);
        return Err(failed(how.unwrap_or_else(|| "ended without a word on what it got".to_owned())));
    };
    if words.exit != 0 {
        return Err(failed(format!("ended with exit code {}", words.exit)));
    }
    let why = match words.passed {
        Passed::Digested(got) if got[..] == *digest => return Ok(()),
        Passed::Counted(got) if got == sent => return Ok(()),
        Passed::Counted(got) => format!("{got} bytes of {sent}"),
        Passed::Digested(_) => format!("the digest of what it got is not that of the {sent} bytes that were sent"),
        Passed::Doubtful { helper, exit } => format!("`{helper}` there ended with exit code {exit}"),
        Passed::Unseen => "nobody there has counted what it got".to_owned(),
    };
    Err(TargetError::NotWhole { target, why })
}

fn run(feed: &Feed<'_>, nonce: &Nonce, queue: mpsc::Receiver<Bytes>, cancel: &Cancel) -> Result<Ended, TargetError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let cluster = Cluster::connect(feed.place).await?;
        let target = cluster.find(feed.pod).await?;
        let (len, block) = (feed.len.to_string(), BLOCK.to_string());
        let argv = ["sh", "-c", RECEIVER, &nonce.0, &feed.line, &len, &block].map(str::to_owned);
        let ended = match Session::start_with_input(&cluster, target.clone(), &argv).await {
            Ok((session, input)) => {
                tokio::select! {
                    ended = pass_on(session, input, queue, feed) => ended,
                    () = cancelled(cancel) => Err(TargetError::Interrupted),
                }
            }
            Err(error) => Err(error.into()),
        };
        if ended.is_err() {
            let _ = timeout(KILL_WAIT, kill(&cluster, &target, nonce)).await;
        }
        ended
    })
}

async fn pass_on(
    mut session: Session,
    input: Input,
    queue: mpsc::Receiver<Bytes>,
    feed: &Feed<'_>,
) -> Result<Ended, TargetError> {
    let target = session.target().clone();
    let (mut stdout, mut stderr) = (Vec::new(), LastLines::default());
    let ended = {
        let receiving = receive(&mut session, &mut stdout, &mut stderr, feed);
        let sending = send(&input, queue, feed.len);
        tokio::pin!(receiving);
        tokio::select! {
            verdict = &mut receiving => verdict,
            error = sending => timeout(LAST_WORDS, receiving).await.unwrap_or(Err(error)),
            () = sleep(feed.patience.limit) => Err(ExecError::TooLong { target: target.clone(), received: 0, limit: feed.patience.limit }),
        }
    };
    match ended {
        Ok(verdict) => Ok(Ended { target, verdict, stdout, stderr: stderr.finish() }),
        Err(error) => Err(error.into()),
    }
}

/// Sends what comes, and shows then that somebody still waits. Ends only because of an error.
async fn send(input: &Input, mut queue: mpsc::Receiver<Bytes>, len: u64) -> ExecError {
    let mut sent = 0;
    while let Some(frame) = queue.recv().await {
        if let Err(error) = input.send(&frame).await {
            return error;
        }
        sent += frame.len() as u64;
    }
    if sent < len {
        return ExecError::Abandoned { sent, len };
    }
    loop {
        sleep(PING_EVERY).await;
        if let Err(error) = input.ping().await {
            return error;
        }
    }
}

async fn receive(
    session: &mut Session,
    stdout: &mut Vec<u8>,
    stderr: &mut LastLines,
    feed: &Feed<'_>,
) -> Result<Verdict, ExecError> {
    let mut blocks = feed.len.div_ceil(BLOCK);
    loop {
        // When all has passed, the command may take its time to end.
        let patience = if blocks > 0 { feed.patience.silence.min(feed.patience.limit) } else { feed.patience.limit };
        match session.next(patience).await? {
            Output::Stdout(bytes) => {
                let dots = bytes.iter().take_while(|&&byte| byte == b'.').count();
                blocks = blocks.saturating_sub(dots as u64);
                stdout.extend_from_slice(&bytes[dots..]);
                stdout.drain(..stdout.len().saturating_sub(MOST));
            }
            Output::Stderr(bytes) => stderr.push(&bytes),
            Output::Ended(verdict) => return Ok(verdict),
        }
    }
}

/// Ends the receiver and everything that it started.
async fn kill(cluster: &Cluster, target: &Target, nonce: &Nonce) -> Result<(), ExecError> {
    let argv = ["sh", "-c", KILLER, &nonce.0].map(str::to_owned);
    let mut session = Session::start(cluster, target.clone(), &argv).await?;
    while !matches!(session.next(KILL_WAIT).await?, Output::Ended(_)) {}
    Ok(())
}
