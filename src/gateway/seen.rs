//! What a call looked like, for `contract suggest`: noted of contracts that observe, and of calls that are refused.
//!
//! Hands on names, and no value but the path, of which the room below keeps a pattern. Decides nothing.

use std::sync::Arc;

use ::http::request;

use super::exchange::ExchangeRecord;
use super::snapshot::VendorRuntime;
use crate::model::{Caller, Reason};
use crate::observation::{CallOutcome, SeenCall};

/// Notes a call of a known vendor, and leaves its entry with the record where it goes on.
pub(super) fn note_call(
    vendor: &Arc<VendorRuntime>,
    record: &mut ExchangeRecord,
    (head, path): (&request::Parts, &str),
    caller: Option<&Caller>,
    refused: Option<Reason>,
) {
    let outcome = match refused {
        None => CallOutcome::Passed,
        // Other refusals say nothing about what a contract should grant.
        Some(reason @ (Reason::RouteUnknown | Reason::ScopeMissing | Reason::CallerNotAllowed)) => {
            CallOutcome::Refused(reason)
        }
        Some(_) => return,
    };
    let headers: Vec<&str> = head.headers.keys().map(|name| name.as_str()).collect();
    let claims = caller.and_then(|caller| caller.claims.as_ref());
    let scopes: Vec<&str> = claims.into_iter().flat_map(|claims| claims.scopes.iter()).map(|it| it.as_str()).collect();
    let route = record.route().map(Arc::clone);
    let direction = record.direction();
    let entry = vendor.seen.call(
        direction,
        &SeenCall {
            method: head.method.as_str(),
            path,
            query: head.uri.query(),
            headers: &headers,
            client: caller.map(|caller| caller.client.as_str()),
            scopes: &scopes,
            declared: route.as_ref().filter(|route| !route.is_undeclared()).map(|route| &*route.name),
            upstream: route.as_ref().map(|route| &*route.upstream_name),
            outcome,
            in_flight: vendor.direction(direction).traffic.in_flight(),
            at: record.started.wall,
        },
    );
    record.set_seen(entry.filter(|_| outcome == CallOutcome::Passed));
}
