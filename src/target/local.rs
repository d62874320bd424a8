//! Commands on this machine, in processes that nothing outlives.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::TargetError;
use super::feed::{FeedError, Patience, Sender, beside};
use super::shell::Shell;
use crate::env::Env;
use crate::process::{Environment, shell};
use crate::source::SourceError;
use crate::source::command::{cancelled, kill_group};
use crate::source::last_lines::LastLines;
use crate::source::pod::PodCommand;

/// What is asked for is some lines of text, or keys.
const MOST: u64 = 256 << 20;

/// Runs commands on this machine, in this environment.
#[derive(Clone)]
pub struct LocalShell<'a> {
    /// The world.
    pub env: &'a Env,
    /// What they find there.
    pub environment: Environment,
}

struct Ended {
    /// True if it has got all its input.
    fed: bool,
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<String>,
}

impl LocalShell<'_> {
    fn run(&self, line: &str, queue: Option<mpsc::Receiver<Bytes>>, limit: Duration) -> Result<Ended, TargetError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut child = Command::from(shell(line, &self.environment))
                .stdin(if queue.is_some() { Stdio::piped() } else { Stdio::null() })
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .process_group(0)
                .kill_on_drop(true)
                .spawn()?;
            let ended = tokio::select! {
                ended = work(&mut child, queue) => ended.map_err(TargetError::from),
                () = sleep(limit) => Err(TargetError::Late { what: format!("`{}` has not ended", first_words(line)), seconds: limit.as_secs() }),
                () = cancelled(&self.env.cancel) => Err(TargetError::Interrupted),
            };
            if ended.is_err() {
                kill_group(&mut child).await;
            }
            ended
        })
    }
}

impl Shell for LocalShell<'_> {
    fn env(&self) -> &Env {
        self.env
    }

    fn ask(&self, command: &PodCommand, limit: Duration) -> Result<Vec<u8>, TargetError> {
        let Ended { status, stdout, stderr, .. } = self.run(&command.line(), None, limit)?;
        match status.success() {
            true if stdout.len() as u64 > MOST => {
                let what = format!("what `{}` says", first_words(&command.line()));
                Err(TargetError::Wrong { what, why: format!("it has more than {MOST} bytes") })
            }
            true => Ok(stdout),
            false => Err(SourceError::Failed { status, stderr }.into()),
        }
    }

    fn feed<E: Send>(
        &self,
        line: String,
        _len: u64,
        patience: Patience,
        give: impl FnOnce(&mut Sender) -> Result<(), E>,
    ) -> Result<(), FeedError<E>> {
        let what = first_words(&line);
        // A pipe loses nothing: what the command has read to its end is what was sent.
        beside(
            give,
            |queue| self.run(&line, Some(queue), patience.limit),
            |Ended { fed, status, stderr, .. }, _, _| match status.success() {
                true if fed => Ok(()),
                true => {
                    let why = "it ended before it had read all".to_owned();
                    Err(TargetError::NotWhole { target: format!("`{what}`"), why })
                }
                false => Err(SourceError::Failed { status, stderr }.into()),
            },
        )
    }
}

/// Gives the command its input, and reads what it says until it has ended.
async fn work(child: &mut Child, queue: Option<mpsc::Receiver<Bytes>>) -> std::io::Result<Ended> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let read = async {
        let mut bytes = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(MOST + 1).read_to_end(&mut bytes).await?;
        }
        Ok::<_, std::io::Error>(bytes)
    };
    let words = async {
        let (mut lines, mut buffer) = (LastLines::default(), [0; 4096]);
        if let Some(mut stderr) = stderr {
            while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
                lines.push(&buffer[..read]);
            }
        }
        lines.finish()
    };
    let (stdout, stderr, fed) = tokio::join!(read, words, give(stdin, queue));
    Ok(Ended { fed, status: child.wait().await?, stdout: stdout?, stderr })
}

/// True if the command takes all; if not, it says why when it ends.
async fn give(stdin: Option<ChildStdin>, queue: Option<mpsc::Receiver<Bytes>>) -> bool {
    let (Some(mut stdin), Some(mut queue)) = (stdin, queue) else { return true };
    while let Some(frame) = queue.recv().await {
        if stdin.write_all(&frame).await.is_err() {
            return false;
        }
    }
    stdin.shutdown().await.is_ok()
}

/// Enough of a line to know it by.
fn first_words(line: &str) -> String {
    line.lines().last().unwrap_or_default().chars().take(60).collect()
}
