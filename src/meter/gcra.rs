//! One request rate by GCRA: a pure function of rate, debt and moment, made of governor.
//!
//! governor takes neither the time nor the state as an argument, cannot ask without spending, cannot give back and
//! cannot be restored. So its clock stands still at zero here, its store has no state, and what it sees is the *debt*
//! that is left at the moment of the request: the theoretical arrival time less now. Whoever asks keeps the arrival
//! time, and decides whether the answer counts.
//!
//! Never forgives a debt by overflow: one that is too long to count is held at its bound.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use super::rate::{RateLevel, RateStatus};
use super::{RequestRate, nanos};
use crate::model::Moment;

/// Longest debt, about 146 years: keeps governor's sums, which are not checked, far from the end of `u64`.
const DEBT_NS_MAX: u64 = u64::MAX / 4;

/// One rate: governor, asked with the debt as its state.
#[derive(Debug)]
pub(super) struct Gcra {
    governor: RateLimiter<Debt, Ledgerless, Standstill, NoOpMiddleware<Nanos>>,
    interval_ns: u64,
    burst: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct RateCheck {
    /// Nanoseconds until the rate owes nothing, as it stands.
    pub(super) debt: u64,
    /// The same once the request has been charged; equal where it does not pass.
    pub(super) charged: u64,
    /// How long a request that does not pass has to wait.
    pub(super) wait: Option<Duration>,
}

impl Gcra {
    pub(super) fn new(rate: RequestRate) -> Self {
        let interval_ns = (nanos(rate.per) / u64::from(rate.count.get())).clamp(1, DEBT_NS_MAX / 2);
        let burst = u64::from(rate.burst.get()).min(DEBT_NS_MAX / interval_ns).max(1);
        let limit = u32::try_from(burst).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(Duration::from_nanos(interval_ns)).unwrap_or(Quota::per_hour(NonZeroU32::MIN));
        let governor = RateLimiter::new(quota.allow_burst(limit), Ledgerless, Standstill);
        Self { governor, interval_ns, burst }
    }

    /// What a request would meet, without charging it.
    pub(super) fn ask(&self, arrival: u64, now: Moment) -> RateCheck {
        let before = arrival.saturating_sub(now.monotonic_ns).min(DEBT_NS_MAX);
        let debt = Debt { before, after: Cell::new(before) };
        let refusal = self.governor.check_key(&debt).err();
        let wait = refusal.map(|not_until| not_until.wait_time_from(Nanos::default()));
        RateCheck { debt: before, charged: debt.after.get(), wait }
    }

    /// Part of the burst that is left with such a debt, from 0 to 1.
    pub(super) fn remaining_ratio(&self, debt: u64) -> f64 {
        let whole = self.interval_ns.saturating_mul(self.burst).max(1);
        whole.saturating_sub(debt) as f64 / whole as f64
    }

    /// Where a rate with such a debt stands.
    pub(super) fn standing(&self, scope: RateLevel, debt: u64) -> RateStatus {
        let whole = self.interval_ns.saturating_mul(self.burst);
        let window_secs = whole.div_ceil(1_000_000_000).max(1);
        let quota = (window_secs.saturating_mul(1_000_000_000) / self.interval_ns).max(self.burst);
        let remaining = whole.saturating_sub(debt) / self.interval_ns;
        RateStatus { level: scope, quota, window_secs, remaining, reset_secs: debt.div_ceil(1_000_000_000) }
    }
}

/// What governor takes for a key: the debt that a rate has now, and the place for what it will be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Debt {
    before: u64,
    after: Cell<u64>,
}

impl Hash for Debt {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.before.hash(state);
    }
}

/// A state store without state: the key brings the state along.
#[derive(Debug)]
struct Ledgerless;

impl StateStore for Ledgerless {
    type Key = Debt;

    fn measure_and_replace<T, F, E>(&self, debt: &Debt, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, after) = f(Some(Nanos::new(debt.before)))?;
        debt.after.set(after.as_u64());
        Ok(outcome)
    }
}

/// A clock at zero: a debt is counted from now.
#[derive(Debug)]
struct Standstill;

impl Clock for Standstill {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(0)
    }
}
