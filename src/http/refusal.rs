//! Refusals: the only maker of error responses.
//!
//! `application/problem+json` (RFC 9457) with a stable reason and a public text. What exactly was wrong goes to the log
//! and the audit trail. Never tells an attacker more than the reason.

use ::http::header::{CACHE_CONTROL, CONTENT_TYPE, PROXY_AUTHENTICATE, RETRY_AFTER, WWW_AUTHENTICATE};
use ::http::{HeaderValue, Response, StatusCode};
use bytes::Bytes;
use std::sync::LazyLock;
use std::time::Duration;

use super::{GatewayBody, RequestId};
use crate::bounds::{OVERLOAD_RETRY, UPSTREAM_RETRY};
use crate::model::{Algorithm, Denial, Direction, Reason, RefusalText, RetryAdvice, ScopeSet};

/// What the `WWW-Authenticate` field of a 401 or 403 says (RFC 6750 section 3).
#[derive(Debug, Clone, Copy)]
pub enum Challenge<'a> {
    /// Only what follows from the reason.
    Plain,
    /// Also the scopes that the route needs.
    Scopes(&'a ScopeSet),
    /// One of our services must prove itself to the gateway as its proxy.
    Proxy,
}

impl<'a> Challenge<'a> {
    /// The challenge for a denial on a route: with the route's scopes, where the denial is for a missing scope.
    pub fn of(denial: &Denial, scopes: Option<&'a ScopeSet>) -> Self {
        let missing = scopes.filter(|_| denial.reason == Reason::ScopeMissing);
        missing.map_or(Self::Plain, Self::Scopes)
    }
}

/// Makes the response for a denial.
///
/// The status is the reason's own. One reason differs by direction: a body of another shape is the upstream's fault for
/// ingress and the caller's for egress.
pub fn refuse(denial: &Denial, direction: Direction, challenge: Challenge<'_>, id: RequestId) -> Response<GatewayBody> {
    let mut public = problem_text(denial.reason, direction);
    let asks_service = denial.reason == Reason::CallerUnknown;
    let is_proxy = asks_service && matches!(challenge, Challenge::Proxy);
    if is_proxy {
        public.status = StatusCode::PROXY_AUTHENTICATION_REQUIRED;
    }
    public.detail = denial.public_text.unwrap_or(public.detail);
    let mut response = Response::new(GatewayBody::full(problem_json(denial.reason, &public, id)));
    *response.status_mut() = public.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let retry =
        denial.retry_after_secs.map(u64::from).or_else(|| default_retry(denial.reason).map(|wait| wait.as_secs()));
    if let Some(secs) = retry {
        headers.insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    // Of an egress caller, one of our own services, nothing but its name is asked. A challenge for Basic in a 401 would
    // make clients send what they hold for the vendor.
    if is_proxy {
        // Some clients send credentials only after this.
        headers.insert(PROXY_AUTHENTICATE, HeaderValue::from_static(r#"Basic realm="vendorgate""#));
    } else if asks_service {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(r#"X-Vendorgate-Caller-Token realm="vendorgate""#));
    } else if direction == Direction::Ingress
        && let Some(value) = challenge_of(denial.reason, public.status, challenge)
    {
        headers.insert(WWW_AUTHENTICATE, value);
        if denial.reason == Reason::TokenUnbound {
            headers.append(WWW_AUTHENTICATE, DPOP_CHALLENGE.clone());
        }
    }
    response
}

/// Replaces the body of an answer that must not pass. `because` says why and quotes nothing of the body.
pub fn withhold_body(status: StatusCode, denial: &Denial, because: &str, id: RequestId) -> Response<GatewayBody> {
    let detail = format!("The upstream answered {}. Its body is withheld: {because}.", status.as_u16());
    let title = "Answer without its body";
    let body = problem_json(denial.reason, &ProblemText { status, title, detail: &detail }, id);
    let mut response = Response::new(GatewayBody::full(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// RFC 9449 section 7.1, with every algorithm that a proof may use. It is sent beside the Bearer challenge, because a
/// client whose token is bound to a certificate needs no proof.
static DPOP_CHALLENGE: LazyLock<HeaderValue> = LazyLock::new(|| {
    let algs = Algorithm::ALL.map(Algorithm::as_str).join(" ");
    let challenge = format!(r#"DPoP realm="vendorgate", error="invalid_token", algs="{algs}""#);
    // Cannot fail: the names are ASCII.
    HeaderValue::try_from(challenge).unwrap_or(HeaderValue::from_static(r#"DPoP realm="vendorgate""#))
});

/// After what time a retry makes sense, where the denial does not say.
const fn default_retry(reason: Reason) -> Option<Duration> {
    match reason.retry_advice() {
        RetryAdvice::Never => None,
        RetryAdvice::Overload => Some(OVERLOAD_RETRY),
        RetryAdvice::Upstream => Some(UPSTREAM_RETRY),
    }
}

/// What a problem document says besides the reason and the request's id.
struct ProblemText<'a> {
    status: StatusCode,
    title: &'a str,
    detail: &'a str,
}

fn problem_json(reason: Reason, public: &ProblemText<'_>, id: RequestId) -> Bytes {
    let reason = reason.as_str();
    let ProblemText { status, title, detail } = public;
    let status = status.as_u16();
    format!(
        r#"{{"type":"urn:vendorgate:{reason}","title":"{title}","status":{status},"detail":"{detail}","reason":"{reason}","request_id":"{id}"}}"#
    )
    .into()
}

fn challenge_of(reason: Reason, status: StatusCode, challenge: Challenge<'_>) -> Option<HeaderValue> {
    if status != StatusCode::UNAUTHORIZED && status != StatusCode::FORBIDDEN {
        return None;
    }
    match reason {
        // RFC 6750 section 3.1: a request without credentials gets no error code.
        Reason::TokenMissing => Some(HeaderValue::from_static(r#"Bearer realm="vendorgate""#)),
        Reason::ScopeMissing => match challenge {
            Challenge::Scopes(scopes) => {
                let text = format!(r#"Bearer realm="vendorgate", error="insufficient_scope", scope="{scopes}""#);
                HeaderValue::try_from(text).ok()
            }
            Challenge::Plain | Challenge::Proxy => {
                Some(HeaderValue::from_static(r#"Bearer realm="vendorgate", error="insufficient_scope""#))
            }
        },
        _ if status == StatusCode::UNAUTHORIZED => {
            Some(HeaderValue::from_static(r#"Bearer realm="vendorgate", error="invalid_token""#))
        }
        _ => Some(HeaderValue::from_static(r#"Bearer realm="vendorgate""#)),
    }
}

/// Status and text for the caller.
fn problem_text(reason: Reason, direction: Direction) -> ProblemText<'static> {
    let RefusalText { status, title, detail } = reason.problem(direction);
    ProblemText { status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), title, detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::RequestIds;

    #[test]
    fn every_reason_has_a_problem_document() {
        for reason in Reason::ALL {
            let id = RequestIds::next();
            let public = problem_text(reason, Direction::Ingress);
            assert!(public.status.is_client_error() || public.status.is_server_error());
            let json: serde_json::Value =
                serde_json::from_slice(&problem_json(reason, &public, id)).expect("valid JSON");
            assert_eq!(json["type"], format!("urn:vendorgate:{}", reason.as_str()));
            assert_eq!(json["status"], public.status.as_u16());
            assert_eq!(json["request_id"], id.to_string());
        }
    }

    /// A word, status or text here is what callers' programs and people rely on: a new reason adds lines, none may
    /// change.
    #[test]
    fn every_reason_answers_as_it_always_has() {
        for line in include_str!("../../tests/golden/reasons.tsv").lines() {
            let columns: Vec<&str> = line.split('\t').collect();
            let [word, way, status, retry, title, detail] = columns[..] else { panic!("six columns: {line}") };
            let reason = Reason::ALL.into_iter().find(|reason| reason.as_str() == word).expect(word);
            let direction = Direction::ALL.into_iter().find(|direction| direction.as_str() == way).expect(way);
            let response = refuse(&Denial::new(reason, ""), direction, Challenge::Plain, RequestIds::next());
            let text = problem_text(reason, direction);
            assert_eq!((response.status().as_str(), text.title, text.detail), (status, title, detail), "{word} {way}");
            let says = response.headers().get(RETRY_AFTER).map_or("-", |value| value.to_str().expect("ASCII"));
            assert_eq!(says, retry, "{word} {way}");
        }
    }

    #[test]
    fn a_refusal_that_can_pass_by_itself_has_retry_after() {
        for reason in Reason::ALL {
            let response = refuse(&Denial::new(reason, ""), Direction::Egress, Challenge::Plain, RequestIds::next());
            let status = response.status().as_u16();
            let says = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
            // An unreadable answer would come again, and an old secret waits for a person: no time is given.
            let lasts = matches!(reason, Reason::UpstreamUnreadable | Reason::CredentialExpired);
            let passes = matches!(status, 429 | 502..=504) && !lasts;
            assert_eq!(says.is_some_and(|secs| secs > 0), passes, "{reason:?}");
        }
    }

    #[test]
    fn a_service_is_asked_for_its_name_as_a_proxy_asks_and_as_a_server_asks() {
        let denial = Denial::new(Reason::CallerUnknown, "");
        for (challenge, status, field) in
            [(Challenge::Proxy, 407, PROXY_AUTHENTICATE), (Challenge::Plain, 401, WWW_AUTHENTICATE)]
        {
            let response = refuse(&denial, Direction::Egress, challenge, RequestIds::next());
            assert_eq!((response.status().as_u16(), response.headers().contains_key(field)), (status, true));
        }
    }

    #[test]
    fn the_public_text_of_a_denial_is_sent() {
        let denial = Denial::with_public_text(Reason::RequestMalformed, "The path holds an encoded slash.");
        let response = refuse(&denial, Direction::Ingress, Challenge::Plain, RequestIds::next());
        assert_eq!(response.status(), 400);
        let text = format!(
            "{:?}",
            problem_json(
                denial.reason,
                &ProblemText {
                    status: response.status(),
                    title: "",
                    detail: denial.public_text.expect("a public text")
                },
                RequestIds::next()
            )
        );
        assert!(text.contains("The path holds an encoded slash."), "{text}");
    }

    #[test]
    fn challenges_follow_rfc_6750() {
        let scopes = ScopeSet::parse("a b").expect("valid");
        let of = |reason, challenge| {
            let response = refuse(&Denial::new(reason, ""), Direction::Ingress, challenge, RequestIds::next());
            response.headers().get(WWW_AUTHENTICATE).map(|v| v.to_str().expect("ASCII").to_owned())
        };
        let missing = of(Reason::ScopeMissing, Challenge::Scopes(&scopes));
        assert_eq!(missing.as_deref(), Some(r#"Bearer realm="vendorgate", error="insufficient_scope", scope="a b""#));
        assert_eq!(of(Reason::TokenMissing, Challenge::Plain).as_deref(), Some(r#"Bearer realm="vendorgate""#));
        let expired = of(Reason::TokenExpired, Challenge::Plain);
        assert_eq!(expired.as_deref(), Some(r#"Bearer realm="vendorgate", error="invalid_token""#));
        let unbound =
            refuse(&Denial::new(Reason::TokenUnbound, ""), Direction::Ingress, Challenge::Plain, RequestIds::next());
        let both: Vec<_> =
            unbound.headers().get_all(WWW_AUTHENTICATE).iter().filter_map(|it| it.to_str().ok()).collect();
        let algs = "ES256 ES384 ES512 RS256 RS384 RS512 PS256 PS384 PS512 EdDSA";
        let proof = format!(r#"DPoP realm="vendorgate", error="invalid_token", algs="{algs}""#);
        assert_eq!(both, [r#"Bearer realm="vendorgate", error="invalid_token""#, &proof]);
        assert_eq!(of(Reason::RateLimited, Challenge::Plain), None);
    }
}
