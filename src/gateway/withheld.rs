//! Responses whose body must not pass, while their head is still of use: errors and redirects.
//!
//! A 503 says when to try again and a 302 where to go, whatever is wrong with the body. The status and a short list of
//! fields pass, treated as in any response, with a problem document of the gateway as the body. A successful response
//! is of no use without its body, and becomes a 502.

use ::http::header::{
    ALLOW, CONTENT_LOCATION, DATE, HeaderMap, HeaderName, LINK, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use ::http::{HeaderValue, Response, StatusCode};

use super::admission::Admitted;
use super::body_end::{AbortReason, BodyEnd, HttpMessage};
use super::snapshot::MessageRules;
use super::target::HeadCounts;
use crate::http::{GatewayBody, withhold_body};
use crate::pii::RewriteError;

/// The fields that pass without the body: those that a client acts on, and none that describes the body.
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

/// The fields that hold URLs, whose query parameters a rule may name.
const REFERENCES: [HeaderName; 3] = [LOCATION, CONTENT_LOCATION, LINK];

/// Whether a response of this status is of use without its body.
pub(super) fn has_meaning_alone(status: StatusCode) -> bool {
    status.is_redirection() || status.is_client_error() || status.is_server_error()
}

/// Why a body is withheld, in words for the caller; `None` where its end is no fault of the body.
const fn why_withheld(end: &BodyEnd) -> Option<&'static str> {
    match end {
        BodyEnd::Stopped(AbortReason::Untreatable(error)) => Some(match error {
            RewriteError::Opaque { .. } => "its content type, charset or coding cannot be inspected",
            RewriteError::Malformed { .. } => "it is not what its content type says",
            RewriteError::Bound { .. } => "it exceeds a bound of inspection",
            RewriteError::MissingColumn { .. } => "it is a table without a column that the contract names",
            RewriteError::GraphqlQuery { .. } => "a query in it cannot be checked",
            RewriteError::UnexpectedShape { .. } => "it is not of the shape that the contract describes",
            RewriteError::Untreatable { .. } | RewriteError::RecordBudgetSpent => "a value in it cannot be treated",
        }),
        BodyEnd::SenderGone => Some("it broke off"),
        BodyEnd::Stalled | BodyEnd::Slow => Some("it did not come in time"),
        BodyEnd::Severed(_) | BodyEnd::Stopped(AbortReason::BudgetSpent(_)) | BodyEnd::ReaderGone => None,
    }
}

/// The response without its body, where it is of use so; else a refusal. `headers` are those that the caller may see,
/// and `head` is what was treated in them.
pub(super) fn respond(
    admitted: &mut Admitted,
    status: StatusCode,
    (headers, mut head): (&HeaderMap, HeadCounts),
    end: &BodyEnd,
) -> Response<GatewayBody> {
    let denial = end.denial(HttpMessage::Response);
    let Some(because) = why_withheld(end).filter(|_| has_meaning_alone(status)) else {
        return admitted.refuse(&denial);
    };
    let mut response = withhold_body(status, &denial, because, admitted.record().id);
    for name in FIELDS {
        for value in headers.get_all(&name) {
            response.headers_mut().append(&name, value.clone());
        }
    }
    if let Some(rules) = &admitted.route().response {
        let exposure = rules.exposure(admitted.route(), admitted.record().client());
        head.record_sent(rules, admitted.route(), exposure.as_ref());
    }
    admitted.withhold_body(status, &denial);
    response
}

/// Treats the URLs in the head of a response by the rules for its body: a query parameter is treated as the body's
/// field of that name is. A header field that cannot be read is left out.
pub(super) fn treat_references(rules: &MessageRules, headers: &mut HeaderMap, counts: &mut HeadCounts) {
    for name in REFERENCES.iter().filter(|_| rules.plan.reads_references()) {
        if !headers.contains_key(name) {
            continue;
        }
        let values: Vec<HeaderValue> = headers.get_all(name).iter().cloned().collect();
        headers.remove(name);
        let mut rewriter = rules.plan.reference_rewriter(counts);
        for value in values {
            if let Ok(Some(bytes)) = rewriter.header(name.as_str(), value.as_bytes())
                && let Ok(treated) = HeaderValue::from_bytes(&bytes)
            {
                headers.append(name, treated);
            }
        }
    }
}
