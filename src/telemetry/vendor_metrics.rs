//! The handles to count with: for each vendor, and for each vendor and direction. They are made when a config is
//! loaded.
//!
//! Counting requests through a handle takes no lock, looks nothing up, allocates nothing and formats nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use dashmap::DashMap;

use super::cells::{HistogramCells, HistogramReading, ShardedCells};
use super::credential_metrics::CredentialMetrics;
use super::families::{self, ScrapePage};
use super::labels::LimitLabel;
use super::route_metrics::RouteMetrics;
use super::upstream_metrics::UpstreamSample;
use crate::model::{ClientId, Direction, Lock as _, Reason, UnixTime, VendorId};

/// The route label of an exchange that no route of the contract matched. No route's text can be this.
pub const UNMATCHED_ROUTE: &str = "_unmatched";

/// Upper bounds of a request's duration, in nanoseconds: those of OpenTelemetry's `http.server.request.duration`.
pub(super) const DURATION_BOUNDS: [u64; 14] = {
    let millis = [5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000];
    let mut nanos = [0; 14];
    let mut i = 0;
    while i < millis.len() {
        nanos[i] = millis[i] * 1_000_000;
        i += 1;
    }
    nanos
};

/// The metrics of one vendor that do not depend on the direction of traffic.
#[derive(Debug)]
pub struct VendorMetrics {
    pub(super) vendor: VendorId,
    pub(super) killed: AtomicBool,
    pub(super) tripped: AtomicBool,
    pub(super) anomalies: Mutex<BTreeMap<&'static str, f64>>,
    pub(super) severed: AtomicU64,
    drill_overdue: AtomicU8,
    pub(super) observes: AtomicBool,
    pub(super) newest_token_ms: AtomicU64,
    pub(super) oldest_key_ms: AtomicU64,
    pub(super) contract_end_secs: AtomicU64,
    pub(super) limits: [AtomicU64; LimitLabel::ALL.len()],
    pub(super) refreshes: [AtomicU64; 2],
    callers: DashMap<ClientId, u64>,
    pub(super) reveals: Mutex<BTreeMap<&'static str, u64>>,
    pub(super) introspections: Mutex<BTreeMap<&'static str, u64>>,
    pub(super) files: Mutex<BTreeMap<&'static str, bool>>,
    pub(super) upstreams: Mutex<Vec<UpstreamSample>>,
    last_fallback_ms: AtomicU64,
    lease_starved: AtomicU64,
    /// Those of the credential by which the vendor knows us.
    pub credential: CredentialMetrics,
    traffic: [OnceLock<Arc<TrafficMetrics>>; Direction::ALL.len()],
}

impl VendorMetrics {
    pub(super) fn new(vendor: VendorId) -> Self {
        Self {
            vendor,
            killed: AtomicBool::new(false),
            tripped: AtomicBool::new(false),
            anomalies: Mutex::default(),
            severed: AtomicU64::new(0),
            drill_overdue: AtomicU8::new(0),
            observes: AtomicBool::new(false),
            newest_token_ms: AtomicU64::new(0),
            oldest_key_ms: AtomicU64::new(0),
            contract_end_secs: AtomicU64::new(0),
            limits: std::array::from_fn(|_| AtomicU64::new(f64::NAN.to_bits())),
            refreshes: Default::default(),
            callers: DashMap::new(),
            reveals: Mutex::default(),
            introspections: Mutex::default(),
            files: Mutex::default(),
            upstreams: Mutex::default(),
            last_fallback_ms: AtomicU64::new(0),
            lease_starved: AtomicU64::new(0),
            credential: CredentialMetrics::default(),
            traffic: Default::default(),
        }
    }

    /// The metrics of this vendor's traffic in one direction. Their series exist from the first call on.
    pub fn traffic(&self, direction: Direction) -> &Arc<TrafficMetrics> {
        self.traffic[direction.index()].get_or_init(|| Arc::new(TrafficMetrics::new()))
    }

    /// Sets whether the vendor is killed, wholly or in part.
    pub fn killed(&self, killed: bool) {
        self.killed.store(killed, Ordering::Relaxed);
    }

    /// Sets whether a kill of the vendor stands that the gateway itself ordered.
    pub fn tripped(&self, tripped: bool) {
        self.tripped.store(tripped, Ordering::Relaxed);
    }

    /// Sets how unusual each signal is.
    pub fn anomaly_scores(&self, scores: impl IntoIterator<Item = (&'static str, f64)>) {
        *self.anomalies.locked() = scores.into_iter().collect();
    }

    /// Sets whether the contract only observes, so that raw data passes.
    pub fn observes(&self, observes: bool) {
        self.observes.store(observes, Ordering::Relaxed);
    }

    /// Sets how many exchanges were severed since the process started.
    pub fn severed(&self, total: u64) {
        self.severed.fetch_max(total, Ordering::Relaxed);
    }

    /// Sets whether a drill is overdue. Never called for a vendor whose contract asks for no drills.
    pub fn drill_overdue(&self, overdue: bool) {
        self.drill_overdue.store(1 + u8::from(overdue), Ordering::Relaxed);
    }

    /// Whether a drill is overdue; `None` where the contract asks for no drills.
    pub fn is_drill_overdue(&self) -> Option<bool> {
        self.drill_overdue.load(Ordering::Relaxed).checked_sub(1).map(|overdue| overdue == 1)
    }

    /// Records the time of issue of a token in use. Costs one atomic read unless the token is the newest so far.
    #[inline]
    pub fn token_issued_at(&self, issued_at: UnixTime) {
        if self.newest_token_ms.load(Ordering::Relaxed) < issued_at.as_millis() {
            self.newest_token_ms.fetch_max(issued_at.as_millis(), Ordering::Relaxed);
        }
    }

    /// Sets when the oldest signing key that is still published was first seen.
    pub fn oldest_key_first_seen(&self, first_seen: UnixTime) {
        self.oldest_key_ms.store(first_seen.as_millis(), Ordering::Relaxed);
    }

    /// When the newest token in use was issued.
    pub fn newest_token(&self) -> Option<UnixTime> {
        some_time(&self.newest_token_ms)
    }

    /// When the oldest signing key that is still published was first seen.
    pub fn oldest_key(&self) -> Option<UnixTime> {
        some_time(&self.oldest_key_ms)
    }

    /// Sets the end of the contract's last day.
    pub fn contract_ends_at(&self, end: UnixTime) {
        self.contract_end_secs.store(end.as_secs(), Ordering::Relaxed);
    }

    /// Sets the share of a limit that is left, from 1 to 0; NaN, which no scrape shows, where there is no such limit.
    pub fn limit_remaining(&self, limit: LimitLabel, ratio: f64) {
        self.limits[limit as usize].store(ratio.clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
    }

    /// Sets how many fetches of the vendor's signing keys succeeded and failed.
    pub fn jwks_refreshes(&self, succeeded: u64, failed: u64) {
        self.refreshes[0].store(succeeded, Ordering::Relaxed);
        self.refreshes[1].store(failed, Ordering::Relaxed);
    }

    /// Counts an exchange of one of our services. Its name comes from the config. This looks up and locks, which only a
    /// request of a named service pays.
    pub fn count_caller(&self, caller: &ClientId) {
        *self.callers.entry(caller.clone()).or_default() += 1;
    }

    pub(super) fn read_callers(&self, page: &mut ScrapePage) {
        for entry in &self.callers {
            let labels = [self.vendor.as_str(), entry.key().as_str()];
            page.counter(&families::CALLERS, &labels, *entry.value() as f64);
        }
    }

    /// Sets how many of the vendor's tokens had this result since the process started.
    pub fn reveals(&self, result: &'static str, total: u64) {
        self.reveals.locked().insert(result, total);
    }

    /// Sets how often introspection of the vendor's tokens had this result.
    pub fn introspections(&self, result: &'static str, times: u64) {
        self.introspections.locked().insert(result, times);
    }

    /// Sets for each watched file of the vendor, named by its purpose, whether it cannot be used.
    pub fn files_unreadable(&self, files: impl IntoIterator<Item = (&'static str, bool)>) {
        *self.files.locked() = files.into_iter().collect();
    }

    /// Sets the state of the vendor's upstreams, of those above whose connections anything stands.
    pub fn upstreams(&self, samples: Vec<UpstreamSample>) {
        *self.upstreams.locked() = samples;
    }

    /// A request was refused or cut because the fleet's engine granted no lease in time.
    pub fn lease_starved(&self) {
        self.lease_starved.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that was so; never is no series.
    pub(super) fn read_leases(&self, page: &mut ScrapePage) {
        if let starved @ 1.. = self.lease_starved.load(Ordering::Relaxed) {
            page.counter(&families::LEASE_STARVED, &[self.vendor.as_str()], starved as f64);
        }
    }

    /// A fallback has answered for the vendor.
    pub fn answered_by_fallback(&self, at: UnixTime) {
        self.last_fallback_ms.fetch_max(at.as_millis(), Ordering::Relaxed);
    }

    /// When a fallback last answered for the vendor.
    pub fn last_fallback(&self) -> Option<UnixTime> {
        some_time(&self.last_fallback_ms)
    }

    pub(super) fn retain_routes(&self, keep: impl Fn(Direction, &str) -> bool) {
        for (direction, traffic) in self.directions() {
            traffic.routes.locked().retain(|route, _| keep(direction, route));
        }
    }

    /// The directions for which [`VendorMetrics::traffic`] was called.
    pub(super) fn directions(&self) -> impl Iterator<Item = (Direction, &Arc<TrafficMetrics>)> {
        Direction::ALL.into_iter().filter_map(|direction| Some((direction, self.traffic[direction.index()].get()?)))
    }
}

/// A stored time; zero means none.
fn some_time(millis: &AtomicU64) -> Option<UnixTime> {
    Some(millis.load(Ordering::Relaxed)).filter(|millis| *millis > 0).map(UnixTime::from_millis)
}

const IN_FLIGHT: usize = Reason::ALL.len();
const BYTES: usize = IN_FLIGHT + 1;
const DURATION: HistogramCells = HistogramCells { first: BYTES + 1, bounds: &DURATION_BOUNDS };
const TRAFFIC_NUMBERS: usize = DURATION.first + HistogramCells::slots(&DURATION_BOUNDS);

/// The metrics of one vendor's traffic in one direction.
#[derive(Debug)]
pub struct TrafficMetrics {
    cells: ShardedCells,
    /// The last denial: milliseconds since the epoch and, in the lowest eight bits, the reason's index; zero for none.
    last_denial: AtomicU64,
    routes: Mutex<BTreeMap<Box<str>, Arc<RouteMetrics>>>,
    unmatched: Arc<RouteMetrics>,
    /// By the reason's index; made when the vendor's contract first observes.
    would_deny: OnceLock<Box<[AtomicU64]>>,
}

impl TrafficMetrics {
    pub(super) fn new() -> Self {
        Self {
            cells: ShardedCells::new(TRAFFIC_NUMBERS),
            last_denial: AtomicU64::new(0),
            routes: Mutex::default(),
            unmatched: Arc::default(),
            would_deny: OnceLock::new(),
        }
    }

    /// The handle of a route by its text: always the same one until the route leaves the config.
    pub fn route(&self, route: &str) -> Arc<RouteMetrics> {
        Arc::clone(self.routes.locked().entry(route.into()).or_default())
    }

    /// The handle of exchanges that were refused before a route was found.
    pub fn unmatched(&self) -> &Arc<RouteMetrics> {
        &self.unmatched
    }

    /// A request is in flight from here on.
    #[inline]
    pub fn enter(&self) {
        self.cells.of_this_thread().add(IN_FLIGHT, 1);
    }

    /// A request in flight has ended; `took` is the time since its head was read.
    #[inline]
    pub fn leave(&self, took: Duration) {
        let mine = self.cells.of_this_thread();
        mine.subtract(IN_FLIGHT, 1);
        DURATION.observe(mine, nanos(took));
    }

    /// Counts a request that was refused or cut short.
    #[inline]
    pub fn deny(&self, reason: Reason) {
        self.cells.of_this_thread().add(reason.index(), 1);
    }

    /// Counts a request that the contract would have refused or cut short, if it were enforced.
    pub fn would_deny(&self, reason: Reason) {
        let counts = self.would_deny.get_or_init(|| Reason::ALL.map(|_| AtomicU64::new(0)).into());
        counts[reason.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// How often each reason would have been given, where any would.
    pub fn would_denials(&self) -> impl Iterator<Item = (Reason, u64)> {
        let counts = self.would_deny.get().into_iter().flat_map(|counts| Reason::ALL.into_iter().zip(counts));
        counts.map(|(reason, count)| (reason, count.load(Ordering::Relaxed))).filter(|(_, count)| *count > 0)
    }

    /// Keeps a denial as the last one. One atomic write.
    #[inline]
    pub fn denied_last(&self, reason: Reason, at: UnixTime) {
        self.last_denial.store(at.as_millis() << 8 | reason.index() as u64, Ordering::Relaxed);
    }

    /// The last denial, where there was one.
    pub fn last_denial(&self) -> Option<(Reason, UnixTime)> {
        let packed = Some(self.last_denial.load(Ordering::Relaxed)).filter(|packed| *packed > 0)?;
        let reason = Reason::ALL.get((packed & 0xff) as usize)?;
        Some((*reason, UnixTime::from_millis(packed >> 8)))
    }

    /// Counts body bytes that left: of answers on ingress, of requests on egress.
    #[inline]
    pub fn bytes(&self, bytes: u64) {
        self.cells.of_this_thread().add(BYTES, bytes);
    }

    /// Requests in flight now.
    pub fn in_flight(&self) -> u64 {
        // While threads add and subtract, a sum may be below zero for a moment.
        u64::try_from(self.cells.sum(IN_FLIGHT) as i64).unwrap_or(0)
    }

    /// How often this reason was given.
    pub fn denials(&self, reason: Reason) -> u64 {
        self.cells.sum(reason.index())
    }

    /// Body bytes that left.
    pub fn bytes_sum(&self) -> u64 {
        self.cells.sum(BYTES)
    }

    /// Exchanges that ended and records that left, over all routes that are kept.
    pub fn totals(&self) -> (u64, u64) {
        let (mut requests, mut records) = (0, 0);
        self.each_route(|_, route| {
            requests += route.requests_sum();
            records += route.records_sum();
        });
        (requests, records)
    }

    /// The routes that were used.
    pub fn used_routes(&self) -> Vec<String> {
        let mut used = Vec::new();
        self.each_route(|route, metrics| {
            let is_used = route != UNMATCHED_ROUTE && metrics.requests_sum() > 0;
            used.extend(is_used.then(|| route.to_owned()));
        });
        used
    }

    pub(super) fn duration(&self) -> HistogramReading {
        DURATION.read(&self.cells)
    }

    /// Visits every route's handle, and that of requests without a route.
    pub(super) fn each_route(&self, mut visit: impl FnMut(&str, &RouteMetrics)) {
        visit(UNMATCHED_ROUTE, &self.unmatched);
        for (route, metrics) in self.routes.locked().iter() {
            visit(route, metrics);
        }
    }
}

#[inline]
pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_in_flight_between_enter_and_leave() {
        let vendor = VendorMetrics::new(VendorId::parse("acme").unwrap());
        let traffic = vendor.traffic(Direction::Egress);
        traffic.enter();
        traffic.enter();
        traffic.leave(Duration::from_millis(7));
        traffic.deny(Reason::ScopeMissing);
        traffic.bytes(10);
        assert_eq!((traffic.in_flight(), traffic.bytes_sum(), traffic.duration().count), (1, 10, 1));
        assert_eq!((traffic.denials(Reason::ScopeMissing), traffic.denials(Reason::TokenMissing)), (1, 0));
    }
}
