//! The samples of a vendor's upstreams, as a scrape's hook sets them.

use super::families::{self, ScrapePage};
use crate::model::Direction;

/// The state of one upstream of a vendor, where anything stands above its connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSample {
    /// The direction of the routes that it serves.
    pub direction: Direction,
    /// Its name.
    pub upstream: String,
    /// Each target, and whether requests go there.
    pub targets: Vec<(String, bool)>,
    /// How often targets were left out.
    pub ejections: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// Retries that the budget had no room for.
    pub retries_over_budget: u64,
    /// Whether the circuit is not closed; `None` where there is no circuit breaker.
    pub circuit_open: Option<bool>,
}

impl UpstreamSample {
    pub(super) fn read(&self, page: &mut ScrapePage, vendor: &str) {
        let labels = [vendor, self.direction.as_str(), &*self.upstream];
        let [vendor, way, upstream] = labels;
        for (target, usable) in &self.targets {
            page.flag(&families::UPSTREAM_HEALTHY, &[vendor, way, upstream, target], *usable);
        }
        page.counter(&families::UPSTREAM_EJECTIONS, &labels, self.ejections as f64);
        for (result, count) in [("sent", self.retries), ("over_budget", self.retries_over_budget)] {
            page.counter(&families::UPSTREAM_RETRIES, &[vendor, way, upstream, result], count as f64);
        }
        if let Some(open) = self.circuit_open {
            page.flag(&families::UPSTREAM_CIRCUIT, &labels, open);
        }
    }
}

#[cfg(test)]
impl UpstreamSample {
    /// A sample in which everything has happened.
    pub(super) fn example() -> Self {
        Self {
            direction: Direction::Egress,
            upstream: "acme".to_owned(),
            targets: vec![("10.0.0.1:443".to_owned(), true), ("10.0.0.2:443".to_owned(), false)],
            ejections: 4,
            retries: 5,
            retries_over_budget: 6,
            circuit_open: Some(true),
        }
    }
}
