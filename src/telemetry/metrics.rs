//! All metrics of one gateway: it hands out handles to count with, and is read by scrapes.
//!
//! Handles are made when a config is loaded, never while a request is handled. Series of vendors and routes that left
//! the config are dropped by [`Metrics::retain`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::cells::{HistogramCells, ShardedCells};
use super::exposition::{self, ExpositionFormat};
use super::families::{self, FAMILIES, ScrapePage};
use super::gauge_by_label::GaugeByLabel;
use super::labels::{CacheResult, LimitLabel, StoreLabel};
use super::load_metrics::LoadMetrics;
use super::process;
use super::vendor_metrics::{TrafficMetrics, VendorMetrics, nanos};
use crate::model::{Clock, Direction, Lock as _, Reason, UnixTime, VendorId, debug_fields};

/// The vendor label of requests of unknown vendors. No vendor's id can be this.
pub const UNKNOWN_VENDOR: &str = "_unknown";

/// Upper bounds of the gateway's own time, in nanoseconds: 10 µs to 100 ms.
const OVERHEAD_BOUNDS: [u64; 13] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
];

/// Upper bounds of the time to sever, in nanoseconds: 100 µs to 1 s.
const SEVER_BOUNDS: [u64; 9] =
    [100_000, 500_000, 1_000_000, 5_000_000, 10_000_000, 50_000_000, 100_000_000, 500_000_000, 1_000_000_000];

const CACHE: usize = 0;
const OVERHEAD: [HistogramCells; 2] = [
    HistogramCells { first: 2, bounds: &OVERHEAD_BOUNDS },
    HistogramCells { first: 2 + HistogramCells::slots(&OVERHEAD_BOUNDS), bounds: &OVERHEAD_BOUNDS },
];
const SEVER: HistogramCells =
    HistogramCells { first: OVERHEAD[1].first + HistogramCells::slots(&OVERHEAD_BOUNDS), bounds: &SEVER_BOUNDS };
pub(super) const RELOAD: usize = SEVER.first + HistogramCells::slots(&SEVER_BOUNDS);
const STATE: usize = RELOAD + 2;
const NUMBERS: usize = STATE + StoreLabel::ALL.len();

/// All metrics of one gateway; cloning shares them.
#[derive(Clone)]
pub struct Metrics {
    pub(super) values: Arc<MetricValues>,
    registry: Registry,
}

type ScrapeHook = Box<dyn Fn() + Send + Sync>;

pub(super) struct MetricValues {
    clock: Clock,
    pub(super) cells: ShardedCells,
    pub(super) generation: AtomicU64,
    /// 1 while the config on disk is not in force.
    pub(super) stale: AtomicU64,
    pub(super) load: LoadMetrics,
    vendors: Mutex<BTreeMap<VendorId, Arc<VendorMetrics>>>,
    unknown: [Arc<TrafficMetrics>; Direction::ALL.len()],
    journey: GaugeByLabel,
    certificates: GaugeByLabel,
    hooks: Mutex<Vec<ScrapeHook>>,
}

impl Metrics {
    /// Metrics that start at zero. `clock` gives the ages of tokens and keys at a scrape.
    ///
    /// # Errors
    /// When the registry refuses a family's description; a test of the table excludes it.
    pub fn new(clock: Clock) -> prometheus::Result<Self> {
        let values = Arc::new(MetricValues {
            clock,
            cells: ShardedCells::new(NUMBERS),
            generation: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            load: LoadMetrics::default(),
            vendors: Mutex::default(),
            unknown: std::array::from_fn(|_| Arc::new(TrafficMetrics::new())),
            journey: GaugeByLabel::default(),
            certificates: GaugeByLabel::default(),
            hooks: Mutex::default(),
        });
        let registry = Registry::new();
        let descriptions = FAMILIES.iter().map(families::FamilyDefinition::describe).collect::<Result<_, _>>()?;
        registry.register(Box::new(MetricsCollector { values: Arc::clone(&values), descriptions }))?;
        Ok(Self { values, registry })
    }

    /// The handle of a vendor: always the same one until [`Metrics::retain`] drops the vendor.
    pub fn vendor(&self, vendor: &VendorId) -> Arc<VendorMetrics> {
        let mut vendors = self.values.vendors.locked();
        let fresh = || Arc::new(VendorMetrics::new(vendor.clone()));
        Arc::clone(vendors.entry(vendor.clone()).or_insert_with(fresh))
    }

    /// The handle of requests that no contract covers.
    pub fn unknown_vendor(&self, direction: Direction) -> &Arc<TrafficMetrics> {
        &self.values.unknown[direction.index()]
    }

    /// Drops the series of vendors and routes for which the functions return false. Called after a reload.
    pub fn retain(&self, is_vendor: impl Fn(&VendorId) -> bool, is_route: impl Fn(&VendorId, Direction, &str) -> bool) {
        let mut vendors = self.values.vendors.locked();
        vendors.retain(|vendor, _| is_vendor(vendor));
        for (vendor, metrics) in vendors.iter() {
            metrics.retain_routes(|direction, route| is_route(vendor, direction, route));
        }
    }

    /// Records the time that one exchange spent in the gateway itself.
    #[inline]
    pub fn overhead(&self, direction: Direction, spent: Duration) {
        OVERHEAD[direction.index()].observe(self.values.cells.of_this_thread(), nanos(spent));
    }

    /// Records the time from a kill to the end of the last exchange that it severed.
    pub fn severed_within(&self, span: Duration) {
        SEVER.observe(self.values.cells.of_this_thread(), nanos(span));
    }

    /// Counts look-ups of verified tokens.
    pub fn token_cache(&self, result: CacheResult, lookups: u64) {
        self.values.cells.of_this_thread().add(CACHE + result as usize, lookups);
    }

    /// Counts failed reads and writes of state.
    pub fn state_errors(&self, store: StoreLabel, errors: u64) {
        self.values.cells.of_this_thread().add(STATE + store as usize, errors);
    }

    /// Sets for each stage of the journey whether it is degraded.
    pub fn journey(&self, stages: BTreeMap<String, bool>) {
        self.values.journey.set(stages.into_iter().map(|(stage, on)| (stage, f64::from(u8::from(on)))).collect());
    }

    /// Sets when each certificate of the gateway's own ends, by its place in the config.
    pub fn certificate_ends(&self, ends: BTreeMap<String, UnixTime>) {
        self.values.certificates.set(ends.into_iter().map(|(place, end)| (place, end.as_secs() as f64)).collect());
    }

    /// Calls `hook` before each scrape, for values that are cheaper to read then than to keep up to date.
    ///
    /// It runs on the admin listener's thread. It may set any handle, and must neither add hooks nor scrape.
    pub fn before_scrape(&self, hook: impl Fn() + Send + Sync + 'static) {
        self.values.hooks.locked().push(Box::new(hook));
    }

    /// All metrics in a format.
    pub fn render(&self, format: ExpositionFormat) -> String {
        for hook in self.values.hooks.locked().iter() {
            hook();
        }
        exposition::encode(format, &self.registry.gather())
    }
}

debug_fields!(Metrics: registry);

/// Lets the registry read the values.
struct MetricsCollector {
    values: Arc<MetricValues>,
    descriptions: Vec<Desc>,
}

impl Collector for MetricsCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut page = ScrapePage::default();
        self.values.read_own(&mut page);
        let now = self.values.clock.now().wall;
        let vendors: Vec<_> = self.values.vendors.locked().values().cloned().collect();
        for vendor in vendors {
            read_vendor(&mut page, &vendor, now);
        }
        for (direction, traffic) in Direction::ALL.into_iter().zip(&self.values.unknown) {
            read_traffic(&mut page, UNKNOWN_VENDOR, direction, traffic);
        }
        process::read(&mut page);
        page.into_families()
    }
}

impl MetricValues {
    fn read_own(&self, page: &mut ScrapePage) {
        let count = |slot| self.cells.sum(slot) as f64;
        for (result, word) in [(CacheResult::Hit, "hit"), (CacheResult::Miss, "miss")] {
            page.counter(&families::TOKEN_CACHE, &[word], count(CACHE + result as usize));
        }
        for direction in Direction::ALL {
            let reading = OVERHEAD[direction.index()].read(&self.cells);
            page.histogram(&families::OVERHEAD, &[direction.as_str()], &reading);
        }
        page.histogram(&families::SEVER, &[], &SEVER.read(&self.cells));
        page.gauge(&families::GENERATION, &[], self.generation.load(Ordering::Relaxed) as f64);
        page.gauge(&families::STALE, &[], self.stale.load(Ordering::Relaxed) as f64);
        for (offset, result) in RESULTS.into_iter().enumerate() {
            page.counter(&families::RELOAD, &[result], count(RELOAD + offset));
        }
        for (store, word) in StoreLabel::ALL {
            page.counter(&families::STATE_ERRORS, &[word], count(STATE + store as usize));
        }
        self.load.read(page);
        self.journey.read(page, &families::JOURNEY);
        self.certificates.read(page, &families::CERTIFICATE_EXPIRY);
        let commit = option_env!("VENDORGATE_COMMIT").unwrap_or("unknown");
        page.gauge(&families::BUILD, &[env!("CARGO_PKG_VERSION"), commit], 1.0);
    }
}

/// The label of an attempt's result, in the order of its counters.
const RESULTS: [&str; 2] = ["success", "failure"];

fn read_vendor(page: &mut ScrapePage, metrics: &VendorMetrics, now: UnixTime) {
    let vendor = metrics.vendor.as_str();
    let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
    page.flag(&families::KILLED, &[vendor], metrics.killed.load(Ordering::Relaxed));
    page.flag(&families::TRIPPED, &[vendor], metrics.tripped.load(Ordering::Relaxed));
    page.counter(&families::SEVERED, &[vendor], metrics.severed.load(Ordering::Relaxed) as f64);
    let ages = [(&families::TOKEN_AGE, &metrics.newest_token_ms), (&families::KEY_AGE, &metrics.oldest_key_ms)];
    for (family, since) in ages {
        let since = load(since);
        if since > 0 {
            page.gauge(family, &[vendor], now.since(UnixTime::from_millis(since)).as_secs_f64());
        }
    }
    for (offset, result) in RESULTS.into_iter().enumerate() {
        page.counter(&families::JWKS_REFRESH, &[vendor, result], load(&metrics.refreshes[offset]) as f64);
    }
    for (result, times) in metrics.introspections.locked().iter() {
        page.counter(&families::INTROSPECTION, &[vendor, result], *times as f64);
    }
    for (file, unreadable) in metrics.files.locked().iter() {
        page.flag(&families::FILE_UNREADABLE, &[vendor, file], *unreadable);
    }
    metrics.credential.read(page, vendor, now);
    if let Some(overdue) = metrics.is_drill_overdue() {
        page.flag(&families::DRILL_OVERDUE, &[vendor], overdue);
    }
    if let end @ 1.. = load(&metrics.contract_end_secs) {
        page.gauge(&families::CONTRACT_END, &[vendor], end as f64);
    }
    for (limit, ratio) in LimitLabel::ALL.into_iter().zip(&metrics.limits) {
        let ratio = f64::from_bits(load(ratio));
        if !ratio.is_nan() {
            page.gauge(&families::LIMIT_REMAINING, &[vendor, limit.as_str()], ratio);
        }
    }
    metrics.read_callers(page);
    for (result, total) in metrics.reveals.locked().iter() {
        page.counter(&families::REVEALS, &[vendor, result], *total as f64);
    }
    metrics.read_leases(page);
    metrics.upstreams.locked().iter().for_each(|sample| sample.read(page, vendor));
    super::conduct_metrics::read(page, vendor, metrics);
    for (direction, traffic) in metrics.directions() {
        read_traffic(page, vendor, direction, traffic);
    }
}

fn read_traffic(page: &mut ScrapePage, vendor: &str, direction: Direction, traffic: &TrafficMetrics) {
    let way = direction.as_str();
    for reason in Reason::ALL {
        page.counter(&families::DENIALS, &[vendor, way, reason.as_str()], traffic.denials(reason) as f64);
    }
    page.gauge(&families::IN_FLIGHT, &[vendor, way], traffic.in_flight() as f64);
    page.counter(&families::BYTES, &[vendor, way], traffic.bytes_sum() as f64);
    page.histogram(&families::DURATION, &[vendor, way], &traffic.duration());
    traffic.each_route(|route, metrics| metrics.read(page, vendor, way, route));
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::TreatmentKind;
    use crate::telemetry::UpstreamSample;

    /// Metrics in which every family has a sample.
    pub(in crate::telemetry) fn busy() -> (Metrics, Clock) {
        let clock = Clock::manual(UnixTime::from_secs(1_000));
        let metrics = Metrics::new(clock.clone()).unwrap();
        let vendor = metrics.vendor(&VendorId::parse("acme").unwrap());
        for direction in Direction::ALL {
            let traffic = vendor.traffic(direction);
            traffic.enter();
            traffic.leave(Duration::from_millis(12));
            let route = traffic.route("GET /v1/customers/{id}");
            [200, 1].into_iter().for_each(|status| route.request(status));
            traffic.would_deny(Reason::ScopeMissing);
            TreatmentKind::ALL.into_iter().for_each(|treated| route.pii_values(treated, 2));
            metrics.overhead(direction, Duration::from_micros(7));
        }
        [VendorMetrics::killed, VendorMetrics::tripped].into_iter().for_each(|set| set(&vendor, true));
        vendor.anomaly_scores([("records", 9.5)]);
        metrics.certificate_ends([("listeners.ingress.tls".to_owned(), UnixTime::from_secs(7_000))].into());
        vendor.drill_overdue(true);
        [940, 900].into_iter().for_each(|secs| vendor.token_issued_at(UnixTime::from_secs(secs)));
        vendor.oldest_key_first_seen(UnixTime::from_secs(1));
        vendor.contract_ends_at(UnixTime::from_secs(5_000));
        vendor.count_caller(&crate::model::ClientId::new("checkout"));
        vendor.reveals("forged", 3);
        vendor.lease_starved();
        vendor.introspections("active", 3);
        vendor.files_unreadable([("jwks", true)]);
        vendor.upstreams(vec![UpstreamSample::example()]);
        metrics.journey([("signup".to_owned(), true)].into());
        vendor.credential.set_example();
        LimitLabel::ALL.into_iter().for_each(|limit| vendor.limit_remaining(limit, 7.0));
        metrics.token_cache(CacheResult::Miss, 1);
        metrics.state_errors(StoreLabel::Audit, 1);
        metrics.config_reloaded(false);
        metrics.fleet(crate::telemetry::FleetSample::default());
        metrics.severed_within(Duration::from_micros(300));
        (metrics, clock)
    }

    #[test]
    fn every_family_of_the_table_is_exposed_and_none_beside_it() {
        let text = busy().0.render(ExpositionFormat::Prometheus);
        let mut exposed: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let mut promised: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
        exposed.sort_unstable();
        promised.sort_unstable();
        assert_eq!(exposed, promised);
    }

    #[test]
    fn every_sample_has_the_value_that_was_counted() {
        let (metrics, clock) = busy();
        clock.advance(Duration::from_secs(30));
        let text = metrics.render(ExpositionFormat::Prometheus);
        for line in [
            "vendorgate_requests_total{vendor=\"acme\",direction=\"egress\",route=\"GET /v1/customers/{id}\",status=\"200\"} 1",
            "vendorgate_requests_total{vendor=\"acme\",direction=\"ingress\",route=\"GET /v1/customers/{id}\",status=\"other\"} 1",
            "vendorgate_request_duration_seconds_bucket{vendor=\"acme\",direction=\"ingress\",le=\"0.01\"} 0",
            "vendorgate_request_duration_seconds_bucket{vendor=\"acme\",direction=\"ingress\",le=\"0.025\"} 1",
            "vendorgate_overhead_seconds_bucket{direction=\"ingress\",le=\"0.00001\"} 1",
            "vendorgate_token_age_seconds{vendor=\"acme\"} 90",
            "vendorgate_signing_key_age_seconds{vendor=\"acme\"} 1029",
            "vendorgate_limit_remaining_ratio{vendor=\"acme\",limit=\"records\"} 1",
            "vendorgate_upstream_healthy{vendor=\"acme\",direction=\"egress\",upstream=\"acme\",target=\"10.0.0.2:443\"} 0",
            "vendorgate_upstream_retries_total{vendor=\"acme\",direction=\"egress\",upstream=\"acme\",result=\"over_budget\"} 6",
            "vendorgate_upstream_circuit_open{vendor=\"acme\",direction=\"egress\",upstream=\"acme\"} 1",
            "vendorgate_journey_degraded{stage=\"signup\"} 1",
            "vendorgate_tripped{vendor=\"acme\"} 1",
            "vendorgate_certificate_expiry_timestamp_seconds{certificate=\"listeners.ingress.tls\"} 7000",
            "vendorgate_token_cache_total{result=\"miss\"} 1",
            "vendorgate_state_errors_total{store=\"audit\"} 1",
            "vendorgate_config_reload_total{result=\"failure\"} 1",
            "vendorgate_denials_total{vendor=\"_unknown\",direction=\"ingress\",reason=\"vendor_unknown\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "missing: {line}\n{text}");
        }
    }

    #[test]
    fn vendors_and_routes_that_left_the_config_leave_the_metrics() {
        let (metrics, _) = busy();
        metrics.retain(|_| true, |_, direction, _| direction == Direction::Egress);
        let text = metrics.render(ExpositionFormat::OpenMetrics);
        let is_shown = |way| text.contains(&format!("{{vendor=\"acme\",direction=\"{way}\",route=\"GET /v1"));
        assert!(is_shown("egress") && !is_shown("ingress"), "{text}");
        metrics.retain(|vendor| vendor.as_str() != "acme", |_, _, _| true);
        assert!(!metrics.render(ExpositionFormat::OpenMetrics).contains("\"acme\""));
    }

    #[test]
    fn hooks_run_before_each_scrape() {
        let (metrics, _) = busy();
        let vendor = metrics.vendor(&VendorId::parse("acme").unwrap());
        metrics.before_scrape(move || vendor.limit_remaining(LimitLabel::Bytes, 0.25));
        let text = metrics.render(ExpositionFormat::Prometheus);
        assert!(text.contains("vendorgate_limit_remaining_ratio{vendor=\"acme\",limit=\"bytes\"} 0.25\n"));
    }
}
