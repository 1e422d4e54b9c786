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

use super::consequence;
use super::egress;
use super::exchange::Exchange;
use super::forward::forward;
use super::greet;
use super::ground::Ground;
use super::peer::Peer;
use super::snapshot::{Route, Snapshot, Vendor};
use super::source::Source;
use super::webhook;
use crate::bounds;
use crate::http::{GatewayBody, Slots, Target, names_websocket, screen};
use crate::identity::{Presented, Rejected, Verified, Wait, Webhook};
use crate::kill::{Footing, Held, Switch};
use crate::meter::{self, Decision};
use crate::model::{Caller, ClientId, Clock, Denial, Direction, Reason};
use crate::policy::Facts;
use crate::route::Captures;
use crate::telemetry::audit::Audit;
use crate::telemetry::{ExchangeLog, Failures, Metrics};

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
    pub failures: Failures,
    /// Whether the drain's deadline has passed: whatever is dropped from here on was dropped by us.
    pub stopping: AtomicBool,
    /// What was done and refused, for those who ask later.
    pub audit: Arc<Audit>,
    /// The kill switch.
    pub switch: Arc<Switch>,
    /// Room for the bodies of webhooks.
    pub spools: Arc<Slots>,
    /// The config in force.
    pub snapshot: ArcSwap<Snapshot>,
    /// Counts the changes of what requests stand on.
    pub ground: Ground,
}

/// What was decided about a request that may pass. Its permit and its registration are in the exchange.
pub(super) struct Admitted {
    pub(super) vendor: Arc<Vendor>,
    pub(super) route: Arc<Route>,
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
struct NotAdmitted {
    denial: Denial,
    wait: Option<Wait>,
    /// How the request rates stand, where it was them.
    rates: Option<Box<Decision>>,
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
            Err(NotAdmitted { wait: Some(wait), .. }) => {
                // Seen for the first time: a key or an answer is being fetched. One wait, bounded, then a decision.
                let since = self.clock.now();
                Box::pin(wait.settled(bounds::IDENTITY_WAIT)).await;
                exchange.waited(since);
                admit(&snapshot, &head, &mut exchange)
            }
            decided => decided,
        };
        if let Err(NotAdmitted { denial: Denial { reason: Reason::TokenMissing, .. }, .. }) = &admitted
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
        candidates: Vec<(Arc<Webhook>, Arc<Vendor>)>,
        head: request::Parts,
        body: Incoming,
        mut exchange: Box<Exchange>,
    ) -> Response<GatewayBody> {
        let since = self.clock.now();
        let verified = {
            let (sender, sent) = (exchange.peer.address().ip(), webhook::sent(&head, exchange.peer.is_tls()));
            webhook::verify(&candidates, &sent, body, sender, &self.spools, &self.clock).await
        };
        exchange.waited(since);
        let message = match verified {
            Ok(webhook::Verified::Message(message)) => message,
            Ok(webhook::Verified::Handshake(vendor, greeting)) => {
                return match greet::may_greet(&vendor, &head, &mut exchange) {
                    Ok(()) => greet::reply(exchange, greet::greeting(greeting)),
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
            Ok(_) if message.delivery.is_known() => greet::reply(exchange, greet::known()),
            Ok(admitted) => {
                let response = forward(worker, admitted, head, Source::spooled(message.body), exchange).await;
                if response.status().is_success() {
                    message.delivery.delivered();
                }
                response
            }
            Err(no) => no.answer(exchange),
        }
    }
}

impl NotAdmitted {
    fn answer(self, mut exchange: Box<Exchange>) -> Response<GatewayBody> {
        exchange.over_rate(self.rates.map(|rates| *rates));
        exchange.refuse(&self.denial)
    }
}

/// Decides about a message whose sender was proven. Synchronous, as [`admit`].
fn admit_webhook(
    snapshot: &Snapshot,
    head: &request::Parts,
    message: &webhook::Message,
    exchange: &mut Exchange,
) -> Result<Admitted, NotAdmitted> {
    let target = screen(head, Direction::Ingress)?;
    let caller = message.delivery.caller();
    let vendor = caller.and_then(|caller| snapshot.vendor(caller.vendor.as_str()));
    let vendor = vendor.ok_or_else(|| Denial::new(Reason::VendorUnknown, "its contract has gone meanwhile"))?;
    let path = Some(&*target.path).filter(|path| *path != head.uri.path());
    let footing = message.delivery.footing();
    pass(vendor, (caller, footing.as_ref()), head, &target.path, path, exchange)
}

/// Decides. Synchronous: nothing can wait between the registration, the look at the kill switch and the permit.
fn admit(snapshot: &Snapshot, head: &request::Parts, exchange: &mut Exchange) -> Result<Admitted, NotAdmitted> {
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
            let footing: Footing = verified;
            let caller = footing.downcast_ref().map(Verified::caller);
            pass(vendor, (caller, Some(&footing)), head, &target.path, path, exchange)
        }
        Direction::Egress => {
            let (name, path) = egress::split(&target.path)?;
            let vendor = snapshot.vendor(name).ok_or_else(|| unknown_destination("no contract for this vendor"))?;
            pass(vendor, (None, None), head, path, Some(path), exchange)
        }
    }
}

/// From a known vendor to a permit: the route, the registration, the chain.
fn pass(
    vendor: &Arc<Vendor>,
    (caller, footing): (Option<&Caller>, Option<&Footing>),
    head: &request::Parts,
    path: &str,
    rewritten: Option<&str>,
    exchange: &mut Exchange,
) -> Result<Admitted, NotAdmitted> {
    let direction = exchange.direction();
    let client = caller.map(|caller| &caller.client);
    exchange.of_vendor(vendor, client);
    let (route, captures) = vendor.find(direction, &head.method, path).ok_or_else(|| match direction {
        Direction::Ingress => Denial::new(Reason::RouteUnknown, "no route has this method and path"),
        Direction::Egress => unknown_destination("no egress route has this method and path"),
    })?;
    exchange.on_route(route);
    if direction == Direction::Egress && !route.allow_encoded_slash && path.contains("%2F") {
        return Err(Denial::telling(Reason::RequestMalformed, ENCODED_SLASH).into());
    }
    let websocket = route.websocket && asks_websocket(head);
    let is_safe = head.method.is_safe() && !websocket;
    let held = Held { direction, route: route.tag, client, footing, is_safe, is_websocket: websocket };
    let in_flight = vendor.line.enter(&held);
    if exchange.is_behind() {
        exchange.gateway.judge_again(vendor.id(), &held).inspect_err(|_| exchange.loses_ground())?;
    }
    let judged = vendor.side(direction).chain.evaluate(&Facts {
        now: exchange.started,
        in_flight: &in_flight,
        caller,
        client: client.unwrap_or(&vendor.ourselves),
        route: route.place,
        scopes: &route.scopes,
        is_safe,
        counts_records: route.leaving(direction).is_some_and(|treats| treats.counts_records),
    });
    let permit = judged.inspect_err(|spent| {
        consequence::of_refusal(&exchange.gateway, vendor, exchange.direction(), &in_flight, spent)
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
    head.method == Method::GET && head.version == Version::HTTP_11 && !has_body && names_websocket(&head.headers)
}

fn identify(
    snapshot: &Snapshot,
    head: &request::Parts,
    target: &Target<'_>,
    exchange: &mut Exchange,
) -> Result<Arc<Verified>, NotAdmitted> {
    let host = head.headers.get(::http::header::HOST).and_then(|host| host.to_str().ok());
    let presented = Presented {
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
        NotAdmitted { denial, wait, rates: None }
    })
}

fn unknown_destination(detail: &'static str) -> Denial {
    Denial::new(Reason::DestinationUnknown, detail)
}

impl From<Denial> for NotAdmitted {
    fn from(denial: Denial) -> Self {
        Self { denial, wait: None, rates: None }
    }
}

impl From<Box<meter::NotAdmitted>> for NotAdmitted {
    fn from(spent: Box<meter::NotAdmitted>) -> Self {
        Self { denial: spent.denial, wait: None, rates: spent.decision }
    }
}
