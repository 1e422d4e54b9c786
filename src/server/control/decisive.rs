//! Which key of a contract decided about a refused request, for the line that a person has to read.

use crate::config::Contract;
use crate::model::{Direction, Reason};
use crate::telemetry::FailedRequest;

/// The key of a direction's routes in a contract.
pub(super) const fn place_of(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "ingress",
        Direction::Egress => "egress.routes",
    }
}

/// The key that decided, or the nearest one above it; `None` where no contract did.
pub(super) fn decisive_key(request: &FailedRequest, contract: &Contract) -> Option<String> {
    let word = request.reason.as_deref()?;
    let reason = Reason::ALL.into_iter().find(|reason| reason.as_str() == word)?;
    let routes = contract.routes(request.direction).as_slice();
    let index = routes.iter().position(|route| request.route.as_deref() == Some(route.pattern.as_str()));
    let place = place_of(request.direction);
    let route = index.map_or_else(|| place.to_owned(), |index| format!("{place}[{index}]"));
    key_of(reason, request.direction, &route)
}

fn key_of(reason: Reason, direction: Direction, route: &str) -> Option<String> {
    let message = |answer: &str| Some(format!("{route}.{answer}"));
    let fixed = |key: &str| Some(key.to_owned());
    match reason {
        Reason::ContractNotStarted => fixed("starts"),
        Reason::ContractEnded => fixed("ends"),
        Reason::ScopeMissing => message("scopes"),
        Reason::QueryForbidden | Reason::ParameterForbidden => message("query"),
        Reason::RouteUnknown => fixed(place_of(direction)),
        Reason::CallerNotAllowed => fixed("egress.callers"),
        Reason::RateLimited => fixed("limits.requests"),
        Reason::ConcurrencyExceeded => fixed("limits.concurrency"),
        Reason::RecordsExceeded => fixed("limits.records"),
        Reason::BytesExceeded => fixed("limits.bytes"),
        Reason::TokenLifetime => fixed("identity.rotation.max_lifetime"),
        Reason::TokenAge => fixed("identity.rotation.max_age"),
        Reason::TokenSuperseded => fixed("identity.rotation.superseded_grace"),
        Reason::KeyTooOld => fixed("identity.rotation.max_key_age"),
        Reason::TokenUnbound => fixed("identity.sender"),
        Reason::TokenMissing | Reason::TokenMalformed | Reason::TokenInvalid | Reason::TokenExpired => {
            fixed("identity")
        }
        Reason::ShapeUnexpected => message(if direction == Direction::Ingress { "records" } else { "request" }),
        Reason::BodyOpaque | Reason::UpstreamUnreadable => message("response"),
        Reason::CredentialUnavailable | Reason::CredentialExpired | Reason::SubjectTokenRefused => {
            fixed("egress.credentials")
        }
        // An order, an upstream, the product's own bounds or the request itself.
        Reason::VendorKilled | Reason::TokenRevoked | Reason::RequestMalformed | Reason::BodyMalformed => None,
        Reason::CallerUnknown | Reason::VendorUnknown | Reason::DestinationUnknown | Reason::IssuerUnavailable => None,
        Reason::BodyTooLarge | Reason::BodyTimeout | Reason::Overloaded | Reason::LoopDetected => None,
        Reason::UpstreamRefused | Reason::UpstreamCircuitOpen | Reason::UpstreamTimeout => None,
    }
}
