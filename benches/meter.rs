//! What a request and a record pay for being counted, and what a report of a year takes.
//!
//! `cargo bench --bench meter`. Of each pair of figures 'far' is what traffic within its limits pays. Figures are the
//! thread's CPU time where Linux tells it, so a busy machine does not change them much; elsewhere they are wall time.

use std::hint::black_box;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vendorgate::internals::exposure::{ExposureBucket, ExposureProfile, ExposureReport};
use vendorgate::internals::meter::{
    Budget, Limits, OverrunAction, RequestLimiter, RequestRate, RouteLimits, SlidingWindow, UsageLedger,
};
use vendorgate::internals::model::{ClientId, Direction, Moment, Secret, SubjectKey, UnixTime, VendorId};
use vendorgate::pii::{ClearList, RewriteObserver, RuleName, TreatmentKind};

/// CPU time of this thread, as the scheduler counts it.
struct CpuTime;

impl CpuTime {
    fn nanos() -> Option<u64> {
        // The scheduler updates its count when the thread yields.
        std::thread::yield_now();
        std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
    }
}

impl Measurement for CpuTime {
    type Intermediate = (Option<u64>, Instant);
    type Value = Duration;

    fn start(&self) -> Self::Intermediate {
        (Self::nanos(), WallTime.start())
    }

    fn end(&self, (cpu, wall): Self::Intermediate) -> Duration {
        let spent = cpu.zip(Self::nanos()).map(|(start, end)| Duration::from_nanos(end.saturating_sub(start)));
        spent.unwrap_or_else(|| WallTime.end(wall))
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

fn rate(count: u32, burst: u32) -> RequestRate {
    let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    RequestRate { count, per: Duration::from_secs(1), burst: NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN) }
}

fn budget(budget: u64, window: Duration) -> Budget {
    Budget { budget: NonZeroU64::new(budget).unwrap_or(NonZeroU64::MIN), window, over: OverrunAction::Sever }
}

fn at(ns: u64) -> Moment {
    Moment { wall: UnixTime::from_millis(ns / 1_000_000), monotonic_ns: ns }
}

fn rates(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("rate check");
    let client = ClientId::new("acme-batch");
    for (name, vendor) in [("far", rate(1_000_000_000, u32::MAX)), ("at the limit", rate(1, 1))] {
        for (scopes, routes, of_client) in
            [("vendor", vec![], None), ("vendor, route, client", vec![Some(vendor)], Some(vendor))]
        {
            let gate = RequestLimiter::new(vendor, &routes, of_client);
            let mut ns = 0;
            group.bench_function(BenchmarkId::new(name, scopes), |b| {
                b.iter(|| {
                    ns += 10;
                    gate.check(0, &client, at(black_box(ns)))
                });
            });
        }
    }
    group.finish();
}

fn windows(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("window take");
    let far = SlidingWindow::new(NonZeroU64::MAX, Duration::from_secs(10));
    let spent = SlidingWindow::new(NonZeroU64::MIN, Duration::from_secs(3_600));
    group.bench_function("far, 1 thread", |b| b.iter(|| far.take(black_box(1), at(1))));
    let taken = spent.take(1, at(1));
    group.bench_function("spent, 1 thread", |b| b.iter(|| (taken, spent.take(black_box(1), at(1)))));
    group.bench_function("far, 2 threads", |b| {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let _ = black_box(far.take(1, at(1)));
                }
            });
            b.iter(|| far.take(black_box(1), at(1)));
            over.store(true, Ordering::Relaxed);
        });
    });
    group.finish();
}

fn ledger(subjects: bool) -> UsageLedger {
    let wide = Some(budget(u64::MAX / 2, Duration::from_secs(10)));
    let guard = subjects.then(|| budget(1_000_000, Duration::from_secs(3_600)));
    let limits = Limits { records: wide, bytes: wide, subjects: guard, ..Limits::default() };
    let own = Limits { records: wide, ..Limits::default() };
    let route = RouteLimits { direction: Direction::Ingress, route: "GET /v1/customers".into(), limits: own };
    UsageLedger::new(&limits, &[route], SubjectKey::new(Secret::new([1; 32])))
}

fn records(c: &mut Criterion<CpuTime>) {
    const FEED: u64 = 256;
    let mut group = c.benchmark_group("record watch");
    group.throughput(Throughput::Elements(FEED));
    for (name, subjects) in [("record and 3 treated values", false), ("and its subject", true)] {
        let ledger = ledger(subjects);
        let mut meter = ledger.record_meter(0, 3, at(1));
        let mut ns = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                ns += 100_000;
                meter.begin(at(ns));
                for i in 0..FEED {
                    let _ = black_box(meter.on_record());
                    (0..3).for_each(|rule| meter.on_treated(rule));
                    if subjects {
                        meter.on_subject(&(i * 7_919 % 9_973).to_le_bytes());
                    }
                }
                meter.settle();
            });
        });
    }
    group.finish();
}

fn requests(c: &mut Criterion<CpuTime>) {
    let (ledger, client, mut ns) = (ledger(true), ClientId::new("acme-batch"), 0);
    c.bench_function("admit: budgets, slots, rates", |b| {
        b.iter(|| {
            ns += 100_000;
            ledger.admit(0, &client, true, at(black_box(ns)))
        });
    });
}

fn exposure(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("exposure");
    let (Ok(vendor), key) = (VendorId::parse("acme"), SubjectKey::new(Secret::new([1; 32]))) else { return };
    let profile = ExposureProfile {
        vendor: vendor.clone(),
        direction: Direction::Ingress,
        route: "GET /v1/customers".into(),
        rules: vec![
            RuleName { location: "$..email".into(), treatment: TreatmentKind::Tokenize, category: None },
            RuleName { location: "$..ssn".into(), treatment: TreatmentKind::Redact, category: None },
        ],
        clear: None,
        listed: ClearList::default(),
    };
    let ledger = vendorgate::internals::exposure::ExposureCounters::new(UnixTime::from_secs(1));
    let (handle, mut i) = (ledger.handle(profile).by(None), 0u64);
    group.bench_function("a chunk's records, bytes and 2 fields", |b| {
        b.iter(|| {
            handle.add_treated(0, 100);
            handle.add_treated(1, 100);
            handle.add_left(black_box(100), 20_000, at(1));
        });
    });
    let subjects: Vec<_> = (0..10_000u64).map(|i| key.hash(&i.to_le_bytes())).collect();
    group.bench_function("a subject", |b| {
        b.iter(|| {
            i += 1;
            handle.add_subject(subjects[(i % 10_000) as usize]);
        });
    });
    let hour = |hour: u64| {
        subjects.iter().take(80).for_each(|subject| handle.add_subject(*subject));
        handle.add_treated(0, hour);
        let now = at(hour * 3_600_000_000_000);
        handle.add_left(hour, hour, now);
        ledger.roll(now)
    };
    let mut year: Vec<ExposureBucket> = (1..=365 * 24).flat_map(hour).collect();
    let recent = year.len() - 7 * 24;
    vendorgate::internals::exposure::fold_day(&mut year[..recent]);
    let texts: Vec<_> = year.iter().filter_map(|bucket| serde_json::to_string(bucket).ok()).collect();
    group.bench_function("a report of a year of one route, from the stored text", |b| {
        b.iter(|| {
            let buckets = texts.iter().filter_map(|text| serde_json::from_str::<ExposureBucket>(text).ok());
            ExposureReport::of(&vendor, UnixTime::from_secs(0), UnixTime::from_secs(1), buckets).to_markdown()
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = rates, windows, records, requests, exposure
}
criterion_main!(benches);
