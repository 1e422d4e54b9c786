//! Denies outside the contract's days, but for reading within the grace that some contracts have after their end.
//!
//! Days are UTC: from 00:00 of the first to 24:00 of the last. Never looks at the caller.

use super::{Facts, Kind, Policy, Stage, Verdict};
use crate::meter::{Calendar, ContractState};
use crate::model::{Denial, Reason};

pub(super) const KIND: Kind = Kind {
    name: "contract",
    stage: Stage::Screen,
    build: |terms| Some(Box::new(InForce { calendar: terms.calendar.clone() })),
};

#[derive(Debug)]
struct InForce {
    calendar: Calendar,
}

impl Policy for InForce {
    fn check(&self, facts: &Facts<'_>) -> Verdict {
        let state = self.calendar.state(facts.now.wall);
        if state.allows(facts.is_safe) {
            return Verdict::Allow;
        }
        let (reason, detail) = match state {
            ContractState::NotStarted => (Reason::ContractNotStarted, "before the contract's first day"),
            ContractState::ReadOnly => (Reason::ContractEnded, "after the contract's last day only reading passes"),
            ContractState::Ended | ContractState::InForce { .. } | ContractState::Ending { .. } => {
                (Reason::ContractEnded, "after the contract's last day")
            }
        };
        let denial = Denial::new(reason, detail);
        // A draft has no day on which it begins by itself.
        let waits = self.calendar.starts.filter(|_| state == ContractState::NotStarted && !self.calendar.is_draft);
        Verdict::Deny(match waits {
            Some(starts) => denial.retry_after(starts.since(facts.now.wall)),
            None => denial,
        })
    }
}
