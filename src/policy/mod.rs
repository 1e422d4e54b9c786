//! The rules of admission: pure and synchronous, a value each, in one chain.
//!
//! To add a rule: one file, its `mod` line and its line in [`CATALOG`]. A rule sees [`RequestFacts`] and nothing else: no body,
//! no await, no I/O, no clock, no log. State lives only in ledgers that other rooms own.

mod chain;
mod contract;
mod facts;
mod kill;
mod limits;
mod scope;
mod verdict;

use std::fmt;

pub use chain::{Permit, PolicyChain, PolicyStep};
pub use facts::{ContractTerms, RequestFacts};
pub use verdict::PolicyVerdict;

/// All rules, in the order in which the chain asks them within one stage.
///
/// What costs nothing and denies for good comes first; what spends comes last, so that a denied request spends nothing.
/// A token's dates, rotation and revocation were judged when the caller was identified, which is before any of these.
pub const CATALOG: &[PolicyKind] = &[kill::KIND, contract::KIND, scope::KIND, limits::KIND];

/// A rule of admission.
pub trait Policy: Send + Sync + fmt::Debug {
    /// Judges one request.
    fn check(&self, facts: &RequestFacts<'_>) -> PolicyVerdict;
}

/// A kind of rule: its name, its place, and how a contract's terms make one.
#[derive(Debug)]
pub struct PolicyKind {
    /// The name in `explain`.
    pub name: &'static str,
    /// When it is asked.
    pub stage: PolicyStage,
    /// Makes the rule; `None` where the terms give it nothing to do.
    pub build: fn(&ContractTerms) -> Option<Box<dyn Policy>>,
}

/// When a rule is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyStage {
    /// Whether the vendor may call at all.
    Screen,
    /// Whether this caller may call this route.
    Authorize,
    /// Whether there is room. A rule here may spend, so whoever is denied earlier costs no budget.
    Spend,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_is_ordered_and_named() {
        assert!(CATALOG.is_sorted_by_key(|kind| kind.stage));
        let names: std::collections::BTreeSet<_> = CATALOG.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), CATALOG.len());
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
    }
}
