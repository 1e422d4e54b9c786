//! Notices when a vendor is denied too often in too short a time.
//!
//! Exact, without a lock: a ring holds the times of the last denials, and the one that makes the burst finds the
//! first of it in its own place. Two threads that race may swap neighbours, which moves the window by the time
//! between them and loses none. Never kills: the caller does.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::bounds::DENIAL_BURST_MAX;
use crate::model::Moment;

/// A contract's `trip:` rule, with what it has seen.
#[derive(Debug)]
pub struct DenialBurst {
    window_ns: u64,
    /// The times of all but the last of a burst, in nanoseconds plus one; zero where there was none.
    ring: Box<[AtomicU64]>,
    next: AtomicUsize,
}

impl DenialBurst {
    /// A rule: this many denials in this span. More than [`DENIAL_BURST_MAX`] count as that many.
    pub fn new(denials: NonZeroU32, window: Duration) -> Self {
        let before_last = denials.get().min(DENIAL_BURST_MAX) - 1;
        Self {
            window_ns: u64::try_from(window.as_nanos()).unwrap_or(u64::MAX),
            ring: (0..before_last).map(|_| AtomicU64::new(0)).collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// Counts a denial; true when it completes a burst, and for each one after it while the burst lasts.
    pub fn record(&self, now: Moment) -> bool {
        if self.ring.is_empty() {
            return true;
        }
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.ring.len();
        let first = self.ring[place].swap(now.monotonic_ns.saturating_add(1), Ordering::Relaxed);
        first != 0 && now.monotonic_ns.saturating_sub(first - 1) <= self.window_ns
    }

    /// Forgets the denials so far, as after a restore.
    pub fn reset(&self) {
        self.ring.iter().for_each(|time| time.store(0, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::UnixTime;

    fn at(ms: u64) -> Moment {
        Moment { wall: UnixTime::default(), monotonic_ns: ms * 1_000_000 }
    }

    fn rule(denials: u32, window_ms: u64) -> DenialBurst {
        DenialBurst::new(NonZeroU32::new(denials).unwrap(), Duration::from_millis(window_ms))
    }

    #[test]
    fn the_last_of_a_burst_trips_and_none_before() {
        let rule = rule(3, 100);
        let seen: Vec<_> = [0, 50, 100, 250, 340, 351].map(|ms| rule.record(at(ms))).into();
        assert_eq!(seen, [false, false, true, false, false, false]);
        assert!(rule.record(at(352)) && rule.record(at(353)));
        rule.reset();
        assert!(!rule.record(at(354)) && !rule.record(at(354)) && rule.record(at(354)));
    }

    #[test]
    fn one_denial_can_be_a_burst() {
        assert!(rule(1, 1).record(at(0)));
    }

    proptest! {
        #[test]
        fn a_burst_is_noticed_exactly_when_a_count_of_the_window_says_so(denials in 1..8_u32, window in 1..50_u64, gaps in prop::collection::vec(0..20_u64, 1..60)) {
            let rule = rule(denials, window);
            let mut times = Vec::new();
            let mut now = 0;
            for gap in gaps {
                now += gap;
                times.push(now);
                let recent = times.iter().filter(|time| now - **time <= window).count();
                prop_assert_eq!(rule.record(at(now)), recent >= denials as usize);
            }
        }
    }
}
