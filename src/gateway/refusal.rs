//! What follows from a denial: it is recorded, counted and audited, a burst of them has its consequence, and, while
//! nothing has been sent, the caller gets a refusal.

use ::http::header::CONNECTION;
use ::http::{HeaderValue, Response};

use super::consequence;
use super::exchange::ExchangeRecord;
use super::rate_headers::add_rate_headers;
use crate::audit::DeniedRequest;
use crate::http::{Challenge, GatewayBody, refuse, refuse_grpc};
use crate::meter::RateDecision;
use crate::model::{Denial, Direction, Reason};

/// Whether the request still had its authority when it was denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Authority {
    /// It had: the denial is about what it asked for.
    Intact,
    /// It had not: a kill severed it, or a change took its authority while it was being decided on.
    Lost,
}

/// Records, counts and audits a denial. Denials of a proven client count towards a burst: forgeries of strangers must
/// not kill a vendor, and neither must an authority that was taken away under a request.
pub(super) fn deny(record: &mut ExchangeRecord, denial: &Denial, authority: Authority) {
    record.set_denial(denial);
    let traffic = record.traffic();
    traffic.deny(denial.reason);
    traffic.denied_last(denial.reason, record.started.wall);
    record.gateway.audit.denied(&DeniedRequest {
        vendor: record.vendor().map(|vendor| vendor.id()),
        direction: record.direction(),
        reason: denial.reason,
        client: record.client(),
        request_id: std::str::from_utf8(&record.id.to_hex()).unwrap_or_default(),
        detail: &denial.detail,
        at: record.started.wall,
    });
    // What one of our own services does wrong must not cut the vendor off from the others.
    if let (Some(vendor), Some(_), Authority::Intact, Direction::Ingress) =
        (record.vendor(), record.client(), authority, record.direction())
    {
        consequence::on_denial(&record.gateway, vendor, denial);
    }
}

/// Denies a request of which no response has been sent, and makes the refusal that the caller gets.
pub(super) fn respond(
    record: &mut ExchangeRecord,
    denial: &Denial,
    rates: Option<&RateDecision>,
    authority: Authority,
) -> Response<GatewayBody> {
    deny(record, denial, authority);
    let challenge = match record.is_proxied() {
        true => Challenge::Proxy,
        false => Challenge::of(denial, record.route().map(|route| &route.terms.scopes)),
    };
    let mut response = refuse(denial, record.direction(), challenge, record.id);
    let ends = matches!(denial.reason, Reason::RequestMalformed | Reason::BodyTimeout);
    if ends && !record.is_h2() {
        // What follows a request that can be read in two ways can be read in two ways itself; and the rest of a body
        // that came too slowly is not waited for.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    add_rate_headers(record, rates, response.headers_mut());
    record.set_status(response.status().as_u16());
    if record.is_grpc() { refuse_grpc(response, denial, record.direction()) } else { response }
}
