//! Counts body bytes as they pass, and cuts at the budget.
//!
//! Never lets a part of a chunk pass: one that would exceed the budget is not sent at all. A charge for bytes that are
//! not sent is given back.

use std::task::Waker;

use super::SpentCause;
use super::budget_pair::{BudgetPair, GrantReserve};
use super::overrun::Overrun;
use crate::model::Moment;

/// Counts the bytes of one body.
#[derive(Debug)]
pub struct ByteMeter {
    budgets: BudgetPair,
    /// Bytes that are charged, and not sent yet.
    reserve: GrantReserve,
    overrun: Option<Overrun>,
}

impl ByteMeter {
    pub(super) fn new(budgets: BudgetPair) -> Self {
        Self { budgets, reserve: GrantReserve::default(), overrun: None }
    }

    /// Charges a chunk that is about to be sent; [`ByteMeter::settle`] once it was.
    ///
    /// # Errors
    /// [`Overrun`]: the chunk must not be sent, and the body ends as aborted; every later chunk meets the same. With
    /// the cause [`SpentCause::Lease`] the same chunk may pass soon.
    pub fn pass(&mut self, bytes: usize, now: Moment) -> Result<(), Overrun> {
        if let Some(overrun) = self.overrun {
            return Err(overrun);
        }
        match self.budgets.take(bytes as u64, now) {
            Ok(grant) => {
                self.reserve.add(grant, bytes as u64);
                Ok(())
            }
            Err(overrun) => {
                self.overrun = Some(overrun).filter(|overrun| overrun.cause != SpentCause::Lease);
                Err(overrun)
            }
        }
    }

    /// Has the waker woken when a lease comes.
    pub fn wake_at_lease(&self, waker: &Waker) {
        self.budgets.wake_at_lease(waker);
    }

    /// The charged bytes were sent.
    pub fn settle(&mut self) {
        self.reserve.settle();
    }

    /// The bytes charged since the last [`ByteMeter::settle`] are not sent: gives the charge back.
    pub fn forget(&mut self) {
        self.reserve.give_back(&self.budgets);
    }
}

impl Drop for ByteMeter {
    fn drop(&mut self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::OverrunAction;
    use crate::meter::budget_pair::metered;
    use crate::meter::overrun::Measure;
    use crate::meter::window::WindowUsage;
    use crate::model::UnixTime;

    #[test]
    fn a_chunk_beyond_the_budget_is_not_sent_and_ends_the_body() {
        let now = Moment { wall: UnixTime::from_secs(1), monotonic_ns: 1 };
        let (vendor, route) = (metered(100, OverrunAction::Sever), metered(1_000, OverrunAction::Refuse));
        let budgets = BudgetPair { measure: Measure::Bytes, vendor: vendor.clone(), route: Some(route.clone()) };
        let mut meter = ByteMeter::new(budgets.clone());
        assert!(meter.pass(60, now).is_ok());
        assert_eq!(meter.pass(41, now).map_err(|overrun| overrun.over), Err(OverrunAction::Sever));
        assert!(meter.pass(1, now).is_err(), "after a hole nothing may follow");
        let mut other = ByteMeter::new(budgets);
        assert!(other.pass(40, now).is_ok(), "another body may use what is left");
        assert_eq!(vendor.window.peek(now).used, 100);
        drop(other);
        assert_eq!((vendor.window.peek(now).used, route.window.peek(now).used), (60, 60), "it did not");
        meter.settle();
        drop(meter);
        assert_eq!(vendor.window.peek(now), WindowUsage { used: 60, budget: 100 });
        assert_eq!(route.window.peek(now).used, 60);
    }
}
