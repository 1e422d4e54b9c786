//! What fails in the background is told when it begins, when it fails in another way, and when it is over: once each.
//!
//! Holds words for the log. Never decides anything.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Something that is tried again and again, and what was told of it last.
#[derive(Debug)]
pub(super) struct Outage {
    pace: Duration,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    error: Option<String>,
    at_ns: Option<u64>,
}

/// What is worth a line in the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It fails, or fails in another way than before.
    Fails(String),
    /// It is well again.
    Well,
}

impl Outage {
    /// Tells every change, but one that comes within `pace` of the last.
    pub(super) fn new(pace: Duration) -> Self {
        Self { pace, told: Mutex::default() }
    }

    /// Notes how a try went, at a monotonic time; says whether that is news.
    pub(super) fn note(&self, error: Option<&str>, now_ns: u64) -> Option<News> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_early = told.at_ns.is_some_and(|at| u128::from(now_ns.saturating_sub(at)) < self.pace.as_nanos());
        if told.error.as_deref() == error || is_early {
            return None;
        }
        *told = Told { error: error.map(str::to_owned), at_ns: Some(now_ns) };
        Some(error.map_or(News::Well, |error| News::Fails(error.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_once() {
        let outage = Outage::new(Duration::ZERO);
        let fails = |error: &str| Some(News::Fails(error.to_owned()));
        for (error, told) in [
            (None, None),
            (Some("a"), fails("a")),
            (Some("a"), None),
            (Some("b"), fails("b")),
            (None, Some(News::Well)),
            (None, None),
            (Some("b"), fails("b")),
        ] {
            assert_eq!(outage.note(error, 0), told);
        }
    }

    #[test]
    fn what_comes_and_goes_is_told_at_a_pace() {
        let outage = Outage::new(Duration::from_nanos(10));
        let told: Vec<u64> =
            (0..40).filter(|now| outage.note(Some("a").filter(|_| now % 2 == 0), *now).is_some()).collect();
        assert_eq!(told, [0, 11, 22, 33]);
    }
}
