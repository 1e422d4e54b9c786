//! The record of one exchange: what is known of it and what became of it, written when it ends.
//!
//! A plain record. Whoever moves the exchange on sets what has happened; dropping the record, which also happens when
//! the peer vanishes in the middle of a body, counts it in the metrics and writes its log line. Never decides anything.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::http::{Method, StatusCode, Version};

use super::body_end::BodyEnd;
use super::body_pipeline::BodyCounters;
use super::peer::Peer;
use super::request_outcome::RequestBodyOutcome;
use super::snapshot::{RouteRuntime, VendorRuntime};
use super::state::Gateway;
use crate::audit::DeniedRequest;
use crate::exposure::CallerCounters;
use crate::http::{RequestId, RequestIds};
use crate::model::{ClientId, Denial, Direction, Moment, Reason, ReasonSet};
use crate::observation::SeenRoute;
use crate::telemetry::{EarlyEnd, ExchangeLine, RouteMetrics, TrafficMetrics};

/// What is known of one exchange, from the head of its request to the last byte of its response.
#[derive(Debug)]
pub(super) struct ExchangeRecord {
    pub(super) gateway: Arc<Gateway>,
    pub(super) peer: Arc<Peer>,
    pub(super) id: RequestId,
    pub(super) started: Moment,
    /// The epoch when the exchange began, before it read anything that a change could make stale.
    authority_epoch: u64,
    method: Method,
    version: Version,
    /// Whether the caller is a gRPC client.
    is_grpc: bool,
    party: Party,
    /// Whether the caller uses the gateway as its proxy.
    proxied: bool,
    /// The status that was sent; 0 until one was.
    status: u16,
    /// Why the exchange was refused or ended early.
    reason: Option<Reason>,
    /// How the exchange ended, where the caller did not get the whole response.
    ended: Option<EarlyEnd>,
    /// What exactly went wrong, for the log.
    cause: Option<Cow<'static, str>>,
    /// What the contract would have denied, where it only observes.
    would_deny: Option<Box<WouldDeny>>,
    /// The entry that the call counts in, where it is looked at.
    seen: Option<Box<SeenRoute>>,
    /// Whether a kill has severed the exchange in the middle of its response.
    severed: bool,
    /// Time spent waiting for others: issuers, the upstream, bodies.
    awaited: Duration,
    /// Time spent in the gateway itself until the head of the response was sent.
    overhead: Duration,
    /// The body of the request; `None` where it has none, or was refused before it was read.
    request_body: Option<Arc<RequestBodyOutcome>>,
    response: BodyCounters,
}

/// What a contract that observes would have denied of one exchange.
#[derive(Debug, Default)]
struct WouldDeny {
    reasons: ReasonSet,
    /// What exactly was wrong, of the first.
    detail: Cow<'static, str>,
}

/// Whose exchange it is, as far as that is known.
#[derive(Debug, Default)]
enum Party {
    /// No vendor is known: the caller could not be identified, or named no vendor.
    #[default]
    Unknown,
    /// The vendor is known, and its client where one was proven.
    Vendor(Arc<VendorRuntime>, Option<ClientId>),
    /// The route of the vendor is known too.
    Route(Arc<VendorRuntime>, Option<ClientId>, Arc<RouteRuntime>),
}

impl ExchangeRecord {
    /// Begins an exchange. Call it before the snapshot is read.
    pub(super) fn begin(gateway: Arc<Gateway>, peer: Arc<Peer>, method: Method, version: Version) -> Box<Self> {
        let started = gateway.clock.now();
        let authority_epoch = gateway.authority_epoch.current();
        peer.begin_exchange();
        Box::new(Self {
            gateway,
            peer,
            id: RequestIds::next(),
            started,
            authority_epoch,
            method,
            version,
            is_grpc: false,
            party: Party::Unknown,
            proxied: false,
            status: 0,
            reason: None,
            ended: None,
            cause: None,
            would_deny: None,
            seen: None,
            severed: false,
            awaited: Duration::ZERO,
            overhead: Duration::ZERO,
            request_body: None,
            response: BodyCounters::default(),
        })
    }

    /// Whether the authority of requests may have changed since the exchange began.
    pub(super) fn is_stale(&self) -> bool {
        self.gateway.authority_epoch.current() != self.authority_epoch
    }

    pub(super) const fn vendor(&self) -> Option<&Arc<VendorRuntime>> {
        match &self.party {
            Party::Unknown => None,
            Party::Vendor(vendor, _) | Party::Route(vendor, ..) => Some(vendor),
        }
    }

    /// The vendor's client, or the service of ours, where one was proven.
    pub(super) const fn client(&self) -> Option<&ClientId> {
        match &self.party {
            Party::Unknown => None,
            Party::Vendor(_, client) | Party::Route(_, client, _) => client.as_ref(),
        }
    }

    pub(super) const fn route(&self) -> Option<&Arc<RouteRuntime>> {
        match &self.party {
            Party::Unknown | Party::Vendor(..) => None,
            Party::Route(.., route) => Some(route),
        }
    }

    /// Where a body counts that leaves on calls of this direction; `None` where it stays within the company.
    pub(super) fn exposure_of(&self, leaving: Direction) -> Option<CallerCounters> {
        let route = self.route().filter(|_| self.direction() == leaving)?;
        Some(route.exposure.by(self.client()))
    }

    pub(super) fn direction(&self) -> Direction {
        self.peer.direction()
    }

    /// Whether the caller uses HTTP/2.
    pub(super) fn is_h2(&self) -> bool {
        self.version >= Version::HTTP_2
    }

    /// The caller is a gRPC client, which reads refusals in a form of its own.
    pub(super) const fn set_grpc(&mut self, is_grpc: bool) {
        self.is_grpc = is_grpc;
    }

    pub(super) const fn is_grpc(&self) -> bool {
        self.is_grpc
    }

    /// The caller uses the gateway as its proxy.
    pub(super) const fn set_proxied(&mut self) {
        self.proxied = true;
    }

    pub(super) const fn is_proxied(&self) -> bool {
        self.proxied
    }

    /// Whether the exchange has become a WebSocket or a tunnel.
    pub(super) fn has_switched(&self) -> bool {
        self.status == StatusCode::SWITCHING_PROTOCOLS.as_u16() || self.method == Method::CONNECT
    }

    /// The vendor is known: from here on the exchange counts as its traffic.
    pub(super) fn set_vendor(&mut self, vendor: &Arc<VendorRuntime>, client: Option<&ClientId>) {
        vendor.direction(self.direction()).traffic.enter();
        self.party = Party::Vendor(Arc::clone(vendor), client.cloned());
    }

    /// The route is known.
    pub(super) fn set_route(&mut self, route: &Arc<RouteRuntime>) {
        self.party = match std::mem::take(&mut self.party) {
            Party::Unknown => Party::Unknown,
            Party::Vendor(vendor, client) | Party::Route(vendor, client, _) => {
                Party::Route(vendor, client, Arc::clone(route))
            }
        };
    }

    /// Time since `since` was spent waiting for others, and is no overhead of the gateway.
    pub(super) fn waited(&mut self, since: Moment) {
        let now = self.gateway.clock.now();
        self.awaited += Duration::from_nanos(now.monotonic_ns.saturating_sub(since.monotonic_ns));
    }

    /// The head of the response is sent.
    pub(super) fn set_status(&mut self, status: u16) {
        self.status = status;
        self.overhead = self.elapsed().saturating_sub(self.awaited);
        self.gateway.metrics.overhead(self.direction(), self.overhead);
    }

    /// The request has a body.
    pub(super) fn set_request_body(&mut self, outcome: Arc<RequestBodyOutcome>) {
        self.request_body = Some(outcome);
    }

    /// The body of the request, where it has one.
    pub(super) fn request_body(&self) -> Option<&Arc<RequestBodyOutcome>> {
        self.request_body.as_ref()
    }

    /// What has passed through the body of the response so far.
    pub(super) fn set_response(&mut self, counters: BodyCounters) {
        self.response = counters;
    }

    pub(super) fn set_reason(&mut self, reason: Reason) {
        self.reason = Some(reason);
    }

    /// The exchange, or a part of it, was denied.
    pub(super) fn set_denial(&mut self, denial: &Denial) {
        self.reason = Some(denial.reason);
        self.cause = Some(denial.detail.clone());
    }

    /// The call counts in this entry.
    pub(super) fn set_seen(&mut self, seen: Option<SeenRoute>) {
        self.seen = seen.map(Box::new);
    }

    /// The entry that the call counts in, where it is looked at.
    pub(super) fn seen(&self) -> Option<&SeenRoute> {
        self.seen.as_deref()
    }

    /// The contract would have denied the exchange, or a part of it, if it were enforced.
    pub(super) fn would_deny(&mut self, denial: &Denial) {
        let all = self.would_deny.get_or_insert_default();
        all.reasons.insert(denial.reason);
        if all.detail.is_empty() {
            all.detail = denial.detail.clone();
        }
    }

    /// Counts and audits what the contract would have denied, each reason once. Returns the reasons.
    fn report_would_deny(&self, request: BodyCounters) -> ReasonSet {
        let bodies = request.would_deny.or(self.response.would_deny);
        let Some(vendor) = self.vendor().filter(|_| self.would_deny.is_some() || !bodies.is_empty()) else {
            return ReasonSet::default();
        };
        let head = self.would_deny.as_ref();
        let reasons = bodies.or(head.map(|head| head.reasons).unwrap_or_default());
        for reason in reasons.iter() {
            self.traffic().would_deny(reason);
            self.gateway.audit.would_deny(
                vendor.id(),
                &DeniedRequest {
                    vendor: Some(vendor.id()),
                    direction: self.direction(),
                    reason,
                    client: self.client(),
                    request_id: std::str::from_utf8(&self.id.to_hex()).unwrap_or_default(),
                    detail: head.map_or("a body would have been refused or cut", |head| &head.detail),
                    at: self.started.wall,
                },
            );
        }
        reasons
    }

    /// The response ended early.
    pub(super) fn set_early_end(&mut self, end: &BodyEnd) {
        let ended = end.ended_by(self.gateway.stopping.load(Ordering::Relaxed));
        self.ended = Some(ended);
        self.cause = Some(end.cause(ended, self.status));
    }

    /// A kill has severed the exchange in the middle of its response. Returns whether that was known before.
    pub(super) const fn set_severed(&mut self) -> bool {
        std::mem::replace(&mut self.severed, true)
    }

    /// The metrics of the vendor's traffic, or of traffic whose vendor is unknown.
    pub(super) fn traffic(&self) -> &TrafficMetrics {
        match self.vendor() {
            Some(vendor) => &vendor.direction(self.direction()).traffic,
            None => self.gateway.metrics.unknown_vendor(self.direction()),
        }
    }

    fn route_metrics(&self) -> &RouteMetrics {
        self.route().map_or_else(|| self.traffic().unmatched().as_ref(), |route| &route.metrics)
    }

    fn elapsed(&self) -> Duration {
        let now = self.gateway.clock.now();
        Duration::from_nanos(now.monotonic_ns.saturating_sub(self.started.monotonic_ns))
    }

    fn log(&self, request: BodyCounters, would_deny: ReasonSet, took: Duration) {
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
            vendor: self.vendor().map(|vendor| vendor.id().as_str()),
            client: self.client().map(ClientId::as_str),
            peer: failed.then(|| self.peer.address()),
            method: self.method.as_str(),
            route: self.route().map(|route| &*route.name),
            upstream: self.route().map(|route| &*route.upstream_name),
            status: self.status,
            reason: self.reason,
            ended: self.ended,
            cause: self.cause.as_deref(),
            would_deny,
            records: request.records + self.response.records,
            shape_unexpected: request.shape_unexpected || self.response.shape_unexpected,
            bytes_in: request.bytes_in,
            bytes_out: self.response.bytes_out,
            duration_us: micros(took),
            overhead_us: micros(self.overhead),
        };
        if failed {
            self.gateway.failures.keep(&line);
        }
        if log.is_on() {
            log.write(&line);
        }
    }
}

/// Writes the record, however the exchange ended.
impl Drop for ExchangeRecord {
    fn drop(&mut self) {
        let took = self.elapsed();
        if self.status == 0 && self.reason.is_none() {
            self.set_early_end(&BodyEnd::ReaderGone);
        }
        self.route_metrics().request(self.status);
        let request = self.request_body.as_ref().map(|body| body.counters()).unwrap_or_default();
        let sent = match self.direction() {
            Direction::Ingress => self.response.bytes_out,
            Direction::Egress => request.bytes_out,
        };
        if let (Direction::Egress, Some(vendor), Some(service)) = (self.direction(), self.vendor(), self.client()) {
            vendor.metrics.count_caller(service);
        }
        let traffic = self.traffic();
        traffic.bytes(sent);
        if self.vendor().is_some() {
            traffic.leave(took);
        }
        let would_deny = self.report_would_deny(request);
        if let Some(seen) = &self.seen {
            seen.ended(self.status, would_deny.iter());
        }
        self.log(request, would_deny, took);
        self.peer.end_exchange(self.severed, self.started.monotonic_ns.saturating_add(took.as_nanos() as u64));
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
