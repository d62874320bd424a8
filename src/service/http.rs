//! The pages that are served: `/metrics`, `/healthz`, `/readyz`, `/status.json`, and `/` for people.
//!
//! Read-only, without secrets, and without any input but the path.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use super::connections::{Asked, Connections, HEAD_LIMIT, HEAD_MOST, WHOLE_LIMIT};
use super::{Service, metrics, page};

/// A loop that has not looked at the clock for so long hangs.
const PATIENCE: i64 = 300_000_000_000;

/// Serves the pages in a thread of its own, for as long as the program lives. The address, with the port that was taken.
pub fn serve(service: Arc<Service>, address: SocketAddr, has_page: bool) -> io::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let work = move || {
        runtime.block_on(async {
            if let Ok(listener) = TcpListener::from_std(listener) {
                accept(&listener, &service, has_page).await;
            }
        });
    };
    std::thread::Builder::new().name("http".to_owned()).spawn(work)?;
    Ok(address)
}

async fn accept(listener: &TcpListener, service: &Arc<Service>, has_page: bool) {
    let mut connections = Connections::default();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, perhaps: one is closed for the next, and if that does not help, it is waited for.
            connections.close_oldest();
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let asked = Asked::default();
        let task = tokio::spawn(talk(stream, Arc::clone(service), has_page, asked.clone()));
        connections.add(task.abort_handle(), asked);
        // Whoever has asked already is answered before somebody else comes.
        tokio::task::yield_now().await;
    }
}

async fn talk(stream: TcpStream, service: Arc<Service>, has_page: bool, asked: Asked) {
    let answer = service_fn(|request| {
        asked.note();
        let response = answer(&service, has_page, &request);
        async { Ok::<_, Infallible>(response) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_buf_size(HEAD_MOST).keep_alive(false);
    // Whoever asked has gone, or is too slow.
    let _ = tokio::time::timeout(WHOLE_LIMIT, server.serve_connection(TokioIo::new(stream), answer)).await;
}

fn answer(service: &Service, has_page: bool, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return reply(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET".to_owned());
    }
    let now = service.now();
    match request.uri().path() {
        "/metrics" => reply(StatusCode::OK, "text/plain; version=0.0.4", metrics::text(&service.state(), now)),
        "/healthz" if now - service.last_beat() > PATIENCE => {
            reply(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "the loop hangs\n".to_owned())
        }
        "/healthz" => reply(StatusCode::OK, "text/plain", "ok\n".to_owned()),
        "/readyz" if !service.is_open() => {
            reply(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "the repository does not open\n".to_owned())
        }
        "/readyz" => reply(StatusCode::OK, "text/plain", "ok\n".to_owned()),
        "/status.json" => {
            let state = serde_json::to_string_pretty(&service.state()).unwrap_or_default();
            reply(StatusCode::OK, "application/json", state)
        }
        "/" if has_page => reply(StatusCode::OK, "text/html; charset=utf-8", page::html(&service.state(), now)),
        _ => reply(StatusCode::NOT_FOUND, "text/plain", "there is no such page\n".to_owned()),
    }
}

fn reply(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, kind)
        .header(CACHE_CONTROL, "no-store")
        // Nothing but what is in the page itself, whatever a name in it may hold.
        .header(CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'")
        .body(Full::new(Bytes::from(body)));
    response.unwrap_or_default()
}
