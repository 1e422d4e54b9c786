//! What counting and logging cost per exchange, in nanoseconds.
//!
//! `cargo bench --bench telemetry`. The `crate` rows do the same work with the prometheus crate's own metrics and with
//! `tracing`, and say why this product does not use them on its hot path.

use std::hint::black_box;
use std::io;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge};
use tracing_subscriber::prelude::*;
use vendorgate::internals::model::{Clock, Direction, TreatmentKind, UnixTime, VendorId};
use vendorgate::internals::telemetry::log::LogFormat;
use vendorgate::internals::telemetry::{
    CacheResult, ExchangeLine, ExchangeLog, ExpositionFormat, Metrics, claim_worker,
};

const TOOK: Duration = Duration::from_micros(740);
const OWN: Duration = Duration::from_micros(9);

fn metrics() -> Metrics {
    Metrics::new(Clock::system()).expect("the table of families is valid")
}

fn acme() -> VendorId {
    VendorId::parse("acme").expect("a valid id")
}

/// The time until two threads have each done the work so many times.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn on_two_threads(rounds: u64, work: impl Fn() + Sync) -> Duration {
    let start = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..rounds).for_each(|_| work()));
        }
    });
    start.elapsed()
}

/// Everything that is counted for one ordinary exchange.
fn exchange(criterion: &mut Criterion) {
    let _claim = claim_worker();
    let metrics = metrics();
    let vendor = metrics.vendor(&acme());
    let traffic = vendor.traffic(Direction::Ingress);
    let route = traffic.route("GET /v1/customers");
    let issued = UnixTime::from_secs(1_000);
    let one = || {
        traffic.enter();
        metrics.token_cache(CacheResult::Hit, 1);
        vendor.token_issued_at(issued);
        route.request(black_box(200));
        route.records(black_box(12));
        route.pii_values(TreatmentKind::Tokenize, black_box(24));
        traffic.bytes(black_box(4_096));
        traffic.leave(black_box(TOOK));
        metrics.overhead(Direction::Ingress, black_box(OWN));
    };
    criterion.bench_function("metrics/exchange", |bench| bench.iter(one));
    criterion.bench_function("metrics/counter+2 histograms", |bench| {
        bench.iter(|| {
            route.request(black_box(200));
            traffic.leave(black_box(TOOK));
            metrics.overhead(Direction::Ingress, black_box(OWN));
        });
    });
    criterion.bench_function("metrics/exchange, two threads", |bench| {
        bench.iter_custom(|rounds| on_two_threads(rounds, one));
    });
}

/// The same by the prometheus crate's own metrics, resolved beforehand.
fn crate_metrics(criterion: &mut Criterion) {
    let counter = |name: &str| IntCounter::new(name, name).expect("a valid name");
    let histogram = |name: &str| Histogram::with_opts(HistogramOpts::new(name, name)).expect("a valid name");
    let counters = ["cache", "requests", "records", "pii", "bytes"].map(counter);
    let in_flight = IntGauge::new("in_flight", "in_flight").expect("a valid name");
    let histograms = ["duration", "overhead"].map(histogram);
    let one = || {
        in_flight.inc();
        counters.iter().for_each(|counter| counter.inc_by(black_box(12)));
        in_flight.dec();
        histograms[0].observe(black_box(TOOK).as_secs_f64());
        histograms[1].observe(black_box(OWN).as_secs_f64());
    };
    criterion.bench_function("crate/exchange", |bench| bench.iter(one));
    criterion.bench_function("crate/counter+2 histograms", |bench| {
        bench.iter(|| {
            counters[0].inc();
            histograms[0].observe(black_box(TOOK).as_secs_f64());
            histograms[1].observe(black_box(OWN).as_secs_f64());
        });
    });
    criterion.bench_function("crate/exchange, two threads", |bench| {
        bench.iter_custom(|rounds| on_two_threads(rounds, one));
    });
}

fn line() -> ExchangeLine<'static> {
    ExchangeLine {
        at: UnixTime::from_millis(1_790_000_000_123),
        request_id: "0af7651916cd43dd8448eb211c80319c",
        direction: Direction::Ingress,
        vendor: Some("acme-analytics"),
        client: Some("acme-batch"),
        peer: None,
        method: "GET",
        route: Some("/v1/customers/{id}"),
        upstream: Some("crm"),
        status: 200,
        reason: None,
        ended: None,
        shape_unexpected: false,
        cause: None,
        would_deny: Default::default(),
        records: 12,
        bytes_in: 0,
        bytes_out: 4_096,
        duration_us: 740,
        overhead_us: 9,
    }
}

/// One line per exchange, by our own writer and by `tracing`.
fn log(criterion: &mut Criterion) {
    for (name, format) in [("log/json", LogFormat::Json), ("log/human", LogFormat::Human)] {
        let log = ExchangeLog::start(format, io::sink()).expect("a thread");
        criterion.bench_function(name, |bench| bench.iter(|| log.write(black_box(&line()))));
        // A dropped line is cheap: with many of them this would measure dropping.
        println!("{name}: {} lines dropped", log.dropped());
    }
    let subscriber = tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().with_writer(io::sink).json().flatten_event(true));
    tracing::subscriber::with_default(subscriber, || {
        criterion.bench_function("crate/tracing json", |bench| {
            bench.iter(|| {
                let line = black_box(line());
                tracing::info!(
                    target: "exchange",
                    request_id = line.request_id,
                    direction = line.direction.as_str(),
                    vendor = line.vendor,
                    client = line.client,
                    method = line.method,
                    route = line.route,
                    upstream = line.upstream,
                    status = line.status,
                    records = line.records,
                    bytes_in = line.bytes_in,
                    bytes_out = line.bytes_out,
                    duration_us = line.duration_us,
                    overhead_us = line.overhead_us,
                );
            });
        });
    });
}

/// A scrape of a gateway with 50 vendors of 4 routes each.
fn scrape(criterion: &mut Criterion) {
    let metrics = metrics();
    for number in 0..50 {
        let id = VendorId::parse(&format!("vendor-{number}")).expect("a valid id");
        let traffic = metrics.vendor(&id);
        (0..4).for_each(|route| traffic.traffic(Direction::Ingress).route(&format!("GET /v1/{route}")).request(200));
    }
    for (name, format) in
        [("scrape/prometheus", ExpositionFormat::Prometheus), ("scrape/openmetrics", ExpositionFormat::OpenMetrics)]
    {
        criterion.bench_function(name, |bench| bench.iter(|| metrics.render(format).len()));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(800)).sample_size(20);
    targets = exchange, crate_metrics, log, scrape
}
criterion_main!(benches);
