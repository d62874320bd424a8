//! Streams from commands: standard output, believed only if the command succeeds.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use super::last_lines::LastLines;
use super::{SourceError, Verdict};
use crate::env::Cancel;
use crate::format::manifest::Proof;
use crate::pipeline::lanes::Lanes;
use crate::pipeline::pipe;
use crate::process::{Environment, shell};

const CANCEL_POLL: Duration = Duration::from_millis(50);

/// How long the end of a failed command's standard error is waited for: what it left running may hold the pipe.
const STDERR_WAIT: Duration = Duration::from_millis(500);

/// Runs a shell command and takes its standard output.
///
/// Its standard error is drained beside it and shown if it fails. When the work is cancelled, the command's whole
/// process group is killed.
pub fn run(command: &str, lanes: &mut Lanes, cancel: &Cancel) -> Result<Verdict, SourceError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run_async(command, lanes, cancel))
}

async fn run_async(command: &str, lanes: &mut Lanes, cancel: &Cancel) -> Result<Verdict, SourceError> {
    let start = |source| SourceError::Start { command: command.to_owned(), source };
    let mut child = Command::from(shell(command, &Environment::for_command()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(start)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
        return Err(io::Error::other("the command has no output").into());
    };
    pipe::widen(&stdout);
    let lines = Arc::<Mutex<LastLines>>::default();
    let drained = tokio::spawn(keep_last_lines(stderr, Arc::clone(&lines)));
    let ended = tokio::select! {
        ended = copy_and_wait(stdout, &mut child, lanes) => ended,
        () = cancelled(cancel) => Err(io::Error::other("interrupted")),
    };
    match ended {
        Ok(status) if status.success() => Ok(Verdict::proven(Proof::P1)),
        Ok(status) => {
            let _ = tokio::time::timeout(STDERR_WAIT, drained).await;
            let lines = std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner));
            Err(SourceError::Failed { status, stderr: lines.finish() })
        }
        Err(error) => {
            kill_group(&mut child).await;
            Err(error.into())
        }
    }
}

/// A command may close its output long before it ends: its verdict is its exit code.
async fn copy_and_wait(stdout: ChildStdout, child: &mut Child, lanes: &mut Lanes) -> io::Result<ExitStatus> {
    copy(stdout, lanes).await?;
    child.wait().await
}

async fn copy(mut stdout: ChildStdout, lanes: &mut Lanes) -> io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        match stdout.read(&mut buffer).await? {
            0 => return Ok(()),
            read => lanes.write(0, &buffer[..read])?,
        }
    }
}

/// Ends when somebody asks to stop.
pub(crate) async fn cancelled(cancel: &Cancel) {
    while !cancel.is_cancelled() {
        tokio::time::sleep(CANCEL_POLL).await;
    }
}

/// Kills a command and everything of its process group, and waits for its end.
pub(crate) async fn kill_group(child: &mut Child) {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        // It may have ended by itself meanwhile.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.wait().await;
}

async fn keep_last_lines(mut stderr: ChildStderr, lines: Arc<Mutex<LastLines>>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        lines.lock().unwrap_or_else(PoisonError::into_inner).push(&buffer[..read]);
    }
}
