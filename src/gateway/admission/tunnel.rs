//! The admission of a tunnel whose bytes nothing reads: it is one request, without a path, for as long as it is open.

use std::sync::Arc;

use super::{Admitted, Grant, Refused, RequestFlags, conclude, evaluate};
use crate::gateway::denied::AdmissionDenied;
use crate::gateway::exchange::ExchangeRecord;
use crate::gateway::snapshot::{RouteRuntime, VendorRuntime};
use crate::gateway::target::MatchedPath;
use crate::kill::AdmissionProof;
use crate::model::{Caller, Denial};

/// Decides on a tunnel to a vendor. `route` is what the contract has for tunnels.
pub(in crate::gateway) fn admit_tunnel(
    vendor: &Arc<VendorRuntime>,
    route: &Arc<RouteRuntime>,
    caller: (Option<&Caller>, Option<&AdmissionProof>),
    mut record: Box<ExchangeRecord>,
) -> Result<Admitted, Refused> {
    let decision = decide(vendor, route, caller, &mut record);
    conclude(record, decision)
}

/// The denial of a tunnel whose requests are decided on one by one, where none of them would be admitted now.
pub(in crate::gateway) fn refuse_tunnel(record: Box<ExchangeRecord>, denial: Denial) -> Refused {
    Refused { record, denied: Box::new(denial.into()) }
}

fn decide(
    vendor: &Arc<VendorRuntime>,
    route: &Arc<RouteRuntime>,
    caller: (Option<&Caller>, Option<&AdmissionProof>),
    record: &mut ExchangeRecord,
) -> Result<Grant, AdmissionDenied> {
    record.set_route(route);
    // Whatever is sent in a tunnel, it may change something.
    let flags = RequestFlags { is_safe: false, is_websocket: false };
    evaluate(vendor, route, caller, flags, MatchedPath::default(), record)
}
