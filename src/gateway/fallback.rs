//! What a caller gets where an upstream gives no answer: an answer of the contract, or the last good one.
//!
//! Applied while the upstream is unreachable, does not answer in time or its circuit is open, and on egress also while
//! the vendor is killed: then nothing goes to the vendor, and our own customer's journey goes on. The request is denied
//! all the same: metrics, log and audit say why. On ingress a killed vendor is refused.

use ::http::header::HeaderMap;
use ::http::{Response, StatusCode, request};

use super::exchange::ExchangeRecord;
use super::last_good::{AnswerToKeep, LastGoodKey};
use crate::http::GatewayBody;
use crate::model::{ClientId, Denial, Direction, Reason};

/// Whether a denial is for the lack of an answer.
fn is_for_lack_of_an_answer(reason: Reason, direction: Direction) -> bool {
    match reason {
        Reason::UpstreamRefused | Reason::UpstreamTimeout | Reason::UpstreamCircuitOpen | Reason::Overloaded => true,
        // The vendor cannot be called without it.
        Reason::CredentialUnavailable | Reason::CredentialExpired => true,
        Reason::VendorKilled => direction == Direction::Egress,
        Reason::RequestMalformed
        | Reason::BodyMalformed
        | Reason::TokenMissing
        | Reason::TokenMalformed
        | Reason::TokenInvalid
        | Reason::TokenExpired
        | Reason::TokenLifetime
        | Reason::TokenAge
        | Reason::TokenSuperseded
        | Reason::TokenRevoked
        | Reason::TokenUnbound
        | Reason::KeyTooOld
        | Reason::CallerUnknown
        | Reason::CallerNotAllowed
        | Reason::VendorUnknown
        | Reason::ContractNotStarted
        | Reason::ContractEnded
        | Reason::RouteUnknown
        | Reason::ScopeMissing
        | Reason::QueryForbidden
        | Reason::ParameterForbidden
        | Reason::DestinationUnknown
        | Reason::LoopDetected
        | Reason::BodyTooLarge
        | Reason::BodyTimeout
        | Reason::BodyOpaque
        | Reason::RateLimited
        | Reason::ConcurrencyExceeded
        | Reason::RecordsExceeded
        | Reason::BytesExceeded
        | Reason::UpstreamUnreadable
        | Reason::ShapeUnexpected
        | Reason::IssuerUnavailable
        | Reason::SubjectTokenRefused => false,
    }
}

/// The fallback for a request whose upstream has not answered, or was not asked; `None` where its route has none for
/// it. The caller of this still denies the request.
pub(super) fn for_denied(
    record: &ExchangeRecord,
    denial: &Denial,
    key: Option<&LastGoodKey>,
) -> Option<Response<GatewayBody>> {
    let route = record.route()?;
    let fallback = route.fallback.as_ref()?;
    if !is_for_lack_of_an_answer(denial.reason, record.direction()) {
        return None;
    }
    let now = record.gateway.clock.now();
    let response = fallback.answer(denial, key, now)?;
    route.metrics.fallback();
    if let Some(vendor) = record.vendor() {
        vendor.metrics.answered_by_fallback(now.wall);
    }
    Some(response)
}

/// The fallback for a request that was refused because its vendor is killed.
pub(super) fn for_killed(
    record: &ExchangeRecord,
    denial: &Denial,
    head: &request::Parts,
) -> Option<Response<GatewayBody>> {
    if denial.reason != Reason::VendorKilled {
        return None;
    }
    for_denied(record, denial, key_of(record, head).as_ref())
}

/// The key under which the answer to a request is kept: of its caller, on its route.
pub(super) fn key_of(record: &ExchangeRecord, head: &request::Parts) -> Option<LastGoodKey> {
    let (vendor, route) = (record.vendor()?, record.route()?);
    let fallback = route.fallback.as_ref()?;
    let client = record.client().map_or("", ClientId::as_str);
    fallback.key(&[vendor.id().as_str(), &route.name, record.direction().as_str(), client], head)
}

/// What keeps the answer to a request as it passes; `None` where it is not kept.
pub(super) fn keep(
    record: &ExchangeRecord,
    key: Option<LastGoodKey>,
    status: StatusCode,
    headers: &HeaderMap,
) -> Option<AnswerToKeep> {
    let fallback = record.route()?.fallback.as_ref()?;
    AnswerToKeep::of(&fallback.store, key?, status, headers, record.gateway.clock.now())
}
