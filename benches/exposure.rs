//! How long a report over a year of exposure takes, from the store's file to the report.
//!
//! `cargo bench --bench exposure`. Ten routes by the hour for 365 days, 87,600 buckets, old days joined as the running
//! gateway joins them: once with some tens of people an hour on each route, and once with two thousand.

use std::time::Duration;

use vendorgate::internals::exposure::{ExposureBucket, ExposureCounters, ExposureProfile, ExposureReport, fold_day};
use vendorgate::internals::model::{Clock, Direction, SubjectHash, UnixTime, VendorId};
use vendorgate::internals::store::{Store, WriteBatch};
use vendorgate::pii::{ClearList, RuleName, TreatmentKind};

const ROUTES: usize = 10;
const HOUR: Duration = Duration::from_secs(3600);
const BEGIN: UnixTime = UnixTime::from_secs(1_767_225_600);

fn main() {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let days = if is_bench { 365 } else { 9 };
    for (name, people) in [("sparse", 40), ("dense", 2_000)] {
        let folder = tempfile::tempdir().expect("a folder");
        let end = fill(folder.path(), days, people);
        let size = std::fs::metadata(folder.path().join("state.redb")).map(|file| file.len()).unwrap_or_default();
        let (clock, mut best) = (Clock::system(), (u64::MAX, u64::MAX));
        for _ in 0..3 {
            // Opened again, so that the store's own cache is empty.
            let store = Store::open(folder.path()).expect("a store");
            let (start, spent) = (clock.now().monotonic_ns, cpu_ns());
            let report = report(&store, end);
            let text = report.to_markdown();
            best = best.min((cpu_ns() - spent, clock.now().monotonic_ns - start));
            assert_eq!(report.routes.len(), ROUTES);
            assert!(text.contains("Article 33"));
            assert_eq!(report.records, (days * 24 * ROUTES) as u64 * people);
        }
        let (cpu, wall) = (best.0 / 1_000_000, best.1 / 1_000_000);
        println!(
            "{name}: {days} days, {ROUTES} routes, {people} people an hour, {} MB: {cpu} ms of CPU, {wall} ms",
            size >> 20
        );
    }
}

/// The CPU time of this thread, where the system reports it (Linux).
fn cpu_ns() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    told.and_then(|told| told.split(' ').next()?.parse().ok()).unwrap_or_default()
}

fn report(store: &Store, now: UnixTime) -> ExposureReport {
    let vendor = VendorId::parse("acme").expect("an id");
    let (from, to) = ExposureBucket::keys("acme", BEGIN);
    let rows = store.range::<ExposureBucket>(from.as_bytes(), Some(to.as_bytes()), usize::MAX).expect("readable");
    ExposureReport::of(&vendor, BEGIN, now, rows.into_iter().map(|(_, bucket)| bucket))
}

/// Fills a store by the ledger itself, an hour at a time; days older than a week are joined.
fn fill(path: &std::path::Path, days: usize, people: u64) -> UnixTime {
    let store = Store::open(path).expect("a store");
    let clock = Clock::manual(BEGIN);
    let ledger = ExposureCounters::new(clock.now().wall);
    let profile = |at: usize| ExposureProfile {
        vendor: VendorId::parse("acme").expect("an id"),
        direction: Direction::Ingress,
        route: format!("GET /v{at}/customers").into(),
        rules: vec![
            RuleName { location: "$.email".into(), treatment: TreatmentKind::Tokenize, category: None },
            RuleName { location: "$.ssn".into(), treatment: TreatmentKind::Redact, category: None },
        ],
        listed: ClearList::default(),
        clear: None,
    };
    let handles: Vec<_> = (0..ROUTES).map(|at| ledger.handle(profile(at)).by(None)).collect();
    for day in 0..days {
        let mut buckets = Vec::new();
        for hour in 0..24_u64 {
            for handle in &handles {
                let first = (day as u64 * 24 + hour) * people / 2;
                (first..first + people).for_each(|person| handle.add_subject(SubjectHash::from_bits(spread(person))));
                handle.add_treated(0, people);
                handle.add_left(people, people * 100, clock.now());
            }
            buckets.extend(ledger.roll(clock.now()));
            clock.advance(HOUR);
        }
        if day + 7 < days {
            drop(fold_day(&mut buckets));
        }
        let mut batch = WriteBatch::new();
        buckets.iter().for_each(|bucket| batch.put(bucket.key().as_bytes(), bucket).expect("a row"));
        store.write_blocking(batch).expect("written");
    }
    clock.now().wall
}

/// A hash that is good enough to spread subjects.
const fn spread(person: u64) -> u64 {
    let mixed = person.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}
