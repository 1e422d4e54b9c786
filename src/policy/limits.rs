//! Denies what exceeds the contract's limits: budgets, requests at once, request rate.
//!
//! All or nothing: a request that one limit denies costs no other. Slots are held until the body's last byte.

use std::sync::Arc;

use super::{Facts, Kind, Policy, Stage, Verdict};
use crate::meter::Ledger;

pub(super) const KIND: Kind = Kind {
    name: "limits",
    stage: Stage::Spend,
    build: |terms| Some(Box::new(WithinLimits { ledger: Arc::clone(&terms.ledger) })),
};

#[derive(Debug)]
struct WithinLimits {
    ledger: Arc<Ledger>,
}

impl Policy for WithinLimits {
    fn check(&self, facts: &Facts<'_>) -> Verdict {
        match self.ledger.admit(facts.route, facts.client, facts.counts_records, facts.now) {
            Ok(held) => Verdict::Hold(held),
            Err(refused) => Verdict::Spent(Box::new(refused)),
        }
    }
}
