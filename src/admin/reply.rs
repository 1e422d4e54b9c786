//! The responses to admin calls.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::body::AdminBody;
use super::control::ControlResult;
use super::problem::AdminError;
use super::readiness::Readiness;
use crate::model::escape_unprintable;

/// An answer.
pub(super) type AdminReply = Response<AdminBody>;

pub(super) fn json(answer: &impl Serialize) -> AdminReply {
    // Our own answers hold text keys and finite numbers only, so they always make JSON.
    let body = serde_json::to_string(answer).unwrap_or_default() + "\n";
    // People read it in a terminal too.
    with_type(StatusCode::OK, "application/json", Bytes::from(escape_unprintable(&body).into_owned()))
}

pub(super) fn text(status: StatusCode, content_type: &'static str, body: String) -> AdminReply {
    with_type(status, content_type, Bytes::from(body))
}

pub(super) fn plain(body: String) -> AdminReply {
    text(StatusCode::OK, "text/plain; charset=utf-8", body)
}

/// What an order came to, as the caller reads it.
pub(super) fn json_result<T: Serialize>(answer: ControlResult<T>) -> Result<AdminReply, AdminError> {
    answer.map(|answer| json(&answer)).map_err(AdminError::Control)
}

/// The form of Kubernetes' own probes: a word, or one line per check.
pub(super) fn ready(readiness: &Readiness, verbose: bool) -> AdminReply {
    let (status, word) =
        if readiness.is_ready() { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    let mut body = String::new();
    if verbose {
        for check in &readiness.checks {
            let mark = if check.well { '+' } else { '-' };
            let optional = if check.needed { "" } else { " (not needed)" };
            let colon = if check.detail.is_empty() { "" } else { ": " };
            body.push_str(&format!("[{mark}] {}{optional}{colon}{}\n", check.name, check.detail));
        }
    }
    body.push_str(word);
    body.push('\n');
    text(status, "text/plain; charset=utf-8", body)
}

/// What holds for every answer: no cache keeps it, no browser guesses its type, runs it, or shows it to another site.
/// A file of the dashboard says itself what may run.
pub(super) fn add_security_headers(reply: &mut AdminReply) {
    const HEADERS: [(HeaderName, &str); 6] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in HEADERS {
        reply.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
}

fn with_type(status: StatusCode, content_type: &'static str, body: Bytes) -> AdminReply {
    let mut reply = Response::new(AdminBody::from(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}
