//! Checks `fallback:` of a route.

use ::http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderName, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use ::http::{HeaderValue, StatusCode};
use bytes::Bytes;

use super::values;
use crate::bounds::{FALLBACK_BODY_BYTES_MAX, LAST_GOOD_AGE_MAX};
use crate::config::contract::{FallbackSettings, StaticAnswer};
use crate::config::file::fallback as written;
use crate::config::source::Cursor;
use crate::model::Direction;

/// Fields that the gateway itself sets in every message.
const OWN: [HeaderName; 9] =
    [CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// Reads a route's fallback.
pub(super) fn fallback(
    at: &Cursor<'_>,
    written: Option<&written::FallbackConfig>,
    direction: Direction,
    websocket: bool,
) -> Option<FallbackSettings> {
    let written = written?;
    if websocket {
        at.fault("cannot be used with websocket: a WebSocket has no answer to replace", "take one of them out");
    }
    let last_good = values::duration(&at.key("last_good"), written.last_good.as_ref(), LAST_GOOD_AGE_MAX);
    if written.last_good.is_some() && direction == Direction::Ingress {
        let wrong = "is for egress: on ingress a kept answer would hand out records that no budget has counted";
        at.key("last_good").fault(wrong, "write status and body instead");
    }
    let says_answer = written.status.is_some()
        || written.headers.is_some()
        || written.body.is_some()
        || written.body_file.is_some()
        || written.content_type.is_some();
    if !says_answer && written.last_good.is_none() {
        at.fault("says no answer", "write status and body, or last_good: 10m");
    }
    let answer = says_answer.then(|| answer(at, written));
    Some(FallbackSettings { answer, last_good })
}

fn answer(at: &Cursor<'_>, written: &written::FallbackConfig) -> StaticAnswer {
    let status = written.status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK);
    let body = body(at, written);
    let is_empty_status = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if is_empty_status && !body.is_empty() {
        at.key("status").invalid_with_remedy("has no body", "take the body out, or write 200");
    }
    let mut headers = HeaderMap::new();
    for (name, value) in written.headers.iter().flatten() {
        header(&at.key("headers").key(name), name, value, &mut headers);
    }
    if let Some(content_type) = content_type(at, written.content_type.as_deref(), &body) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    StaticAnswer { status, headers, body }
}

fn body(at: &Cursor<'_>, written: &written::FallbackConfig) -> Bytes {
    let body: Bytes = match (&written.body, &written.body_file) {
        (Some(_), Some(_)) => {
            at.key("body_file").fault("cannot be used with body", "take one of them out");
            Bytes::new()
        }
        (Some(body), None) => body.clone().into(),
        (None, Some(file)) => {
            let path = at.file_path(file);
            at.report().looked_at(&path);
            let at = at.key("body_file");
            match std::fs::metadata(&path).map(|found| found.len()) {
                Ok(length) if length > FALLBACK_BODY_BYTES_MAX as u64 => {
                    at.invalid_with_remedy(too_long(), "write a shorter one");
                    Bytes::new()
                }
                Ok(_) => std::fs::read(&path).map_or_else(|error| unreadable(&at, &error), Bytes::from),
                Err(error) => unreadable(&at, &error),
            }
        }
        (None, None) => Bytes::new(),
    };
    if written.body.is_some() && body.len() > FALLBACK_BODY_BYTES_MAX {
        at.key("body").fault(too_long(), "write a shorter one");
    }
    body
}

fn too_long() -> String {
    format!("must have at most {} KiB, which are held in memory", FALLBACK_BODY_BYTES_MAX / 1024)
}

fn unreadable(at: &Cursor<'_>, error: &std::io::Error) -> Bytes {
    at.invalid_with_remedy(format!("cannot be read: {error}"), "name a file beside the contract");
    Bytes::new()
}

fn header(at: &Cursor<'_>, name: &str, value: &str, headers: &mut HeaderMap) {
    let Ok(known) = HeaderName::try_from(name) else {
        at.fault("is not the name of a header field", "write letters, digits and '-'");
        return;
    };
    if OWN.contains(&known) || known.as_str().starts_with("x-vendorgate-") {
        at.fault("is set by the gateway itself", "take it out; content_type is a key of its own");
    } else if let Ok(value) = HeaderValue::try_from(value) {
        headers.append(known, value);
    } else {
        at.fault("is not the value of a header field", "write one line of visible characters");
    }
}

fn content_type(at: &Cursor<'_>, written: Option<&str>, body: &Bytes) -> Option<HeaderValue> {
    match written {
        Some(text) => {
            let value = HeaderValue::try_from(text).ok().filter(|_| text.contains('/'));
            if value.is_none() {
                at.key("content_type").invalid("must be a media type", "application/json");
            }
            value
        }
        None if body.is_empty() => None,
        None => {
            if serde_json::from_slice::<serde_json::Value>(body).is_err() {
                at.key("content_type").fault("is missing: the body is not JSON", "write content_type: text/plain");
            }
            Some(HeaderValue::from_static("application/json"))
        }
    }
}
