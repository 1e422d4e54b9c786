//! From a known vendor to a permit: its route, and what the call looked like.

use std::sync::Arc;

use ::http::{Method, request};

use super::{Grant, RequestFlags, evaluate};
use crate::gateway::denied::AdmissionDenied;
use crate::gateway::egress::{self, ReportedDestination};
use crate::gateway::exchange::ExchangeRecord;
use crate::gateway::parameters::check_parameters;
use crate::gateway::seen;
use crate::gateway::snapshot::{VendorRuntime, unknown_route};
use crate::gateway::target::{MatchedPath, asks_websocket};
use crate::kill::AdmissionProof;
use crate::model::{Caller, Direction};
use crate::route::Captures;

/// The path that a request calls at its vendor.
#[derive(Debug, Clone, Copy)]
pub(super) struct CalledPath<'a> {
    /// As routes see it.
    pub(super) path: &'a str,
    /// The same, where it is not the path of the request as it came.
    pub(super) rewritten: Option<&'a str>,
    /// With `Some`, no contract lists the destination, and this stands for it.
    pub(super) reported: Option<&'a ReportedDestination<'a>>,
}

impl<'a> CalledPath<'a> {
    /// The canonical path of a request.
    pub(super) fn of(head: &request::Parts, path: &'a str) -> Self {
        Self { path, rewritten: Some(path).filter(|path| *path != head.uri.path()), reported: None }
    }
}

/// Decides on a request of a known vendor, and notes what it looked like where the contract observes, or refuses it.
pub(super) fn authorize(
    vendor: &Arc<VendorRuntime>,
    (caller, proof): (Option<&Caller>, Option<&AdmissionProof>),
    head: &request::Parts,
    called: CalledPath<'_>,
    record: &mut ExchangeRecord,
) -> Result<Grant, AdmissionDenied> {
    let outcome = decide_for_vendor(vendor, (caller, proof), head, called, record);
    if let Some(reported) = called.reported {
        reported.note(&record.gateway, caller.map(|caller| &caller.client), outcome.is_ok());
    }
    let refused = outcome.as_ref().err().map(|denied| denied.denial.reason);
    if vendor.observes() || refused.is_some() {
        seen::note_call(vendor, record, (head, called.path), caller, refused);
    }
    outcome
}

/// From a known vendor to a permit: the route, the registration, the policies.
fn decide_for_vendor(
    vendor: &Arc<VendorRuntime>,
    (caller, proof): (Option<&Caller>, Option<&AdmissionProof>),
    head: &request::Parts,
    CalledPath { path, rewritten, reported }: CalledPath<'_>,
    record: &mut ExchangeRecord,
) -> Result<Grant, AdmissionDenied> {
    let direction = record.direction();
    let client = caller.map(|caller| &caller.client);
    record.set_vendor(vendor, client);
    let found = match reported {
        Some(reported) => Some((&reported.route, Captures::default())).filter(|_| head.method != Method::TRACE),
        None => vendor.find_or_undeclared(direction, &head.method, path),
    };
    let (route, captures) = found.ok_or_else(|| unknown_route(direction))?;
    if let Some(reported) = reported {
        record.would_deny(&reported.would_deny());
    }
    if route.is_undeclared() {
        record.would_deny(&unknown_route(direction));
    }
    record.set_route(route);
    if direction == Direction::Egress && !route.allow_encoded_slash && path.contains("%2F") {
        match vendor.observes() {
            true => record.would_deny(&egress::encoded_slash()),
            false => return Err(egress::encoded_slash().into()),
        }
    }
    let query = match &route.parameters {
        None => None,
        Some(rules) => match check_parameters(rules, route, (head, path), &captures) {
            Ok(query) => query.filter(|_| !vendor.observes()),
            Err(denial) if vendor.observes() => {
                record.would_deny(&denial);
                None
            }
            Err(denial) => return Err(denial.into()),
        },
    };
    let is_websocket = route.websocket && asks_websocket(head);
    let flags = RequestFlags { is_safe: head.method.is_safe() && !is_websocket, is_websocket };
    let path = MatchedPath { rewritten: rewritten.map(str::to_owned), captures, query };
    evaluate(vendor, route, (caller, proof), flags, path, record)
}
