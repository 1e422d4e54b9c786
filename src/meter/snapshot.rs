//! What is used of a vendor's limits, as a plain value that the store keeps every few seconds and that survives a
//! restart.
//!
//! What was used since the last write is lost in a crash, never in a regular stop. Contains nothing about the content
//! of records.

use std::time::Duration;

use super::ledger::UsageLedger;
use super::rate::RateSnapshot;
use super::{SubjectsSnapshot, WindowSnapshot};
use crate::model::{Direction, Moment, UnixTime};

/// What is used of the limits of one vendor.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LedgerSnapshot {
    /// When it was taken, in milliseconds since the epoch.
    pub taken_ms: u64,
    /// What is used of the records budget.
    pub records: WindowSnapshot,
    /// What is used of the bytes budget.
    pub bytes: WindowSnapshot,
    /// Different subjects, where they are limited.
    pub subjects: Option<SubjectsSnapshot>,
    /// Nanoseconds that the vendor's request rate stays in debt.
    pub rate_ns: u64,
    /// The same for each client in debt.
    pub clients_ns: Vec<(String, u64)>,
    /// The routes, by name.
    pub routes: Vec<RouteUsageSnapshot>,
}

/// What is used of one route's own limits.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RouteUsageSnapshot {
    /// `ingress` or `egress`.
    pub direction: String,
    /// The route as the contract writes it.
    pub route: String,
    /// What is used of the records budget.
    pub records: Option<WindowSnapshot>,
    /// What is used of the bytes budget.
    pub bytes: Option<WindowSnapshot>,
    /// Nanoseconds that the route's request rate stays in debt.
    pub rate_ns: u64,
}

impl UsageLedger {
    /// What must be kept for [`UsageLedger::restore`].
    pub fn snapshot(&self, now: Moment) -> LedgerSnapshot {
        let rates = self.rates.snapshot(now);
        let route = |(route, rate_ns): (&super::ledger::RouteUsage, u64)| RouteUsageSnapshot {
            direction: route.settings.direction.as_str().to_owned(),
            route: route.settings.route.to_string(),
            records: route.records.as_ref().map(|metered| metered.window.snapshot(now)),
            bytes: route.bytes.as_ref().map(|metered| metered.window.snapshot(now)),
            rate_ns,
        };
        LedgerSnapshot {
            taken_ms: now.wall.as_millis(),
            records: self.records.window.snapshot(now),
            bytes: self.bytes.window.snapshot(now),
            subjects: self.subjects.as_ref().map(|subjects| subjects.snapshot(now)),
            rate_ns: rates.vendor_ns,
            clients_ns: rates.clients_ns,
            routes: self.routes.iter().zip(rates.routes_ns).map(route).collect(),
        }
    }

    /// Takes up what an earlier run had used. Routes that are no longer there are left out.
    pub fn restore(&self, kept: &LedgerSnapshot, now: Moment) {
        self.records.window.restore(&kept.records, now);
        self.bytes.window.restore(&kept.bytes, now);
        if let (Some(subjects), Some(kept)) = (&self.subjects, &kept.subjects) {
            subjects.restore(kept, now);
        }
        let mut routes_ns = vec![0; self.routes.len()];
        for route in &kept.routes {
            let direction = Direction::ALL.into_iter().find(|direction| direction.as_str() == route.direction);
            let place = direction.and_then(|direction| self.place(direction, &route.route));
            if let Some(place) = place {
                self.restore_route(place, route, now);
                routes_ns[place] = route.rate_ns;
            }
        }
        let rates = RateSnapshot { vendor_ns: kept.rate_ns, routes_ns, clients_ns: kept.clients_ns.clone() };
        // Both readings are rounded down to a millisecond, so the difference can be one too long.
        let away = now.wall.since(UnixTime::from_millis(kept.taken_ms)).saturating_sub(Duration::from_millis(1));
        self.rates.restore(&rates, away, now);
    }

    fn restore_route(&self, place: usize, kept: &RouteUsageSnapshot, now: Moment) {
        let mine = &self.routes[place];
        for (metered, kept) in [(&mine.records, &kept.records), (&mine.bytes, &kept.bytes)] {
            if let (Some(metered), Some(kept)) = (metered, kept) {
                metered.window.restore(kept, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use super::*;
    use crate::meter::overrun::Measure;
    use crate::meter::{Budget, Limits, OverrunAction, RequestRate, RouteLimits};
    use crate::model::{ClientId, Reason, Secret, SubjectKey};
    use crate::pii::RewriteObserver;

    fn budget(budget: u64, secs: u64) -> Option<Budget> {
        let budget = NonZeroU64::new(budget).unwrap();
        Some(Budget { budget, window: Duration::from_secs(secs), over: OverrunAction::Refuse })
    }

    fn rate(burst: u32) -> Option<RequestRate> {
        let burst = NonZeroU32::new(burst).unwrap();
        Some(RequestRate { count: NonZeroU32::MIN, per: Duration::from_secs(3600), burst })
    }

    fn limits() -> Limits {
        Limits {
            requests: rate(10),
            concurrency: NonZeroU32::new(5),
            records: budget(100, 60),
            bytes: budget(1_000, 60),
            subjects: budget(50, 3600),
            client_requests: rate(4),
        }
    }

    fn routes() -> Vec<RouteLimits> {
        let own =
            Limits { records: budget(30, 60), requests: rate(3), concurrency: NonZeroU32::new(2), ..Limits::default() };
        let route = |route: &str, limits| RouteLimits { direction: Direction::Ingress, route: route.into(), limits };
        vec![route("GET /a", own), route("GET /b", Limits::default())]
    }

    fn key() -> SubjectKey {
        SubjectKey::new(Secret::new([1; 32]))
    }

    fn at(ms: u64, started_ms: u64) -> Moment {
        Moment { wall: UnixTime::from_millis(1_000_000 + ms), monotonic_ns: (ms - started_ms) * 1_000_000 }
    }

    fn admitted(ledger: &UsageLedger, route: usize, client: &str, now: Moment) -> Result<(), Reason> {
        ledger.admit(route, &ClientId::new(client), true, now).map(drop).map_err(|no| no.denial.reason)
    }

    fn passed(ledger: &UsageLedger, route: usize, wanted: u64, now: Moment) -> u64 {
        let mut meter = ledger.record_meter(route, 0, now);
        let passed = |i: &u64| meter.on_record().map(|()| meter.on_subject(&(i % 40).to_le_bytes())).is_ok();
        let passed = (0..wanted).filter(passed).count() as u64;
        meter.drain(|_, _| ());
        passed
    }

    /// The same questions, whether the ledger lived on, was read again, or was kept over a restart.
    fn check(after: &UsageLedger, now: Moment) {
        let used = |remaining: f64, whole: f64| ((1.0 - remaining) * whole).round() as u64;
        assert_eq!(used(after.remaining(now).subjects.unwrap(), 50.0), 30, "each of the 30 records was about another");
        assert_eq!(admitted(after, 0, "a", now), Err(Reason::RecordsExceeded), "the route has used its 30");
        assert_eq!(passed(after, 1, 200, now), 70, "the vendor's 100 less the route's 30");
        assert_eq!(admitted(after, 1, "a", now), Err(Reason::RecordsExceeded));
        let free =
            |client: &str| after.admit(1, &ClientId::new(client), false, now).map(drop).map_err(|no| no.denial.reason);
        assert_eq!(
            [free("a"), free("a"), free("a")],
            [Ok(()), Ok(()), Err(Reason::RateLimited)],
            "client a has used 2 of 4"
        );
        assert_eq!([free("b"), free("b"), free("b")], [Ok(()); 3]);
        assert_eq!(after.rates.check(0, &ClientId::new("c"), now).refused, None, "the route has used 2 of 3");
        assert!(after.rates.check(0, &ClientId::new("d"), now).refused.is_some());
        assert_eq!(used(after.remaining(now).bytes, 1_000.0), 400);
    }

    fn used() -> UsageLedger {
        let ledger = UsageLedger::new(&limits(), &routes(), key());
        let now = at(5_000, 0);
        assert_eq!([admitted(&ledger, 0, "a", now), admitted(&ledger, 0, "a", now)], [Ok(()); 2]);
        assert_eq!(passed(&ledger, 0, 40, now), 30);
        let mut bytes = ledger.byte_meter(1);
        assert!(bytes.pass(400, now).is_ok() && bytes.pass(601, now).is_err());
        bytes.settle();
        ledger
    }

    #[test]
    fn what_is_used_is_kept_over_reloads_and_restarts() {
        check(&used(), at(9_000, 0));
        check(&used().renew(&limits(), &routes(), key(), at(8_000, 0)), at(9_000, 0));
        let mut turned = routes();
        turned.reverse();
        let renewed = used().renew(&limits(), &turned, key(), at(8_000, 0));
        check(&renewed.renew(&limits(), &routes(), key(), at(8_500, 0)), at(9_000, 0));
        let kept = used().snapshot(at(8_000, 0));
        let text = serde_json::to_string(&kept).unwrap();
        let restarted = UsageLedger::new(&limits(), &routes(), key());
        restarted.restore(&serde_json::from_str(&text).unwrap(), at(8_900, 8_900));
        check(&restarted, at(9_000, 8_900));
    }

    #[test]
    fn a_new_budget_or_window_keeps_what_is_used_also_for_bodies_in_flight() {
        let (ledger, now) = (used(), at(9_000, 0));
        let mut in_flight = ledger.record_meter(1, 0, now);
        let changed = Limits { records: budget(50, 90), ..limits() };
        let renewed = ledger.renew(&changed, &routes(), key(), now);
        assert_eq!((0..100).filter(|_| in_flight.on_record().is_ok()).count(), 20);
        assert_eq!(passed(&renewed, 1, 100, now), 0);
    }

    #[test]
    fn a_reload_that_changes_a_limit_holds_at_once_and_keeps_what_is_used() {
        let (ledger, now) = (used(), at(9_000, 0));
        let smaller = Limits { records: budget(50, 60), subjects: budget(31, 3600), ..limits() };
        let mut narrower = routes();
        narrower[0].limits = Limits { concurrency: NonZeroU32::new(1), ..Limits::default() };
        let renewed = ledger.renew(&smaller, &narrower, key(), now);
        assert_eq!(passed(&renewed, 0, 30, now), 20, "50 less 30, and the route has no budget of its own any more");
        let about = |subject: u64| {
            let mut meter = renewed.record_meter(1, 0, now);
            meter.on_subject(&subject.to_le_bytes());
            meter.drain(|_, _| ());
            meter.overrun().map(|overrun| overrun.measure)
        };
        assert_eq!([about(100), about(101), about(0)], [None, Some(Measure::Subjects), None]);
        let held = renewed.admit(0, &ClientId::new("e"), false, now);
        let second = renewed.admit(0, &ClientId::new("e"), false, now).map(drop).map_err(|no| no.denial.reason);
        assert_eq!((held.is_ok(), second), (true, Err(Reason::ConcurrencyExceeded)));
    }

    #[test]
    fn a_slot_is_held_until_the_request_in_flight_is_dropped() {
        let (ledger, now) = (
            UsageLedger::new(&Limits { requests: rate(100), client_requests: None, ..limits() }, &routes(), key()),
            at(0, 0),
        );
        let admit = |route| ledger.admit(route, &ClientId::new("a"), false, now).map_err(|no| no.denial.reason);
        let held = [admit(0), admit(0)];
        assert_eq!(admit(0).map(drop), Err(Reason::ConcurrencyExceeded), "the route has 2");
        let others = [admit(1), admit(1), admit(1)];
        assert_eq!(admit(1).map(drop), Err(Reason::ConcurrencyExceeded), "the vendor has 5");
        assert_eq!(ledger.in_flight(), 5);
        drop((held, others));
        assert_eq!((ledger.in_flight(), admit(0).is_ok()), (0, true));
    }

    #[test]
    fn only_spending_and_never_the_passing_of_time_makes_a_snapshot_worth_writing() {
        let ledger = UsageLedger::new(&limits(), &routes(), key());
        let mut ms = 5_000;
        let spend: [&dyn Fn(Moment); 4] = [
            &|now| assert!(admitted(&ledger, 1, "a", now).is_ok()),
            &|now| assert!(admitted(&ledger, 0, "b", now).is_ok()),
            &|now| assert_eq!(passed(&ledger, 1, 1, now), 1),
            &|now| {
                let mut bytes = ledger.byte_meter(1);
                assert!(bytes.pass(1, now).is_ok());
                bytes.settle();
            },
        ];
        for spend in spend {
            let before = (ledger.snapshot(at(ms, 0)), at(ms, 0));
            spend(at(ms, 0));
            assert!(!ledger.snapshot(at(ms, 0)).is_aged(at(ms, 0), &before.0, before.1), "something was spent");
            let kept = (ledger.snapshot(at(ms, 0)), at(ms, 0));
            for step_ms in [0, 1, 999, 7_000, 61_000, 3_600_000] {
                ms += step_ms;
                let aged = ledger.snapshot(at(ms, 0));
                assert!(aged.is_aged(at(ms, 0), &kept.0, kept.1), "{step_ms} ms more went by: {kept:?} {aged:?}");
            }
        }
    }
}
