//! Model tests: rates, windows and bodies under random acts and random time, each compared with a plain reference.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, FakeRelativeClock};
use governor::{Quota, RateLimiter};
use proptest::prelude::*;

use super::rate::RequestLimiter;
use super::subjects::SubjectCounter;
use super::*;
use crate::model::{ClientId, Moment, UnixTime};

const LENGTH: Duration = Duration::from_secs(10);

fn at(ns: u64) -> Moment {
    Moment { wall: UnixTime::from_millis(1_000_000 + ns / 1_000_000), monotonic_ns: ns }
}

fn window(budget: u64) -> SlidingWindow {
    SlidingWindow::new(NonZeroU64::new(budget).unwrap(), LENGTH)
}

fn rate(count: u32, per_ms: u64, burst: u32) -> RequestRate {
    let count = NonZeroU32::new(count).unwrap();
    RequestRate { count, per: Duration::from_millis(per_ms), burst: NonZeroU32::new(burst).unwrap() }
}

/// The textbook: a bucket of `burst`, filled by one each interval, in exact integers.
struct Bucket {
    level_ns: u64,
    interval_ns: u64,
    whole_ns: u64,
    last_ns: u64,
}

impl Bucket {
    fn new(rate: RequestRate) -> Self {
        let interval_ns = nanos(rate.per) / u64::from(rate.count.get());
        let whole_ns = interval_ns * u64::from(rate.burst.get());
        Self { level_ns: whole_ns, interval_ns, whole_ns, last_ns: 0 }
    }

    fn has_one(&mut self, ns: u64) -> bool {
        self.level_ns = (self.level_ns + ns - self.last_ns).min(self.whole_ns);
        self.last_ns = ns;
        self.level_ns >= self.interval_ns
    }
}

fn rates() -> impl Strategy<Value = RequestRate> {
    (1..50u32, 10..2_000u64, 1..20u32).prop_map(|(count, per_ms, burst)| rate(count, per_ms, burst))
}

proptest! {
    /// Three scopes against three buckets: a request passes if all have one, and only then costs each of them one;
    /// restarts in between change nothing.
    #[test]
        fn the_limiter_agrees_with_token_buckets(
        (vendor, of_route, of_client) in (rates(), rates(), rates()),
        steps in proptest::collection::vec((0..60_000_000u64, 0..2usize, 0..3usize, prop::bool::weighted(0.05)), 1..150),
    ) {
        let limiter = || RequestLimiter::new(vendor, &[Some(of_route), None], Some(of_client));
        let (mut ns, mut asked, names) = (0, limiter(), ["a", "b", "c"]);
        let (mut v, mut r, mut c) = (Bucket::new(vendor), Bucket::new(of_route), names.map(|_| Bucket::new(of_client)));
        for (step, route, client, restart) in steps {
            ns += step;
            if restart {
                let kept = asked.snapshot(at(ns));
                asked = limiter();
                asked.restore(&kept, Duration::ZERO, at(ns));
            }
            let has = [v.has_one(ns), route == 1 || r.has_one(ns), c[client].has_one(ns)];
            let decision = asked.check(route, &ClientId::new(names[client]), at(ns));
            prop_assert_eq!(decision.refused.is_none(), has == [true; 3]);
            if has == [true; 3] {
                v.level_ns -= v.interval_ns;
                r.level_ns -= if route == 0 { r.interval_ns } else { 0 };
                c[client].level_ns -= c[client].interval_ns;
            }
            let standing = asked.statuses(&decision).next().unwrap();
            prop_assert_eq!(standing.remaining, v.level_ns / v.interval_ns);
        }
    }

        /// The limiter decides as governor does by itself, with a clock that moves and a state of its own.
    #[test]
        fn the_limiter_agrees_with_governor(rate in rates(), steps in proptest::collection::vec(0..90_000_000u64, 1..150)) {
        let clock = FakeRelativeClock::default();
        let interval = Duration::from_nanos(nanos(rate.per) / u64::from(rate.count.get()));
        let governor = RateLimiter::direct_with_clock(
            Quota::with_period(interval).unwrap().allow_burst(rate.burst), clock.clone());
        let (limiter, mut ns) = (RequestLimiter::new(rate, &[], None), 0);
        for step in steps {
            ns += step;
            clock.advance(Duration::from_nanos(step));
            let refused = limiter.check(0, &ClientId::new("a"), at(ns)).refused;
            let expected = governor.check().err().map(|not_until| not_until.wait_time_from(clock.now()));
            prop_assert_eq!(refused.map(|(_, wait)| wait), expected);
        }
    }
}

/// The most that was granted in any span of the window's length that ends at a grant.
fn most_in_a_span(grants: &[(u64, u64)]) -> u64 {
    let span = nanos(LENGTH);
    let ending_at = |end: u64| grants.iter().filter(move |(t, _)| *t <= end && end - t < span).map(|(_, n)| n).sum();
    grants.iter().map(|(end, _)| ending_at(*end)).max().unwrap_or(0)
}

#[derive(Debug, Clone)]
enum Act {
    Take(u64),
    Hold(u64),
    GiveBack(u64),
    Pass(u64),
    Restart(u64),
    Lengthen,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        8 => (1..60u64).prop_map(Act::Take),
        3 => (1..60u64).prop_map(Act::Hold),
        2 => (0..60u64).prop_map(Act::GiveBack),
        6 => (0..3_000_000_000u64).prop_map(Act::Pass),
        1 => (0..4_000u64).prop_map(Act::Restart),
        1 => Just(Act::Lengthen),
    ];
    proptest::collection::vec(act, 1..200)
}

/// Four threads take and take back while time runs through many windows: of what they kept, no span of the window's
/// length holds more than the budget, and most of what the windows have room for is granted.
///
/// A thread can be held up within a take, so its grant lies somewhere between the times before and after.
#[test]
fn threads_keep_to_the_budget_in_every_span() {
    let (window, clock) = (window(1_000), AtomicU64::new(0));
    let run = |step_ns: u64| {
        let (window, clock) = (&window, &clock);
        move || {
            let take = |i: u64| {
                let before = clock.fetch_add(step_ns, Ordering::SeqCst);
                let charge = window.take(1 + i % 5, at(before)).ok()?;
                if i.is_multiple_of(4) {
                    window.give_back(charge, 1 + i % 5);
                    return None;
                }
                Some((before, clock.load(Ordering::SeqCst), 1 + i % 5))
            };
            (0..20_000).filter_map(take).collect::<Vec<_>>()
        }
    };
    let mut grants: Vec<(u64, u64, u64)> = std::thread::scope(|scope| {
        let threads = [1_700_000, 900_000, 2_300_000, 1_100_000].map(|step_ns| scope.spawn(run(step_ns)));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    grants.sort_unstable();
    for (place, (start, ..)) in grants.iter().enumerate() {
        let end = start + nanos(LENGTH);
        let begun = grants[place..].iter().take_while(|(before, ..)| *before < end);
        let within: u64 = begun.filter(|(_, after, _)| *after < end).map(|(.., count)| count).sum();
        assert!(within <= 1_000, "{within} in the span that starts at {start}");
    }
    let granted: u64 = grants.iter().map(|(.., count)| count).sum();
    let spans = clock.into_inner() / nanos(LENGTH);
    assert!(spans >= 10 && granted >= spans * 700, "{granted} in {spans} windows");
}

proptest! {
    /// Against the plain list of all grants: never more than the budget in any span of the window, whatever
    /// happens in between; and whatever the list says has been free for 1/64 of the window is granted.
    #[test]
    fn a_window_agrees_with_the_list_of_its_grants(acts in acts()) {
        let mut window = Arc::new(window(100));
        // `true_ns` runs on over restarts, while the monotonic clock begins again.
        let (mut true_ns, mut started_ns, mut exact) = (0u64, 0u64, true);
        let mut grants: Vec<(u64, u64)> = Vec::new();
        let mut held: Vec<(WindowCharge, usize)> = Vec::new();
        for act in acts {
            let now = Moment { monotonic_ns: true_ns - started_ns, ..at(true_ns) };
            match act {
                Act::Pass(ns) => true_ns += ns,
                Act::Take(n) => {
                    let slack = nanos(window.length()) + nanos(window.length()).div_ceil(64);
                    let recent: u64 = grants.iter().filter(|(t, _)| true_ns - t <= slack).map(|(_, n)| n).sum();
                    match window.take(n, now) {
                        Ok(_) => grants.push((true_ns, n)),
                        Err(_) => prop_assert!(!exact || recent + n > 100, "refused {n} with {recent} used"),
                    }
                    prop_assert!(most_in_a_span(&grants) <= 100);
                }
                Act::Hold(n) => {
                    if let Ok(charge) = window.take(n, now) {
                        held.push((charge, grants.len()));
                        grants.push((true_ns, n));
                    }
                }
                Act::GiveBack(n) => {
                    if let Some((charge, place)) = held.pop() {
                        window.give_back(charge, n);
                        grants[place].1 = grants[place].1.saturating_sub(n);
                    }
                }
                Act::Restart(ms) => {
                    let kept = window.snapshot(now);
                    held.clear();
                    true_ns += ms * 1_000_000;
                    (started_ns, exact) = (true_ns, false);
                    window = Arc::new(self::window(100));
                    window.restore(&kept, Moment { monotonic_ns: 0, ..at(true_ns) });
                }
                Act::Lengthen => {
                    let longer = Arc::new(SlidingWindow::new(NonZeroU64::new(100).unwrap(), window.length() + LENGTH / 3));
                    window.hand_over_to(&longer, now);
                    (window, exact) = (if true_ns % 2 == 0 { longer } else { window }, false);
                }
            }
        }
    }
}

/// What a body does, of several under one vendor's limits.
#[derive(Debug, Clone)]
enum Step {
    /// Feeds so many records, about subjects from here on, and keeps what came of them.
    Keep(usize, u64, u64),
    /// The same, and what came of them stays.
    Forget(usize, u64, u64),
    /// What was kept has left.
    Leave(usize),
    /// The body ends, and another begins.
    End(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..3usize, 0..40u64, 0..60u64).prop_map(|(body, records, from)| Step::Keep(body, records, from)),
        2 => (0..3usize, 0..40u64, 0..60u64).prop_map(|(body, records, from)| Step::Forget(body, records, from)),
        4 => (0..3usize).prop_map(Step::Leave),
        2 => (0..3usize).prop_map(Step::End),
    ];
    proptest::collection::vec(step, 1..120)
}

proptest! {
    /// Three bodies under one budget against plain sums: what has not left costs nothing once its body is gone, what
    /// has left stays charged, and both together never exceed the budget, in records, bytes and different subjects.
    #[test]
    fn only_records_and_bytes_that_were_sent_stay_charged(budget in 1..400u64, steps in steps()) {
        use crate::pii::RewriteObserver as _;
        let limit = |budget| {
            Some(Budget { budget: NonZeroU64::new(budget).unwrap(), window: LENGTH, over: OverrunAction::Refuse })
        };
        let limits = Limits { records: limit(budget), bytes: limit(budget * 10), subjects: limit(1_000), ..Limits::default() };
        let key = crate::model::SubjectKey::new(crate::model::Secret::new([7; 32]));
        let ledger = UsageLedger::new(&limits, &[], key.clone());
        let now = at(1);
        let begin = || (ledger.record_meter(0, 1, now), ledger.byte_meter(0));
        let mut bodies = [begin(), begin(), begin()];
        // Records and bytes that are kept by each body, its subjects, and what has left of all.
        let mut kept: [(u64, u64, Vec<u64>); 3] = Default::default();
        let (mut left, mut bytes_left, mut subjects_left) = (0, 0, std::collections::BTreeSet::new());
        let used = |ratio: f64, whole: u64| ((1.0 - ratio) * whole as f64).round() as u64;
        for step in steps {
            match step {
                Step::Keep(body, records, from) | Step::Forget(body, records, from) => {
                    let keeps = matches!(step, Step::Keep(..));
                    let (meter, bytes) = &mut bodies[body];
                    meter.begin(now);
                    let mut about = Vec::new();
                    let passed = (from..from + records).take_while(|subject| {
                        let passes = meter.on_record().is_ok();
                        if passes {
                            meter.on_treated(0);
                            meter.on_subject(&subject.to_le_bytes());
                            about.push(*subject);
                        }
                        passes
                    });
                    let passed = passed.count() as u64;
                    meter.settle();
                    let fits = keeps && (passed == 0 || bytes.pass(passed as usize * 7, now).is_ok());
                    if fits {
                        meter.keep();
                        kept[body].0 += passed;
                        kept[body].1 += passed * 7;
                        kept[body].2.extend(about);
                    } else {
                        meter.forget();
                    }
                }
                Step::Leave(body) => {
                    let mut treated = 0;
                    let records = bodies[body].0.drain(|_, count| treated += count);
                    bodies[body].1.settle();
                    let (expected, bytes, about) = std::mem::take(&mut kept[body]);
                    prop_assert_eq!((records, treated), (expected, expected));
                    left += records;
                    bytes_left += bytes;
                    subjects_left.extend(about);
                }
                Step::End(body) => {
                    bodies[body] = begin();
                    kept[body] = Default::default();
                }
            }
            let waiting: u64 = kept.iter().map(|(records, ..)| records).sum();
            prop_assert!(left + waiting <= budget);
            prop_assert_eq!(used(ledger.remaining(now).records, budget), left + waiting);
        }
        drop(bodies);
        let remaining = ledger.remaining(now);
        prop_assert_eq!(used(remaining.records, budget), left);
        prop_assert_eq!(used(remaining.bytes, budget * 10), bytes_left);
        let people = SubjectCounter::new(limits.subjects.unwrap());
        let see = |subject: u64| people.see(key.hash(&subject.to_le_bytes()), now).is_ok();
        prop_assert!(subjects_left.into_iter().all(see));
        prop_assert_eq!(used(remaining.subjects.unwrap(), 1_000), people.estimate(now));
    }
}
