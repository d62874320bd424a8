//! Watches: what happens to the objects of a list, line by line.
//!
//! A real server sends a bookmark about each minute; here one follows the changes that the watcher does not see, and
//! one goes before the end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::unfold;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::kinds::Kind;
use super::rest::Call;
use super::selector::Selector;
use super::state::State;
use super::status::{Body, Reply, Status, stream};
use super::store::Change;

/// How long a watch goes on that says nothing about it.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1800);

/// What a watcher wants to see.
struct Watch {
    state: Arc<State>,
    kind: Kind,
    namespace: String,
    selector: Selector,
    bookmarks: bool,
    timeout: Duration,
    /// The latest change that the watcher knows.
    seen: u64,
}

pub(super) fn answer(call: &Call<'_>) -> Result<Reply, Status> {
    let selector = Selector::parse(call.query.get("labelSelector"), call.query.get("fieldSelector"))?;
    let seconds = call.query.get("timeoutSeconds").and_then(|seconds| seconds.parse().ok());
    let watch = Watch {
        state: Arc::clone(call.state),
        kind: call.kind.clone(),
        namespace: call.target.namespace.clone(),
        selector,
        bookmarks: call.query.flag("allowWatchBookmarks"),
        timeout: seconds.map_or(DEFAULT_TIMEOUT, Duration::from_secs),
        seen: 0,
    };
    let since = call.query.get("resourceVersion").map(version).transpose()?.filter(|version| *version > 0);
    // One line at a time: a client that does not read holds nothing but its own watch up.
    let (lines, receiver) = mpsc::channel(1);
    tokio::spawn(watch.run(since, lines));
    Ok(stream(body(receiver)))
}

fn version(text: &str) -> Result<u64, Status> {
    text.parse().map_err(|_| Status::bad_request(format!("resourceVersion: Invalid value: \"{text}\"")))
}

fn body(receiver: mpsc::Receiver<Value>) -> Body {
    let frames = unfold(receiver, |mut receiver| async {
        let line = receiver.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(format!("{line}\n")))), receiver))
    });
    StreamBody::new(frames).boxed_unsync()
}

impl Watch {
    async fn run(mut self, since: Option<u64>, to: mpsc::Sender<Value>) {
        let timeout = self.timeout;
        let ended = tokio::select! {
            () = self.tell(since, &to) => false,
            () = to.closed() => false,
            () = tokio::time::sleep(timeout) => true,
        };
        if ended && self.bookmarks {
            // The client may be gone.
            let _ = to.send(self.bookmark()).await;
        }
    }

    /// Tells what is there, unless the watcher knows it, and then what happens.
    async fn tell(&mut self, since: Option<u64>, to: &mpsc::Sender<Value>) {
        let mut news = self.state.store().news();
        let mut events = match since {
            Some(since) => self.after(since),
            None => Ok(self.present()),
        };
        loop {
            let (lines, goes_on) = match events {
                Ok(lines) => (lines, true),
                Err(status) => (vec![json!({ "type": "ERROR", "object": status })], false),
            };
            for line in lines {
                if to.send(line).await.is_err() {
                    return;
                }
            }
            if !goes_on || news.changed().await.is_err() {
                return;
            }
            events = self.after(self.seen);
        }
    }

    /// All objects, as if they had just come.
    fn present(&mut self) -> Vec<Value> {
        let store = self.state.store();
        self.seen = store.version();
        let objects = store.of(&self.kind, &self.namespace).filter(|(_, object)| self.selector.matches(object));
        objects.map(|(_, object)| event("ADDED", object.clone())).collect()
    }

    fn after(&mut self, version: u64) -> Result<Vec<Value>, Status> {
        let store = self.state.store();
        if !store.remembers(version) {
            return Err(Status::expired(format!("too old resource version: {version} ({})", store.version())));
        }
        let changes = store.changes(version);
        let latest = store.version();
        drop(store);
        let mut events: Vec<Value> = changes.iter().filter_map(|change| self.seen_by_watcher(change)).collect();
        self.seen = self.seen.max(version).max(latest);
        if events.is_empty() && !changes.is_empty() && self.bookmarks {
            events.push(self.bookmark());
        }
        Ok(events)
    }

    /// An object that is selected no more has gone, for the watcher.
    fn seen_by_watcher(&self, change: &Change) -> Option<Value> {
        if !change.key.is_of(&self.kind, &self.namespace) {
            return None;
        }
        let selected = |object: &Option<Value>| object.clone().filter(|object| self.selector.matches(object));
        match (selected(&change.old), selected(&change.new)) {
            (None, None) => None,
            (None, Some(new)) => Some(event("ADDED", new)),
            (Some(_), Some(new)) => Some(event("MODIFIED", new)),
            (Some(mut old), None) => {
                old["metadata"]["resourceVersion"] = json!(change.version.to_string());
                Some(event("DELETED", old))
            }
        }
    }

    fn bookmark(&self) -> Value {
        let metadata = json!({ "resourceVersion": self.seen.to_string(), "creationTimestamp": null });
        let (kind, version) = (&self.kind.kind, self.kind.api_version());
        event("BOOKMARK", json!({ "kind": kind, "apiVersion": version, "metadata": metadata }))
    }
}

fn event(what: &str, object: Value) -> Value {
    json!({ "type": what, "object": object })
}
