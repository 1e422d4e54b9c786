//! Denies outside the contract's days.
//!
//! Days are UTC: from 00:00 of the first to 24:00 of the last. Never looks at the caller.

use super::{Facts, Kind, Policy, Stage, Verdict};
use crate::model::{Denial, Reason, UnixTime};

pub(super) const KIND: Kind = Kind {
    name: "contract",
    stage: Stage::Screen,
    build: |terms| Some(Box::new(InForce { starts: terms.starts, ends: terms.ends })),
};

#[derive(Debug)]
struct InForce {
    starts: UnixTime,
    ends: UnixTime,
}

impl Policy for InForce {
    fn check(&self, facts: &Facts<'_>) -> Verdict {
        if facts.now.wall < self.starts {
            return Verdict::Deny(Denial::new(Reason::ContractNotStarted, "before the contract's first day"));
        }
        if facts.now.wall >= self.ends {
            return Verdict::Deny(Denial::new(Reason::ContractEnded, "after the contract's last day"));
        }
        Verdict::Allow
    }
}
