//! The destinations that our services asked for and no contract lists, for operators who ask.

use std::sync::Arc;

use super::GatewayControl;
use crate::admin::{ShadowControl, ShadowDestination, ShadowReport};
use crate::gateway::UnknownDestinations;
use crate::telemetry::Metrics;

impl ShadowControl for GatewayControl {
    fn shadow(&self) -> ShadowReport {
        let unknown = &self.gateway.unknown_destinations;
        let destinations = unknown.listed().into_iter().map(|(asked, times)| ShadowDestination {
            destination: asked.destination.into(),
            caller: asked.caller.map(Into::into),
            count: times.count,
            passed: times.passed,
            first_seen: times.first,
            last_seen: times.last,
        });
        ShadowReport { destinations: destinations.collect(), asked: unknown.asked(), unlisted: unknown.unlisted() }
    }
}

/// Has the metrics say how many destinations are listed, and how often one was asked for.
pub(in crate::server) fn report_to(metrics: &Metrics, unknown: &Arc<UnknownDestinations>) {
    let (told, unknown) = (metrics.clone(), Arc::clone(unknown));
    metrics.before_scrape(move || told.unknown_destinations(unknown.count() as u64, unknown.asked()));
}
