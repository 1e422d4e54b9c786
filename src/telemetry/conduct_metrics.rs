//! The samples of what a vendor would have been denied, and of how unusual its traffic is.

use std::sync::atomic::Ordering;

use super::families::{self, ScrapePage};
use super::vendor_metrics::VendorMetrics;
use crate::model::Lock as _;

/// Whether the contract observes, what it would have denied by direction and reason, and the score of each signal.
pub(super) fn read(page: &mut ScrapePage, vendor: &str, metrics: &VendorMetrics) {
    page.flag(&families::OBSERVES, &[vendor], metrics.observes.load(Ordering::Relaxed));
    for (signal, score) in metrics.anomalies.locked().iter() {
        page.gauge(&families::ANOMALY, &[vendor, signal], *score);
    }
    for (direction, traffic) in metrics.directions() {
        for (reason, count) in traffic.would_denials() {
            page.counter(&families::WOULD_DENY, &[vendor, direction.as_str(), reason.as_str()], count as f64);
        }
    }
}
