//! Commands in containers: one WebSocket each, read frame by frame.
//!
//! `kube`'s own `AttachedProcess` is not used: it copies every frame through pipes of 1 KiB, and a connection that
//! ends without a status looks to its caller like success.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

pub use super::status::Verdict;
use super::{Cluster, ClusterError, Permission, client, is_name, status};

const STDIN: u8 = 0;
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
    /// A command cannot be passed on as it is.
    #[error("a command for {target} holds a NUL byte: no program can be given one, and what follows it would get lost")]
    Nul {
        /// Where it was to run.
        target: Target,
    },
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
    /// The command took longer than it may.
    #[error("the command in {target} did not end within {} seconds; {received} bytes came of it", limit.as_secs())]
    TooLong {
        /// Where it ran.
        target: Target,
        /// Bytes of standard output that arrived.
        received: u64,
        /// How long it may take.
        limit: Duration,
    },
    /// The command wrote more than it is expected to.
    #[error("the command in {target} wrote more than {limit} bytes")]
    TooMuch {
        /// Where it ran.
        target: Target,
        /// How much it may write, in bytes.
        limit: usize,
    },
    /// Whoever had bytes for a command's input stopped before the end.
    #[error("only {sent} of {len} bytes were there to be sent")]
    Abandoned {
        /// Bytes that were sent.
        sent: u64,
        /// Bytes that there should be.
        len: u64,
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

impl ExecError {
    /// True if trying again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Cluster(error) => error.is_transient(),
            Self::TooMuch { .. } | Self::Abandoned { .. } | Self::Nul { .. } => false,
            _ => true,
        }
    }
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

type Writer = Arc<Mutex<SplitSink<Box<dyn Socket>, Message>>>;

/// A running command.
pub struct Session {
    reader: SplitStream<Box<dyn Socket>>,
    writer: Writer,
    target: Target,
    received: u64,
}

/// The standard input of a running command. Its end cannot be told to every server: whoever reads must know the length.
pub struct Input {
    writer: Writer,
    target: Target,
}

impl Input {
    /// Sends some bytes, at most a few hundred KiB. That they were sent does not mean that they arrived.
    pub async fn send(&self, bytes: &[u8]) -> Result<(), ExecError> {
        let mut frame = BytesMut::with_capacity(bytes.len() + 1);
        frame.put_u8(STDIN);
        frame.put_slice(bytes);
        self.put(Message::Binary(frame.freeze())).await
    }

    /// Shows the servers in between that somebody is still there.
    pub async fn ping(&self) -> Result<(), ExecError> {
        self.put(Message::Ping(Bytes::new())).await
    }

    async fn put(&self, message: Message) -> Result<(), ExecError> {
        let sent = self.writer.lock().await.send(message).await;
        sent.map_err(|error| ExecError::Broken { target: self.target.clone(), received: 0, source: Box::new(error) })
    }
}

impl Session {
    /// Starts a command, without standard input.
    pub async fn start(cluster: &Cluster, target: Target, argv: &[String]) -> Result<Self, ExecError> {
        Self::begin(cluster, target, argv, false).await
    }

    /// Starts a command that reads its standard input.
    pub async fn start_with_input(
        cluster: &Cluster,
        target: Target,
        argv: &[String],
    ) -> Result<(Self, Input), ExecError> {
        let session = Self::begin(cluster, target, argv, true).await?;
        let input = Input { writer: Arc::clone(&session.writer), target: session.target.clone() };
        Ok((session, input))
    }

    async fn begin(cluster: &Cluster, target: Target, argv: &[String], stdin: bool) -> Result<Self, ExecError> {
        if argv.iter().any(|argument| argument.contains('\0')) {
            return Err(ExecError::Nul { target });
        }
        let doing = format!("run a command in {target}");
        let request = request(&target, argv, stdin)?;
        match client::in_time(&doing, cluster.client.connect(request)).await {
            Ok(connection) => {
                let socket: Box<dyn Socket> = Box::new(connection.into_stream());
                let (writer, reader) = socket.split();
                Ok(Self { reader, writer: Arc::new(Mutex::new(writer)), target, received: 0 })
            }
            Err(error @ ClusterError::Refused { code: 403, .. }) => Err(explain(cluster, target, error).await.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// The container that the command runs in.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Bytes of standard output that arrived up to now.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Waits for what comes next; at most `silence`.
    pub async fn next(&mut self, silence: Duration) -> Result<Output, ExecError> {
        match timeout(silence, self.wait()).await {
            Ok(next) => next,
            Err(_) => Err(ExecError::Silent { target: self.target.clone(), received: self.received, silence }),
        }
    }

    async fn wait(&mut self) -> Result<Output, ExecError> {
        loop {
            match self.frame().await? {
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
    async fn frame(&mut self) -> Result<Option<(u8, Bytes)>, ExecError> {
        loop {
            match timeout(PING_EVERY, self.reader.next()).await {
                Ok(Some(Ok(Message::Binary(frame)))) if !frame.is_empty() => {
                    return Ok(Some((frame[0], frame.slice(1..))));
                }
                Ok(Some(Ok(Message::Close(_))) | None) => return Ok(None),
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(error))) if client::is_plain_end(&error) => return Ok(None),
                Ok(Some(Err(error))) => return Err(self.broken(error)),
                Err(_) => self.ping().await?,
            }
        }
    }

    /// Shows the servers in between that somebody is still there. Whoever is sending shows it already.
    pub async fn ping(&mut self) -> Result<(), ExecError> {
        let Ok(mut writer) = self.writer.try_lock() else { return Ok(()) };
        let sent = writer.send(Message::Ping(Bytes::new())).await;
        drop(writer);
        sent.map_err(|error| self.broken(error))
    }

    fn broken(&self, error: SocketError) -> ExecError {
        ExecError::Broken { target: self.target.clone(), received: self.received, source: Box::new(error) }
    }
}

/// Which permission was missing: servers before 1.35 want `get`, those from then on `create`.
async fn explain(cluster: &Cluster, target: Target, refused: ClusterError) -> ClusterError {
    for verb in ["get", "create"] {
        let permission = Permission::new(verb, "", "pods/exec", Some(&target.pod));
        if let Ok(false) = cluster.may(&permission, &target.namespace).await {
            let (doing, permission) = (format!("run a command in {target}"), Box::new(permission));
            return ClusterError::Forbidden { doing, permission, namespace: target.namespace };
        }
    }
    refused
}

/// What a short command wrote, and how it ended.
#[derive(Debug)]
pub struct Answer {
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error, at most as much as is kept of standard output.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub verdict: Verdict,
}

/// Runs a command that writes little and takes at most `limit` of time. What it writes is not proven to be whole.
pub async fn answer(
    cluster: &Cluster,
    target: &Target,
    argv: &[String],
    most: usize,
    limit: Duration,
) -> Result<Answer, ExecError> {
    let asking = async {
        let mut session = Session::start(cluster, target.clone(), argv).await?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        loop {
            match session.next(limit).await? {
                Output::Stdout(bytes) if stdout.len() + bytes.len() > most => {
                    return Err(ExecError::TooMuch { target: target.clone(), limit: most });
                }
                Output::Stdout(bytes) => stdout.extend_from_slice(&bytes),
                Output::Stderr(bytes) => stderr.extend_from_slice(&bytes[..bytes.len().min(most - stderr.len())]),
                Output::Ended(verdict) => return Ok(Answer { stdout, stderr, verdict }),
            }
        }
    };
    let too_long = |_| ExecError::TooLong { target: target.clone(), received: 0, limit };
    timeout(limit, asking).await.map_err(too_long)?
}

fn request(target: &Target, argv: &[String], stdin: bool) -> Result<http::Request<Vec<u8>>, ClusterError> {
    let mut names = [&target.namespace, &target.pod].into_iter().chain(&target.container);
    if let Some(name) = names.find(|name| !is_name(name)) {
        return Err(ClusterError::Name(name.clone()));
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(argv.iter().map(|argument| ("command", argument)));
    query.extend_pairs(target.container.iter().map(|container| ("container", container)));
    if stdin {
        query.append_pair("stdin", "true");
    }
    query.append_pair("stdout", "true").append_pair("stderr", "true");
    let Target { namespace, pod, .. } = target;
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/exec?{}", query.finish());
    http::Request::get(path).body(Vec::new()).map_err(|_| ClusterError::Name(target.to_string()))
}
