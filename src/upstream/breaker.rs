//! The circuit breaker of one vendor's requests to one upstream: when most of them fail, none is sent for a time.
//!
//! Closed, it counts outcomes over a sliding window. Open, it lets nothing through. Half-open, it lets a few requests
//! through to try: when all of them succeed it closes, and when one fails it opens for twice as long. Time is an
//! argument.

use std::sync::Mutex;
use std::time::Duration;

use super::group_settings::BreakerSettings;
use crate::bounds::BREAKER_BUCKETS;
use crate::model::{Lock as _, Moment};

/// A circuit breaker.
#[derive(Debug)]
pub(super) struct CircuitBreaker {
    settings: BreakerSettings,
    circuit: Mutex<Circuit>,
}

/// The circuit is open. Says when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitOpen {
    /// How long the circuit stays open.
    pub retry_after: Duration,
}

/// A request that the circuit let through. Its outcome is to be told; a request without one counts as none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CircuitTicket {
    /// The trial that the request is part of, by its number.
    trial: Option<u64>,
}

#[derive(Debug, Default)]
struct Circuit {
    phase: CircuitPhase,
    /// How often it opened in a row.
    openings: u32,
    /// The number of trials so far.
    trials: u64,
    buckets: [OutcomeBucket; BREAKER_BUCKETS],
}

#[derive(Debug, Default)]
enum CircuitPhase {
    #[default]
    Closed,
    Open {
        until_ns: u64,
    },
    HalfOpen {
        under_way: u32,
        succeeded: u32,
    },
}

/// The outcomes in one part of the window, which is known by its number since the clock began.
#[derive(Debug, Default, Clone, Copy)]
struct OutcomeBucket {
    number: u64,
    succeeded: u32,
    failed: u32,
}

impl CircuitBreaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self { settings, circuit: Mutex::default() }
    }

    pub(super) const fn settings(&self) -> &BreakerSettings {
        &self.settings
    }

    /// Whether a request may be sent.
    ///
    /// # Errors
    /// [`CircuitOpen`] while none may be, and while enough of them are under way to try.
    pub(super) fn admit(&self, now: Moment) -> Result<CircuitTicket, CircuitOpen> {
        let mut circuit = self.circuit.locked();
        let circuit = &mut *circuit;
        match &mut circuit.phase {
            CircuitPhase::Closed => Ok(CircuitTicket { trial: None }),
            CircuitPhase::Open { until_ns } if now.monotonic_ns < *until_ns => {
                Err(CircuitOpen { retry_after: Duration::from_nanos(*until_ns - now.monotonic_ns) })
            }
            CircuitPhase::Open { .. } => {
                circuit.phase = CircuitPhase::HalfOpen { under_way: 1, succeeded: 0 };
                circuit.trials += 1;
                Ok(CircuitTicket { trial: Some(circuit.trials) })
            }
            CircuitPhase::HalfOpen { under_way, succeeded } => {
                if *under_way + *succeeded >= self.settings.half_open_requests.get() {
                    return Err(CircuitOpen { retry_after: self.settings.open_for });
                }
                *under_way += 1;
                Ok(CircuitTicket { trial: Some(circuit.trials) })
            }
        }
    }

    /// What became of a request; `None` where that says nothing about the upstream. Returns whether the circuit has
    /// opened or closed by it.
    pub(super) fn report(&self, ticket: CircuitTicket, succeeded: Option<bool>, now: Moment) -> Option<bool> {
        let mut circuit = self.circuit.locked();
        match ticket.trial {
            None => circuit.count(succeeded?, &self.settings, now).then_some(true),
            Some(trial) => circuit.try_out(trial, succeeded, &self.settings, now),
        }
    }

    /// Whether the circuit is not closed.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.circuit.locked().phase, CircuitPhase::Closed)
    }
}

impl Circuit {
    /// Counts an outcome while the circuit is closed; returns whether that opens it.
    fn count(&mut self, succeeded: bool, settings: &BreakerSettings, now: Moment) -> bool {
        if !matches!(self.phase, CircuitPhase::Closed) {
            return false;
        }
        let span_ns = (settings.window.as_nanos() as u64 / BREAKER_BUCKETS as u64).max(1);
        // From 1 on, so that the first bucket is none that was never used.
        let number = now.monotonic_ns / span_ns + 1;
        let bucket = &mut self.buckets[(number % BREAKER_BUCKETS as u64) as usize];
        if bucket.number != number {
            *bucket = OutcomeBucket { number, ..OutcomeBucket::default() };
        }
        let counter = if succeeded { &mut bucket.succeeded } else { &mut bucket.failed };
        *counter = counter.saturating_add(1);
        if succeeded {
            return false;
        }
        let oldest = number.saturating_sub(BREAKER_BUCKETS as u64);
        let counted = self.buckets.iter().filter(|bucket| bucket.number > oldest);
        let (good, bad) = counted.fold((0_u64, 0_u64), |(good, bad), bucket| {
            (good + u64::from(bucket.succeeded), bad + u64::from(bucket.failed))
        });
        let total = good + bad;
        let opens =
            total >= u64::from(settings.min_requests) && bad * 100 >= total * u64::from(settings.failure_percent);
        if opens {
            self.open(settings, now);
        }
        opens
    }

    /// Takes in the outcome of a request that was let through to try.
    fn try_out(&mut self, trial: u64, outcome: Option<bool>, settings: &BreakerSettings, now: Moment) -> Option<bool> {
        let is_current = trial == self.trials;
        let CircuitPhase::HalfOpen { under_way, succeeded } = &mut self.phase else { return None };
        if !is_current {
            return None;
        }
        *under_way = under_way.saturating_sub(1);
        match outcome {
            None => None,
            Some(false) => {
                self.open(settings, now);
                Some(true)
            }
            Some(true) => {
                *succeeded += 1;
                if *succeeded < settings.half_open_requests.get() {
                    return None;
                }
                (self.phase, self.openings) = (CircuitPhase::Closed, 0);
                self.buckets = Default::default();
                Some(false)
            }
        }
    }

    fn open(&mut self, settings: &BreakerSettings, now: Moment) {
        let factor = 1_u32.checked_shl(self.openings.min(30)).unwrap_or(u32::MAX);
        let span = settings.open_for.saturating_mul(factor).min(settings.open_for_max);
        let until_ns = now.monotonic_ns.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
        (self.phase, self.openings) = (CircuitPhase::Open { until_ns }, self.openings.saturating_add(1));
        self.buckets = Default::default();
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::model::UnixTime;

    const SETTINGS: BreakerSettings = BreakerSettings {
        failure_percent: 50,
        window: Duration::from_secs(10),
        min_requests: 4,
        open_for: Duration::from_secs(5),
        open_for_max: Duration::from_secs(15),
        half_open_requests: NonZeroU32::new(2).unwrap(),
    };

    fn at(secs: u64) -> Moment {
        Moment { wall: UnixTime::from_secs(secs), monotonic_ns: secs * 1_000_000_000 }
    }

    /// Sends one request and tells its outcome.
    fn send(breaker: &CircuitBreaker, secs: u64, succeeded: bool) -> Option<bool> {
        let ticket = breaker.admit(at(secs)).expect("let through");
        breaker.report(ticket, Some(succeeded), at(secs))
    }

    #[test]
    fn the_circuit_opens_by_ratio_and_volume_within_the_window() {
        let breaker = CircuitBreaker::new(SETTINGS);
        for (secs, succeeded) in [(0, false), (0, false), (1, true)] {
            assert_eq!(send(&breaker, secs, succeeded), None, "too few");
        }
        for secs in [12, 12, 13, 13, 13] {
            assert_eq!(send(&breaker, secs, true), None);
        }
        for _ in 0..4 {
            assert_eq!(send(&breaker, 14, false), None, "the first two are forgotten, and half is not reached");
        }
        assert_eq!(send(&breaker, 15, false), Some(true));
        assert_eq!(breaker.admit(at(16)), Err(CircuitOpen { retry_after: Duration::from_secs(4) }));
        assert!(breaker.is_open());
    }

    #[test]
    fn half_open_lets_a_few_through_and_opens_for_longer_each_time() {
        let breaker = CircuitBreaker::new(SETTINGS);
        for _ in 0..4 {
            send(&breaker, 0, false);
        }
        let mut opened = 0;
        for open_for in [5, 10, 15, 15] {
            assert!(breaker.admit(at(opened + open_for - 1)).is_err());
            opened += open_for;
            let (first, second) = (breaker.admit(at(opened)), breaker.admit(at(opened)));
            assert!(breaker.admit(at(opened)).is_err(), "two at most");
            assert_eq!(breaker.report(first.expect("let through"), Some(true), at(opened)), None);
            assert!(breaker.admit(at(opened)).is_err(), "still two");
            assert_eq!(breaker.report(second.expect("let through"), Some(false), at(opened)), Some(true));
        }
        assert_eq!((send(&breaker, opened + 15, true), send(&breaker, opened + 15, true)), (None, Some(false)));
        assert!(!breaker.is_open());
        for _ in 0..4 {
            send(&breaker, 100, false);
        }
        assert_eq!(breaker.admit(at(104)), Err(CircuitOpen { retry_after: Duration::from_secs(1) }), "as at first");
    }

    #[test]
    fn a_trial_without_an_outcome_frees_its_place_and_a_late_one_changes_nothing() {
        let breaker = CircuitBreaker::new(SETTINGS);
        for _ in 0..4 {
            send(&breaker, 0, false);
        }
        let (late, lost) = (breaker.admit(at(5)).expect("first"), breaker.admit(at(5)).expect("second"));
        assert_eq!(breaker.report(lost, None, at(5)), None);
        assert_eq!(send(&breaker, 5, false), Some(true), "its place was free");
        assert_eq!((send(&breaker, 15, true), breaker.report(late, Some(false), at(15))), (None, None));
        assert_eq!(send(&breaker, 15, true), Some(false));
    }
}
