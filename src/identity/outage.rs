//! What fails in the background is told when it begins, when it fails in another way, and when it is over: once each.
//!
//! Holds words for the log. Never decides anything.

use std::sync::Mutex;
use std::time::Duration;

use crate::model::Lock as _;

/// Something that is tried again and again, and what was told of it last.
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

/// What is worth a line in the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OutageChange {
    /// It fails, or fails in another way than before.
    Failing(String),
    /// It is well again.
    Recovered,
}

impl OutageLog {
    /// Tells every change, but one that comes within `pace` of the last.
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, last_report: Mutex::default() }
    }

    /// Notes how a try went, at a monotonic time; says whether that is news.
    pub(crate) fn record(&self, error: Option<&str>, now_ns: u64) -> Option<OutageChange> {
        let mut told = self.last_report.locked();
        let is_early = told.at_ns.is_some_and(|at| u128::from(now_ns.saturating_sub(at)) < self.interval.as_nanos());
        if told.error.as_deref() == error || is_early {
            return None;
        }
        *told = LastReport { error: error.map(str::to_owned), at_ns: Some(now_ns) };
        Some(error.map_or(OutageChange::Recovered, |error| OutageChange::Failing(error.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_once() {
        let outage = OutageLog::new(Duration::ZERO);
        let fails = |error: &str| Some(OutageChange::Failing(error.to_owned()));
        for (error, told) in [
            (None, None),
            (Some("a"), fails("a")),
            (Some("a"), None),
            (Some("b"), fails("b")),
            (None, Some(OutageChange::Recovered)),
            (None, None),
            (Some("b"), fails("b")),
        ] {
            assert_eq!(outage.record(error, 0), told);
        }
    }

    #[test]
    fn what_comes_and_goes_is_told_at_a_pace() {
        let outage = OutageLog::new(Duration::from_nanos(10));
        let told: Vec<u64> =
            (0..40).filter(|now| outage.record(Some("a").filter(|_| now % 2 == 0), *now).is_some()).collect();
        assert_eq!(told, [0, 11, 22, 33]);
    }
}
