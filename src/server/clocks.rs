//! The wall clock as far as it can be trusted: for what it ends, and for what it deletes.
//!
//! Both are updated every second. What is deleted by date waits until hours of readings agree; what is ended by date (a
//! stream, a contract, a kill to come) waits out a jump of seconds. Requests are judged by the clock as it is.

use std::sync::{Mutex, MutexGuard};

use crate::bounds::{CLOCK_CONFIRMATION, CLOCK_JUMP};
use crate::model::{ConfirmedClock, Lock as _, Moment, UnixTime};

/// The two confirmations of the wall clock.
#[derive(Debug)]
pub(super) struct ConfirmedClocks {
    steady: Mutex<ConfirmedClock>,
    settled: Mutex<ConfirmedClock>,
}

impl Default for ConfirmedClocks {
    fn default() -> Self {
        Self {
            steady: Mutex::new(ConfirmedClock::over(CLOCK_JUMP)),
            settled: Mutex::new(ConfirmedClock::over(CLOCK_CONFIRMATION)),
        }
    }
}

impl ConfirmedClocks {
    /// This moment, with a wall clock that follows a leap ahead only when it has lasted.
    pub(super) fn steady(&self, now: Moment) -> Moment {
        Moment { wall: lock(&self.steady).confirmed(now), ..now }
    }

    /// The time by which anything may be deleted; none before the clock has been looked at for long enough.
    pub(super) fn settled(&self, now: Moment) -> Option<UnixTime> {
        lock(&self.settled).confirmed_for_a_window(now)
    }
}

fn lock(clock: &Mutex<ConfirmedClock>) -> MutexGuard<'_, ConfirmedClock> {
    clock.locked()
}
