//! A budget of a vendor and one of its route, spent together or not at all.
//!
//! Takes from the narrower one first. If then the wider one refuses, nothing that fits can be lost by the take-back:
//! whoever came in between would have met the wider one too.
//!
//! Never leaves a charge behind that was refused.

use std::sync::Arc;

use super::overrun::{Measure, Overrun};
use super::{Budget, Charge, Over, Spent, Window};
use crate::model::Moment;

/// A window, and what its overrun does.
#[derive(Debug, Clone)]
pub(super) struct Metered {
    pub(super) window: Arc<Window>,
    pub(super) over: Over,
}

/// The windows that one measure of one route falls under.
#[derive(Debug, Clone)]
pub(super) struct Gauge {
    pub(super) measure: Measure,
    pub(super) vendor: Metered,
    pub(super) route: Option<Metered>,
}

/// A grant of both, of which so many are used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grant {
    vendor: Charge,
    route: Option<Charge>,
}

/// What was granted, and has not left yet: a list that stays short, since grants of one slot are one entry.
#[derive(Debug, Default)]
pub(super) struct Reserve(Vec<(Grant, u64)>);

impl Reserve {
    /// Adds so many of a grant.
    pub(super) fn add(&mut self, grant: Grant, count: u64) {
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

    /// It has left, and stays charged.
    pub(super) fn settle(&mut self) {
        self.0.clear();
    }

    /// It stays here, and costs nothing.
    pub(super) fn give_back(&mut self, gauge: &Gauge) {
        self.0.drain(..).for_each(|(grant, count)| gauge.give_back(grant, count));
    }
}

impl Grant {
    /// Adds another of the same slots; whether it was one.
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

impl Metered {
    pub(super) fn new(budget: Budget) -> Self {
        Self { window: Arc::new(Window::new(budget.budget, budget.window)), over: budget.over }
    }

    /// The same consumption under new settings; whoever holds the old window goes on in the new one.
    pub(super) fn renew(&self, budget: Budget, now: Moment) -> Self {
        let window = if self.window.length() == budget.window {
            self.window.set_budget(budget.budget);
            Arc::clone(&self.window)
        } else {
            let window = Arc::new(Window::new(budget.budget, budget.window));
            self.window.succeed(&window, now);
            window
        };
        Self { window, over: budget.over }
    }
}

/// Whether a vendor's window, and its route's, would grant one more.
pub(super) fn ask(measure: Measure, vendor: &Metered, route: Option<&Metered>, now: Moment) -> Result<(), Overrun> {
    let one_more = |metered: &Metered, of_route: bool| {
        let spent = metered.window.ask(1, now);
        spent.map_err(|spent| Overrun::new(measure, of_route, metered.over, spent))
    };
    route.map_or(Ok(()), |route| one_more(route, true))?;
    one_more(vendor, false)
}

impl Gauge {
    /// Charges both, or neither.
    pub(super) fn take(&self, count: u64, now: Moment) -> Result<Grant, Overrun> {
        let route = match &self.route {
            Some(route) => Some(route.window.take(count, now).map_err(|spent| self.overrun(route, true, spent))?),
            None => None,
        };
        match self.vendor.window.take(count, now) {
            Ok(vendor) => Ok(Grant { vendor, route }),
            Err(spent) => {
                if let (Some(metered), Some(charge)) = (&self.route, route) {
                    metered.window.give_back(charge, count);
                }
                Err(self.overrun(&self.vendor, false, spent))
            }
        }
    }

    /// Takes back a part of a grant.
    pub(super) fn give_back(&self, grant: Grant, count: u64) {
        self.vendor.window.give_back(grant.vendor, count);
        if let (Some(metered), Some(charge)) = (&self.route, grant.route) {
            metered.window.give_back(charge, count);
        }
    }

    /// What is left in the fuller one.
    pub(super) fn remaining(&self, now: Moment) -> u64 {
        let of_route = self.route.as_ref().map_or(u64::MAX, |route| route.window.peek(now).remaining());
        self.vendor.window.peek(now).remaining().min(of_route)
    }

    fn overrun(&self, metered: &Metered, of_route: bool, spent: Spent) -> Overrun {
        Overrun::new(self.measure, of_route, metered.over, spent)
    }
}

/// A window of 10 s, for tests.
#[cfg(test)]
pub(super) fn metered(budget: u64, over: Over) -> Metered {
    let budget = std::num::NonZeroU64::new(budget).unwrap();
    Metered::new(Budget { budget, window: std::time::Duration::from_secs(10), over })
}
