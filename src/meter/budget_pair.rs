//! A budget of a vendor and one of its route, spent together or not at all.
//!
//! Charges the route's budget first. If the vendor's then refuses, the route's charge is given back. No other request
//! is refused because of it: one that came in between would be refused by the vendor's budget too.
//!
//! A refused charge is never left in one of the two.

use std::sync::Arc;
use std::task::Waker;

use super::lease::LeasePool;
use super::overrun::{Measure, Overrun};
use super::{Budget, OverrunAction, SlidingWindow, WindowCharge, WindowSpent};
use crate::model::Moment;

/// A budget's window, and what happens at an overrun.
#[derive(Debug, Clone)]
pub(super) struct BudgetWindow {
    pub(super) window: Arc<SlidingWindow>,
    pub(super) over: OverrunAction,
}

/// The budgets that one measure of one route counts against.
#[derive(Debug, Clone)]
pub(super) struct BudgetPair {
    pub(super) measure: Measure,
    pub(super) vendor: BudgetWindow,
    pub(super) route: Option<BudgetWindow>,
}

/// A grant by both budgets.
#[derive(Debug, Clone, Copy)]
pub(super) struct BudgetGrant {
    vendor: WindowCharge,
    route: Option<WindowCharge>,
}

/// Grants for what has not been sent yet, each with its count. The list stays short, since grants of one slot are one
/// entry.
#[derive(Debug, Default)]
pub(super) struct GrantReserve(Vec<(BudgetGrant, u64)>);

impl GrantReserve {
    /// Adds so many of a grant.
    pub(super) fn add(&mut self, grant: BudgetGrant, count: u64) {
        if count == 0 {
            return;
        }
        if let Some((last, counted)) = self.0.last_mut()
            && last.join(grant)
        {
            *counted += count;
        } else {
            self.0.push((grant, count));
        }
    }

    /// Moves another's grants here.
    pub(super) fn take_over(&mut self, other: &mut Self) {
        other.0.drain(..).for_each(|(grant, count)| self.add(grant, count));
    }

    /// All of it was sent, and stays charged.
    pub(super) fn settle(&mut self) {
        self.0.clear();
    }

    /// None of it is sent: gives the charges back.
    pub(super) fn give_back(&mut self, budgets: &BudgetPair) {
        self.0.drain(..).for_each(|(grant, count)| budgets.give_back(grant, count));
    }
}

impl BudgetGrant {
    /// Adds another grant if it is of the same slots; returns whether it was.
    fn join(&mut self, other: Self) -> bool {
        let mut joined = *self;
        let route = match (&mut joined.route, other.route) {
            (Some(route), Some(other)) => route.join(other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let is_same = route && joined.vendor.join(other.vendor);
        if is_same {
            *self = joined;
        }
        is_same
    }
}

impl BudgetWindow {
    pub(super) fn new(budget: Budget) -> Self {
        Self { window: Arc::new(SlidingWindow::new(budget.budget, budget.window)), over: budget.over }
    }

    /// The same usage under new settings. Bodies in flight that hold the old window are counted in the new one.
    pub(super) fn renew(&self, budget: Budget, now: Moment) -> Self {
        let window = if self.window.length() == budget.window {
            self.window.set_budget(budget.budget);
            Arc::clone(&self.window)
        } else {
            let window = Arc::new(SlidingWindow::new(budget.budget, budget.window));
            self.window.hand_over_to(&window, now);
            window
        };
        Self { window, over: budget.over }
    }
}

/// Whether a vendor's window, and its route's, would grant one more.
pub(super) fn ask(
    measure: Measure,
    vendor: &BudgetWindow,
    route: Option<&BudgetWindow>,
    now: Moment,
) -> Result<(), Overrun> {
    let one_more = |metered: &BudgetWindow, of_route: bool| {
        let spent = metered.window.ask(1, now);
        spent.map_err(|spent| Overrun::new(measure, of_route, metered.over, spent))
    };
    route.map_or(Ok(()), |route| one_more(route, true))?;
    one_more(vendor, false)
}

impl BudgetPair {
    /// Charges both, or neither.
    pub(super) fn take(&self, count: u64, now: Moment) -> Result<BudgetGrant, Overrun> {
        let route = match &self.route {
            Some(route) => Some(route.window.take(count, now).map_err(|spent| self.overrun(route, true, spent))?),
            None => None,
        };
        match self.vendor.window.take(count, now) {
            Ok(vendor) => Ok(BudgetGrant { vendor, route }),
            Err(spent) => {
                if let (Some(metered), Some(charge)) = (&self.route, route) {
                    metered.window.give_back(charge, count);
                }
                Err(self.overrun(&self.vendor, false, spent))
            }
        }
    }

    /// Gives back a part of a grant.
    pub(super) fn give_back(&self, grant: BudgetGrant, count: u64) {
        self.vendor.window.give_back(grant.vendor, count);
        if let (Some(metered), Some(charge)) = (&self.route, grant.route) {
            metered.window.give_back(charge, count);
        }
    }

    /// What can be granted at once: the lesser of both.
    pub(super) fn available(&self, now: Moment) -> u64 {
        let of_route = self.route.as_ref().map_or(u64::MAX, |route| route.window.available(now));
        self.vendor.window.available(now).min(of_route)
    }

    /// Whether a fleet shares one of the two.
    pub(super) fn is_leased(&self) -> bool {
        self.leased().next().is_some()
    }

    /// Has the waker woken when a lease of one of the two comes.
    pub(super) fn wake_at_lease(&self, waker: &Waker) {
        self.leased().for_each(|leases| leases.wake_at_answer(waker));
    }

    fn leased(&self) -> impl Iterator<Item = &Arc<LeasePool>> {
        [Some(&self.vendor), self.route.as_ref()].into_iter().flatten().filter_map(|metered| metered.window.leases())
    }

    fn overrun(&self, metered: &BudgetWindow, of_route: bool, spent: WindowSpent) -> Overrun {
        Overrun::new(self.measure, of_route, metered.over, spent)
    }
}

/// A window of 10 s, for tests.
#[cfg(test)]
pub(super) fn metered(budget: u64, over: OverrunAction) -> BudgetWindow {
    let budget = std::num::NonZeroU64::new(budget).unwrap();
    BudgetWindow::new(Budget { budget, window: std::time::Duration::from_secs(10), over })
}
