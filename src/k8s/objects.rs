//! Objects of the cluster, as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::in_time;
use super::{Cluster, ClusterError, is_name};

/// Objects of one list answer; longer lists come in several.
const PAGE: usize = 250;

/// How often a request is made that fails for reasons that pass.
const ATTEMPTS: u32 = 4;

/// The pause after the first attempt; it doubles with each.
const PAUSE: Duration = Duration::from_millis(250);

/// A type of objects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: String,
    /// Its version.
    pub version: String,
    /// The name of the type in paths and permissions, such as `secrets`.
    pub plural: String,
}

impl Resource {
    /// A type of the core group.
    pub fn core(plural: &str) -> Self {
        Self::of("", "v1", plural)
    }

    /// A type of a group.
    pub fn of(group: &str, version: &str, plural: &str) -> Self {
        Self { group: group.to_owned(), version: version.to_owned(), plural: plural.to_owned() }
    }

    fn path(&self, namespace: &str, name: Option<&str>) -> String {
        let Self { group, version, plural } = self;
        let base = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        let name = name.map_or(String::new(), |name| format!("/{name}"));
        format!("{base}/namespaces/{namespace}/{plural}{name}")
    }
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.plural)?;
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}

impl Cluster {
    /// The object of this name, or nothing if there is none.
    pub async fn get(&self, of: &Resource, namespace: &str, name: &str) -> Result<Option<Value>, ClusterError> {
        check_names([namespace, name])?;
        let doing = format!("read {of} {namespace}/{name}");
        match self.ask("GET", &of.path(namespace, Some(name)), None, &doing).await {
            Err(ClusterError::Refused { code: 404, .. }) => Ok(None),
            other => other.map(Some).map_err(|error| error.needing("get", of, namespace, Some(name))),
        }
    }

    /// All objects of a type in a namespace, or those with these labels (`key=value,...`), in the order of their names.
    /// Nothing if the cluster does not know the type.
    pub async fn list(&self, of: &Resource, namespace: &str, labels: &str) -> Result<Option<Vec<Value>>, ClusterError> {
        check_names([namespace])?;
        let doing = format!("list {of} in {namespace}");
        let (mut items, mut next) = (Vec::new(), String::new());
        loop {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("limit", &PAGE.to_string());
            for (key, value) in [("labelSelector", labels), ("continue", &next)] {
                if !value.is_empty() {
                    query.append_pair(key, value);
                }
            }
            let path = format!("{}?{}", of.path(namespace, None), query.finish());
            let mut page = match self.ask("GET", &path, None, &doing).await {
                // A later part of a list is missing only if something is wrong.
                Err(ClusterError::Refused { code: 404, .. }) if next.is_empty() => return Ok(None),
                other => other.map_err(|error| error.needing("list", of, namespace, None))?,
            };
            match page["items"].take() {
                Value::Array(found) => items.extend(found),
                // So some servers write an empty list.
                Value::Null if page["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) => {}
                _ => return Err(ClusterError::NoList { doing }),
            }
            match page["metadata"]["continue"].as_str() {
                Some(more) if !more.is_empty() => more.clone_into(&mut next),
                _ => return Ok(Some(items)),
            }
        }
    }

    /// Creates an object, and gives it as the cluster has it.
    pub async fn create(&self, of: &Resource, namespace: &str, object: &Value) -> Result<Value, ClusterError> {
        check_names([namespace])?;
        let doing = format!("create {of} in {namespace}");
        let created = self.ask("POST", &of.path(namespace, None), Some(object), &doing).await;
        created.map_err(|error| error.needing("create", of, namespace, None))
    }

    /// Replaces an object; its `resourceVersion`, if it has one, must still be the cluster's.
    pub async fn replace(
        &self,
        of: &Resource,
        namespace: &str,
        name: &str,
        object: &Value,
    ) -> Result<Value, ClusterError> {
        check_names([namespace, name])?;
        let doing = format!("replace {of} {namespace}/{name}");
        let replaced = self.ask("PUT", &of.path(namespace, Some(name)), Some(object), &doing).await;
        replaced.map_err(|error| error.needing("update", of, namespace, Some(name)))
    }

    /// Sets how many pods a workload has.
    pub async fn scale(&self, of: &Resource, namespace: &str, name: &str, replicas: u64) -> Result<(), ClusterError> {
        check_names([namespace, name])?;
        let doing = format!("set the replicas of {of} {namespace}/{name} to {replicas}");
        let path = format!("{}/scale", of.path(namespace, Some(name)));
        let patch = json!({ "spec": { "replicas": replicas } });
        let scale = Resource { plural: format!("{}/scale", of.plural), ..of.clone() };
        let scaled = self.ask("PATCH", &path, Some(&patch), &doing).await;
        scaled.map(drop).map_err(|error| error.needing("patch", &scale, namespace, Some(name)))
    }

    /// Deletes an object in the time that it takes to end; fine if it is not there.
    pub async fn delete_gently(&self, of: &Resource, namespace: &str, name: &str) -> Result<(), ClusterError> {
        check_names([namespace, name])?;
        self.delete_at(of, namespace, name, &of.path(namespace, Some(name))).await
    }

    /// Deletes an object at once; fine if it is not there.
    pub async fn delete(&self, of: &Resource, namespace: &str, name: &str) -> Result<(), ClusterError> {
        check_names([namespace, name])?;
        let path = format!("{}?gracePeriodSeconds=0", of.path(namespace, Some(name)));
        self.delete_at(of, namespace, name, &path).await
    }

    async fn delete_at(&self, of: &Resource, namespace: &str, name: &str, path: &str) -> Result<(), ClusterError> {
        let doing = format!("delete {of} {namespace}/{name}");
        match self.ask("DELETE", path, None, &doing).await {
            Ok(_) | Err(ClusterError::Refused { code: 404, .. }) => Ok(()),
            Err(error) => Err(error.needing("delete", of, namespace, Some(name))),
        }
    }

    /// Makes a request and makes it again while it fails for a reason that passes.
    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        doing: &str,
    ) -> Result<Value, ClusterError> {
        let mut pause = PAUSE;
        for _ in 1..ATTEMPTS {
            match self.ask_once(method, path, body, doing).await {
                // What was sent with a body may have been done although the answer got lost.
                Err(error) if error.is_transient() && body.is_none() => tokio::time::sleep(pause).await,
                other => return other,
            }
            pause *= 2;
        }
        self.ask_once(method, path, body, doing).await
    }

    async fn ask_once(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        doing: &str,
    ) -> Result<Value, ClusterError> {
        let mut request = http::Request::builder().method(method).uri(path);
        if body.is_some() {
            let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
            request = request.header(http::header::CONTENT_TYPE, kind);
        }
        let body = body.map_or(Vec::new(), |body| body.to_string().into_bytes());
        let request = request.body(body).map_err(|_| ClusterError::Name(path.to_owned()))?;
        in_time(doing, self.client.request(request)).await
    }
}

/// Names go into the path of a request: nothing may be in them that has a meaning there.
fn check_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<(), ClusterError> {
    match names.into_iter().find(|name| !is_name(name)) {
        Some(name) => Err(ClusterError::Name(name.to_owned())),
        None => Ok(()),
    }
}
