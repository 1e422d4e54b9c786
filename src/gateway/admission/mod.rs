//! Admission: the half of the work that decides whether a request may be forwarded.
//!
//! Synchronous, so that nothing can wait between the registration of a request, the look at the kill switch and the
//! permit. What must be waited for is waited for before, and then the decision is made from the start. Never forwards
//! anything.

mod authorize;
mod identify;
mod refused;
mod tunnel;

use std::sync::Arc;

use ::http::{Response, StatusCode, request};

use self::authorize::{CalledPath, authorize};
use self::identify::identify;
pub(super) use self::refused::Refused;
pub(super) use self::tunnel::{admit_tunnel, refuse_tunnel};
use super::body_end::{AbortReason, BodyEnd, HttpMessage};
use super::consequence::AdmittedRequest;
use super::denied::AdmissionDenied;
use super::egress::{self, CallerWay};
use super::exchange::ExchangeRecord;
use super::refusal::{self, Authority};
use super::snapshot::{RouteRuntime, Snapshot, VendorRuntime};
use super::target::MatchedPath;
use super::webhook::VerifiedMessage;
use crate::credentials::CredentialTrace;
use crate::http::{GatewayBody, screen};
use crate::identity::VerifiedCaller;
use crate::kill::{AdmissionProof, InFlight, RegisteredRequest};
use crate::model::{Caller, Denial, Direction, Reason};
use crate::policy::{Permit, RequestFacts};

/// A request that was admitted, with its record: registered with the kill switch, and holding its slots, until this is
/// dropped. Made only in this file, when every policy has let the request pass.
#[derive(Debug)]
pub(super) struct Admitted {
    /// Dropped before the grant, so that the record is written while the request still counts as in flight.
    record: Box<ExchangeRecord>,
    grant: Grant,
}

/// What an admitted request holds.
#[derive(Debug)]
struct Grant {
    in_flight: InFlight,
    permit: Permit,
    vendor: Arc<VendorRuntime>,
    route: Arc<RouteRuntime>,
    path: MatchedPath,
    /// Whether the request asks to become a WebSocket, and its route allows it.
    is_websocket: bool,
    /// How one of our services named the vendor; `None` on ingress.
    way: Option<CallerWay>,
    /// What of the vendor's credential was sent, where the gateway holds it.
    traces: Box<[CredentialTrace]>,
}

/// Decides on a request.
pub(super) fn admit(
    snapshot: &Snapshot,
    head: &request::Parts,
    mut record: Box<ExchangeRecord>,
) -> Result<Admitted, Refused> {
    let decision = decide(snapshot, head, &mut record);
    conclude(record, decision)
}

/// Decides on a message whose sender was proven by its signature.
pub(super) fn admit_webhook(
    snapshot: &Snapshot,
    head: &request::Parts,
    message: &VerifiedMessage,
    mut record: Box<ExchangeRecord>,
) -> Result<Admitted, Refused> {
    let decision = decide_webhook(snapshot, head, message, &mut record);
    conclude(record, decision)
}

fn conclude(record: Box<ExchangeRecord>, decision: Result<Grant, AdmissionDenied>) -> Result<Admitted, Refused> {
    match decision {
        Ok(grant) => {
            record.peer.seat().mark_proven();
            Ok(Admitted { record, grant })
        }
        Err(denied) => Err(Refused { record, denied: Box::new(denied) }),
    }
}

fn decide(snapshot: &Snapshot, head: &request::Parts, record: &mut ExchangeRecord) -> Result<Grant, AdmissionDenied> {
    if record.gateway.audit.must_stop() {
        return Err(Denial::new(Reason::Overloaded, "the audit trail cannot be written").into());
    }
    let target = screen(head, record.direction())?;
    match record.direction() {
        Direction::Ingress => {
            let verified = identify(snapshot, head, &target, record)?;
            let vendor = snapshot.vendors.get(verified.vendor_index() as usize);
            let vendor = vendor.ok_or_else(|| Denial::new(Reason::VendorUnknown, "no contract at this place"))?;
            if let Some(issued_at) = verified.claims().and_then(|claims| claims.issued_at) {
                vendor.metrics.token_issued_at(issued_at);
            }
            let proof: AdmissionProof = verified;
            let caller = proof.downcast_ref().map(VerifiedCaller::caller);
            authorize(vendor, (caller, Some(&proof)), head, CalledPath::of(head, &target.path), record)
        }
        Direction::Egress => {
            let service = egress::identify_service(snapshot, head, record)?;
            let name = service.as_ref().map(|service| service.name);
            let found = egress::find_vendor((&record.gateway, &record.peer, name), snapshot, head, &target.path)?;
            let (caller, path) = (name.map(|name| egress::caller(found.vendor, name)), found.path);
            let proof = service.map(|service| service.proof as AdmissionProof);
            let rewritten = Some(path).filter(|path| *path != head.uri.path());
            let called = CalledPath { path, rewritten, reported: found.reported.as_ref() };
            let grant = authorize(found.vendor, (caller.as_ref(), proof.as_ref()), head, called, record)?;
            // What a destination without a contract says of itself is left as it is.
            let way = Some(found.way).filter(|_| found.reported.is_none());
            Ok(Grant { way, ..grant })
        }
    }
}

fn decide_webhook(
    snapshot: &Snapshot,
    head: &request::Parts,
    message: &VerifiedMessage,
    record: &mut ExchangeRecord,
) -> Result<Grant, AdmissionDenied> {
    let target = screen(head, Direction::Ingress)?;
    let caller = message.delivery.caller();
    let vendor = caller.and_then(|caller| snapshot.vendor(caller.vendor.as_str()));
    let vendor = vendor.ok_or_else(|| Denial::new(Reason::VendorUnknown, "its contract has gone meanwhile"))?;
    let proof = message.delivery.proof();
    authorize(vendor, (caller, proof.as_ref()), head, CalledPath::of(head, &target.path), record)
}

/// What a request may do to the vendor, and what it may become.
#[derive(Debug, Clone, Copy)]
struct RequestFlags {
    is_safe: bool,
    is_websocket: bool,
}

/// From a known route to a permit: the registration, and the policies.
fn evaluate(
    vendor: &Arc<VendorRuntime>,
    route: &Arc<RouteRuntime>,
    (caller, proof): (Option<&Caller>, Option<&AdmissionProof>),
    RequestFlags { is_safe, is_websocket }: RequestFlags,
    path: MatchedPath,
    record: &mut ExchangeRecord,
) -> Result<Grant, AdmissionDenied> {
    let direction = record.direction();
    let client = caller.map(|caller| &caller.client);
    let is_intercepted = record.peer.tunnel().is_some_and(|tunnel| tunnel.is_tls);
    let route_tag = route.tag;
    let is_observed = vendor.observes();
    let request = RegisteredRequest {
        direction,
        route: route_tag,
        client,
        proof,
        is_safe,
        is_websocket,
        is_intercepted,
        is_observed,
    };
    let in_flight = vendor.kill_gate.register_request(&request);
    if record.is_stale() {
        record.gateway.recheck(vendor.id(), &request).map_err(AdmissionDenied::authority_lost)?;
    }
    let facts = RequestFacts {
        now: record.started,
        in_flight: &in_flight,
        caller,
        own_client: &vendor.own_client,
        route: &route.terms,
        is_safe,
    };
    let permit = vendor.direction(direction).chain.evaluate(&facts).inspect_err(|exceeded| {
        if let Some(overrun) = &exceeded.overrun {
            admitted_request(record, vendor, route).on_spent_budget(&in_flight, overrun);
        }
    })?;
    permit.would_deny().iter().for_each(|denial| record.would_deny(denial));
    Ok(Grant {
        in_flight,
        permit,
        vendor: Arc::clone(vendor),
        route: Arc::clone(route),
        path,
        is_websocket,
        way: None,
        traces: Box::default(),
    })
}

fn admitted_request<'a>(
    record: &'a ExchangeRecord,
    vendor: &'a VendorRuntime,
    route: &'a RouteRuntime,
) -> AdmittedRequest<'a> {
    let (gateway, client) = (&*record.gateway, record.client());
    AdmittedRequest { gateway, vendor, route, client, direction: record.direction(), id: record.id }
}

impl Admitted {
    pub(super) const fn record(&self) -> &ExchangeRecord {
        &self.record
    }

    pub(super) const fn record_mut(&mut self) -> &mut ExchangeRecord {
        &mut self.record
    }

    pub(super) const fn vendor(&self) -> &Arc<VendorRuntime> {
        &self.grant.vendor
    }

    pub(super) const fn route(&self) -> &Arc<RouteRuntime> {
        &self.grant.route
    }

    /// The proof for the upstream.
    pub(super) const fn permit(&self) -> &Permit {
        &self.grant.permit
    }

    /// How one of our services named the vendor; `None` on ingress.
    pub(super) const fn way(&self) -> Option<&CallerWay> {
        self.grant.way.as_ref()
    }

    /// Keeps what of the vendor's credential was sent, so that its trailers do not repeat it.
    pub(super) fn keep_traces(&mut self, traces: Box<[CredentialTrace]>) {
        self.grant.traces = traces;
    }

    pub(super) const fn traces(&self) -> &[CredentialTrace] {
        &self.grant.traces
    }

    pub(super) const fn is_websocket(&self) -> bool {
        self.grant.is_websocket
    }

    /// Takes out the path that the route has matched, which only the request to the upstream needs.
    pub(super) fn take_path(&mut self) -> MatchedPath {
        std::mem::take(&mut self.grant.path)
    }

    /// Another handle of the registration, with a waker of its own.
    pub(super) fn share_in_flight(&self) -> InFlight {
        self.grant.in_flight.share()
    }

    /// The reason for which the request has been severed, or a kill covers it by now.
    pub(super) fn cut_reason(&self) -> Option<Reason> {
        self.grant.in_flight.check().is_err().then(|| self.grant.in_flight.sever_reason())
    }

    /// The request, as its consequences need to know it.
    pub(super) fn as_request(&self) -> AdmittedRequest<'_> {
        admitted_request(&self.record, &self.grant.vendor, &self.grant.route)
    }

    /// Denies the request, or a part of it, beside what the caller gets.
    pub(super) fn deny(&mut self, denial: &Denial) {
        refusal::deny(&mut self.record, denial, self.grant.authority());
    }

    /// Denies the request while nothing of a response has been sent, and makes the refusal that the caller gets.
    pub(super) fn refuse(&mut self, denial: &Denial) -> Response<GatewayBody> {
        refusal::respond(&mut self.record, denial, self.grant.permit.rates(), self.grant.authority())
    }

    /// Ends the request with a response that no upstream was asked for.
    pub(super) fn reply(mut self, mut response: Response<GatewayBody>) -> Response<GatewayBody> {
        super::rate_headers::add_rate_headers(&self.record, self.grant.permit.rates(), response.headers_mut());
        self.record.set_status(response.status().as_u16());
        response
    }

    /// The head of the upstream's response is sent without its body, which was denied.
    pub(super) fn withhold_body(&mut self, status: StatusCode, denial: &Denial) {
        self.deny(denial);
        self.record.set_status(status.as_u16());
    }

    /// The response broke off after its head was sent.
    pub(super) fn break_off(&mut self, end: &BodyEnd) {
        self.record.set_early_end(end);
        match end {
            BodyEnd::Severed(reason) => {
                self.record.set_reason(*reason);
                if !self.record.set_severed() {
                    self.record.peer.sever_exchange(&self.grant.in_flight);
                }
            }
            BodyEnd::Stopped(stopped) => {
                let denial = stopped.denial(HttpMessage::Response);
                self.deny(&denial);
                if let AbortReason::Untreatable(_) = stopped {
                    let (vendor, route) = (self.grant.vendor.id().as_str(), &*self.grant.route.name);
                    let request_id = self.record.id.to_string();
                    tracing::warn!(vendor, route, request_id, detail = %denial.detail, "an answer was broken off");
                }
            }
            BodyEnd::SenderGone | BodyEnd::Stalled | BodyEnd::Slow => match self.request_end() {
                // The upstream broke off because the body of the request had been broken off before.
                Some(request) => self.deny(&request.denial(HttpMessage::Request)),
                None => self.record.set_reason(end.denial(HttpMessage::Response).reason),
            },
            BodyEnd::ReaderGone => {}
        }
    }

    /// Why the body of the request ended early, if it did.
    pub(super) fn request_end(&self) -> Option<BodyEnd> {
        self.record.request_body()?.end()
    }

    /// Whether the request has no body, or nothing more of it will be sent.
    pub(super) fn is_request_done(&self) -> bool {
        self.record.request_body().is_none_or(|body| body.is_done())
    }
}

impl Grant {
    fn authority(&self) -> Authority {
        if self.in_flight.is_severed() { Authority::Lost } else { Authority::Intact }
    }
}
