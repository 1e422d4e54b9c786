//! The page to read first: one request, from its head to the head of its answer.
//!
//! `handle` always answers. `admit` is synchronous, so nothing can wait between the look at the kill switch and the
//! permit; what must wait is waited for before it. Never forwards without a permit.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use ::http::{Method, Request, Response, Version, request};
use arc_swap::ArcSwap;
use hyper::body::Incoming;

use super::body_source::BodySource;
use super::consequence;
use super::egress;
use super::exchange::Exchange;
use super::forward::forward;
use super::peer::Peer;
use super::recheck::AuthorityEpoch;
use super::snapshot::{RouteRuntime, Snapshot, VendorRuntime};
use super::webhook;
use super::webhook_reply;
use crate::audit::AuditTrail;
use crate::bounds;
use crate::http::{GatewayBody, RequestTarget, SlotPool, is_websocket_upgrade, screen};
use crate::identity::{AuthWait, PresentedRequest, Rejected, VerifiedCaller, WebhookVerifier};
use crate::kill::{AdmissionProof, KillSwitch, RegisteredRequest};
use crate::meter::{self, RateDecision};
use crate::model::{Caller, ClientId, Clock, Denial, Direction, Reason};
use crate::policy::RequestFacts;
use crate::route::Captures;
use crate::telemetry::{ExchangeLog, Metrics, RecentFailures};

/// What all workers share.
#[derive(Debug)]
pub struct Gateway {
    /// Where the time comes from.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Metrics,
    /// One line an exchange.
    pub exchange_log: ExchangeLog,
    /// The last exchanges that were refused or broke off.
    pub failures: RecentFailures,
    /// Whether the drain's deadline has passed: whatever is dropped from here on was dropped by us.
    pub stopping: AtomicBool,
    /// What was done and refused, for those who ask later.
    pub audit: Arc<AuditTrail>,
    /// The kill switch.
    pub switch: Arc<KillSwitch>,
    /// Room for the bodies of webhooks.
    pub spools: Arc<SlotPool>,
    /// The config in force.
    pub snapshot: ArcSwap<Snapshot>,
    /// Counts the changes of what requests stand on.
    pub authority_epoch: AuthorityEpoch,
}

/// What was decided about a request that may pass. Its permit and its registration are in the exchange.
pub(super) struct Admitted {
    pub(super) vendor: Arc<VendorRuntime>,
    pub(super) route: Arc<RouteRuntime>,
    pub(super) client: Option<ClientId>,
    /// The path on the upstream's side, without the upstream's own; `None` where it is the request's, as it came.
    pub(super) path: Option<String>,
    pub(super) captures: Captures,
    /// Whether it may go on as a WebSocket, and asks for it.
    pub(super) websocket: bool,
}

/// What one of our own services is told, whose contract can be written otherwise.
pub(super) const ENCODED_SLASH: &str =
    "The path holds an encoded slash (%2F), and its route does not say allow_encoded_slash: true.";

/// A no, and what may be waited for before the question is asked once more.
struct AdmissionDenied {
    denial: Denial,
    wait: Option<AuthWait>,
    /// How the request rates stand, where it was them.
    rates: Option<Box<RateDecision>>,
}

impl Gateway {
    /// Answers one request: with the upstream's answer, or with a refusal.
    pub async fn handle(
        self: &Arc<Self>,
        worker: usize,
        peer: &Arc<Peer>,
        request: Request<Incoming>,
    ) -> Response<GatewayBody> {
        let (head, body) = request.into_parts();
        let mut exchange = Exchange::begin(Arc::clone(self), Arc::clone(peer), head.method.clone(), head.version);
        let snapshot = self.snapshot.load();
        let admitted = match admit(&snapshot, &head, &mut exchange) {
            Err(AdmissionDenied { wait: Some(wait), .. }) => {
                // Seen for the first time: a key or an answer is being fetched. One wait, bounded, then a decision.
                let since = self.clock.now();
                Box::pin(wait.settled(bounds::IDENTITY_WAIT)).await;
                exchange.waited(since);
                admit(&snapshot, &head, &mut exchange)
            }
            decided => decided,
        };
        if let Err(AdmissionDenied { denial: Denial { reason: Reason::TokenMissing, .. }, .. }) = &admitted
            && exchange.direction() == Direction::Ingress
        {
            let candidates = webhook::candidates(&snapshot, &head, peer.is_tls());
            if !candidates.is_empty() {
                drop(snapshot);
                return Box::pin(self.handle_webhook(worker, candidates, head, body, exchange)).await;
            }
        }
        drop(snapshot);
        match admitted {
            Ok(admitted) => forward(worker, admitted, head, body.into(), exchange).await,
            Err(no) => no.answer(exchange),
        }
    }

    /// As [`Self::handle`], for a request that is known by the signature over its body: taken whole, then decided on.
    async fn handle_webhook(
        self: &Arc<Self>,
        worker: usize,
        candidates: Vec<(Arc<WebhookVerifier>, Arc<VendorRuntime>)>,
        head: request::Parts,
        body: Incoming,
        mut exchange: Box<Exchange>,
    ) -> Response<GatewayBody> {
        let since = self.clock.now();
        let verified = {
            let (sender, sent) = (exchange.peer.address().ip(), webhook::signed_parts(&head, exchange.peer.is_tls()));
            webhook::verify(&candidates, &sent, body, sender, &self.spools, &self.clock).await
        };
        exchange.waited(since);
        let message = match verified {
            Ok(webhook::VerifiedWebhook::Message(message)) => message,
            Ok(webhook::VerifiedWebhook::Handshake(vendor, greeting)) => {
                return match webhook_reply::check_handshake(&vendor, &head, &mut exchange) {
                    Ok(()) => webhook_reply::reply(exchange, webhook_reply::handshake_answer(greeting)),
                    Err(denial) => exchange.refuse(&denial),
                };
            }
            Err(denial) => {
                if let [(_, only)] = &candidates[..] {
                    exchange.of_vendor(only, None);
                }
                return exchange.refuse(&denial);
            }
        };
        let admitted = {
            // The body took its time: what is decided is decided by the config in force now.
            let snapshot = self.snapshot.load();
            admit_webhook(&snapshot, &head, &message, &mut exchange)
        };
        match admitted {
            Ok(_) if message.delivery.is_known() => webhook_reply::reply(exchange, webhook_reply::already_delivered()),
            Ok(admitted) => {
                let response = forward(worker, admitted, head, BodySource::spooled(message.body), exchange).await;
                if response.status().is_success() {
                    message.delivery.delivered();
                }
                response
            }
            Err(no) => no.answer(exchange),
        }
    }
}

impl AdmissionDenied {
    fn answer(self, mut exchange: Box<Exchange>) -> Response<GatewayBody> {
        exchange.over_rate(self.rates.map(|rates| *rates));
        exchange.refuse(&self.denial)
    }
}

/// Decides about a message whose sender was proven. Synchronous, as [`admit`].
fn admit_webhook(
    snapshot: &Snapshot,
    head: &request::Parts,
    message: &webhook::VerifiedMessage,
    exchange: &mut Exchange,
) -> Result<Admitted, AdmissionDenied> {
    let target = screen(head, Direction::Ingress)?;
    let caller = message.delivery.caller();
    let vendor = caller.and_then(|caller| snapshot.vendor(caller.vendor.as_str()));
    let vendor = vendor.ok_or_else(|| Denial::new(Reason::VendorUnknown, "its contract has gone meanwhile"))?;
    let path = Some(&*target.path).filter(|path| *path != head.uri.path());
    let footing = message.delivery.footing();
    authorize(vendor, (caller, footing.as_ref()), head, &target.path, path, exchange)
}

/// Decides. Synchronous: nothing can wait between the registration, the look at the kill switch and the permit.
fn admit(snapshot: &Snapshot, head: &request::Parts, exchange: &mut Exchange) -> Result<Admitted, AdmissionDenied> {
    if exchange.gateway.audit.must_stop() {
        return Err(Denial::new(Reason::Overloaded, "the audit trail cannot be written").into());
    }
    let target = screen(head, exchange.direction())?;
    match exchange.direction() {
        Direction::Ingress => {
            let verified = identify(snapshot, head, &target, exchange)?;
            let vendor = snapshot.vendors.get(verified.vendor_index() as usize);
            let vendor = vendor.ok_or_else(|| Denial::new(Reason::VendorUnknown, "no contract at this place"))?;
            if let Some(issued_at) = verified.claims().and_then(|claims| claims.issued_at) {
                vendor.metrics.token_issued_at(issued_at);
            }
            let path = Some(&*target.path).filter(|path| *path != head.uri.path());
            let footing: AdmissionProof = verified;
            let caller = footing.downcast_ref().map(VerifiedCaller::caller);
            authorize(vendor, (caller, Some(&footing)), head, &target.path, path, exchange)
        }
        Direction::Egress => {
            let (name, path) = egress::split_vendor(&target.path)?;
            let vendor = snapshot.vendor(name).ok_or_else(|| unknown_destination("no contract for this vendor"))?;
            authorize(vendor, (None, None), head, path, Some(path), exchange)
        }
    }
}

/// From a known vendor to a permit: the route, the registration, the chain.
fn authorize(
    vendor: &Arc<VendorRuntime>,
    (caller, footing): (Option<&Caller>, Option<&AdmissionProof>),
    head: &request::Parts,
    path: &str,
    rewritten: Option<&str>,
    exchange: &mut Exchange,
) -> Result<Admitted, AdmissionDenied> {
    let direction = exchange.direction();
    let client = caller.map(|caller| &caller.client);
    exchange.of_vendor(vendor, client);
    let (route, captures) = vendor.find(direction, &head.method, path).ok_or_else(|| match direction {
        Direction::Ingress => Denial::new(Reason::RouteUnknown, "no route has this method and path"),
        Direction::Egress => unknown_destination("no egress route has this method and path"),
    })?;
    exchange.on_route(route);
    if direction == Direction::Egress && !route.allow_encoded_slash && path.contains("%2F") {
        return Err(Denial::with_public_text(Reason::RequestMalformed, ENCODED_SLASH).into());
    }
    let websocket = route.websocket && asks_websocket(head);
    let is_safe = head.method.is_safe() && !websocket;
    let held =
        RegisteredRequest { direction, route: route.tag, client, proof: footing, is_safe, is_websocket: websocket };
    let in_flight = vendor.kill_gate.register_request(&held);
    if exchange.is_behind() {
        exchange.gateway.recheck(vendor.id(), &held).inspect_err(|_| exchange.loses_ground())?;
    }
    let judged = vendor.direction(direction).chain.evaluate(&RequestFacts {
        now: exchange.started,
        in_flight: &in_flight,
        caller,
        client: client.unwrap_or(&vendor.own_client),
        ledger_index: route.ledger_index,
        scopes: &route.scopes,
        is_safe,
        counts_records: route.leaving(direction).is_some_and(|treats| treats.counts_records),
    });
    let permit = judged.inspect_err(|spent| {
        consequence::on_budget_refusal(&exchange.gateway, vendor, exchange.direction(), &in_flight, spent)
    })?;
    exchange.admitted(in_flight, permit);
    Ok(Admitted {
        vendor: Arc::clone(vendor),
        route: Arc::clone(route),
        client: client.cloned(),
        path: rewritten.map(str::to_owned),
        captures,
        websocket,
    })
}

/// Whether a request asks to go on as a WebSocket, as RFC 6455 section 4.1 has it.
fn asks_websocket(head: &request::Parts) -> bool {
    let has_body = head.headers.contains_key(CONTENT_LENGTH) || head.headers.contains_key(TRANSFER_ENCODING);
    head.method == Method::GET && head.version == Version::HTTP_11 && !has_body && is_websocket_upgrade(&head.headers)
}

fn identify(
    snapshot: &Snapshot,
    head: &request::Parts,
    target: &RequestTarget<'_>,
    exchange: &mut Exchange,
) -> Result<Arc<VerifiedCaller>, AdmissionDenied> {
    let host = head.headers.get(::http::header::HOST).and_then(|host| host.to_str().ok());
    let presented = PresentedRequest {
        headers: &head.headers,
        method: &head.method,
        scheme: if exchange.peer.is_tls() { "https" } else { "http" },
        authority: head.uri.authority().map(|authority| authority.as_str()).or(host).unwrap_or_default(),
        path: &target.path,
        query: target.query,
        peer_certificate: exchange.peer.certificate(),
    };
    snapshot.directory.authenticate(&presented, exchange.started).map_err(|rejected| {
        let Rejected { denial, vendor_index, wait } = rejected;
        if wait.is_none()
            && let Some(vendor) = vendor_index.and_then(|index| snapshot.vendors.get(index as usize))
        {
            exchange.of_vendor(vendor, None);
        }
        AdmissionDenied { denial, wait, rates: None }
    })
}

fn unknown_destination(detail: &'static str) -> Denial {
    Denial::new(Reason::DestinationUnknown, detail)
}

impl From<Denial> for AdmissionDenied {
    fn from(denial: Denial) -> Self {
        Self { denial, wait: None, rates: None }
    }
}

impl From<Box<meter::LimitExceeded>> for AdmissionDenied {
    fn from(spent: Box<meter::LimitExceeded>) -> Self {
        Self { denial: spent.denial, wait: None, rates: spent.decision }
    }
}
