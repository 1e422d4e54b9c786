//! Responses that the gateway itself makes for the sender of a webhook: to a handshake, and to a message that was
//! delivered before.

use std::sync::Arc;

use ::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use ::http::{HeaderValue, Method, Response, request};

use super::exchange::ExchangeRecord;
use super::refusal::{self, Authority};
use super::snapshot::{VendorRuntime, unknown_route};
use crate::http::{GatewayBody, screen};
use crate::identity::{HandshakeReply, WEBHOOK_CLIENT};
use crate::kill::RegisteredRequest;
use crate::model::{Caller, ClientId, Denial, Direction};
use crate::policy::RequestFacts;

/// The plain 200 for a message that was delivered before, so that its sender stops sending it.
pub(super) fn already_delivered() -> Response<GatewayBody> {
    Response::new(GatewayBody::full(""))
}

/// Answers a handshake, or refuses it.
pub(super) fn answer_handshake(
    vendor: &Arc<VendorRuntime>,
    head: &request::Parts,
    reply: HandshakeReply,
    mut record: Box<ExchangeRecord>,
) -> Response<GatewayBody> {
    if let Err(denial) = check_handshake(vendor, head, &mut record) {
        return refusal::respond(&mut record, &denial, None, Authority::Intact);
    }
    let response = handshake_response(reply);
    record.set_status(response.status().as_u16());
    response
}

/// The response that the sender expects, in a form that no browser would run.
fn handshake_response(reply: HandshakeReply) -> Response<GatewayBody> {
    let mut response = Response::new(GatewayBody::full(reply.body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Whether a handshake may be answered: it is on a route of the vendor, and every policy that spends nothing lets it
/// pass, the kill switch among them. Spends nothing of the vendor's limits, since the sender of a handshake has proven
/// nothing.
fn check_handshake(
    vendor: &Arc<VendorRuntime>,
    head: &request::Parts,
    record: &mut ExchangeRecord,
) -> Result<(), Denial> {
    let direction = Direction::Ingress;
    record.set_vendor(vendor, None);
    let path = screen(head, direction)?.path;
    // The messages that follow are posted, whatever the method of the handshake.
    let found = vendor.find(direction, &head.method, &path).or_else(|| vendor.find(direction, &Method::POST, &path));
    let (route, _) = found.ok_or_else(|| unknown_route(direction))?;
    record.set_route(route);
    let caller = Caller { vendor: vendor.id().clone(), client: ClientId::new(WEBHOOK_CLIENT), claims: None };
    let client = Some(&caller.client);
    let request = RegisteredRequest {
        direction,
        route: route.tag,
        client,
        proof: None,
        is_safe: true,
        is_websocket: false,
        is_intercepted: false,
        is_observed: vendor.observes(),
    };
    let in_flight = vendor.kill_gate.register_request(&request);
    let facts = RequestFacts {
        now: record.started,
        in_flight: &in_flight,
        caller: Some(&caller),
        own_client: &vendor.own_client,
        route: &route.terms,
        is_safe: true,
    };
    let denial = vendor.direction(direction).chain.explain(&facts).into_iter().find_map(|step| step.denial);
    denial.map_or(Ok(()), Err)
}
