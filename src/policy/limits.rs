//! Denies a request that exceeds the limits of the contract: budgets, concurrency, request rate.
//!
//! All or nothing: a request that one limit denies costs nothing of the others. The slots of an admitted request are
//! held until the last byte of its response.

use std::sync::Arc;

use super::{Policy, PolicyKind, PolicyStage, PolicyVerdict, RequestFacts};
use crate::meter::UsageLedger;

pub(super) const KIND: PolicyKind = PolicyKind {
    name: "limits",
    stage: PolicyStage::Spend,
    build: |terms| Some(Box::new(WithinLimits { ledger: Arc::clone(&terms.ledger) })),
};

#[derive(Debug)]
struct WithinLimits {
    ledger: Arc<UsageLedger>,
}

impl Policy for WithinLimits {
    fn check(&self, facts: &RequestFacts<'_>) -> PolicyVerdict {
        let route = facts.route;
        match self.ledger.admit(route.ledger_index, facts.client(), route.counts_records, facts.now) {
            Ok(permit) => PolicyVerdict::Hold(permit),
            Err(refused) => PolicyVerdict::OverLimit(Box::new(refused)),
        }
    }
}
