//! Denies a request outside the contract's days. Some contracts still allow reading for a while after their last day.
//!
//! Days are UTC: from 00:00 of the first day to 24:00 of the last. Never looks at the caller.

use super::{Policy, PolicyKind, PolicyStage, PolicyVerdict, RequestFacts};
use crate::meter::{Calendar, ContractState};
use crate::model::{Denial, Reason};

pub(super) const KIND: PolicyKind = PolicyKind {
    name: "contract",
    stage: PolicyStage::Screen,
    build: |terms| Some(Box::new(ContractInForce { calendar: terms.calendar.clone() })),
};

#[derive(Debug)]
struct ContractInForce {
    calendar: Calendar,
}

impl Policy for ContractInForce {
    fn check(&self, facts: &RequestFacts<'_>) -> PolicyVerdict {
        let state = self.calendar.state(facts.now.wall);
        if state.allows(facts.is_safe) {
            return PolicyVerdict::Allow;
        }
        let (reason, detail) = match state {
            ContractState::NotStarted => (Reason::ContractNotStarted, "before the contract's first day"),
            ContractState::ReadOnly => (Reason::ContractEnded, "after the contract's last day only reading passes"),
            ContractState::Ended | ContractState::InForce { .. } | ContractState::Ending { .. } => {
                (Reason::ContractEnded, "after the contract's last day")
            }
        };
        let denial = Denial::new(reason, detail);
        // A draft never starts by itself, so there is no time to try again.
        let starts = self.calendar.starts.filter(|_| state == ContractState::NotStarted && !self.calendar.is_draft);
        PolicyVerdict::Deny(match starts {
            Some(starts) => denial.retry_after(starts.since(facts.now.wall)),
            None => denial,
        })
    }
}
