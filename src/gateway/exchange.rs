//! The record of one request, closed when its last byte has left or when it was dropped.
//!
//! The one place that speaks: metrics, the log line, the audit of a denial. It says what happened and decides nothing.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::http::header::{CONNECTION, HeaderMap, HeaderName};
use ::http::{HeaderValue, Method, Response, StatusCode, Version};

use super::body_pipeline::{AbortReason, BodyCounters, HttpMessage};
use super::body_stream::BodyEnd;
use super::consequence::{self, BodyCut};
use super::handle::Gateway;
use super::observers::RequestBodyOutcome;
use super::peer::Peer;
use super::snapshot::{RouteRuntime, VendorRuntime};
use super::unfinished;
use crate::audit::DeniedRequest;
use crate::http::{Challenge, GatewayBody, RequestId, RequestIds, refuse};
use crate::kill::InFlight;
use crate::meter::{RateDecision, rate_limit, rate_limit_policy};
use crate::model::{ClientId, Denial, Direction, Moment, Reason};
use crate::policy::Permit;
use crate::telemetry::{EarlyEnd, ExchangeLine, RouteMetrics, TrafficMetrics};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// One request, from its head to its last byte.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) gateway: Arc<Gateway>,
    pub(super) peer: Arc<Peer>,
    pub(super) id: RequestId,
    pub(super) started: Moment,
    /// What requests stand on, as it was when this one began.
    ground: u64,
    /// Whether that was taken away while it was decided on.
    lost_ground: bool,
    method: Method,
    version: Version,
    vendor: Option<Arc<VendorRuntime>>,
    route: Option<Arc<RouteRuntime>>,
    client: Option<ClientId>,
    /// In flight, and holding its slots, until the exchange is dropped.
    held: Option<(InFlight, Permit)>,
    /// How the request rates stood when they refused it.
    over_rate: Option<RateDecision>,
    status: u16,
    reason: Option<Reason>,
    /// How it ended, where the caller did not get the whole answer.
    ended: Option<EarlyEnd>,
    /// What exactly went wrong, where something did.
    cause: Option<Cow<'static, str>>,
    /// Whether it was cut in the middle of its answer by the kill switch.
    severed: bool,
    awaited: Duration,
    overhead: Duration,
    /// How the request's body fared, where it has one.
    request: Option<Arc<RequestBodyOutcome>>,
    answer: BodyCounters,
}

impl Exchange {
    pub(super) fn begin(gateway: Arc<Gateway>, peer: Arc<Peer>, method: Method, version: Version) -> Box<Self> {
        let started = gateway.clock.now();
        // Before anything is read that a change could make stale.
        let ground = gateway.authority_epoch.current();
        peer.begin_exchange();
        Box::new(Self {
            gateway,
            peer,
            id: RequestIds::next(),
            started,
            ground,
            lost_ground: false,
            method,
            version,
            vendor: None,
            route: None,
            client: None,
            held: None,
            over_rate: None,
            status: 0,
            reason: None,
            ended: None,
            cause: None,
            severed: false,
            awaited: Duration::ZERO,
            overhead: Duration::ZERO,
            request: None,
            answer: BodyCounters::default(),
        })
    }

    /// Whether something that it may stand on has changed since it began.
    pub(super) fn is_behind(&self) -> bool {
        self.gateway.authority_epoch.current() != self.ground
    }

    /// What it would have stood on was taken away while it was decided on.
    pub(super) fn loses_ground(&mut self) {
        self.lost_ground = true;
    }

    /// The route that was found, by its name.
    pub(super) fn route_name(&self) -> &str {
        self.route.as_ref().map_or("-", |route| &route.name)
    }

    /// Whose it is, where that is known.
    pub(super) const fn vendor(&self) -> Option<&Arc<VendorRuntime>> {
        self.vendor.as_ref()
    }

    /// The vendor's client, where one was proven.
    pub(super) const fn client(&self) -> Option<&ClientId> {
        self.client.as_ref()
    }

    pub(super) fn direction(&self) -> Direction {
        self.peer.direction()
    }

    /// Whether the caller speaks HTTP/2.
    pub(super) fn is_h2(&self) -> bool {
        self.version >= Version::HTTP_2
    }

    /// Whether it goes on as a WebSocket.
    pub(super) const fn has_switched(&self) -> bool {
        self.status == StatusCode::SWITCHING_PROTOCOLS.as_u16()
    }

    /// From here on the exchange counts as this vendor's.
    pub(super) fn of_vendor(&mut self, vendor: &Arc<VendorRuntime>, client: Option<&ClientId>) {
        vendor.direction(self.direction()).traffic.enter();
        self.vendor = Some(Arc::clone(vendor));
        self.client = client.cloned();
    }

    /// From here on the exchange counts as this route's.
    pub(super) fn on_route(&mut self, route: &Arc<RouteRuntime>) {
        self.route = Some(Arc::clone(route));
    }

    /// From here on the exchange is in flight.
    pub(super) fn admitted(&mut self, in_flight: InFlight, permit: Permit) {
        self.peer.seat().mark_proven();
        self.held = Some((in_flight, permit));
    }

    /// The request rates refused it.
    pub(super) fn over_rate(&mut self, rates: Option<RateDecision>) {
        self.over_rate = rates;
    }

    /// Tells a vendor how its request rates stand.
    pub(super) fn say_rates(&self, headers: &mut HeaderMap) {
        let stood = self.held.as_ref().and_then(|(_, permit)| permit.rates()).or(self.over_rate.as_ref());
        let (Some(vendor), Some(route), Some(stood)) = (&self.vendor, &self.route, stood) else { return };
        if self.direction() == Direction::Egress {
            return;
        }
        let rates = vendor.ledgers.of(Direction::Ingress).rates();
        let field = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        let policy = route.rate_policy.get_or_init(|| field(rate_limit_policy(rates.statuses(stood))));
        headers.insert(RATE_LIMIT_POLICY, policy.clone());
        headers.insert(RATE_LIMIT, field(rate_limit(rates.statuses(stood))));
    }

    /// Time spent waiting for others, which is not the gateway's own.
    pub(super) fn waited(&mut self, since: Moment) {
        let now = self.gateway.clock.now();
        self.awaited += Duration::from_nanos(now.monotonic_ns.saturating_sub(since.monotonic_ns));
    }

    /// The head of the answer is on its way.
    pub(super) fn answers(&mut self, status: u16) {
        self.status = status;
        let spent = self.elapsed().saturating_sub(self.awaited);
        self.overhead = spent;
        self.gateway.metrics.overhead(self.direction(), spent);
    }

    /// The request has a body; how it fares is told here.
    pub(super) fn takes(&mut self, fate: Arc<RequestBodyOutcome>) {
        self.request = Some(fate);
    }

    /// Why the request's body broke off, if it did.
    pub(super) fn request_broke(&self) -> Option<BodyEnd> {
        self.request.as_ref()?.ending()
    }

    /// Whether the request has no body, or nothing of it follows.
    pub(super) fn request_is_over(&self) -> bool {
        self.request.as_ref().is_none_or(|fate| fate.is_done())
    }

    /// What tells when the request's last byte was handed on; none where it has no body.
    pub(super) fn request_fate(&self) -> Option<Arc<RequestBodyOutcome>> {
        self.request.clone()
    }

    /// Another handle of the registration, for a body.
    ///
    /// # Errors
    /// Before the exchange was admitted there is none, and nothing may be forwarded.
    pub(super) fn share_in_flight(&self) -> Result<InFlight, Denial> {
        let held = self.held.as_ref().ok_or_else(|| Denial::new(Reason::Overloaded, "not admitted"))?;
        Ok(held.0.share())
    }

    /// The answer's body has moved.
    pub(super) fn gave(&mut self, answer: BodyCounters) {
        self.answer = answer;
    }

    /// Says no: the answer of a denial, and everything that follows from one.
    pub(super) fn refuse(mut self: Box<Self>, denial: &Denial) -> Response<GatewayBody> {
        self.note(denial);
        let route = self.route.clone();
        let challenge = Challenge::of(denial, route.as_ref().map(|route| &route.scopes));
        let mut response = refuse(denial, self.direction(), challenge, self.id);
        let ends = matches!(denial.reason, Reason::RequestMalformed | Reason::BodyTimeout);
        if ends && !self.is_h2() {
            // What follows a request of two readings has two as well; a body that did not come is not waited for.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        self.say_rates(response.headers_mut());
        self.answers(response.status().as_u16());
        response
    }

    /// Says no because the answer broke off before any of it was sent.
    pub(super) fn refuse_broken(self: Box<Self>, ending: &BodyEnd) -> Response<GatewayBody> {
        self.follow(ending);
        self.refuse(&ending.denial(HttpMessage::Response))
    }

    /// The answer goes out without its body.
    pub(super) fn withholds(mut self: Box<Self>, status: StatusCode, denial: &Denial) {
        self.note(denial);
        self.answers(status.as_u16());
    }

    /// The answer broke off in the middle; whoever sees it sees it broken off.
    pub(super) fn broke(&mut self, ending: &BodyEnd) {
        self.follow(ending);
        let ended = unfinished::ended(ending, self.gateway.stopping.load(Ordering::Relaxed));
        self.ended = Some(ended);
        self.cause = Some(unfinished::cause(ending, ended, self.status));
        match ending {
            BodyEnd::Severed(reason) => {
                self.reason = Some(*reason);
                if let (Some((in_flight, _)), false) = (&self.held, self.severed) {
                    self.severed = true;
                    self.peer.sever_exchange(in_flight);
                }
            }
            BodyEnd::Stopped(halt) => {
                let denial = ending.denial(HttpMessage::Response);
                self.note(&denial);
                if let AbortReason::Untreatable(_) = halt {
                    let (route, request_id) = (self.route_name(), self.id.to_string());
                    let vendor = self.vendor.as_ref().map_or("-", |vendor| vendor.id().as_str());
                    tracing::warn!(vendor, route, request_id, detail = %denial.detail, "an answer was broken off");
                }
                if let (AbortReason::BudgetSpent(overrun), Some(vendor)) = (halt, &self.vendor) {
                    let cut = BodyCut {
                        vendor,
                        client: self.client.as_ref(),
                        direction: self.direction(),
                        route: self.route_name(),
                        id: self.id,
                    };
                    consequence::audit_body_cut(&self.gateway, &cut, overrun, self.answer);
                }
            }
            BodyEnd::SenderGone | BodyEnd::Stalled | BodyEnd::Slow => match self.request_broke() {
                // The upstream broke off what our side had broken before.
                Some(request) => self.note(&request.denial(HttpMessage::Request)),
                None => self.reason = Some(ending.denial(HttpMessage::Response).reason),
            },
            BodyEnd::ReaderGone => {}
        }
    }

    /// Lets an overrun have the consequence that the contract gives it.
    pub(super) fn follow(&self, ending: &BodyEnd) {
        if let (BodyEnd::Stopped(AbortReason::BudgetSpent(overrun)), Some(vendor), Some((own, _))) =
            (ending, &self.vendor, &self.held)
        {
            consequence::on_overrun(&self.gateway, vendor, self.direction(), own, overrun);
        }
    }

    /// Counts and audits a denial, and lets a burst of them have its consequence.
    pub(super) fn note(&mut self, denial: &Denial) {
        self.reason = Some(denial.reason);
        self.cause = Some(denial.detail.clone());
        let traffic = self.traffic();
        traffic.deny(denial.reason);
        traffic.denied_last(denial.reason, self.started.wall);
        self.gateway.audit.denied(&DeniedRequest {
            vendor: self.vendor.as_ref().map(|vendor| vendor.id()),
            direction: self.direction(),
            reason: denial.reason,
            client: self.client.as_ref(),
            request_id: std::str::from_utf8(&self.id.to_hex()).unwrap_or_default(),
            detail: &denial.detail,
            at: self.started.wall,
        });
        // A stranger's forgeries must not cut a vendor off, and neither must what was taken back under a request in flight.
        let severed = self.held.as_ref().is_some_and(|(in_flight, _)| in_flight.is_severed());
        if let (Some(vendor), Some(_), false) = (&self.vendor, &self.client, severed || self.lost_ground) {
            consequence::on_denial(&self.gateway, vendor, denial);
        }
    }

    fn elapsed(&self) -> Duration {
        let now = self.gateway.clock.now();
        Duration::from_nanos(now.monotonic_ns.saturating_sub(self.started.monotonic_ns))
    }

    fn traffic(&self) -> &TrafficMetrics {
        match &self.vendor {
            Some(vendor) => &vendor.direction(self.peer.direction()).traffic,
            None => self.gateway.metrics.unknown_vendor(self.peer.direction()),
        }
    }

    fn route_metrics(&self) -> &RouteMetrics {
        self.route.as_ref().map_or_else(|| self.traffic().unmatched().as_ref(), |route| &route.metrics)
    }

    fn log(&self, request: BodyCounters, took: Duration) {
        let log = &self.gateway.exchange_log;
        let failed = self.reason.is_some() || self.ended.is_some();
        if !failed && !log.is_on() {
            return;
        }
        let id = self.id.to_hex();
        let line = ExchangeLine {
            at: self.started.wall,
            request_id: std::str::from_utf8(&id).unwrap_or_default(),
            direction: self.direction(),
            vendor: self.vendor.as_ref().map(|vendor| vendor.id().as_str()),
            client: self.client.as_ref().map(ClientId::as_str),
            peer: failed.then(|| self.peer.address()),
            method: self.method.as_str(),
            route: self.route.as_ref().map(|route| &*route.name),
            upstream: self.route.as_ref().map(|route| &*route.upstream_name),
            status: self.status,
            reason: self.reason,
            ended: self.ended,
            cause: self.cause.as_deref(),
            records: request.records + self.answer.records,
            shape_unexpected: request.shape_unexpected || self.answer.shape_unexpected,
            bytes_in: request.bytes_in,
            bytes_out: self.answer.bytes_out,
            duration_us: unfinished::micros(took),
            overhead_us: unfinished::micros(self.overhead),
        };
        if failed {
            self.gateway.failures.keep(&line);
        }
        if log.is_on() {
            log.write(&line);
        }
    }
}

/// The books are closed whichever way the exchange ends, also when the peer vanishes in the middle of a body.
impl Drop for Exchange {
    fn drop(&mut self) {
        let took = self.elapsed();
        if self.status == 0 && self.reason.is_none() {
            self.broke(&BodyEnd::ReaderGone);
        }
        self.route_metrics().request(self.status);
        let request = self.request.as_ref().map(|fate| fate.tally()).unwrap_or_default();
        let leaving = match self.direction() {
            Direction::Ingress => self.answer.bytes_out,
            Direction::Egress => request.bytes_out,
        };
        let traffic = self.traffic();
        traffic.bytes(leaving);
        if self.vendor.is_some() {
            traffic.leave(took);
        }
        self.log(request, took);
        self.peer.end_exchange(self.severed, self.started.monotonic_ns.saturating_add(took.as_nanos() as u64));
    }
}
