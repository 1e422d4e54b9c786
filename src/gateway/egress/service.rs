//! Which of our services a request comes from: decided before anything else about it.

use ::http::{Version, request};

use crate::gateway::exchange::ExchangeRecord;
use crate::gateway::snapshot::{Snapshot, VendorRuntime};
use crate::identity::{IdentifiedService, PresentedService};
use crate::model::{Caller, ClientId, Denial};

/// The service that a request is proven to come from; `None` for one that may prove nothing. Notes whether the caller
/// uses the gateway as its proxy, which decides how it is asked for a proof.
///
/// # Errors
/// [`crate::model::Reason::CallerUnknown`].
pub(in crate::gateway) fn identify_service<'s>(
    snapshot: &'s Snapshot,
    head: &request::Parts,
    record: &mut ExchangeRecord,
) -> Result<Option<IdentifiedService<'s>>, Denial> {
    if head.version < Version::HTTP_2 && head.uri.authority().is_some() {
        record.set_proxied();
    }
    let peer = &record.peer;
    snapshot.services.identify(&PresentedService {
        headers: &head.headers,
        certificate: peer.certificate(),
        uid: peer.uid(),
        of_tunnel: peer.tunnel().and_then(|tunnel| tunnel.opener.as_deref()),
        now: record.started.wall,
    })
}

/// A service as the caller of a vendor, for policies and limits.
pub(in crate::gateway) fn caller(vendor: &VendorRuntime, service: &ClientId) -> Caller {
    Caller { vendor: vendor.id().clone(), client: service.clone(), claims: None }
}
