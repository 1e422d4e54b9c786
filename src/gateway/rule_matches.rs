//! How often each rule of a route has matched: a rule that never has may name a field that does not exist.
//!
//! Counts are kept over a reload while the route and the rule stay the same. Never decides anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::pii::{Plan, RuleName};

/// How often each rule for one message of a route has matched a value, by the index of the rule in its plan.
#[derive(Debug)]
pub(super) struct RuleMatchCounts(Box<[Arc<AtomicU64>]>);

impl RuleMatchCounts {
    /// The counts for a plan. Rules that the plan `before` has too keep their counts.
    pub(super) fn new(plan: &Plan, before: Option<(&Plan, &Self)>) -> Self {
        let kept = |rule: &RuleName| {
            let (before, counts) = before?;
            let index = before.rules().iter().position(|known| known == rule)?;
            counts.0.get(index).cloned()
        };
        Self(plan.rules().iter().map(|rule| kept(rule).unwrap_or_default()).collect())
    }

    /// The indexes of the rules that have never matched.
    pub(super) fn never_matched(&self) -> impl Iterator<Item = usize> {
        let counts = self.0.iter().enumerate();
        counts.filter(|(_, count)| count.load(Ordering::Relaxed) == 0).map(|(index, _)| index)
    }

    /// Counts values that the rule of this index has matched.
    pub(super) fn add(&self, rule: usize, values: u64) {
        if let Some(count) = self.0.get(rule) {
            count.fetch_add(values, Ordering::Relaxed);
        }
    }
}
