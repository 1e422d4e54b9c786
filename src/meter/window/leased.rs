//! The windows of a budget that a fleet shares: nothing is granted without a lease.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{SlidingWindow, WindowCharge, WindowSpent};
use crate::meter::lease::{LeasePool, LeaseTerms};
use crate::model::Moment;

impl SlidingWindow {
    /// Shares the budget with a fleet: from now on nothing is granted without a lease. `pool` makes the pool of these
    /// terms, and says whether it is new.
    pub fn join_fleet(&self, pool: impl FnOnce(LeaseTerms) -> (Arc<LeasePool>, bool), now: Moment) {
        if self.leases.get().is_some() {
            return;
        }
        let budget = NonZeroU64::new(self.budget.load(Ordering::Relaxed)).unwrap_or(NonZeroU64::MIN);
        let (pool, is_new) = pool(LeaseTerms::new(budget, self.length));
        if is_new {
            pool.seed(self.snapshot(now).grants.into_iter(), now.monotonic_ns);
        }
        let _ = self.leases.set(pool);
    }

    /// The leases, where a fleet shares the budget.
    pub fn leases(&self) -> Option<&Arc<LeasePool>> {
        match self.successor.get() {
            Some(successor) => successor.leases(),
            None => self.leases.get(),
        }
    }

    /// What can be granted at once.
    pub fn available(&self, now: Moment) -> u64 {
        let leased = self.leases().map_or(u64::MAX, |leases| leases.left(now.monotonic_ns));
        self.peek(now).remaining().min(leased)
    }

    /// Spends a lease for what was charged, where a fleet shares the budget; without one the charge is given back.
    pub(super) fn lease(&self, charge: WindowCharge, used: u64, now: Moment) -> Result<WindowCharge, WindowSpent> {
        let Some(leases) = self.leases.get() else { return Ok(charge) };
        match leases.spend(charge.count, used, now.monotonic_ns) {
            Ok(lease) => Ok(WindowCharge { lease, ..charge }),
            Err(refusal) => {
                self.uncharge(charge, charge.count);
                Err(refusal.into())
            }
        }
    }

    /// Goes on with the leases of the window before.
    pub(super) fn join_leases(&self, leases: &Arc<LeasePool>) {
        let budget = NonZeroU64::new(self.budget.load(Ordering::Relaxed)).unwrap_or(NonZeroU64::MIN);
        leases.set_terms(LeaseTerms::new(budget, self.length));
        let _ = self.leases.set(Arc::clone(leases));
    }
}
