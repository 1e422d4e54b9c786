//! A spent budget: which one it is, and what the contract asks for then.

use std::time::Duration;

use super::{OverrunAction, SpentCause, WindowSpent};
use crate::model::{Denial, Reason, words};

words! {
    /// Which budget was spent.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Measure {
        /// The records budget.
        Records = "records",
        /// Body bytes.
        Bytes = "bytes",
        /// Different subjects.
        Subjects = "subjects",
    }
}

/// A budget was overrun: nothing more may pass, and `over` says what else has to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overrun {
    /// Which budget.
    pub measure: Measure,
    /// Whether it is the route's own, or the vendor's.
    pub of_route: bool,
    /// What the contract asks for.
    pub over: OverrunAction,
    /// When there is room again.
    pub retry_after: Duration,
    /// Whether the budget itself is spent, or only the part of it that this gateway has.
    pub cause: SpentCause,
}

impl Overrun {
    /// What the contract asks for follows only where the budget itself is spent: no vendor is killed because the
    /// engine of a fleet is away.
    pub(super) const fn new(measure: Measure, of_route: bool, over: OverrunAction, spent: WindowSpent) -> Self {
        let over = match spent.cause {
            SpentCause::Budget => over,
            SpentCause::Lease | SpentCause::Share => OverrunAction::Refuse,
        };
        Self { measure, of_route, over, retry_after: spent.retry_after, cause: spent.cause }
    }

    /// The denial that a new request meets, and that the audit of a cut one names.
    ///
    /// The caller reads `records_exceeded` for subjects too: a guard that says its name helps who probes it.
    pub fn denial(&self) -> Denial {
        let reason = match self.measure {
            Measure::Records | Measure::Subjects => Reason::RecordsExceeded,
            Measure::Bytes => Reason::BytesExceeded,
        };
        Denial::new(reason, self.detail()).retry_after(self.retry_after)
    }

    const fn detail(&self) -> &'static str {
        match (self.measure, self.of_route) {
            (Measure::Records, false) => "the vendor's record budget is spent",
            (Measure::Records, true) => "the route's record budget is spent",
            (Measure::Bytes, false) => "the vendor's byte budget is spent",
            (Measure::Bytes, true) => "the route's byte budget is spent",
            (Measure::Subjects, false) => "the vendor's budget of different subjects is spent",
            (Measure::Subjects, true) => "the route's budget of different subjects is spent",
        }
    }
}
