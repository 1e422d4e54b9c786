//! The policies of admission: pure, synchronous values in one chain per vendor and direction.
//!
//! To add a policy: one file, its `mod` line and its line in [`CATALOG`]. A policy sees [`RequestFacts`] and nothing
//! else: no body, no await, no I/O, no clock, no log. State lives only in ledgers that other rooms own.

mod callers;
mod chain;
mod contract;
mod facts;
mod kill;
mod limits;
mod scope;
mod verdict;

use std::fmt;

pub use chain::{Permit, PolicyChain, PolicyStep};
pub use facts::{ContractTerms, RequestFacts, RouteTerms};
pub use verdict::PolicyVerdict;

/// All policies, in the order in which the chain runs them.
///
/// Policies that cost nothing and deny for good come first. Policies that spend come last, so that a denied request
/// spends nothing. The dates, the rotation and the revocation of a token are checked earlier, when the caller is
/// identified.
pub const CATALOG: &[PolicyKind] = &[kill::KIND, contract::KIND, callers::KIND, scope::KIND, limits::KIND];

/// A rule that a request must satisfy before it is forwarded.
pub trait Policy: Send + Sync + fmt::Debug {
    /// Decides on one request.
    fn check(&self, facts: &RequestFacts<'_>) -> PolicyVerdict;
}

/// A kind of policy: its name, its stage, and how it is made from the terms of a contract.
#[derive(Debug)]
pub struct PolicyKind {
    /// The name in `vendorgate explain`.
    pub name: &'static str,
    /// When the policy runs.
    pub stage: PolicyStage,
    /// Makes the policy; `None` where the terms give it nothing to check.
    pub build: fn(&ContractTerms) -> Option<Box<dyn Policy>>,
}

/// When a policy runs: stages run in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyStage {
    /// Whether the vendor may call at all.
    Screen,
    /// Whether this caller may call this route.
    Authorize,
    /// Whether the limits have room. Only policies of this stage spend, so that an earlier denial costs no budget.
    Spend,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_is_in_the_order_of_its_stages_and_its_names_are_unique() {
        assert!(CATALOG.is_sorted_by_key(|kind| kind.stage));
        let names: std::collections::BTreeSet<_> = CATALOG.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), CATALOG.len());
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    }
}
