//! Sends a request to its upstream and counts what was treated in its head, once.

use ::http::{Request, Response};

use super::admission::Admitted;
use super::attempt::Attempt;
use super::body_end::HttpMessage;
use super::retry;
use super::target::HeadCounts;
use crate::http::GatewayBody;
use crate::model::Denial;
use crate::upstream::{TargetLease, UpstreamBody};

/// Sends the request, and waits for the head of the response or the kill switch. `counts` is what was treated in its
/// head; `None` where the same request has been sent before and counted then.
pub(super) async fn send(
    worker: usize,
    admitted: &mut Admitted,
    request: Request<GatewayBody>,
    counts: Option<HeadCounts>,
) -> Result<(Response<UpstreamBody>, TargetLease), Denial> {
    let sent_at = admitted.record().gateway.clock.now();
    let Attempt { outcome, was_sent, .. } = retry::send(worker, admitted, request).await;
    admitted.record_mut().waited(sent_at);
    let route = admitted.route();
    if let (Some(mut counts), Some(rules)) =
        (counts, route.request_counts().filter(|rules| was_sent && rules.plan.reads_head()))
    {
        let exposure = rules.exposure(route, admitted.record().client());
        counts.record_sent(rules, route, exposure.as_ref());
        if let Some(exposure) = exposure {
            exposure.add_left(0, 0, admitted.record().started);
        }
    }
    // Where the body of the request has ended early, that is the reason, and the upstream's error only follows from it.
    outcome
        .map_err(|error| admitted.request_end().map_or_else(|| error.denial(), |end| end.denial(HttpMessage::Request)))
}
