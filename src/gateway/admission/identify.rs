//! Who sends a request of a vendor: what it presents is checked by the directory of callers.

use std::sync::Arc;

use ::http::request;

use crate::gateway::denied::AdmissionDenied;
use crate::gateway::exchange::ExchangeRecord;
use crate::gateway::snapshot::Snapshot;
use crate::gateway::target::authority;
use crate::http::RequestTarget;
use crate::identity::{PresentedRequest, Rejected, VerifiedCaller};

pub(super) fn identify(
    snapshot: &Snapshot,
    head: &request::Parts,
    target: &RequestTarget<'_>,
    record: &mut ExchangeRecord,
) -> Result<Arc<VerifiedCaller>, AdmissionDenied> {
    let presented = PresentedRequest {
        headers: &head.headers,
        method: &head.method,
        scheme: record.peer.scheme(),
        authority: authority(head),
        path: &target.path,
        query: target.query,
        peer_certificate: record.peer.certificate(),
    };
    snapshot.directory.authenticate(&presented, record.started).map_err(|rejected| {
        let Rejected { denial, vendor_index, wait } = rejected;
        if wait.is_none()
            && let Some(vendor) = vendor_index.and_then(|index| snapshot.vendors.get(index as usize))
        {
            record.set_vendor(vendor, None);
        }
        AdmissionDenied { wait, ..denial.into() }
    })
}
