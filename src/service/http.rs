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
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::{Service, metrics, page};

/// A loop that has not looked at the clock for so long hangs.
const PATIENCE: i64 = 300_000_000_000;
/// Whoever asks slower than this is not waited for.
const LIMIT: Duration = Duration::from_secs(10);
/// Connections at once.
const CONNECTIONS: usize = 32;

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
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, perhaps: not for ever.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let service = Arc::clone(service);
        tokio::spawn(async move {
            let answer = service_fn(|request| {
                let response = answer(&service, has_page, &request);
                async { Ok::<_, Infallible>(response) }
            });
            let mut server = hyper::server::conn::http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(LIMIT).keep_alive(false);
            // Whoever asked has gone.
            let _ = tokio::time::timeout(LIMIT, server.serve_connection(TokioIo::new(stream), answer)).await;
            drop(place);
        });
    }
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
