//! Denies a request that a kill covers.
//!
//! The request is registered as in flight before this policy runs, so a kill that is ordered in between severs it.

use super::{Policy, PolicyKind, PolicyStage, PolicyVerdict, RequestFacts};
use crate::model::{Denial, Reason};

pub(super) const KIND: PolicyKind =
    PolicyKind { name: "kill", stage: PolicyStage::Screen, build: |_| Some(Box::new(RefuseKilled)) };

#[derive(Debug)]
struct RefuseKilled;

impl Policy for RefuseKilled {
    fn check(&self, facts: &RequestFacts<'_>) -> PolicyVerdict {
        match facts.in_flight.check() {
            Ok(()) => PolicyVerdict::Allow,
            Err(_) => PolicyVerdict::Deny(Denial::new(Reason::VendorKilled, "a kill covers this request")),
        }
    }
}
