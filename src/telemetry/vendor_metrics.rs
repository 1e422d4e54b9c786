//! What the gateway counts by: a handle per vendor, per vendor and direction, and per route, made when a config is
//! loaded and kept by whoever handles the traffic.
//!
//! Counting through a handle takes no lock, looks nothing up, allocates nothing and formats nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use super::cells::{HistogramCells, HistogramReading, ShardedCells};
use super::labels::LimitLabel;
use super::route_metrics::RouteMetrics;
use crate::model::{Direction, Lock as _, Reason, UnixTime, VendorId};

/// The route label of an exchange that no route of the contract matched: no config can name a route so.
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

/// What is counted per vendor, whichever way its traffic goes.
#[derive(Debug)]
pub struct VendorMetrics {
    pub(super) vendor: VendorId,
    pub(super) killed: AtomicBool,
    pub(super) severed: AtomicU64,
    drill_overdue: AtomicU8,
    pub(super) newest_token_ms: AtomicU64,
    pub(super) oldest_key_ms: AtomicU64,
    pub(super) contract_end_secs: AtomicU64,
    pub(super) limits: [AtomicU64; LimitLabel::ALL.len()],
    pub(super) refreshes: [AtomicU64; 2],
    pub(super) reveals: Mutex<BTreeMap<&'static str, u64>>,
    pub(super) introspections: Mutex<BTreeMap<&'static str, u64>>,
    pub(super) files: Mutex<BTreeMap<&'static str, bool>>,
    traffic: [OnceLock<Arc<TrafficMetrics>>; Direction::ALL.len()],
}

impl VendorMetrics {
    pub(super) fn new(vendor: VendorId) -> Self {
        Self {
            vendor,
            killed: AtomicBool::new(false),
            severed: AtomicU64::new(0),
            drill_overdue: AtomicU8::new(0),
            newest_token_ms: AtomicU64::new(0),
            oldest_key_ms: AtomicU64::new(0),
            contract_end_secs: AtomicU64::new(0),
            limits: std::array::from_fn(|_| AtomicU64::new(f64::NAN.to_bits())),
            refreshes: Default::default(),
            reveals: Mutex::default(),
            introspections: Mutex::default(),
            files: Mutex::default(),
            traffic: Default::default(),
        }
    }

    /// What is counted of this vendor's traffic in one direction; its series exist from the first call on.
    pub fn traffic(&self, direction: Direction) -> &Arc<TrafficMetrics> {
        self.traffic[direction.index()].get_or_init(|| Arc::new(TrafficMetrics::new()))
    }

    /// Says whether the vendor is cut off, wholly or in part.
    pub fn killed(&self, killed: bool) {
        self.killed.store(killed, Ordering::Relaxed);
    }

    /// Notes how many exchanges were ended in flight since the process started.
    pub fn severed(&self, total: u64) {
        self.severed.fetch_max(total, Ordering::Relaxed);
    }

    /// Says whether an exercise of the kill switch is overdue; without a call, nobody asked for any.
    pub fn drill_overdue(&self, overdue: bool) {
        self.drill_overdue.store(1 + u8::from(overdue), Ordering::Relaxed);
    }

    /// Whether an exercise of the kill switch is overdue, where they are asked for.
    pub fn is_drill_overdue(&self) -> Option<bool> {
        self.drill_overdue.load(Ordering::Relaxed).checked_sub(1).map(|overdue| overdue == 1)
    }

    /// Notes a token in use. Costs a read where a newer one was noted before.
    #[inline]
    pub fn token_issued_at(&self, issued_at: UnixTime) {
        if self.newest_token_ms.load(Ordering::Relaxed) < issued_at.as_millis() {
            self.newest_token_ms.fetch_max(issued_at.as_millis(), Ordering::Relaxed);
        }
    }

    /// Notes when the oldest signing key still offered was first seen.
    pub fn oldest_key_first_seen(&self, first_seen: UnixTime) {
        self.oldest_key_ms.store(first_seen.as_millis(), Ordering::Relaxed);
    }

    /// When the newest token in use was issued.
    pub fn newest_token(&self) -> Option<UnixTime> {
        some_time(&self.newest_token_ms)
    }

    /// When the oldest signing key still offered was first seen.
    pub fn oldest_key(&self) -> Option<UnixTime> {
        some_time(&self.oldest_key_ms)
    }

    /// Notes the end of the contract's last day.
    pub fn contract_ends_at(&self, end: UnixTime) {
        self.contract_end_secs.store(end.as_secs(), Ordering::Relaxed);
    }

    /// Notes which share of a limit is left, from 1 to 0.
    pub fn limit_remaining(&self, limit: LimitLabel, ratio: f64) {
        self.limits[limit as usize].store(ratio.clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
    }

    /// Notes how many fetches of the vendor's signing keys succeeded and failed.
    pub fn jwks_refreshes(&self, succeeded: u64, failed: u64) {
        self.refreshes[0].store(succeeded, Ordering::Relaxed);
        self.refreshes[1].store(failed, Ordering::Relaxed);
    }

    /// Notes how many of the vendor's tokens have met this end since the start.
    pub fn reveals(&self, result: &'static str, total: u64) {
        lock(&self.reveals).insert(result, total);
    }

    /// Notes how often asking the issuer about the vendor's opaque tokens came to a result.
    pub fn introspections(&self, result: &'static str, times: u64) {
        lock(&self.introspections).insert(result, times);
    }

    /// Notes of each file of the vendor that is looked at, by what it is for, whether it cannot be used.
    pub fn files_unreadable(&self, files: impl IntoIterator<Item = (&'static str, bool)>) {
        *lock(&self.files) = files.into_iter().collect();
    }

    pub(super) fn retain_routes(&self, keep: impl Fn(Direction, &str) -> bool) {
        for (direction, traffic) in self.directions() {
            lock(&traffic.routes).retain(|route, _| keep(direction, route));
        }
    }

    /// The directions that have been asked for.
    pub(super) fn directions(&self) -> impl Iterator<Item = (Direction, &Arc<TrafficMetrics>)> {
        Direction::ALL.into_iter().filter_map(|direction| Some((direction, self.traffic[direction.index()].get()?)))
    }
}

/// A time that was noted; zero stands for none.
fn some_time(millis: &AtomicU64) -> Option<UnixTime> {
    Some(millis.load(Ordering::Relaxed)).filter(|millis| *millis > 0).map(UnixTime::from_millis)
}

const IN_FLIGHT: usize = Reason::ALL.len();
const BYTES: usize = IN_FLIGHT + 1;
const DURATION: HistogramCells = HistogramCells { first: BYTES + 1, bounds: &DURATION_BOUNDS };
const TRAFFIC_NUMBERS: usize = DURATION.first + HistogramCells::slots(&DURATION_BOUNDS);

/// What is counted per vendor and direction.
#[derive(Debug)]
pub struct TrafficMetrics {
    cells: ShardedCells,
    /// Milliseconds since the epoch and, in the last eight bits, the reason's number; zero for none.
    last_denial: AtomicU64,
    routes: Mutex<BTreeMap<Box<str>, Arc<RouteMetrics>>>,
    unmatched: Arc<RouteMetrics>,
}

impl TrafficMetrics {
    pub(super) fn new() -> Self {
        Self {
            cells: ShardedCells::new(TRAFFIC_NUMBERS),
            last_denial: AtomicU64::new(0),
            routes: Mutex::default(),
            unmatched: Arc::default(),
        }
    }

    /// The handle of a route, by the text that the contract gives it; the same one for as long as the route is kept.
    pub fn route(&self, route: &str) -> Arc<RouteMetrics> {
        Arc::clone(lock(&self.routes).entry(route.into()).or_default())
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

    /// A request that entered has sent its last byte, or was dropped; `took` counts from its head.
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

    /// Remembers a denial until a later one. One atomic write.
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
        // While threads add and take, a sum may dip below zero for an instant.
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

    pub(super) fn duration(&self) -> HistogramReading {
        DURATION.read(&self.cells)
    }

    /// Every route's handle, and that of requests without one.
    pub(super) fn each_route(&self, mut visit: impl FnMut(&str, &RouteMetrics)) {
        visit(UNMATCHED_ROUTE, &self.unmatched);
        for (route, metrics) in lock(&self.routes).iter() {
            visit(route, metrics);
        }
    }
}

/// Counters stay true whatever a panicking thread was doing.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.locked()
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
