//! A client that shows the frames of an exec session as they come.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sfarc::testing::cluster::Cluster;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

pub(crate) const V5: &str = "v5.channel.k8s.io";
pub(crate) const V4: &str = "v4.channel.k8s.io";

/// How long a session may be silent until it counts as one that never ends.
const SILENCE: Duration = Duration::from_secs(2);

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A closing frame, with its code.
    Closed(u16),
    /// The connection was gone.
    Gone,
    Silent,
}

/// All that a session said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Channels and contents.
    pub(crate) frames: Vec<(u8, Vec<u8>)>,
    pub(crate) end: End,
}

impl Heard {
    pub(crate) fn channel(&self, channel: u8) -> Vec<u8> {
        self.frames.iter().filter(|(of, _)| *of == channel).flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    pub(crate) fn text(&self, channel: u8) -> String {
        String::from_utf8(self.channel(channel)).expect("the output is text")
    }
}

/// An exec session, seen from the client.
pub(crate) struct Session {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    pub(crate) protocol: Option<String>,
    pub(crate) frames: Vec<(u8, Vec<u8>)>,
}

/// A refused upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) body: String,
}

async fn connect(cluster: &Cluster) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(cluster.ca_pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(cluster.url().trim_start_matches("https://")).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

/// The path of a session with all three streams.
fn exec_path(pod: &str, container: &str, command: &[&str]) -> String {
    let escaped = |word: &&str| word.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let command: String = command.iter().map(|word| format!("command={}&", escaped(word))).collect();
    format!("/api/v1/namespaces/sf/pods/{pod}/exec?{command}container={container}&stdin=true&stdout=true&stderr=true")
}

impl Session {
    /// Opens a session with a path and query as they were recorded.
    pub(crate) async fn open(cluster: &Cluster, token: &str, path: &str, offered: &[&str]) -> Result<Self, Refused> {
        let url = format!("{}{path}", cluster.url().replace("https", "wss"));
        let mut request = url.into_client_request().unwrap();
        let bearer = format!("Bearer {}", cluster.token(token));
        request.headers_mut().insert("authorization", bearer.parse().unwrap());
        if !offered.is_empty() {
            request.headers_mut().insert("sec-websocket-protocol", offered.join(", ").parse().unwrap());
        }
        match tokio_tungstenite::client_async(request, connect(cluster).await).await {
            Ok((socket, response)) => {
                let protocol = response.headers().get("sec-websocket-protocol");
                let protocol = protocol.map(|name| name.to_str().unwrap().to_owned());
                Ok(Self { socket, protocol, frames: Vec::new() })
            }
            Err(Error::Http(response)) => {
                let content_type = response.headers().get("content-type");
                Err(Refused {
                    code: response.status().as_u16(),
                    content_type: content_type.map(|value| value.to_str().unwrap().to_owned()),
                    body: String::from_utf8(response.body().clone().unwrap_or_default()).unwrap(),
                })
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs a command of a shell in the container `mariadb`, with all three streams.
    pub(crate) async fn sh(cluster: &Cluster, script: &str, offered: &[&str]) -> Result<Self, Refused> {
        let path = exec_path("mariadb-0", "mariadb", &["sh", "-c", script]);
        Self::open(cluster, "admin", &path, offered).await
    }

    /// Runs a command in any container, as `admin`.
    pub(crate) async fn run(cluster: &Cluster, pod: &str, container: &str, command: &[&str]) -> Result<Self, Refused> {
        Self::open(cluster, "admin", &exec_path(pod, container, command), &[V5]).await
    }

    pub(crate) async fn send(&mut self, channel: u8, bytes: &[u8]) {
        // A session that is over hears nothing.
        let _ = self.socket.send(Message::Binary([&[channel], bytes].concat().into())).await;
    }

    /// The next frame, or how the session ended.
    pub(crate) async fn next(&mut self) -> Result<(u8, Vec<u8>), End> {
        loop {
            let Ok(message) = tokio::time::timeout(SILENCE, self.socket.next()).await else { return Err(End::Silent) };
            match message {
                Some(Ok(Message::Binary(bytes))) => {
                    let (channel, bytes) = bytes.split_first().expect("a frame begins with its channel");
                    self.frames.push((*channel, bytes.to_vec()));
                    return Ok((*channel, bytes.to_vec()));
                }
                Some(Ok(Message::Close(frame))) => return Err(End::Closed(frame.map_or(0, |frame| frame.code.into()))),
                Some(Ok(Message::Text(text))) => panic!("a frame of text: {text}"),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(End::Gone),
            }
        }
    }

    /// Reads to the end.
    pub(crate) async fn hear(mut self) -> Heard {
        let end = loop {
            if let Err(end) = self.next().await {
                break end;
            }
        };
        Heard { frames: self.frames, end }
    }
}
