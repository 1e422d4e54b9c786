//! One request rate, decided by governor's GCRA: a pure function of rate, debt and moment.
//!
//! A request is charged to up to three rates at once or to none, and what is charged survives a reload and a restart.
//! A limiter of governor's keeps its state to itself, charges what it lets pass, and cannot give back. So a limiter is
//! made for each question, at the moment of the request, with the *debt* as its state: how long the rate is from full
//! recovery. The caller keeps the debts, and decides whether the charge counts.
//!
//! A debt that is too long to count is held at its bound, never forgiven by overflow.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore as _};
use governor::{Quota, RateLimiter};

use super::lease::WHOLE;
use super::rate::{RateLevel, RateStatus};
use super::{RequestRate, nanos};
use crate::model::Moment;

/// Longest debt, about 146 years: keeps governor's sums, which are not checked, far from the end of `u64`.
const DEBT_NS_MAX: u64 = u64::MAX / 4;

/// One rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gcra {
    quota: Quota,
    interval_ns: u64,
    burst: u64,
}

/// What a request meets at one rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct RateCheck {
    /// Nanoseconds from full recovery, before the request.
    pub(super) debt: u64,
    /// The same after it has been charged; equal where it does not pass.
    pub(super) charged: u64,
    /// How long a request that does not pass has to wait.
    pub(super) wait: Option<Duration>,
}

impl Gcra {
    pub(super) fn new(rate: RequestRate) -> Self {
        let interval_ns = (nanos(rate.per) / u64::from(rate.count.get())).clamp(1, DEBT_NS_MAX / 2);
        Self::of(interval_ns, u64::from(rate.burst.get()))
    }

    fn of(interval_ns: u64, burst: u64) -> Self {
        let burst = burst.min(DEBT_NS_MAX / interval_ns).max(1);
        let limit = u32::try_from(burst).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(Duration::from_nanos(interval_ns)).unwrap_or(Quota::per_hour(NonZeroU32::MIN));
        Self { quota: quota.allow_burst(limit), interval_ns, burst }
    }

    /// The part of this rate that one gateway of a fleet has, with a burst of at least one.
    pub(super) fn scaled(self, millionths: u32) -> Self {
        if millionths == WHOLE {
            return self;
        }
        let interval_ns = u128::from(self.interval_ns) * u128::from(WHOLE) / u128::from(millionths.max(1));
        let interval_ns = u64::try_from(interval_ns).unwrap_or(u64::MAX).min(DEBT_NS_MAX / 2);
        let burst = (u128::from(self.burst) * u128::from(millionths) / u128::from(WHOLE)) as u64;
        Self::of(interval_ns, burst)
    }

    /// The debt under another part of the same rate: what could pass at once before can pass after, and no more.
    pub(super) fn rescaled(&self, debt: u64, from: &Self) -> u64 {
        let (before, whole) =
            (from.interval_ns.saturating_mul(from.burst), self.interval_ns.saturating_mul(self.burst));
        let left =
            u128::from(before.saturating_sub(debt)) * u128::from(self.interval_ns) / u128::from(from.interval_ns);
        whole.saturating_sub(u64::try_from(left).unwrap_or(u64::MAX))
    }

    /// What a request would meet, without charging it. `arrival`: when the rate is out of debt.
    pub(super) fn check(&self, arrival: u64, now: Moment) -> RateCheck {
        let debt = arrival.saturating_sub(now.monotonic_ns).min(DEBT_NS_MAX);
        let limiter: RateLimiter<_, _, _, NoOpMiddleware<Nanos>> =
            RateLimiter::new(self.quota, state_with(debt), RequestClock);
        let wait = limiter.check().err().map(|refusal| refusal.wait_time_from(Nanos::default()));
        RateCheck { debt, charged: debt_of(&limiter.into_state_store()), wait }
    }

    /// Part of the burst that is left with such a debt, from 0 to 1.
    pub(super) fn remaining_ratio(&self, debt: u64) -> f64 {
        let whole = self.interval_ns.saturating_mul(self.burst).max(1);
        whole.saturating_sub(debt) as f64 / whole as f64
    }

    /// The state of a rate with such a debt, for the rate limit fields.
    pub(super) fn status(&self, level: RateLevel, debt: u64) -> RateStatus {
        let whole = self.interval_ns.saturating_mul(self.burst);
        let window_secs = whole.div_ceil(1_000_000_000).max(1);
        let quota = (window_secs.saturating_mul(1_000_000_000) / self.interval_ns).max(self.burst);
        let remaining = whole.saturating_sub(debt) / self.interval_ns;
        RateStatus { level, quota, window_secs, remaining, reset_secs: debt.div_ceil(1_000_000_000) }
    }
}

/// governor's state of a limiter that is so many nanoseconds from full recovery.
fn state_with(debt: u64) -> InMemoryState {
    let state = InMemoryState::default();
    let Ok(()) = state.measure_and_replace(&NotKeyed::NonKey, |_| Ok::<_, Infallible>(((), Nanos::new(debt))));
    state
}

fn debt_of(state: &InMemoryState) -> u64 {
    // An error leaves the state as it is, and hands it out.
    let read = |debt: Option<Nanos>| Err::<(Infallible, Nanos), _>(debt.unwrap_or_default());
    let Err(debt) = state.measure_and_replace(&NotKeyed::NonKey, read);
    debt.as_u64()
}

/// The clock of a limiter that lives for one question: its time is the moment of the request.
#[derive(Debug)]
struct RequestClock;

impl Clock for RequestClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::default()
    }
}
