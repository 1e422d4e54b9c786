//! The samples of contracts that only observe.

use std::sync::atomic::Ordering;

use super::families::{self, ScrapePage};
use super::vendor_metrics::VendorMetrics;

/// Whether the vendor's contract observes, and what it would have denied, by direction and reason.
pub(super) fn read(page: &mut ScrapePage, vendor: &str, metrics: &VendorMetrics) {
    page.flag(&families::OBSERVES, &[vendor], metrics.observes.load(Ordering::Relaxed));
    for (direction, traffic) in metrics.directions() {
        for (reason, count) in traffic.would_denials() {
            page.counter(&families::WOULD_DENY, &[vendor, direction.as_str(), reason.as_str()], count as f64);
        }
    }
}
