//! Logs trouble of a background task once each: when it begins, when the error changes, and when it is over.
//!
//! Holds texts for the log. Never decides about a request.

use std::sync::Mutex;
use std::time::Duration;

use crate::model::Lock as _;

/// A task that is tried again and again, and what was last logged about it.
#[derive(Debug)]
pub(crate) struct OutageLog {
    interval: Duration,
    last_report: Mutex<LastReport>,
}

#[derive(Debug, Default)]
struct LastReport {
    error: Option<String>,
    at_ns: Option<u64>,
}

/// A change that is worth a line in the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OutageChange {
    /// The task fails, or fails with another error than before.
    Failing(String),
    /// The task succeeds again.
    Recovered,
}

impl OutageLog {
    /// Reports every change, but none that comes within `interval` of the last.
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, last_report: Mutex::default() }
    }

    /// Records the result of a try, at a monotonic time; returns a change that is worth a log line.
    pub(crate) fn record(&self, error: Option<&str>, now_ns: u64) -> Option<OutageChange> {
        let mut last = self.last_report.locked();
        let is_early = last.at_ns.is_some_and(|at| u128::from(now_ns.saturating_sub(at)) < self.interval.as_nanos());
        if last.error.as_deref() == error || is_early {
            return None;
        }
        *last = LastReport { error: error.map(str::to_owned), at_ns: Some(now_ns) };
        Some(error.map_or(OutageChange::Recovered, |error| OutageChange::Failing(error.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_reported_once() {
        let outage = OutageLog::new(Duration::ZERO);
        let fails = |error: &str| Some(OutageChange::Failing(error.to_owned()));
        for (error, want) in [
            (None, None),
            (Some("a"), fails("a")),
            (Some("a"), None),
            (Some("b"), fails("b")),
            (None, Some(OutageChange::Recovered)),
            (None, None),
            (Some("b"), fails("b")),
        ] {
            assert_eq!(outage.record(error, 0), want);
        }
    }

    #[test]
    fn an_error_that_comes_and_goes_is_reported_once_per_interval() {
        let outage = OutageLog::new(Duration::from_nanos(10));
        let reported: Vec<u64> =
            (0..40).filter(|now| outage.record(Some("a").filter(|_| now % 2 == 0), *now).is_some()).collect();
        assert_eq!(reported, [0, 11, 22, 33]);
    }
}
