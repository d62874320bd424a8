//! Answers: JSON bodies, and the `Status` objects that a cluster gives instead of what was asked for.
//!
//! The texts are those of a recorded API server; clients match on them.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde::Serialize;

/// The body of an answer, which may come little by little.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What the server answers.
pub(super) type Reply = Response<Body>;

/// A Kubernetes `Status`, its fields in the order in which a server writes them.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'static str>,
    metadata: Empty,
    status: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Box<Details>>,
    #[serde(skip_serializing_if = "is_zero")]
    code: u16,
}

/// What a status is about.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Details {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) uid: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) causes: Vec<Cause>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) retry_after_seconds: u16,
}

/// One of the reasons for a status.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Cause {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) reason: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) field: String,
}

#[derive(Clone, Debug, Default, Serialize)]
struct Empty {}

fn is_zero(code: &u16) -> bool {
    *code == 0
}

impl Details {
    /// Names an object, or all objects of a type when the name is empty.
    pub(super) fn of(group: &str, kind: &str, name: &str) -> Self {
        Self { name: name.to_owned(), group: group.to_owned(), kind: kind.to_owned(), ..Self::default() }
    }
}

impl Status {
    /// A failure, as REST answers have it.
    pub(super) fn failure(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind: Some("Status"), api_version: Some("v1"), ..Self::failed_exec(code, reason, message) }
    }

    /// A failure, as exec sessions have it on their status channel: without its own type.
    pub(super) fn failed_exec(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status: "Failure", message: message.into(), reason, code, ..Self::default() }
    }

    /// Success, as exec sessions have it.
    pub(super) fn exec_success() -> Self {
        Self { status: "Success", ..Self::default() }
    }

    /// Success of a deletion.
    pub(super) fn deleted(details: Details) -> Self {
        Self { details: Some(Box::new(details)), kind: Some("Status"), api_version: Some("v1"), ..Self::exec_success() }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::failure(400, "BadRequest", message)
    }

    pub(super) fn unauthorized() -> Self {
        Self::failure(401, "Unauthorized", "Unauthorized")
    }

    pub(super) fn not_found(details: Details) -> Self {
        let message = format!("{} \"{}\" not found", qualified(&details), details.name);
        Self::failure(404, "NotFound", message).about(details)
    }

    /// A resource that the server does not have, in a group that it has.
    pub(super) fn no_such_resource() -> Self {
        let message = "the server could not find the requested resource";
        Self::failure(404, "NotFound", message).about(Details::default())
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::failure(405, "MethodNotAllowed", message).about(Details::default())
    }

    pub(super) fn too_many_requests() -> Self {
        let details = Details { retry_after_seconds: 1, ..Details::default() };
        let message = "Too many requests, please try again later.";
        Self::failure(429, "TooManyRequests", message).about(details)
    }

    pub(super) fn unavailable() -> Self {
        let message = "the server is currently unable to handle the request";
        Self::failure(503, "ServiceUnavailable", message).about(Details::default())
    }

    /// What was asked for is forgotten.
    pub(super) fn expired(message: impl Into<String>) -> Self {
        Self::failure(410, "Expired", message)
    }

    pub(super) fn internal(what: &str) -> Self {
        let cause = Cause { message: what.to_owned(), ..Cause::default() };
        let details = Details { causes: vec![cause], ..Details::default() };
        Self::failure(500, "InternalError", format!("Internal error occurred: {what}")).about(details)
    }

    /// The same with details.
    pub(super) fn about(mut self, details: Details) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// The text of the message.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// True for a success.
    pub(super) fn is_success(&self) -> bool {
        self.status == "Success"
    }

    /// The text as it stands on the status channel of an exec session.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("a status has no maps with odd keys")
    }

    /// The answer that carries this status.
    pub(super) fn reply(&self) -> Reply {
        let mut reply = json(if self.code == 0 { 200 } else { self.code }, self);
        if self.code == 429 {
            reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        reply
    }
}

/// How messages name a type: with its group, unless that is the core group.
fn qualified(details: &Details) -> String {
    if details.group.is_empty() { details.kind.clone() } else { format!("{}.{}", details.kind, details.group) }
}

/// An answer with a JSON body; the line feed at its end is what the real server writes, too.
pub(super) fn json(code: u16, body: &impl Serialize) -> Reply {
    let mut text = serde_json::to_string(body).expect("answers have string keys only");
    text.push('\n');
    with_type(code, "application/json", text)
}

/// What a path gets that belongs to no API.
pub(super) fn page_not_found() -> Reply {
    with_type(404, "text/plain; charset=utf-8", "404 page not found\n".to_owned())
}

/// An answer of JSON lines that come when there is something to tell.
pub(super) fn stream(body: Body) -> Reply {
    let mut reply = with_type(200, "application/json", String::new());
    *reply.body_mut() = body;
    reply
}

/// An answer without a body.
pub(super) fn empty(code: u16) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::new()).boxed_unsync());
    *reply.status_mut() = StatusCode::from_u16(code).expect("a code of three digits");
    reply
}

fn with_type(code: u16, content_type: &'static str, text: String) -> Reply {
    let mut reply = empty(code);
    *reply.body_mut() = Full::new(Bytes::from(text)).boxed_unsync();
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}
