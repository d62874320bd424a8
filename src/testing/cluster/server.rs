//! The server: connections, tokens, and which part answers a request.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::failures::{RequestFault, refusal};
use super::rbac::Account;
use super::rest::Call;
use super::state::State;
use super::status::{Reply, Status, page_not_found};
use super::target::{Query, Target};
use super::{discovery, exec, rest, reviews, scale};

/// The largest body of a request, as in a real API server.
const MAX_BODY: usize = 3 * 1024 * 1024;

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<State>) {
    loop {
        // A connection that fails before it stands is the client's affair.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, acceptor.clone(), Arc::clone(&state)));
        }
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, state: Arc<State>) {
    // Small frames must not wait for each other.
    let _ = stream.set_nodelay(true);
    let Ok(line) = stream.as_fd().try_clone_to_owned() else { return };
    let line = Arc::new(line);
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let service = service_fn(move |request| {
        let (state, line) = (Arc::clone(&state), Arc::clone(&line));
        async move { answer(&state, &line, request).await }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // What breaks a connection, the client sees.
    let _ = connection.with_upgrades().await;
}

/// Answers a request. An error ends its connection without an answer.
async fn answer(state: &Arc<State>, line: &OwnedFd, request: Request<Incoming>) -> io::Result<Reply> {
    let fault = note(state, &request);
    if fault == Some(RequestFault::Reset) {
        return Err(reset(line));
    }
    let result = match fault {
        Some(RequestFault::Code(code)) => Err(refusal(code)),
        _ => dispatch(state, request).await,
    };
    if fault == Some(RequestFault::LoseAnswer) {
        return Err(reset(line));
    }
    let mut reply = result.unwrap_or_else(|status| status.reply());
    let id = HeaderValue::try_from(state.uid()).expect("hexadecimal digits fit into a header");
    reply.headers_mut().insert("audit-id", id);
    Ok(reply)
}

/// Notes a REST request down; gives what is to go wrong with it. Sessions have a journal and faults of their own.
fn note(state: &State, request: &Request<Incoming>) -> Option<RequestFault> {
    let (method, uri) = (request.method().as_str(), request.uri());
    if state.failures.is_stopped() {
        return Some(RequestFault::Reset);
    }
    if Target::parse(uri.path()).is_some_and(|target| target.is_exec()) {
        return None;
    }
    let path = uri.path_and_query().map_or(uri.path(), |path| path.as_str());
    state.journal.add_request(method, path);
    state.failures.take(method, path)
}

/// Lets the connection end by a reset once it is closed.
fn reset(line: &OwnedFd) -> io::Error {
    // Without it, the connection still ends without an answer.
    let _ = rustix::net::sockopt::set_socket_linger(line, Some(Duration::ZERO));
    io::ErrorKind::ConnectionReset.into()
}

async fn dispatch(state: &Arc<State>, request: Request<Incoming>) -> Result<Reply, Status> {
    let account = account(state, &request).ok_or_else(Status::unauthorized)?;
    let Some(target) = Target::parse(request.uri().path()) else {
        return discovery::answer(state, request.method(), request.uri().path());
    };
    let query = Query::parse(request.uri().query());
    let verb = verb(request.method(), &target, &query).ok_or_else(Status::method_not_allowed)?;
    account.check(verb, &target, &query)?;
    if target.is_exec() {
        return Ok(exec::answer(state, &target, &query, request));
    }
    let manager = manager(&query, request.headers());
    match (target.group.as_str(), target.resource.as_str()) {
        ("authorization.k8s.io", "selfsubjectaccessreviews") => {
            reviews::access(state, account, &manager, &body(request).await?)
        }
        ("authorization.k8s.io", "selfsubjectrulesreviews") => Ok(reviews::rules(account, &body(request).await?)),
        _ => objects(state, &target, &query, manager, request).await,
    }
}

/// Answers requests about stored objects.
async fn objects(
    state: &Arc<State>,
    target: &Target,
    query: &Query,
    manager: String,
    request: Request<Incoming>,
) -> Result<Reply, Status> {
    let Some(kind) = state.kinds.by_plural(&target.group, &target.version, &target.resource) else {
        let known = discovery::knows(state, &target.group, &target.version);
        return if known { Err(Status::no_such_resource()) } else { Ok(page_not_found()) };
    };
    let method = request.method().clone();
    let content_type = content_type(request.headers());
    let body = body(request).await?;
    let call = Call { state, kind, target, query, manager, content_type, body };
    match (target.resource.as_str(), target.subresource.as_str()) {
        (_, "") => rest::answer(&call, &method),
        ("deployments" | "statefulsets", "scale") => scale::answer(&call, &method),
        _ => Err(Status::no_such_resource()),
    }
}

/// The name of a request's author in managed fields: the one given, or that of the program.
fn manager(query: &Query, headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("unknown");
    query.get("fieldManager").unwrap_or(agent.split('/').next().unwrap_or(agent)).to_owned()
}

fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_owned()
}

/// The owner of the request's token.
fn account<'a>(state: &'a State, request: &Request<Incoming>) -> Option<&'a Account> {
    let header = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    state.account(header.strip_prefix("Bearer ")?)
}

/// What access rules call the request's method.
fn verb(method: &Method, target: &Target, query: &Query) -> Option<&'static str> {
    let one = !target.name.is_empty();
    Some(match *method {
        Method::GET if query.flag("watch") => "watch",
        Method::GET if one => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT if one => "update",
        Method::PATCH if one => "patch",
        Method::DELETE if one => "delete",
        Method::DELETE => "deletecollection",
        _ => return None,
    })
}

/// The body of a request; nothing if there is none. Of YAML, only the part that is JSON is understood.
async fn body(request: Request<Incoming>) -> Result<Value, Status> {
    let too_large = |_| {
        let message = format!("Request entity too large: limit is {MAX_BODY}");
        Status::failure(413, "RequestEntityTooLarge", message)
    };
    let bytes = Limited::new(request.into_body(), MAX_BODY).collect().await.map_err(too_large)?.to_bytes();
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Status::bad_request(format!("the object provided is unrecognized: {error}")))
}
