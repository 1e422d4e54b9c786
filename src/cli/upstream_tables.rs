//! Tables of a vendor's upstreams and of the journey, for `vendorgate status`.

use super::layout::{section, table};
use crate::admin::{DegradedVendor, JourneyReport, UpstreamStatus};
use crate::model::thousands;

/// Each target of each upstream, and what happened above its connections.
pub(super) fn upstreams(upstreams: &[UpstreamStatus]) -> String {
    let targets = upstreams
        .iter()
        .flat_map(|upstream| upstream.targets.iter().enumerate().map(move |(index, target)| (upstream, index, target)));
    let titles = ["UPSTREAM", "TARGET", "STATE", ">EJECTED", "CIRCUIT", ">OPENED", ">RETRIES"];
    section(&titles, &targets.collect::<Vec<_>>(), |(upstream, index, target)| {
        // What holds for the whole upstream is said once.
        let once = |text: String| if *index == 0 { text } else { String::new() };
        vec![
            once(format!("{} {}", upstream.direction.as_str(), upstream.upstream)),
            target.target.clone(),
            target.state.clone(),
            thousands(target.ejections),
            once(upstream.circuit.clone().unwrap_or_else(|| "-".to_owned())),
            once(thousands(upstream.circuit_openings)),
            once(thousands(upstream.retries)),
        ]
    })
}

/// Each stage of the journey, and why it is degraded.
pub(super) fn journey(report: &JourneyReport) -> String {
    if report.stages.is_empty() {
        return "no contract names a stage: write journey: [signup, checkout] into the contracts\n".to_owned();
    }
    let cause = |cause: &DegradedVendor| format!("{} {}", cause.vendor, cause.why.join(", "));
    table(&["STAGE", "STATE", "VENDORS", "WHY"], &report.stages, |stage| {
        let why: Vec<_> = stage.causes.iter().map(cause).collect();
        let state = if stage.degraded { "degraded" } else { "ok" };
        vec![stage.stage.clone(), state.to_owned(), stage.vendors.join(", "), why.join("; ")]
    })
}
