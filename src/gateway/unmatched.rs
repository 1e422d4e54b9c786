//! Rules that have never matched and bodies of an unexpected shape: for the status of a vendor, and for a metric.

use super::snapshot::{RouteRuntime, VendorRuntime};
use crate::model::Direction;
use crate::pii::RuleName;

/// A rule that has matched nothing since it was added, or since the process started.
#[derive(Debug, Clone, Copy)]
pub struct RuleNeverMatched<'a> {
    /// The direction of the route's requests.
    pub direction: Direction,
    /// The route.
    pub route: &'a RouteRuntime,
    /// The message that the rule is for: `request` or `response`.
    pub side: &'static str,
    /// The rule.
    pub rule: &'a RuleName,
}

impl RuleNeverMatched<'_> {
    /// The number of exchanges of the route so far.
    pub fn requests(&self) -> u64 {
        self.route.metrics.requests_sum()
    }
}

impl VendorRuntime {
    /// The rules that have never matched, route by route.
    pub fn unmatched_rules(&self) -> impl Iterator<Item = RuleNeverMatched<'_>> {
        Direction::ALL.into_iter().flat_map(|direction| {
            let routes = self.direction(direction).routes.iter();
            routes.flat_map(move |route| {
                let sides = [("request", route.request_counts()), ("response", route.response_counts())];
                sides.into_iter().flat_map(move |(side, rules)| {
                    let never = rules.into_iter().flat_map(|rules| {
                        rules.matched.never_matched().filter_map(|index| rules.plan.rules().get(index))
                    });
                    never.map(move |rule| RuleNeverMatched { direction, route, side, rule })
                })
            })
        })
    }

    /// The routes some of whose bodies had another shape than the contract describes, and the number of these bodies.
    pub fn unexpected_shapes(&self) -> impl Iterator<Item = (Direction, &RouteRuntime, u64)> {
        Direction::ALL.into_iter().flat_map(|direction| {
            let routes = self.direction(direction).routes.iter();
            let counted = routes.map(move |route| (direction, &**route, route.metrics.shape_unexpected_sum()));
            counted.filter(|(_, _, bodies)| *bodies > 0)
        })
    }

    /// Sets the metric of each route that says how many of its rules have never matched.
    pub fn count_unmatched_rules(&self) {
        for direction in Direction::ALL {
            for route in &self.direction(direction).routes {
                let never = self.unmatched_rules().filter(|rule| std::ptr::eq(rule.route, &**route)).count();
                route.metrics.unmatched_rules(never as u64);
            }
        }
    }
}
