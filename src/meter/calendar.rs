//! The state of a contract by its first and its last day: a pure function of its dates and the time.
//!
//! Dates are UTC and inclusive: the contract is in force from the first instant of `starts` to the last of `ends`.
//! Knows nothing of traffic; which requests a state allows is decided by [`ContractState::allows`].

use std::time::Duration;

use crate::model::UnixTime;

/// The length of a UTC day: leap seconds are no part of Unix time.
const DAY: Duration = Duration::from_secs(86_400);

/// A contract's dates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// Whether the contract is a draft: then it has not started, whatever its days.
    pub is_draft: bool,
    /// The first instant of the first day, if the contract names one.
    pub starts: Option<UnixTime>,
    /// The first instant of the last day, if the contract names one.
    pub ends: Option<UnixTime>,
    /// How long before the end warnings begin.
    pub warn_before: Duration,
    /// What happens after the last day.
    pub after_end: AfterEnd,
}

/// What happens after a contract's last day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AfterEnd {
    /// Nothing passes.
    #[default]
    Block,
    /// Requests that change nothing pass for a while; then nothing does.
    ReadOnly {
        /// How long that while is, from the end of the last day.
        grace: Duration,
    },
}

/// The state of a contract. Days left include today: on the last day it is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContractState {
    /// The first day has not come, or the contract is a draft.
    NotStarted,
    /// In force.
    InForce {
        /// Days left, today included; `None` for a contract without an end.
        days_left: Option<u32>,
    },
    /// In force, and so near its end that operators are warned.
    Ending {
        /// Days left, today included.
        days_left: u32,
    },
    /// Over, within the grace in which reading is still allowed.
    ReadOnly,
    /// The contract is over.
    Ended,
}

impl Calendar {
    /// The contract's state at `now`.
    pub fn state(&self, now: UnixTime) -> ContractState {
        if self.is_draft || self.starts.is_some_and(|starts| now < starts) {
            return ContractState::NotStarted;
        }
        let Some(end) = self.end() else { return ContractState::InForce { days_left: None } };
        if now >= end {
            return self.after(end, now);
        }
        let days_left = days_until(end, now);
        if end.since(now) <= self.warn_before {
            ContractState::Ending { days_left }
        } else {
            ContractState::InForce { days_left: Some(days_left) }
        }
    }

    /// The first instant at which the contract is over.
    pub fn end(&self) -> Option<UnixTime> {
        self.ends.map(|last_day| last_day.plus(DAY))
    }

    fn after(&self, end: UnixTime, now: UnixTime) -> ContractState {
        match self.after_end {
            AfterEnd::ReadOnly { grace } if now.since(end) < grace => ContractState::ReadOnly,
            AfterEnd::ReadOnly { .. } | AfterEnd::Block => ContractState::Ended,
        }
    }
}

impl ContractState {
    /// Whether a request may pass; `safe` is whether its method changes nothing (RFC 9110 section 9.2.1).
    pub const fn allows(self, safe: bool) -> bool {
        match self {
            Self::InForce { .. } | Self::Ending { .. } => true,
            Self::ReadOnly => safe,
            Self::NotStarted | Self::Ended => false,
        }
    }

    /// Days left, today included; none where there is no end, or no day left.
    #[cfg(test)]
    pub const fn days_left(self) -> Option<u32> {
        match self {
            Self::InForce { days_left } => days_left,
            Self::Ending { days_left } => Some(days_left),
            Self::NotStarted | Self::ReadOnly | Self::Ended => None,
        }
    }
}

fn days_until(end: UnixTime, now: UnixTime) -> u32 {
    u32::try_from(end.since(now).as_millis().div_ceil(DAY.as_millis())).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: u64 = 1_767_225_600; // 2026-01-01
    const LAST: u64 = 1_806_451_200; // 2027-03-31
    const DAY_SECS: u64 = 86_400;

    fn state(after_end: AfterEnd, secs: u64) -> ContractState {
        let day = |secs| Some(UnixTime::from_secs(secs));
        let (starts, ends) = (day(FIRST), day(LAST));
        let calendar = Calendar { is_draft: false, starts, ends, warn_before: DAY * 30, after_end };
        calendar.state(UnixTime::from_secs(secs))
    }

    #[test]
    fn the_first_and_the_last_day_are_included() {
        use ContractState::{Ended, Ending, InForce, NotStarted};
        let cases = [
            (0, NotStarted),
            (FIRST - 1, NotStarted),
            (FIRST, InForce { days_left: Some(455) }),
            (LAST - 29 * DAY_SECS - 1, InForce { days_left: Some(31) }),
            (LAST - 29 * DAY_SECS, Ending { days_left: 30 }),
            (LAST - 1, Ending { days_left: 2 }),
            (LAST, Ending { days_left: 1 }),
            (LAST + DAY_SECS - 1, Ending { days_left: 1 }),
            (LAST + DAY_SECS, Ended),
            (u64::MAX / 2000, Ended),
        ];
        for (secs, expected) in cases {
            assert_eq!(state(AfterEnd::Block, secs), expected, "{secs}");
            assert_eq!(expected.allows(true), expected.days_left().is_some(), "{secs}");
        }
    }

    #[test]
    fn reading_passes_within_the_grace_and_writing_does_not() {
        let after_end = AfterEnd::ReadOnly { grace: DAY * 7 };
        for (secs, expected) in [
            (LAST + DAY_SECS - 1, ContractState::Ending { days_left: 1 }),
            (LAST + DAY_SECS, ContractState::ReadOnly),
            (LAST + 8 * DAY_SECS - 1, ContractState::ReadOnly),
            (LAST + 8 * DAY_SECS, ContractState::Ended),
        ] {
            assert_eq!(state(after_end, secs), expected, "{secs}");
        }
        assert!(ContractState::ReadOnly.allows(true) && !ContractState::ReadOnly.allows(false));
    }

    #[test]
    fn a_contract_without_dates_is_in_force() {
        let (warn_before, after_end) = (DAY, AfterEnd::Block);
        let calendar = Calendar { is_draft: false, starts: None, ends: None, warn_before, after_end };
        assert_eq!(calendar.state(UnixTime::from_secs(1)), ContractState::InForce { days_left: None });
        let draft = Calendar { is_draft: true, ..calendar };
        assert_eq!(draft.state(UnixTime::from_secs(1)), ContractState::NotStarted);
    }
}
