//! What an operator reads of an upstream: its targets, its circuit, and what happened above its connections.

use std::sync::atomic::Ordering;

use super::group::UpstreamGroup;
use crate::model::Moment;

/// The state of one upstream of one vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamReading {
    /// Its targets, in the order of the config.
    pub targets: Vec<TargetReading>,
    /// Whether the circuit breaker is open or trying; `None` where there is none.
    pub circuit_open: Option<bool>,
    /// How often the circuit opened.
    pub openings: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// Retries that the budget had no room for.
    pub retries_over_budget: u64,
}

/// The state of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetReading {
    /// Host and port.
    pub target: String,
    /// Whether health checks, if there are any, find it well.
    pub checked_well: bool,
    /// Whether it is left out for a time, because requests to it have failed.
    pub ejected: bool,
    /// How often it was left out.
    pub ejections: u64,
}

impl UpstreamGroup {
    /// The state of the upstream; `None` where nothing stands above its connections.
    pub fn reading(&self, now: Moment) -> Option<UpstreamReading> {
        let control = self.control.as_deref()?;
        let counts = &control.counts;
        let targets = self.targets.iter().map(|target| TargetReading {
            target: target.url.authority(),
            checked_well: !target.checked.is_unhealthy(),
            ejected: target.health.is_ejected(now),
            ejections: target.health.ejections(),
        });
        Some(UpstreamReading {
            targets: targets.collect(),
            circuit_open: control.breaker.as_ref().map(|breaker| breaker.is_open()),
            openings: counts.openings.load(Ordering::Relaxed),
            retries: counts.retries.load(Ordering::Relaxed),
            retries_over_budget: counts.retries_over_budget.load(Ordering::Relaxed),
        })
    }
}
