//! One target of an upstream: its pool, and whether requests go there.
//!
//! A target is left out while it is ejected, because requests to it have failed one after the other, and while health
//! checks say that it is unhealthy. Outlives a reload. Reading it takes no lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::group_settings::{HealthCheckSettings, OutlierSettings};
use super::{UpstreamConnector, UpstreamPool};
use crate::http::Url;
use crate::model::Moment;

/// One target of an upstream.
#[derive(Debug)]
pub(super) struct UpstreamTarget {
    /// Where its connections go.
    pub(super) url: Url,
    pub(super) pool: Arc<UpstreamPool>,
    /// Makes the connections of health checks, which are no requests and use no pool.
    pub(super) prober: UpstreamConnector,
    pub(super) health: Arc<TargetHealth>,
    pub(super) checked: Arc<CheckedHealth>,
}

impl UpstreamTarget {
    /// Whether requests go there.
    pub(super) fn is_usable(&self, now: Moment) -> bool {
        !self.health.is_ejected(now) && !self.checked.is_unhealthy()
    }
}

/// What requests have shown of a target's health.
#[derive(Debug, Default)]
pub(super) struct TargetHealth {
    /// Failures since the last success.
    failures: AtomicU32,
    /// The target is left out until then, on the monotonic clock.
    ejected_until_ns: AtomicU64,
    /// How often it was ejected without a quiet time in between.
    ejections_in_row: AtomicU32,
    ejections: AtomicU64,
    /// Requests under way, where they are counted.
    pub(super) under_way: AtomicUsize,
}

/// What health checks have shown of a target. Vendors share it where they share the upstream.
#[derive(Debug, Default)]
pub struct CheckedHealth {
    /// One of the words below.
    state: AtomicU8,
    /// Answers to health checks in a row that speak against the state.
    contrary: AtomicU32,
    /// When the next health check is due, on the monotonic clock.
    due_ns: AtomicU64,
}

const UNKNOWN: u8 = 0;
const HEALTHY: u8 = 1;
const UNHEALTHY: u8 = 2;

impl TargetHealth {
    pub(super) fn is_ejected(&self, now: Moment) -> bool {
        self.ejected_until_ns.load(Ordering::Relaxed) > now.monotonic_ns
    }

    /// How often the target was ejected since the process started.
    pub(super) fn ejections(&self) -> u64 {
        self.ejections.load(Ordering::Relaxed)
    }

    /// A request was answered.
    pub(super) fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) > 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// A request has failed. Returns whether the target is to be ejected for it.
    pub(super) fn failed(&self, settings: &OutlierSettings) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        failures >= settings.consecutive.get()
    }

    /// Leaves the target out: for longer each time, unless it has been well for as long as it was out at most.
    pub(super) fn eject(&self, settings: &OutlierSettings, now: Moment) {
        let last_end = self.ejected_until_ns.load(Ordering::Relaxed);
        let quiet_ns = now.monotonic_ns.saturating_sub(last_end);
        let was_quiet = last_end == 0 || u128::from(quiet_ns) > settings.ejection_max.as_nanos();
        let times = if was_quiet { 1 } else { self.ejections_in_row.load(Ordering::Relaxed).saturating_add(1) };
        self.ejections_in_row.store(times, Ordering::Relaxed);
        let span = settings.ejection.saturating_mul(times).min(settings.ejection_max);
        let span_ns = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self.failures.store(0, Ordering::Relaxed);
        self.ejections.fetch_add(1, Ordering::Relaxed);
        self.ejected_until_ns.store(now.monotonic_ns.saturating_add(span_ns), Ordering::Relaxed);
    }
}

impl CheckedHealth {
    pub(super) fn is_unhealthy(&self) -> bool {
        self.state.load(Ordering::Relaxed) == UNHEALTHY
    }

    /// What a health check has found. Returns the new state where that changes it.
    pub(super) fn found(&self, good: bool, settings: &HealthCheckSettings) -> Option<bool> {
        let was = self.state.load(Ordering::Relaxed);
        let (says, needed) = match good {
            true => (HEALTHY, settings.healthy_after.get()),
            false => (UNHEALTHY, settings.unhealthy_after.get()),
        };
        if was == says {
            self.contrary.store(0, Ordering::Relaxed);
            return None;
        }
        let contrary = self.contrary.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        // Nobody has said otherwise before the first good answer, so it needs no other.
        if contrary < needed && !(was == UNKNOWN && good) {
            return None;
        }
        self.contrary.store(0, Ordering::Relaxed);
        self.state.store(says, Ordering::Relaxed);
        (was != UNKNOWN || !good).then_some(good)
    }

    /// Whether the target is to be asked now; the next question is then due after `pause_ns`.
    pub(super) fn takes_turn(&self, now: Moment, pause_ns: u64) -> bool {
        let due = self.due_ns.load(Ordering::Relaxed);
        let next = now.monotonic_ns.saturating_add(pause_ns);
        due <= now.monotonic_ns && self.due_ns.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Forgets what was found, where no checks are made any more.
    pub(super) fn forget(&self) {
        self.state.store(UNKNOWN, Ordering::Relaxed);
        self.contrary.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::model::UnixTime;

    fn at(secs: u64) -> Moment {
        Moment { wall: UnixTime::from_secs(secs), monotonic_ns: secs * 1_000_000_000 }
    }

    fn fail(health: &TargetHealth, settings: &OutlierSettings, now: Moment) {
        while !health.failed(settings) {}
        health.eject(settings, now);
    }

    #[test]
    fn failures_in_a_row_eject_for_a_growing_time() {
        let settings = OutlierSettings {
            consecutive: NonZeroU32::new(3).expect("three"),
            ejection: Duration::from_secs(10),
            ejection_max: Duration::from_secs(25),
            ejected_percent_max: 50,
        };
        let health = TargetHealth::default();
        assert!(!health.failed(&settings) && !health.failed(&settings));
        health.succeeded();
        assert!(!health.failed(&settings) && !health.failed(&settings) && health.failed(&settings));
        health.eject(&settings, at(100));
        let usable = |secs| !health.is_ejected(at(secs));
        assert_eq!([100, 109, 110].map(usable), [false, false, true]);
        fail(&health, &settings, at(112));
        assert_eq!([131, 132].map(usable), [false, true], "twice as long");
        fail(&health, &settings, at(133));
        assert_eq!([157, 158].map(usable), [false, true], "at most");
        fail(&health, &settings, at(184));
        assert_eq!([193, 194].map(usable), [false, true], "after a quiet time as at first");
        assert_eq!(health.ejections(), 4);
    }

    #[test]
    fn health_checks_need_several_answers_to_change_their_mind() {
        let settings = HealthCheckSettings {
            path: "/".into(),
            interval: Duration::from_secs(1),
            deadline: Duration::from_secs(1),
            healthy_after: NonZeroU32::new(2).expect("two"),
            unhealthy_after: NonZeroU32::new(3).expect("three"),
            statuses: [200].into(),
        };
        let health = CheckedHealth::default();
        let mut said = Vec::new();
        for good in [false, false, true, false, false, true, false, false, false, true, false, true, true] {
            said.push((health.found(good, &settings), health.is_unhealthy()));
        }
        let changes: Vec<_> = said.iter().map(|(change, _)| *change).collect();
        let mut expected = [None; 13];
        expected[8] = Some(false);
        expected[12] = Some(true);
        assert_eq!(changes, expected);
        assert_eq!(said.iter().filter(|(_, unhealthy)| *unhealthy).count(), 4, "from the third bad to the second good");
    }

    #[test]
    fn a_check_is_taken_once_in_its_time() {
        let health = CheckedHealth::default();
        assert!(health.takes_turn(at(1), 5_000_000_000) && !health.takes_turn(at(5), 1));
        assert!(health.takes_turn(at(6), 1));
    }
}
