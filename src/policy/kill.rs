//! Denies what the kill switch covers.
//!
//! The request has registered before this is asked, so a kill that comes in between severs it.

use super::{Facts, Kind, Policy, Stage, Verdict};
use crate::model::{Denial, Reason};

pub(super) const KIND: Kind = Kind { name: "kill", stage: Stage::Screen, build: |_| Some(Box::new(KillSwitch)) };

#[derive(Debug)]
struct KillSwitch;

impl Policy for KillSwitch {
    fn check(&self, facts: &Facts<'_>) -> Verdict {
        match facts.in_flight.check() {
            Ok(()) => Verdict::Allow,
            Err(_) => Verdict::Deny(Denial::new(Reason::VendorKilled, "a kill covers this request")),
        }
    }
}
