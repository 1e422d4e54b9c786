//! The wall clock as far as it can be trusted: for what it ends, and for what it deletes.
//!
//! Both clocks are looked at every second. What is deleted by date waits until hours of looks agree; what is ended by date
//! (a stream, a contract, a kill to come) waits out a leap of seconds. Requests are judged by the clock as it is.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::bounds::{CLOCK_LEAP, CLOCK_SETTLES};
use crate::model::{Moment, Settled, UnixTime};

/// The two confirmations of the wall clock.
#[derive(Debug)]
pub(super) struct Times {
    steady: Mutex<Settled>,
    settled: Mutex<Settled>,
}

impl Default for Times {
    fn default() -> Self {
        Self { steady: Mutex::new(Settled::over(CLOCK_LEAP)), settled: Mutex::new(Settled::over(CLOCK_SETTLES)) }
    }
}

impl Times {
    /// This moment, with a wall clock that follows a leap ahead only when it has lasted.
    pub(super) fn steady(&self, now: Moment) -> Moment {
        Moment { wall: lock(&self.steady).steady(now), ..now }
    }

    /// The time by which anything may be deleted; none before the clock has been looked at for long enough.
    pub(super) fn settled(&self, now: Moment) -> Option<UnixTime> {
        lock(&self.settled).settled(now)
    }
}

fn lock(clock: &Mutex<Settled>) -> MutexGuard<'_, Settled> {
    clock.lock().unwrap_or_else(PoisonError::into_inner)
}
