//! Metrics of the fleet, as they are before a scrape. A gateway of no fleet has none.

use std::sync::Mutex;

use super::families::{self, ScrapePage};
use super::metrics::Metrics;
use crate::model::Lock as _;

/// What a scrape shows of the fleet.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FleetSample {
    /// Seconds since the engine was last heard of; `None` before the first time.
    pub age_secs: Option<f64>,
    /// Gateways that are heard of.
    pub live: u64,
    /// Gateways that are not.
    pub unseen: u64,
    /// Whether this gateway is cut off from the engine.
    pub is_partitioned: bool,
    /// Gateways whose contracts differ from those here.
    pub differing: u64,
    /// Gateways whose audit trail ends before what they once said.
    pub cut_trails: u64,
}

#[derive(Debug, Default)]
pub(super) struct FleetMetrics(Mutex<Option<FleetSample>>);

impl Metrics {
    /// Sets what a scrape shows of the fleet.
    pub fn fleet(&self, sample: FleetSample) {
        *self.values.load.fleet.0.locked() = Some(sample);
    }
}

impl FleetMetrics {
    pub(super) fn read(&self, page: &mut ScrapePage) {
        let Some(sample) = *self.0.locked() else { return };
        page.gauge(&families::FLEET_AGE, &[], sample.age_secs.unwrap_or(f64::NAN));
        page.gauge(&families::FLEET_NODES, &["live"], sample.live as f64);
        page.gauge(&families::FLEET_NODES, &["unseen"], sample.unseen as f64);
        page.flag(&families::FLEET_PARTITIONED, &[], sample.is_partitioned);
        page.gauge(&families::FLEET_DIFFERING, &[], sample.differing as f64);
        page.gauge(&families::FLEET_CUT_TRAILS, &[], sample.cut_trails as f64);
    }
}
