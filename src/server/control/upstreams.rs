//! The state of vendors' upstreams and of the stages of the journey, for status and metrics.

use std::collections::BTreeMap;

use crate::admin::{DegradedVendor, JourneyReport, JourneyStage, TargetStatus, UpstreamStatus};
use crate::bounds::FALLBACK_RECENT;
use crate::gateway::VendorRuntime;
use crate::model::{Direction, Moment};
use crate::telemetry::UpstreamSample;
use crate::upstream::{TargetReading, UpstreamReading};

/// The vendor's upstreams above whose connections anything stands.
fn readings(vendor: &VendorRuntime, now: Moment) -> impl Iterator<Item = (Direction, String, UpstreamReading)> {
    let upstreams = vendor.upstreams().into_iter();
    upstreams.filter_map(move |(direction, name, group)| Some((direction, name.to_owned(), group.reading(now)?)))
}

/// What metrics show of them.
pub(in crate::server) fn samples(vendor: &VendorRuntime, now: Moment) -> Vec<UpstreamSample> {
    let sample = |(direction, upstream, reading): (Direction, String, UpstreamReading)| UpstreamSample {
        direction,
        upstream,
        ejections: reading.targets.iter().map(|target| target.ejections).sum(),
        targets: reading.targets.into_iter().map(|it| (it.target, it.checked_well && !it.ejected)).collect(),
        retries: reading.retries,
        retries_over_budget: reading.retries_over_budget,
        circuit_open: reading.circuit_open,
    };
    readings(vendor, now).map(sample).collect()
}

/// What the status shows of them.
pub(super) fn statuses(vendor: &VendorRuntime, now: Moment) -> Vec<UpstreamStatus> {
    let target = |it: TargetReading| TargetStatus {
        state: match (it.checked_well, it.ejected) {
            (false, _) => "unhealthy",
            (true, true) => "ejected",
            (true, false) => "healthy",
        }
        .to_owned(),
        target: it.target,
        ejections: it.ejections,
    };
    let status = |(direction, upstream, it): (Direction, String, UpstreamReading)| UpstreamStatus {
        direction,
        upstream,
        targets: it.targets.into_iter().map(target).collect(),
        circuit: it.circuit_open.map(|open| if open { "open" } else { "closed" }.to_owned()),
        circuit_openings: it.openings,
        retries: it.retries,
        retries_over_budget: it.retries_over_budget,
    };
    readings(vendor, now).map(status).collect()
}

/// Why the vendor does not serve its stages as it should, in the words of the status.
pub(super) fn degraded_by(vendor: &VendorRuntime, is_killed: bool, now: Moment) -> Vec<String> {
    let is_open = || readings(vendor, now).any(|(_, _, reading)| reading.circuit_open == Some(true));
    let last = vendor.metrics.last_fallback();
    let falls_back = last.is_some_and(|last| now.wall.since(last) < FALLBACK_RECENT);
    let causes = [("killed", is_killed), ("circuit_open", is_open()), ("fallback", falls_back)];
    causes.into_iter().filter(|(_, holds)| *holds).map(|(word, _)| word.to_owned()).collect()
}

/// The stages of all vendors' journeys. `causes` are the vendor's, in the words of the status.
pub(super) fn journey<'a>(vendors: impl Iterator<Item = (&'a VendorRuntime, Vec<String>)>) -> JourneyReport {
    let mut stages: BTreeMap<&str, JourneyStage> = BTreeMap::new();
    for (vendor, causes) in vendors {
        for name in &vendor.contract.journey {
            let fresh = || JourneyStage { stage: name.clone(), ..JourneyStage::default() };
            let stage = stages.entry(name).or_insert_with(fresh);
            if stage.vendors.iter().any(|known| known == vendor.id().as_str()) {
                continue;
            }
            stage.vendors.push(vendor.id().to_string());
            if !causes.is_empty() {
                stage.degraded = true;
                stage.causes.push(DegradedVendor { vendor: vendor.id().to_string(), why: causes.clone() });
            }
        }
    }
    JourneyReport { stages: stages.into_values().collect() }
}
