//! What a session says, frame by frame, and where its fault strikes.

use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::SinkExt;
use futures_util::stream::SplitSink;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::Socket;
use super::faults::Fault;
use super::protocol::Protocol;
use crate::testing::cluster::status::Status;

pub(super) const STDOUT: u8 = 1;
pub(super) const STDERR: u8 = 2;
const STATUS: u8 = 3;

/// What the session does after a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Goes on.
    Go,
    /// The fault has struck.
    Strike,
    /// Nobody listens any more.
    Gone,
}

/// The half of the connection that is written to.
pub(super) struct Output {
    sink: SplitSink<Socket, Message>,
    protocol: Protocol,
    /// How many bytes of standard output may pass until the fault strikes.
    left: Option<u64>,
    /// How many of the next bytes of standard output are lost.
    lose: u64,
    /// After how many bytes of standard output each frame of it takes how long.
    delay: Option<(u64, Duration)>,
}

impl Output {
    pub(super) fn new(sink: SplitSink<Socket, Message>, protocol: Protocol, fault: Option<Fault>) -> Self {
        let (left, lose) = match fault {
            Some(Fault::CutThenSuccess(bytes) | Fault::CutWithoutStatus(bytes)) => (Some(bytes), 0),
            Some(Fault::Stall(bytes) | Fault::Kill(bytes) | Fault::Disconnect(bytes)) => (Some(bytes), 0),
            Some(Fault::Lose { after, bytes }) if bytes > 0 => (Some(after), bytes),
            _ => (None, 0),
        };
        let delay = match fault {
            Some(Fault::Delay { after, millis }) => Some((after, Duration::from_millis(millis))),
            _ => None,
        };
        Self { sink, protocol, left, lose, delay }
    }

    /// The first frame, by which a client sees that the session stands: an empty one on the lowest channel.
    pub(super) async fn greet(&mut self, stdout: bool, stderr: bool) -> Next {
        let channel = match (stdout, stderr) {
            (true, _) => STDOUT,
            (false, true) => STDERR,
            (false, false) => STATUS,
        };
        match self.frame(channel, b"").await {
            Next::Go if self.struck() => Next::Strike,
            next => next,
        }
    }

    /// Passes on what the process wrote, as far as the fault lets it.
    pub(super) async fn pass(&mut self, channel: u8, mut bytes: Bytes) -> Next {
        if channel != STDOUT {
            return self.frame(channel, &bytes).await;
        }
        while !bytes.is_empty() {
            self.wait(bytes.len()).await;
            let passed = self.left.map_or(bytes.len(), |left| count(left).min(bytes.len()));
            let piece = bytes.split_to(passed);
            if !piece.is_empty() && self.frame(channel, &piece).await == Next::Gone {
                return Next::Gone;
            }
            self.left = self.left.map(|left| left - piece.len() as u64);
            if self.struck() {
                return Next::Strike;
            }
            self.swallow(&mut bytes);
        }
        Next::Go
    }

    /// Takes the time that a slow network takes for these many bytes.
    async fn wait(&mut self, bytes: usize) {
        match &mut self.delay {
            Some((after @ 1.., _)) => *after = after.saturating_sub(bytes as u64),
            Some((0, time)) => tokio::time::sleep(*time).await,
            None => {}
        }
    }

    /// True once the fault's place is reached, unless all that it does is to lose bytes.
    fn struck(&self) -> bool {
        self.left == Some(0) && self.lose == 0
    }

    fn swallow(&mut self, bytes: &mut Bytes) {
        if self.left == Some(0) {
            let lost = count(self.lose).min(bytes.len());
            bytes.advance(lost);
            self.lose -= lost as u64;
            self.left = (self.lose > 0).then_some(0);
        }
    }

    /// The verdict on the command, as far as the protocol has one.
    pub(super) async fn status(&mut self, status: &Status) -> Next {
        match self.protocol.status(status) {
            Some(text) => self.frame(STATUS, text.as_bytes()).await,
            None => Next::Go,
        }
    }

    /// The end of the session; only a client can hold it up then.
    pub(super) async fn close(&mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        // The client may be gone.
        let _ = self.sink.send(Message::Close(Some(frame))).await;
    }

    async fn frame(&mut self, channel: u8, bytes: &[u8]) -> Next {
        let frame = [&[channel], bytes].concat();
        match self.sink.send(Message::Binary(frame.into())).await {
            Ok(()) => Next::Go,
            Err(_) => Next::Gone,
        }
    }
}

fn count(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
