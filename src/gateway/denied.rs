//! A request that is not admitted: its denial, and what goes with it.

use super::refusal::Authority;
use crate::identity::AuthWait;
use crate::meter::{LimitExceeded, RateDecision};
use crate::model::Denial;

/// Why a request is not admitted.
#[derive(Debug)]
pub(super) struct AdmissionDenied {
    pub(super) denial: Denial,
    /// What can be waited for, after which the decision is made again.
    pub(super) wait: Option<AuthWait>,
    /// The state of the request rates, where they refused the request.
    pub(super) rates: Option<Box<RateDecision>>,
    pub(super) authority: Authority,
}

impl AdmissionDenied {
    /// The request has lost its authority while it was decided on.
    pub(super) fn authority_lost(denial: Denial) -> Self {
        Self { authority: Authority::Lost, ..denial.into() }
    }
}

impl From<Denial> for AdmissionDenied {
    fn from(denial: Denial) -> Self {
        Self { denial, wait: None, rates: None, authority: Authority::Intact }
    }
}

impl From<Box<LimitExceeded>> for AdmissionDenied {
    fn from(exceeded: Box<LimitExceeded>) -> Self {
        Self { rates: exceeded.decision, ..exceeded.denial.into() }
    }
}
