//! The process of a session.

use std::io;
use std::process::Stdio;

use bytes::{Bytes, BytesMut};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStdin};
use tokio::sync::mpsc;

use super::options::Options;
use super::output::{STDERR, STDOUT};
use crate::testing::cluster::container::Container;
use crate::testing::cluster::mark::Mark;
use crate::testing::cluster::pods::exit_code;

/// The most bytes of one frame, as the kubelet has it.
const FRAME: usize = 32 * 1024;

/// A frame that the process wrote: its channel and its bytes.
pub(super) type Written = (u8, Bytes);

/// A running process and what it writes.
pub(super) struct Process {
    child: Child,
    /// Ends when all that held the process's outputs are gone.
    pub(super) written: mpsc::Receiver<Written>,
    pub(super) stdin: Option<ChildStdin>,
}

impl Process {
    /// Starts the command. Outputs that nobody asked for are thrown away.
    pub(super) fn start(options: &Options, container: &Container, mark: &Mark) -> io::Result<Self> {
        let pipe = |wanted: bool| if wanted { Stdio::piped() } else { Stdio::null() };
        let mut command = container.command(mark, &options.command[0], &options.command[1..])?;
        command.stdin(pipe(options.stdin)).stdout(pipe(options.stdout)).stderr(pipe(options.stderr));
        let mut child = command.spawn()?;
        // One frame at a time: a client that does not read holds the process up, as in a cluster.
        let (sender, written) = mpsc::channel(1);
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(read(stdout, STDOUT, sender.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(read(stderr, STDERR, sender));
        }
        let stdin = child.stdin.take();
        Ok(Self { child, written, stdin })
    }

    /// Kills the process and those that it started, unless they moved elsewhere.
    pub(super) fn kill(&self) {
        let group = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = group {
            // All of it may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Waits for the end of the process; a signal counts as 128 and its number.
    pub(super) async fn exit_code(&mut self) -> i32 {
        self.child.wait().await.map_or(-1, exit_code)
    }
}

async fn read(mut from: impl AsyncRead + Unpin, channel: u8, to: mpsc::Sender<Written>) {
    loop {
        let mut bytes = BytesMut::with_capacity(FRAME);
        match from.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if to.send((channel, bytes.freeze())).await.is_err() {
            return;
        }
    }
}

/// The runtime's words for a command that could not be started.
pub(super) fn why_not_started(error: &io::Error, program: &str) -> String {
    let why = match error.kind() {
        io::ErrorKind::NotFound if program.contains('/') => format!("stat {program}: no such file or directory"),
        io::ErrorKind::NotFound => "executable file not found in $PATH".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    format!("exec: \"{program}\": {why}")
}
