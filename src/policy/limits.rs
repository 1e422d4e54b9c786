//! Denies what exceeds the contract's limits: budgets, requests at once, request rate.
//!
//! All or nothing: a request that one limit denies costs no other. Slots are held until the body's last byte.

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
        match self.ledger.admit(facts.ledger_index, facts.client, facts.counts_records, facts.now) {
            Ok(held) => PolicyVerdict::Hold(held),
            Err(refused) => PolicyVerdict::OverLimit(Box::new(refused)),
        }
    }
}
