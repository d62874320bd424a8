//! Commands in containers: one WebSocket each, read frame by frame.
//!
//! `kube`'s own `AttachedProcess` is not used: it copies every frame through pipes of 1 KiB, and a connection that
//! ends without a status looks to its caller like success.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

pub use super::status::Verdict;
use super::{Cluster, ClusterError, client, status};

const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;

/// How often a silent connection is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(20);

/// Where a command runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The namespace of the pod.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// The container; the pod's default one, if nothing is said.
    pub container: Option<String>,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.pod)?;
        self.container.iter().try_for_each(|container| write!(f, "/{container}"))
    }
}

/// Why a command's output is not whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// The command did not start.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The connection ended before the kubelet said how the command ended.
    #[error("the connection to {target} ended after {received} bytes without a word on how the command ended")]
    NoVerdict {
        /// Where it ran.
        target: Target,
        /// Bytes of standard output that arrived.
        received: u64,
    },
    /// The connection broke.
    #[error("the connection to {target} broke after {received} bytes")]
    Broken {
        /// Where it ran.
        target: Target,
        /// Bytes of standard output that arrived.
        received: u64,
        /// Why.
        #[source]
        source: Box<SocketError>,
    },
    /// Nothing came for too long.
    #[error("nothing came from {target} for {} seconds, after {received} bytes", silence.as_secs())]
    Silent {
        /// Where it ran.
        target: Target,
        /// Bytes of standard output that arrived.
        received: u64,
        /// How long it was waited for.
        silence: Duration,
    },
}

/// What comes out of a command.
#[derive(Debug)]
pub enum Output {
    /// A piece of standard output.
    Stdout(Bytes),
    /// A piece of standard error.
    Stderr(Bytes),
    /// The end, in the kubelet's words. Nothing follows.
    Ended(Verdict),
}

trait Socket: Stream<Item = Result<Message, SocketError>> + Sink<Message, Error = SocketError> + Send + Unpin {}

impl<T: Stream<Item = Result<Message, SocketError>> + Sink<Message, Error = SocketError> + Send + Unpin> Socket for T {}

/// A running command.
pub struct Session {
    socket: Box<dyn Socket>,
    target: Target,
    received: u64,
}

impl Session {
    /// Starts a command, without standard input.
    pub async fn start(cluster: &Cluster, target: Target, argv: &[String]) -> Result<Self, ExecError> {
        let doing = format!("run a command in {target}");
        let request = request(&target, argv)?;
        let connection = cluster.client.connect(request).await.map_err(|error| client::cluster_error(&doing, error))?;
        Ok(Self { socket: Box::new(connection.into_stream()), target, received: 0 })
    }

    /// Bytes of standard output that arrived up to now.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Waits for what comes next; at most `silence`.
    pub async fn next(&mut self, silence: Duration) -> Result<Output, ExecError> {
        let deadline = Instant::now() + silence;
        loop {
            match self.frame(deadline, silence).await? {
                Some((STDOUT, bytes)) if !bytes.is_empty() => {
                    self.received += bytes.len() as u64;
                    return Ok(Output::Stdout(bytes));
                }
                Some((STDERR, bytes)) => return Ok(Output::Stderr(bytes)),
                Some((STATUS, bytes)) => return Ok(Output::Ended(status::parse(&bytes))),
                Some(_) => {}
                None => return Err(ExecError::NoVerdict { target: self.target.clone(), received: self.received }),
            }
        }
    }

    /// The next frame: its channel and its bytes. Nothing at the end of the connection.
    async fn frame(&mut self, deadline: Instant, silence: Duration) -> Result<Option<(u8, Bytes)>, ExecError> {
        loop {
            let wake = deadline.min(Instant::now() + PING_EVERY);
            match timeout_at(wake, self.socket.next()).await {
                Ok(Some(Ok(Message::Binary(frame)))) if !frame.is_empty() => {
                    return Ok(Some((frame[0], frame.slice(1..))));
                }
                Ok(Some(Ok(Message::Close(_))) | None) => return Ok(None),
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(error))) if client::is_plain_end(&error) => return Ok(None),
                Ok(Some(Err(error))) => return Err(self.broken(error)),
                Err(_) if Instant::now() >= deadline => {
                    return Err(ExecError::Silent { target: self.target.clone(), received: self.received, silence });
                }
                Err(_) => self.ping().await?,
            }
        }
    }

    /// Shows the servers in between that somebody is still there.
    pub async fn ping(&mut self) -> Result<(), ExecError> {
        self.socket.send(Message::Ping(Bytes::new())).await.map_err(|error| self.broken(error))
    }

    fn broken(&self, error: SocketError) -> ExecError {
        ExecError::Broken { target: self.target.clone(), received: self.received, source: Box::new(error) }
    }
}

/// Names go into the path of a request: nothing may be in them that has a meaning there.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    !name.is_empty() && name.bytes().all(is_plain)
}

fn request(target: &Target, argv: &[String]) -> Result<http::Request<Vec<u8>>, ClusterError> {
    let mut names = [&target.namespace, &target.pod].into_iter().chain(&target.container);
    if let Some(name) = names.find(|name| !is_name(name)) {
        return Err(ClusterError::Name(name.clone()));
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(argv.iter().map(|argument| ("command", argument)));
    query.extend_pairs(target.container.iter().map(|container| ("container", container)));
    query.append_pair("stdout", "true").append_pair("stderr", "true");
    let Target { namespace, pod, .. } = target;
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/exec?{}", query.finish());
    http::Request::get(path).body(Vec::new()).map_err(|_| ClusterError::Name(target.to_string()))
}
