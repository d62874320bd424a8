//! Object Lock, as far as sfarc asks for it:
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use md5::{Digest, Md5};

use super::State;
use super::objects::{Change, Locked};
use super::server::{Reply, empty, error, with_body};

const MODE: HeaderName = HeaderName::from_static("x-amz-object-lock-mode");
const UNTIL: HeaderName = HeaderName::from_static("x-amz-object-lock-retain-until-date");

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A header that a signature should cover and does not. Requests without a signature are taken as they are.
pub(super) fn unsigned(headers: &HeaderMap) -> Option<String> {
    let signature = text(headers, "authorization")?;
    let names = signature.split("SignedHeaders=").nth(1)?.split(',').next()?;
    let is_signed = |name: &str| names.split(';').any(|signed| signed == name);
    let mut meant = headers.keys().map(HeaderName::as_str).filter(|name| name.starts_with("x-amz-"));
    meant.find(|name| !is_signed(name)).map(str::to_owned)
}

/// The lock of a new object: what the request says, or the bucket's own.
pub(super) fn of_put(state: &State, headers: &HeaderMap, bytes: &Bytes) -> Result<Option<Locked>, &'static str> {
    let default = state.options.default_lock;
    let lock = match (text(headers, MODE.as_str()), text(headers, UNTIL.as_str())) {
        (Some(mode), Some(until)) => Some(read(state, mode, until)?),
        (None, None) if default.is_zero() => None,
        (None, None) => {
            let until = state.objects.now().saturating_add(i64::try_from(default.as_nanos()).unwrap_or(i64::MAX));
            Some(Locked { mode: "GOVERNANCE".to_owned(), until })
        }
        _ => return Err("InvalidArgument"),
    };
    match lock {
        Some(_) if !state.options.object_lock => Err("InvalidRequest: the bucket has no Object Lock"),
        Some(_) => has_hash(headers, bytes).map(|()| lock),
        None => Ok(None),
    }
}

fn read(state: &State, mode: &str, until: &str) -> Result<Locked, &'static str> {
    let until: Timestamp = until.parse().map_err(|_| "InvalidArgument: no time")?;
    let until = i64::try_from(until.as_nanosecond()).map_err(|_| "InvalidArgument: no time")?;
    if !["COMPLIANCE", "GOVERNANCE"].contains(&mode) || until <= state.objects.now() {
        return Err("InvalidArgument: the end of a lock must be in the future");
    }
    Ok(Locked { mode: mode.to_owned(), until })
}

/// Bytes that are locked need a hash, and it must be theirs.
fn has_hash(headers: &HeaderMap, bytes: &Bytes) -> Result<(), &'static str> {
    match (text(headers, "content-md5"), text(headers, "x-amz-checksum-sha256")) {
        (Some(md5), _) if md5 != STANDARD.encode(Md5::digest(bytes)) => Err("BadDigest"),
        (None, None) => Err("InvalidRequest: Content-MD5 or x-amz-checksum is required"),
        _ => Ok(()),
    }
}

fn time(lock: &Locked) -> String {
    Timestamp::from_nanosecond(lock.until.into()).unwrap_or(Timestamp::MAX).to_string()
}

/// Says in an answer how its object is locked.
pub(super) fn tell(lock: &Locked, headers: &mut HeaderMap) {
    for (name, value) in [(MODE, lock.mode.clone()), (UNTIL, time(lock))] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}

fn between<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    Some(text.split_once(&format!("<{tag}>"))?.1.split_once(&format!("</{tag}>"))?.0)
}

pub(super) fn put_retention(state: &State, name: &str, headers: &HeaderMap, body: &Bytes) -> Reply {
    let xml = String::from_utf8_lossy(body);
    let (Some(mode), Some(until)) = (between(&xml, "Mode"), between(&xml, "RetainUntilDate")) else {
        return error(400, "MalformedXML");
    };
    let lock = match has_hash(headers, body).and_then(|()| read(state, mode, until)) {
        Ok(lock) if state.options.object_lock => lock,
        Ok(_) => return error(400, "InvalidRequest: the bucket has no Object Lock"),
        Err(why) => return error(400, why),
    };
    match state.objects.lock(name, lock) {
        Change::Missing => error(404, "NoSuchKey"),
        Change::Refused => error(403, "AccessDenied"),
        Change::Done | Change::Exists => empty(StatusCode::OK),
    }
}

pub(super) fn get_retention(state: &State, name: &str) -> Reply {
    let Some(lock) = state.objects.get(name).and_then(|object| object.lock) else {
        return error(404, "NoSuchObjectLockConfiguration");
    };
    let (mode, until) = (&lock.mode, time(&lock));
    let xml = format!("<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>");
    with_body(StatusCode::OK, xml)
}
