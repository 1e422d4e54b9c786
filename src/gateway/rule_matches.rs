//! Which rules of a route have ever matched: one that never has may name a field that nobody sends.
//!
//! Counts go along over a reload while the route and the rule stay. Never decides anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::snapshot::{MessageRules, RouteRuntime, VendorRuntime};
use crate::model::Direction;
use crate::pii::{Plan, RuleName};

/// How often each rule of one side of a route has matched a value, by the number that it has in its plan.
#[derive(Debug)]
pub(super) struct RuleMatchCounts(Box<[Arc<AtomicU64>]>);

/// A rule that has matched nothing since the process started, or since it is there.
#[derive(Debug, Clone, Copy)]
pub struct RuleNeverMatched<'a> {
    /// The way that the route's requests go.
    pub direction: Direction,
    /// The route.
    pub route: &'a RouteRuntime,
    /// `request` or `response`.
    pub side: &'static str,
    /// The rule.
    pub rule: &'a RuleName,
}

impl RuleNeverMatched<'_> {
    /// Exchanges of the route that ended.
    pub fn requests(&self) -> u64 {
        self.route.metrics.requests_sum()
    }
}

impl RuleMatchCounts {
    /// Counts for a plan, those of the same rules before it taken along.
    pub(super) fn of(plan: &Plan, before: Option<&MessageRules>) -> Self {
        let of = |rule: &RuleName| {
            let before = before?;
            let place = before.plan.rules().iter().position(|known| known == rule)?;
            before.matched.0.get(place).cloned()
        };
        Self(plan.rules().iter().map(|rule| of(rule).unwrap_or_default()).collect())
    }

    /// A rule has matched so many values more.
    pub(super) fn add(&self, rule: usize, values: u64) {
        if let Some(count) = self.0.get(rule) {
            count.fetch_add(values, Ordering::Relaxed);
        }
    }
}

impl VendorRuntime {
    /// The rules that have never matched, route by route.
    pub fn unmatched_rules(&self) -> impl Iterator<Item = RuleNeverMatched<'_>> {
        Direction::ALL.into_iter().flat_map(|direction| {
            let routes = self.direction(direction).routes.iter();
            routes.flat_map(move |route| {
                let sides = [("request", &route.request), ("response", &route.response)];
                sides.into_iter().flat_map(move |(side, treats)| {
                    let rules = treats.iter().flat_map(|treats| treats.plan.rules().iter().zip(&treats.matched.0));
                    let never = rules.filter(|(_, count)| count.load(Ordering::Relaxed) == 0);
                    never.map(move |(rule, _)| RuleNeverMatched { direction, route, side, rule })
                })
            })
        })
    }

    /// The routes whose bodies were not always of the shape that their records describe, and how many were not.
    pub fn unexpected_shapes(&self) -> impl Iterator<Item = (Direction, &RouteRuntime, u64)> {
        Direction::ALL.into_iter().flat_map(|direction| {
            let routes = self.direction(direction).routes.iter();
            let counted = routes.map(move |route| (direction, &**route, route.metrics.shape_unexpected_sum()));
            counted.filter(|(_, _, bodies)| *bodies > 0)
        })
    }

    /// Tells each route's metrics how many of its rules have never matched.
    pub fn count_unmatched_rules(&self) {
        for direction in Direction::ALL {
            for route in &self.direction(direction).routes {
                let never = self.unmatched_rules().filter(|rule| std::ptr::eq(rule.route, &**route)).count();
                route.metrics.unmatched_rules(never as u64);
            }
        }
    }
}
