//! A budget of which nothing is left, and whether it is the budget itself.

use std::time::Duration;

use crate::bounds;
use crate::meter::lease::LeaseRefusal;

/// The budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSpent {
    /// After how long the requested count can pass, if nothing else is granted until then.
    pub retry_after: Duration,
    /// Whether the budget itself is spent, or only the part of it that this gateway has.
    pub cause: SpentCause,
}

/// What there is no more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpentCause {
    /// The budget itself, over all gateways of a fleet.
    Budget,
    /// The lease of this gateway; the next has been asked for.
    Lease,
    /// What this gateway may spend while the fleet's engine is away.
    Share,
}

impl WindowSpent {
    /// The budget itself is spent.
    pub const fn budget(retry_after: Duration) -> Self {
        Self { retry_after, cause: SpentCause::Budget }
    }
}

impl From<LeaseRefusal> for WindowSpent {
    fn from(refusal: LeaseRefusal) -> Self {
        match refusal {
            LeaseRefusal::Spent { retry_after } => Self::budget(retry_after),
            LeaseRefusal::Starved => Self { retry_after: bounds::LEASE_RETRY, cause: SpentCause::Lease },
            LeaseRefusal::CutOff => Self { retry_after: bounds::LEASE_RETRY, cause: SpentCause::Share },
        }
    }
}
