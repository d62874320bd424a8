//! Exec: local processes behind the WebSocket of a pod.
//!
//! The frames, their order and their texts are those of recorded sessions of Kubernetes 1.32 with containerd.

pub(super) mod faults;
mod input;
mod options;
mod output;
mod process;
mod protocol;
mod session;

use http::{HeaderMap, HeaderValue, Request, header};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use self::faults::Fault;
use self::options::Options;
use self::protocol::{Dialects, Protocol};
use self::session::Session;
use super::images;
use super::state::State;
use super::status::{Details, Reply, Status, empty};
use super::target::{Query, Target};

/// The connection of a session.
type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Answers an exec request whose right to run was checked; the session itself goes on in the background.
pub(super) fn answer(state: &State, target: &Target, query: &Query, request: Request<Incoming>) -> Reply {
    open(state, target, query, request).unwrap_or_else(|status| status.reply())
}

fn open(state: &State, target: &Target, query: &Query, mut request: Request<Incoming>) -> Result<Reply, Status> {
    let pod = state.pod(&target.namespace, &target.name);
    let pod = pod.ok_or_else(|| Status::not_found(Details::of("", "pods", &target.name)))?;
    let options = Options::parse(query, target, &pod)?;
    state.journal.add_session(&target.name, &options.container, &options.command);
    let fault = state.faults.take(&options.container, &options.command);
    if let Some(Fault::Refuse(code)) = fault {
        return Err(refusal(code, &target.name));
    }
    let key = upgrade_key(request.headers()).ok_or_else(|| Status::bad_request("Upgrade request required"))?;
    let dialects = fault.map_or(Dialects::All, Fault::dialects);
    let Some(protocol) = Protocol::negotiate(&offered(request.headers()), dialects) else {
        return Ok(empty(403));
    };
    let session = Session {
        container: images::container(state, &pod, &options.container),
        mark: state.mark.pod(&target.namespace, &target.name),
        id: state.hex(32),
        options,
        protocol,
        fault,
    };
    tokio::spawn(serve(session, hyper::upgrade::on(&mut request)));
    Ok(switching(&key, protocol))
}

async fn serve(session: Session, upgrade: OnUpgrade) {
    // The client may be gone before its session began.
    if let Ok(upgraded) = upgrade.await {
        session.run(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await).await;
    }
}

/// The key of an upgrade to a WebSocket, if it is one.
fn upgrade_key(headers: &HeaderMap) -> Option<HeaderValue> {
    let contains = |name: header::HeaderName, wanted: &str| {
        let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case(wanted))
    };
    let upgrade = contains(header::CONNECTION, "upgrade") && contains(header::UPGRADE, "websocket");
    headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| upgrade).cloned()
}

/// The subprotocols that a client offers, its favourite first.
fn offered(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

/// The answer that turns the connection into a WebSocket.
fn switching(key: &HeaderValue, protocol: Protocol) -> Reply {
    let mut reply = empty(101);
    let headers = reply.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes())).expect("base64 fits into a header");
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(name) = protocol.name() {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    }
    reply
}

fn refusal(code: u16, pod: &str) -> Status {
    match code {
        403 => {
            let message = format!("pods \"{pod}\" is forbidden: exec is refused by the fault plan");
            Status::failure(403, "Forbidden", message).about(Details::of("", "pods", pod))
        }
        429 => Status::too_many_requests(),
        _ => Status::internal("error dialing backend: refused by the fault plan"),
    }
}
