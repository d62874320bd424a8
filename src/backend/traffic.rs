//! How much is asked of a store: requests by kind, as a bucket bills them, and bytes.
//!
//! Requests are counted where they are sent, so that pages of listings, repetitions and credentials are among them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// To read an object or a part of it.
    Get,
    /// To ask for an object's length or time.
    Head,
    /// To store an object or a part of it.
    Put,
    /// To list a page of names.
    List,
    /// To remove objects.
    Delete,
    /// For credentials, and what else there is.
    Other,
}

impl Request {
    /// All kinds.
    pub const ALL: [Self; 6] = [Self::Get, Self::Head, Self::Put, Self::List, Self::Delete, Self::Other];

    /// In a word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Head => "head",
            Self::Put => "put",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Other => "other",
        }
    }

    /// What a request is for, by its method and its query.
    fn of(method: &str, query: &str) -> Self {
        let has =
            |key: &str| query.split('&').any(|pair| pair == key || pair.split_once('=').is_some_and(|p| p.0 == key));
        match method {
            "GET" if has("list-type") || query.split('&').any(|pair| pair == "comp=list") => Self::List,
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            // Several at once.
            "POST" if has("delete") || query.split('&').any(|pair| pair == "comp=batch") => Self::Delete,
            "PUT" => Self::Put,
            // The beginning and the end of a put in parts.
            "POST" if has("uploads") || has("uploadId") => Self::Put,
            "DELETE" => Self::Delete,
            _ => Self::Other,
        }
    }
}

/// Counts what is asked of stores. Copies count together.
#[derive(Debug, Clone, Default)]
pub struct Traffic(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    requests: [AtomicU64; Request::ALL.len()],
    sent: AtomicU64,
    received: AtomicU64,
}

impl Traffic {
    /// Requests of a kind that were sent up to now.
    pub fn requests(&self, of: Request) -> u64 {
        self.0.requests[of as usize].load(Ordering::Relaxed)
    }

    /// All requests.
    pub fn all(&self) -> u64 {
        Request::ALL.iter().map(|&of| self.requests(of)).sum()
    }

    /// Bytes of objects and lists that were sent, without headers.
    pub fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// Bytes that were announced in answers, without headers.
    pub fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, of: Request, sent: u64) {
        self.0.requests[of as usize].fetch_add(1, Ordering::Relaxed);
        self.0.sent.fetch_add(sent, Ordering::Relaxed);
    }

    pub(super) fn count_received(&self, bytes: u64) {
        self.0.received.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = Request::ALL.into_iter().map(|of| (self.requests(of), of)).filter(|(count, _)| *count > 0);
        let words: Vec<String> = kinds.map(|(count, of)| format!("{count} {}", of.word())).collect();
        write!(f, "{}", if words.is_empty() { "none".to_owned() } else { words.join(", ") })
    }
}

/// Connects as usual, and counts.
#[derive(Debug)]
pub(super) struct Counting(pub Traffic);

impl HttpConnector for Counting {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(CountingService { client, traffic: self.0.clone() }))
    }
}

#[derive(Debug)]
struct CountingService {
    client: HttpClient,
    traffic: Traffic,
}

#[async_trait]
impl HttpService for CountingService {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let of = Request::of(request.method().as_str(), request.uri().query().unwrap_or_default());
        self.traffic.count(of, request.body().content_length() as u64);
        let response = self.client.execute(request).await?;
        let len = response.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
        self.traffic.count_received(len.filter(|_| of != Request::Head).unwrap_or(0));
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_known_by_method_and_query() {
        for (method, query, of) in [
            ("GET", "", Request::Get),
            ("GET", "list-type=2&prefix=a", Request::List),
            ("GET", "restype=container&comp=list", Request::List),
            ("POST", "delete", Request::Delete),
            ("POST", "delete=", Request::Delete),
            ("PUT", "partNumber=1&uploadId=x", Request::Put),
            ("POST", "uploads", Request::Put),
            ("DELETE", "", Request::Delete),
            ("POST", "", Request::Other),
        ] {
            assert_eq!(Request::of(method, query), of, "{method} ?{query}");
        }
    }
}
