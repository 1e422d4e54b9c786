//! Where calls go that no route of a contract covers, while the contract observes.

use std::sync::{Arc, OnceLock};

use super::assemble::{AssembleError, VendorBuilder};
use super::policy_input::undeclared_terms;
use super::snapshot::{ObservedRules, RouteRuntime};
use super::vendor_upstreams::VendorUpstreams;
use crate::credentials::VendorCredential;
use crate::kill::RouteTag;
use crate::meter::UsageLedger;
use crate::model::Direction;
use crate::pii::Rules;
use crate::telemetry::{TrafficMetrics, UNMATCHED_ROUTE};

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
        Ok(Some(Arc::new(RouteRuntime {
            name: UNMATCHED_ROUTE.into(),
            captures: Box::default(),
            tag: RouteTag::of(UNMATCHED_ROUTE),
            terms: undeclared_terms(),
            ledger: Arc::clone(ledger),
            upstream: self.group(direction, settings, upstreams)?,
            upstream_name: settings.id.as_str().into(),
            // Without it, our services could not reach the vendor at all.
            credential: credential.cloned().filter(|_| direction == Direction::Egress),
            websocket: true,
            allow_encoded_slash: true,
            fallback: None,
            parameters: None,
            request: None,
            response: None,
            observed: Some(ObservedRules::default()),
            metrics: Arc::clone(traffic.unmatched()),
            exposure: self.services.exposure.handle(profile),
            rate_policy: OnceLock::new(),
        })))
    }
}
