//! The protocol: requests in, answers out.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::objects::{Change, Object};
use super::{BUCKET, Fault, State, locks};
use crate::env::UnixNanos;
use crate::testing::percent::decode;

pub(super) type Reply = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    loop {
        // A connection that fails before it stands is the client's affair.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, Arc::clone(&state)));
        }
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    // Small answers must not wait for each other.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { answer(&state, request).await }
    });
    // What breaks a connection, the client sees.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Answers a request. An error ends its connection without an answer.
async fn answer(state: &State, request: Request<Incoming>) -> io::Result<Reply> {
    let (parts, body) = request.into_parts();
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let path = decode(parts.uri.path(), false);
    let name =
        path.strip_prefix('/').and_then(|path| path.strip_prefix(BUCKET)).map(|name| name.trim_start_matches('/'));
    let word = if query.has("list-type") { "LIST" } else { parts.method.as_str() };
    let fault = state.faults.of(word, &path);
    // A real server takes the body before it answers, whatever the answer.
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    tokio::time::sleep(state.options.latency).await;
    match fault {
        Some(Fault::Reset) => return Err(io::ErrorKind::ConnectionReset.into()),
        Some(Fault::Code(code)) => return Ok(error(code, "InternalError")),
        Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
        Some(Fault::LoseObject) if parts.method == Method::PUT => return Ok(stored()),
        _ => {}
    }
    let Some(name) = name else { return Ok(error(404, "NoSuchBucket")) };
    if let Some(header) = locks::unsigned(&parts.headers) {
        return Ok(error(403, &format!("AccessDenied: {header} is not signed")));
    }
    let reply = match (&parts.method, name) {
        (&Method::GET, "") => list(state, &query),
        (&Method::POST, "") if query.has("delete") => delete_several(state, &body),
        (&Method::PUT, _) if query.has("retention") => locks::put_retention(state, name, &parts.headers, &body),
        (&Method::GET, _) if query.has("retention") => locks::get_retention(state, name),
        (&Method::PUT, _) => put(state, name, &parts.headers, body),
        (&Method::GET | &Method::HEAD, _) => get(state, name, &parts.headers),
        (&Method::DELETE, _) if state.options.append_only => error(403, "AccessDenied"),
        (&Method::DELETE, _) => {
            let version = query.get("versionId").parse().ok();
            removed(version.map_or_else(|| state.objects.remove(name), |id| state.objects.remove_version(name, id)))
        }
        _ => error(501, "NotImplemented"),
    };
    match fault {
        Some(Fault::LoseAnswer) => Err(io::ErrorKind::ConnectionReset.into()),
        Some(Fault::CutBody) => Ok(cut(reply).await),
        _ => Ok(reply),
    }
}

/// The same answer, which breaks off halfway.
async fn cut(reply: Reply) -> Reply {
    let (mut parts, body) = reply.into_parts();
    let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    parts.headers.insert(header::CONTENT_LENGTH, bytes.len().into());
    let half = Frame::data(bytes.slice(..bytes.len() / 2));
    let frames = [Ok(half), Err(io::Error::from(io::ErrorKind::ConnectionReset))];
    Response::from_parts(parts, StreamBody::new(stream::iter(frames)).boxed_unsync())
}

fn reply(code: StatusCode, bytes: Bytes) -> http::Result<Reply> {
    let never = |never: Infallible| match never {};
    Response::builder().status(code).body(Full::new(bytes).map_err(never).boxed_unsync())
}

pub(super) fn with_body(code: StatusCode, bytes: impl Into<Bytes>) -> Reply {
    reply(code, bytes.into()).expect("a status and a body make an answer")
}

fn removed(change: Change) -> Reply {
    if change == Change::Refused { error(403, "AccessDenied") } else { empty(StatusCode::NO_CONTENT) }
}

pub(super) fn empty(code: StatusCode) -> Reply {
    with_body(code, Bytes::new())
}

pub(super) fn error(code: u16, name: &str) -> Reply {
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // With what it means behind it, if there is more to say than the name.
    let (name, message) = name.split_once(": ").unwrap_or((name, name));
    with_body(code, format!("<Error><Code>{name}</Code><Message>{message}</Message></Error>"))
}

/// What acknowledges a put.
fn stored() -> Reply {
    let mut reply = empty(StatusCode::OK);
    reply.headers_mut().insert(header::ETAG, HeaderValue::from_static("\"stored\""));
    reply
}

fn put(state: &State, name: &str, headers: &HeaderMap, bytes: Bytes) -> Reply {
    let may_replace = !headers.contains_key(header::IF_NONE_MATCH) && !state.options.append_only;
    let lock = match locks::of_put(state, headers, &bytes) {
        Ok(lock) => lock,
        Err(why) => return error(400, why),
    };
    match state.objects.put(name, bytes, lock, may_replace || state.options.ignores_conditions) {
        Change::Exists => error(412, "PreconditionFailed"),
        Change::Refused => error(403, "AccessDenied"),
        Change::Done | Change::Missing => stored(),
    }
}

fn get(state: &State, name: &str, headers: &HeaderMap) -> Reply {
    let Some(Object { bytes, modified, lock }) = state.objects.get(name) else { return error(404, "NoSuchKey") };
    let all = bytes.len();
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok()?.strip_prefix("bytes="));
    let mut reply = match range.and_then(|range| range.split_once('-')) {
        None => with_body(StatusCode::OK, bytes),
        Some((start, end)) => {
            let start = start.parse().unwrap_or(0_usize);
            let end = end.parse().map_or(all, |last: usize| last.saturating_add(1)).min(all);
            if start >= end {
                return error(416, "InvalidRange");
            }
            let mut reply = with_body(StatusCode::PARTIAL_CONTENT, bytes.slice(start..end));
            let part = format!("bytes {start}-{}/{all}", end - 1);
            reply.headers_mut().insert(header::CONTENT_RANGE, part.parse().expect("digits"));
            reply
        }
    };
    let modified = httpdate(modified, "%a, %d %b %Y %H:%M:%S GMT");
    if let Some(lock) = lock {
        locks::tell(&lock, reply.headers_mut());
    }
    reply.headers_mut().insert(header::LAST_MODIFIED, modified.parse().expect("a date"));
    reply.headers_mut().insert(header::ETAG, HeaderValue::from_static("\"stored\""));
    if all == 0 {
        reply.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    reply
}

fn httpdate(time: UnixNanos, format: &str) -> String {
    let time = jiff::Timestamp::from_nanosecond(time.into()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime(format).to_string()
}

fn list(state: &State, query: &Query) -> Reply {
    let page = if state.options.page == 0 { 1000 } else { state.options.page };
    let (prefix, begin) = (query.get("prefix"), query.get("start-after"));
    let after = query.get("continuation-token").max(begin);
    let (found, has_more) = state.objects.list(prefix, after, page, state.options.stale);
    let next = found.last().map(|(name, _)| name.clone()).filter(|_| has_more);
    let mut xml = format!("<ListBucketResult><IsTruncated>{has_more}</IsTruncated>");
    if let Some(next) = next {
        xml += &format!("<NextContinuationToken>{next}</NextContinuationToken>");
    }
    for (name, object) in found {
        let modified = httpdate(object.modified, "%Y-%m-%dT%H:%M:%S.%3fZ");
        let len = object.bytes.len();
        xml += &format!(
            "<Contents><Key>{name}</Key><LastModified>{modified}</LastModified><ETag>stored</ETag><Size>{len}</Size></Contents>"
        );
    }
    with_body(StatusCode::OK, xml + "</ListBucketResult>")
}

fn delete_several(state: &State, body: &Bytes) -> Reply {
    let text = String::from_utf8_lossy(body);
    let names = text.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>")).map(|(name, _)| name);
    let mut xml = String::from("<DeleteResult>");
    for name in names {
        if state.options.append_only || state.objects.remove(name) == Change::Refused {
            let code = "<Code>AccessDenied</Code><Message>Access Denied</Message>";
            xml += &format!("<Error><Key>{name}</Key>{code}</Error>");
        } else {
            xml += &format!("<Deleted><Key>{name}</Key></Deleted>");
        }
    }
    with_body(StatusCode::OK, xml + "</DeleteResult>")
}

/// The query of a request.
struct Query(Vec<(String, String)>);

impl Query {
    fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(pairs.map(|(name, value)| (decode(name, true), decode(value, true))).collect())
    }

    fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(name, _)| name == key)
    }

    fn get(&self, key: &str) -> &str {
        self.0.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
    }
}
