//! Answers that the gateway gives a webhook's sender by itself: to a handshake, and to a message that was delivered before.

use std::sync::Arc;

use ::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use ::http::{HeaderValue, Method, Response, request};

use super::exchange::Exchange;
use super::snapshot::VendorRuntime;
use crate::http::{GatewayBody, screen};
use crate::identity::{HandshakeReply, WEBHOOK_CLIENT};
use crate::kill::RegisteredRequest;
use crate::model::{Caller, ClientId, Denial, Direction, Reason};
use crate::policy::RequestFacts;

/// The plain 200 of a message that its sender may forget.
pub(super) fn already_delivered() -> Response<GatewayBody> {
    Response::new(GatewayBody::full(""))
}

/// The answer to a handshake: as its sender wants it, and nothing that a browser would run.
pub(super) fn handshake_answer(greeting: HandshakeReply) -> Response<GatewayBody> {
    let mut response = Response::new(GatewayBody::full(greeting.body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(greeting.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Ends an exchange with an answer that no upstream was asked for.
pub(super) fn reply(mut exchange: Box<Exchange>, mut response: Response<GatewayBody>) -> Response<GatewayBody> {
    exchange.say_rates(response.headers_mut());
    exchange.answers(response.status().as_u16());
    response
}

/// Whether a vendor's handshake may be answered: it is on a route of the vendor, and every rule that spends nothing says yes,
/// the kill switch among them. Spends nothing of the vendor's limits, for whoever sends it has proven nothing.
pub(super) fn check_handshake(
    vendor: &Arc<VendorRuntime>,
    head: &request::Parts,
    exchange: &mut Exchange,
) -> Result<(), Denial> {
    let direction = Direction::Ingress;
    exchange.of_vendor(vendor, None);
    let path = screen(head, direction)?.path;
    let found = vendor.find(direction, &head.method, &path).or_else(|| vendor.find(direction, &Method::POST, &path));
    let (route, _) = found.ok_or_else(|| Denial::new(Reason::RouteUnknown, "no route has this method and path"))?;
    exchange.on_route(route);
    let caller = Caller { vendor: vendor.id().clone(), client: ClientId::new(WEBHOOK_CLIENT), claims: None };
    let client = Some(&caller.client);
    let held =
        RegisteredRequest { direction, route: route.tag, client, proof: None, is_safe: true, is_websocket: false };
    let in_flight = vendor.kill_gate.register_request(&held);
    let facts = RequestFacts {
        now: exchange.started,
        in_flight: &in_flight,
        caller: Some(&caller),
        client: &caller.client,
        ledger_index: route.ledger_index,
        scopes: &route.scopes,
        is_safe: true,
        counts_records: false,
    };
    let denial = vendor.direction(direction).chain.explain(&facts).into_iter().find_map(|step| step.denial);
    denial.map_or(Ok(()), Err)
}
