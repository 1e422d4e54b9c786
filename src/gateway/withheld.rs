//! An answer whose body must not pass, and whose head still says something: an error or a redirect.
//!
//! A 503 says when to come back and a 302 where to go, whatever is wrong with the page behind it. The status and a short
//! list of fields pass, treated as in any answer; our problem document stands where the body was. A success without its
//! body is none, and becomes a 502.

use std::sync::Arc;

use ::http::header::{
    ALLOW, CONTENT_LOCATION, DATE, HeaderMap, HeaderName, LINK, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use ::http::{HeaderValue, Response, StatusCode};

use super::body_pipeline::{AbortReason, HttpMessage};
use super::body_stream::BodyEnd;
use super::exchange::Exchange;
use super::snapshot::{MessageRules, RouteRuntime};
use super::target::HeadCounts;
use crate::http::{GatewayBody, withhold_body};
use crate::pii::RewriteError;

/// What passes without its body: what a client acts on, and nothing that describes the body.
const FIELDS: [HeaderName; 14] = [
    ALLOW,
    DATE,
    LOCATION,
    RETRY_AFTER,
    WWW_AUTHENTICATE,
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("deprecation"),
    HeaderName::from_static("sunset"),
    HeaderName::from_static("accept-patch"),
];

/// The fields that hold references, whose parameters a rule may name.
const REFERENCES: [HeaderName; 3] = [LOCATION, CONTENT_LOCATION, LINK];

/// Whether an answer of this status counts without its body.
pub(super) fn has_meaning_alone(status: StatusCode) -> bool {
    status.is_redirection() || status.is_client_error() || status.is_server_error()
}

/// Why a body is withheld, in words for the caller; none where the ending is no fault of the body.
const fn why_withheld(ending: &BodyEnd) -> Option<&'static str> {
    match ending {
        BodyEnd::Stopped(AbortReason::Untreatable(stop)) => Some(match stop {
            RewriteError::Opaque { .. } => "its content type, charset or coding cannot be inspected",
            RewriteError::Malformed { .. } => "it is not what its content type says",
            RewriteError::Bound { .. } => "it exceeds a bound of inspection",
            RewriteError::MissingColumn { .. } => "it is a table without a column that the contract names",
            RewriteError::GraphqlQuery { .. } => "a query in it cannot be judged",
            RewriteError::UnexpectedShape { .. } => "it is not of the shape that the contract describes",
            RewriteError::Untreatable { .. } | RewriteError::RecordBudgetSpent => "a value in it cannot be treated",
        }),
        BodyEnd::SenderGone => Some("it broke off"),
        BodyEnd::Stalled | BodyEnd::Slow => Some("it did not come in time"),
        BodyEnd::Severed(_) | BodyEnd::Stopped(AbortReason::BudgetSpent(_)) | BodyEnd::ReaderGone => None,
    }
}

/// The answer without its body, where it counts so; else a refusal. `headers` are those that the caller may see.
pub(super) fn respond(
    exchange: Box<Exchange>,
    route: &Arc<RouteRuntime>,
    status: StatusCode,
    (headers, mut head): (&HeaderMap, HeadCounts),
    ending: &BodyEnd,
) -> Response<GatewayBody> {
    let Some(because) = why_withheld(ending).filter(|_| has_meaning_alone(status)) else {
        return exchange.refuse_broken(ending);
    };
    let denial = ending.denial(HttpMessage::Response);
    let mut response = withhold_body(status, &denial, because, exchange.id);
    for name in FIELDS {
        for value in headers.get_all(&name) {
            response.headers_mut().append(&name, value.clone());
        }
    }
    if let Some(treats) = &route.response {
        head.record_sent(treats, route);
    }
    exchange.withholds(status, &denial);
    response
}

/// Treats the references of an answer's head by the rules for its body: what a field must not say there, a parameter of
/// that name must not say here. A field that cannot be read is left out.
pub(super) fn treat_references(treats: &MessageRules, headers: &mut HeaderMap, counts: &mut HeadCounts) {
    for name in REFERENCES.iter().filter(|_| treats.plan.reads_references()) {
        if !headers.contains_key(name) {
            continue;
        }
        let values: Vec<HeaderValue> = headers.get_all(name).iter().cloned().collect();
        headers.remove(name);
        let mut scene = treats.plan.reference_rewriter(counts);
        for value in values {
            if let Ok(Some(bytes)) = scene.header(name.as_str(), value.as_bytes())
                && let Ok(treated) = HeaderValue::from_bytes(&bytes)
            {
                headers.append(name, treated);
            }
        }
    }
}
