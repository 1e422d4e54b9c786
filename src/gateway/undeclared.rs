//! Where calls go that no route of a contract covers, while the contract observes.

use std::sync::{Arc, OnceLock};

use super::assemble::{AssembleError, VendorBuilder};
use super::policy_input::undeclared_terms;
use super::snapshot::{ObservedRules, RouteRuntime};
use super::vendor_upstreams::VendorUpstreams;
use crate::credentials::VendorCredential;
use crate::exposure::RouteCounters;
use crate::kill::RouteTag;
use crate::meter::UsageLedger;
use crate::model::{Direction, UpstreamId};
use crate::pii::Rules;
use crate::telemetry::{RouteMetrics, TrafficMetrics, UNMATCHED_ROUTE};
use crate::upstream::UpstreamGroup;

impl VendorBuilder<'_> {
    /// The place of such calls; `None` where the contract is enforced, and where it is open which upstream they mean.
    pub(super) fn undeclared(
        &self,
        (direction, credential): (Direction, Option<&Arc<VendorCredential>>),
        ledger: &Arc<UsageLedger>,
        traffic: &TrafficMetrics,
        upstreams: &mut VendorUpstreams<'_>,
    ) -> Result<Option<Arc<RouteRuntime>>, AssembleError> {
        let settings = self.observed().and_then(|observe| observe.undeclared[direction.index()].as_ref());
        let Some(settings) = settings else { return Ok(None) };
        let profile = self.profile(direction, UNMATCHED_ROUTE, &Rules::default(), None);
        let upstream = (self.group(direction, settings, upstreams)?, &settings.id);
        let counters = (traffic.unmatched(), self.services.exposure.handle(profile));
        Ok(Some(Arc::new(RouteRuntime {
            // Without it, our services could not reach the vendor at all.
            credential: credential.cloned().filter(|_| direction == Direction::Egress),
            ..unlisted_route(UNMATCHED_ROUTE, upstream, ledger, counters)
        })))
    }
}

/// A route that no contract lists, on which everything passes and is reported.
pub(super) fn unlisted_route(
    name: &str,
    (upstream, id): (Arc<UpstreamGroup>, &UpstreamId),
    ledger: &Arc<UsageLedger>,
    (metrics, exposure): (&Arc<RouteMetrics>, RouteCounters),
) -> RouteRuntime {
    RouteRuntime {
        name: name.into(),
        captures: Box::default(),
        tag: RouteTag::of(name),
        terms: undeclared_terms(),
        ledger: Arc::clone(ledger),
        upstream,
        upstream_name: id.as_str().into(),
        credential: None,
        websocket: true,
        allow_encoded_slash: true,
        fallback: None,
        parameters: None,
        request: None,
        response: None,
        observed: Some(ObservedRules::default()),
        metrics: Arc::clone(metrics),
        exposure,
        rate_policy: OnceLock::new(),
    }
}
