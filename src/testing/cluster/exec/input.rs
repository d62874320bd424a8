//! What a session hears: standard input, its end, and the client's farewell.

use futures_util::StreamExt;
use futures_util::stream::SplitStream;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio_tungstenite::tungstenite::Message;

use super::Socket;
use super::faults::Fault;
use super::protocol::Protocol;

const STDIN: u8 = 0;
const CLOSE: u8 = 255;

/// Where standard input goes.
pub(super) struct Input {
    stdin: Option<ChildStdin>,
    protocol: Protocol,
    /// How many bytes pass before the rest is lost.
    left: Option<u64>,
    /// The session ends when no more bytes pass.
    ends: bool,
}

impl Input {
    pub(super) fn new(stdin: Option<ChildStdin>, protocol: Protocol, fault: Option<Fault>) -> Self {
        let (left, ends) = match fault {
            Some(Fault::LoseStdin(bytes)) => (Some(bytes), false),
            Some(Fault::DisconnectInput(bytes) | Fault::KillInput(bytes)) => (Some(bytes), true),
            _ => (None, false),
        };
        Self { stdin, protocol, left, ends }
    }

    /// Reads until the client closes or is gone. It goes on when the process listens no more: a connection that ends
    /// with unread bytes is reset, and then the client would not see the status.
    pub(super) async fn run(mut self, mut frames: SplitStream<Socket>) {
        while let Some(Ok(message)) = frames.next().await {
            match message {
                Message::Binary(bytes) => self.take(&bytes).await,
                Message::Text(text) => self.take(text.as_bytes()).await,
                // The other side answers pings and closing frames by itself.
                _ => {}
            }
            if self.ends && self.left == Some(0) {
                return;
            }
        }
    }

    async fn take(&mut self, frame: &[u8]) {
        match frame {
            [STDIN, bytes @ ..] => self.pass(bytes).await,
            [CLOSE, STDIN] if self.protocol == Protocol::V5 => self.stdin = None,
            _ => {}
        }
    }

    async fn pass(&mut self, bytes: &[u8]) {
        let kept = self.left.map_or(bytes.len(), |left| usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len()));
        self.left = self.left.map(|left| left - kept as u64);
        if let Some(stdin) = &mut self.stdin
            && stdin.write_all(&bytes[..kept]).await.is_err()
        {
            self.stdin = None;
        }
    }
}
