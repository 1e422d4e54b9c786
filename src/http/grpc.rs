//! gRPC calls: they are told by their content type, and a refusal is an answer that their clients understand.
//!
//! A gRPC client reads no problem document. What it gets is an answer without messages, whose head carries the status
//! (`Trailers-Only` of the gRPC protocol over HTTP/2).

use ::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER};
use ::http::{HeaderValue, Response, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::GatewayBody;
use crate::model::{Denial, Direction, Reason, RetryAdvice};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_RETRY_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// What is percent-encoded in `grpc-message`: all but space to `~`, and the `%` itself.
const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// Whether the fields are those of a gRPC call: `application/grpc`, or that with a format such as `+proto`.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let rest = headers.get(CONTENT_TYPE).and_then(|value| {
        let (name, rest) = value.as_bytes().split_at_checked(b"application/grpc".len())?;
        name.eq_ignore_ascii_case(b"application/grpc").then_some(rest)
    });
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// Turns a refusal into one for a gRPC client, which reads its status, its message and when to try again.
pub fn refuse_grpc(refusal: Response<GatewayBody>, denial: &Denial, direction: Direction) -> Response<GatewayBody> {
    let (mut head, _) = refusal.into_parts();
    let wait = head.headers.get(RETRY_AFTER).and_then(|secs| secs.to_str().ok()?.parse::<u32>().ok());
    set_status(&mut head.headers, denial, direction, head.status);
    head.status = StatusCode::OK;
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if let Some(secs) = wait {
        head.headers.insert(GRPC_RETRY_PUSHBACK, HeaderValue::from(u64::from(secs) * 1000));
    }
    Response::from_parts(head, GatewayBody::full(""))
}

/// The trailers of a call that ends early, after its head and maybe some messages were sent.
pub fn grpc_trailers(denial: &Denial, direction: Direction) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    let status = StatusCode::from_u16(denial.reason.problem(direction).status).unwrap_or(StatusCode::BAD_GATEWAY);
    set_status(&mut trailers, denial, direction, status);
    trailers
}

/// Adds how the call ended: the status, by that which it has in HTTP, and the reason with its text.
fn set_status(fields: &mut HeaderMap, denial: &Denial, direction: Direction, status: StatusCode) {
    let text = denial.public_text.unwrap_or(denial.reason.problem(direction).detail);
    let message = format!("{}: {text}", denial.reason.as_str());
    let message = utf8_percent_encode(&message, MESSAGE).to_string();
    fields.insert(GRPC_STATUS, HeaderValue::from(status_code(denial.reason, status)));
    if let Ok(message) = HeaderValue::try_from(message) {
        fields.insert(GRPC_MESSAGE, message);
    }
}

/// The gRPC status of a refusal, by the status that it has in HTTP.
const fn status_code(reason: Reason, status: StatusCode) -> u16 {
    const INVALID_ARGUMENT: u16 = 3;
    const DEADLINE_EXCEEDED: u16 = 4;
    const PERMISSION_DENIED: u16 = 7;
    const RESOURCE_EXHAUSTED: u16 = 8;
    const INTERNAL: u16 = 13;
    const UNAVAILABLE: u16 = 14;
    const UNAUTHENTICATED: u16 = 16;
    match status.as_u16() {
        400 | 415 | 422 => INVALID_ARGUMENT,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        408 | 504 => DEADLINE_EXCEEDED,
        413 | 429 => RESOURCE_EXHAUSTED,
        503 => UNAVAILABLE,
        // What passes by itself may be tried again; an answer that cannot be read would come again.
        _ => match reason.retry_advice() {
            RetryAdvice::Upstream | RetryAdvice::Overload => UNAVAILABLE,
            RetryAdvice::Never => INTERNAL,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Challenge, RequestIds, refuse};

    #[test]
    fn every_reason_has_a_status_and_a_message() {
        for (reason, code) in [
            (Reason::RequestMalformed, "3"),
            (Reason::BodyOpaque, "3"),
            (Reason::BodyTooLarge, "8"),
            (Reason::TokenExpired, "16"),
            (Reason::VendorKilled, "7"),
            (Reason::DestinationUnknown, "7"),
            (Reason::RateLimited, "8"),
            (Reason::RecordsExceeded, "8"),
            (Reason::UpstreamRefused, "14"),
            (Reason::UpstreamUnreadable, "13"),
            (Reason::ShapeUnexpected, "13"),
            (Reason::Overloaded, "14"),
            (Reason::UpstreamTimeout, "4"),
            (Reason::LoopDetected, "13"),
        ] {
            let direction = Direction::Ingress;
            let denial = Denial::new(reason, "");
            let refusal = refuse(&denial, direction, Challenge::Plain, RequestIds::next());
            let answer = refuse_grpc(refusal, &denial, direction);
            let field = |name: &str| answer.headers().get(name).map(|value| value.to_str().expect("ASCII"));
            assert_eq!((answer.status().as_u16(), field("grpc-status")), (200, Some(code)), "{reason:?}");
            let message = field("grpc-message").expect("a message");
            assert!(message.starts_with(reason.as_str()), "{message}");
        }
    }

    #[test]
    fn a_content_type_tells_a_call() {
        for (value, is_call) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("Application/GRPC; x=y", true),
            ("application/grpc-web", false),
            ("application/grp", false),
            ("application/json", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            assert_eq!(is_grpc(&headers), is_call, "{value}");
        }
    }
}
