//! Why an admin call was not followed, as `application/problem+json` (RFC 9457), with what to write instead.
//!
//! Repeats nothing of what was sent but names that were found valid.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::body::AdminBody;
use super::control::ControlError;
use super::orders::OrderError;
use super::reply::AdminReply;
use crate::config::OperatorRole;
use crate::http::FramingError;
use crate::model::escape_unprintable;

/// A refusal as the caller reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Problem {
    /// `urn:vendorgate:` and the reason.
    #[serde(rename = "type")]
    pub kind: String,
    /// The reason in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What to do about it.
    pub detail: String,
    /// The stable reason.
    pub reason: String,
    /// What to quote when asking about it; the audit trail has it too.
    pub request_id: String,
    /// The faults of a config that was not loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

/// Why an admin call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AdminError {
    /// Bytes that can be read in more than one way.
    HeadMalformed(FramingError),
    HostUnknown,
    CrossSite,
    CallUnknown,
    MethodWrong {
        allow: &'static str,
    },
    TokenMissing,
    TokenMalformed,
    TokenWrong,
    /// A session of the dashboard that ended, or never was.
    SessionEnded,
    RoleTooLow {
        has: OperatorRole,
        needs: OperatorRole,
    },
    ContentType,
    BodyTooLarge,
    BodySlow,
    BodyMalformed(String),
    QueryMalformed(&'static str),
    Order(OrderError),
    Control(ControlError),
    /// A call that ended without an answer.
    Broken,
}

impl AdminError {
    /// The stable reason.
    pub(super) const fn reason(&self) -> &'static str {
        self.status_reason_title().1
    }

    /// The response; consumes nothing, since the audit reads it too.
    pub(super) fn response(&self, request_id: &str) -> AdminReply {
        let (status, reason, title) = self.status_reason_title();
        let problem = Problem {
            kind: format!("urn:vendorgate:{reason}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail(),
            reason: reason.to_owned(),
            request_id: request_id.to_owned(),
            faults: self.faults().to_vec(),
        };
        // Numbers and text always make JSON.
        let body = serde_json::to_string(&problem).unwrap_or_default();
        let mut response = Response::new(AdminBody::from(Bytes::from(escape_unprintable(&body).into_owned())));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(challenge) = self.challenge() {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Self::MethodWrong { allow } = self {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if matches!(self, Self::HeadMalformed(_) | Self::BodyTooLarge | Self::BodySlow) {
            // What is left of the body must not be read as a next request.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn faults(&self) -> &[String] {
        if let Self::Control(ControlError::Faults(faults)) = self { faults } else { &[] }
    }

    const fn status_reason_title(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::HeadMalformed(_) => (StatusCode::BAD_REQUEST, "head_malformed", "Request cannot be read"),
            Self::HostUnknown => (StatusCode::MISDIRECTED_REQUEST, "host_unknown", "Not a name of this gateway"),
            Self::CrossSite => (StatusCode::FORBIDDEN, "cross_site", "Asked by a page of another site"),
            Self::CallUnknown => (StatusCode::NOT_FOUND, "call_unknown", "No such call"),
            Self::MethodWrong { .. } => (StatusCode::METHOD_NOT_ALLOWED, "method_wrong", "Not by this method"),
            Self::TokenMissing => (StatusCode::UNAUTHORIZED, "token_missing", "Who is asking?"),
            Self::TokenMalformed => (StatusCode::UNAUTHORIZED, "token_malformed", "Credentials cannot be read"),
            Self::TokenWrong => (StatusCode::UNAUTHORIZED, "token_invalid", "Nobody's token"),
            Self::SessionEnded => (StatusCode::UNAUTHORIZED, "session_ended", "Session ended"),
            Self::RoleTooLow { .. } => (StatusCode::FORBIDDEN, "role_too_low", "Not with this role"),
            Self::ContentType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "body_opaque", "Not JSON"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "Body too large"),
            Self::BodySlow => (StatusCode::REQUEST_TIMEOUT, "body_slow", "Body did not arrive"),
            Self::BodyMalformed(_) | Self::Order(_) => {
                (StatusCode::BAD_REQUEST, "body_malformed", "Order cannot be followed")
            }
            Self::QueryMalformed(_) => (StatusCode::BAD_REQUEST, "query_malformed", "Query cannot be read"),
            Self::Control(error) => error.status_reason_title(),
            Self::Broken => (StatusCode::INTERNAL_SERVER_ERROR, "broken", "The call broke off"),
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::HeadMalformed(flaw) => flaw.as_str().into(),
            Self::HostUnknown => "use the gateway's address, 'localhost', or a name listed for this listener".into(),
            Self::CrossSite => "use the dashboard, the command line, or a client that is not a web page".into(),
            Self::CallUnknown => "GET /openapi.json lists every call".into(),
            Self::MethodWrong { allow } => format!("use {allow}"),
            Self::TokenMissing => "send 'Authorization: Bearer TOKEN' with an operator's token".into(),
            Self::TokenMalformed => "send exactly one 'Authorization: Bearer TOKEN', and no token in the URL".into(),
            Self::TokenWrong => "no operator holds this token; 'vendorgate operators add NAME' makes one".into(),
            Self::SessionEnded => "log in again with an operator's token".into(),
            Self::RoleTooLow { has, needs } => format!("this call needs the role '{needs}', and yours is '{has}'"),
            Self::ContentType => "send JSON with 'Content-Type: application/json'".into(),
            Self::BodyTooLarge => format!("send at most {} bytes", crate::bounds::ADMIN_BODY_BYTES_MAX),
            Self::BodySlow => "send the whole body at once".into(),
            Self::BodyMalformed(why) => why.clone(),
            Self::QueryMalformed(why) => (*why).into(),
            Self::Order(error) => error.to_string(),
            Self::Control(error) => error.advice(),
            Self::Broken => "this is a fault of the gateway: see its log, and look at the vendor's state".into(),
        }
    }

    /// RFC 6750 section 3: no error code where no credentials were sent.
    const fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::TokenMissing | Self::SessionEnded => Some("Bearer realm=\"vendorgate-admin\""),
            Self::TokenMalformed => Some("Bearer realm=\"vendorgate-admin\", error=\"invalid_request\""),
            Self::TokenWrong => Some("Bearer realm=\"vendorgate-admin\", error=\"invalid_token\""),
            Self::RoleTooLow { .. } => Some("Bearer realm=\"vendorgate-admin\", error=\"insufficient_scope\""),
            Self::HeadMalformed(_) | Self::HostUnknown | Self::CrossSite => None,
            Self::CallUnknown | Self::MethodWrong { .. } => None,
            Self::ContentType | Self::BodyTooLarge | Self::BodySlow | Self::BodyMalformed(_) => None,
            Self::QueryMalformed(_) | Self::Order(_) | Self::Control(_) | Self::Broken => None,
        }
    }
}
