//! What a change of `trip:` lets a vendor do before the gateway kills it.

use super::WideningReport;
use crate::anomaly::AnomalyTrip;
use crate::config::contract::{BurstSettings, TripSettings};
use crate::config::units::format_duration;

pub(super) fn compare(report: &mut WideningReport<'_>, old: Option<TripSettings>, new: Option<TripSettings>) {
    let burst = |trip: Option<TripSettings>| trip.and_then(|trip| trip.burst);
    if let Some(before) = burst(old) {
        let after = burst(new);
        if after.is_none_or(|after| after.denials > before.denials || after.window < before.window) {
            let show = |burst: BurstSettings| format!("{} denials in {}", burst.denials, format_duration(burst.window));
            report.add("trip", show(before), after.map(show).unwrap_or_default());
        }
    }
    let anomaly = |trip: Option<TripSettings>| trip.and_then(|trip| trip.anomaly);
    if let Some(before) = anomaly(old) {
        let after = anomaly(new);
        let is_weaker = |after: AnomalyTrip| {
            after.signal != before.signal || after.score > before.score || after.hold > before.hold
        };
        if after.is_none_or(is_weaker) {
            let show = |trip: AnomalyTrip| {
                format!("{} at a score of {} for {}", trip.signal.as_str(), trip.score, format_duration(trip.hold))
            };
            report.add("trip.anomaly", show(before), after.map(show).unwrap_or_default());
        }
    }
}
