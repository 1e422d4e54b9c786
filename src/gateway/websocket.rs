//! An exchange that becomes a WebSocket (RFC 6455): bytes pass both ways until one side ends it, or a kill does.
//!
//! Nothing reads the bytes, so only a route without rules for bodies may be a WebSocket. The bytes are charged and
//! counted as exposed like those of any body, and the slots of the request are held to the end.

use std::sync::Arc;

use ::http::Response;
use http_body_util::BodyExt;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf, split};

use super::admission::Admitted;
use super::body_end::{AbortReason, BodyEnd, HttpMessage};
use super::body_pipeline::BodyPipeline;
use super::body_rate::BodyRateMonitor;
use super::body_source::BodySource;
use super::body_stream::{BodyObserver, BodyStream};
use super::headers;
use super::observers::{RequestObserver, ResponseObserver};
use super::request_outcome::RequestBodyOutcome;
use super::target::HeadCounts;
use crate::bounds;
use crate::http::{GatewayBody, is_websocket_upgrade, set_websocket_upgrade};
use crate::model::{Denial, Direction, Reason};
use crate::upstream::{TargetLease, UpstreamBody};

/// The connection to one side, after it has left HTTP.
type SocketIo = TokioIo<Upgraded>;

/// Passes the upstream's switch of protocols on to the caller, and then the bytes of both.
pub(super) fn switch_protocols(
    mut admitted: Admitted,
    caller: Option<OnUpgrade>,
    mut response: Response<UpstreamBody>,
    lease: TargetLease,
) -> Response<GatewayBody> {
    let upstream = hyper::upgrade::on(&mut response);
    let (mut head, _) = response.into_parts();
    let (Some(caller), true) = (caller, is_websocket_upgrade(&head.headers)) else {
        return admitted.refuse(&Denial::new(
            Reason::UpstreamUnreadable,
            "the upstream switched protocols, which the request did not ask for",
        ));
    };
    let mut counts = HeadCounts::default();
    if let Err(error) = headers::rewrite_response(&admitted, (&mut head, &mut counts), false) {
        return admitted.refuse(&AbortReason::Untreatable(error).denial(HttpMessage::Response));
    }
    if let Some(rules) = &admitted.route().response {
        counts.record_sent(rules, admitted.route());
    }
    set_websocket_upgrade(&mut head.headers);
    admitted.record_mut().set_status(head.status.as_u16());
    tokio::spawn(async move {
        if let Some((caller, upstream)) = switched(caller, upstream).await {
            run(admitted, caller, upstream, lease).await;
        }
    });
    Response::from_parts(head, GatewayBody::full(""))
}

/// The connections to both sides, once both have left HTTP; `None` where one of them did not.
async fn switched(caller: OnUpgrade, upstream: OnUpgrade) -> Option<(SocketIo, SocketIo)> {
    let both = async { tokio::try_join!(caller, upstream) };
    let (caller, upstream) = tokio::time::timeout(bounds::WEBSOCKET_SWITCH_DEADLINE, both).await.ok()?.ok()?;
    Some((TokioIo::new(caller), TokioIo::new(upstream)))
}

/// Passes bytes both ways until either side ends, a budget is spent, or the request is severed.
async fn run(mut admitted: Admitted, caller: SocketIo, upstream: SocketIo, lease: TargetLease) {
    let (from_caller, to_caller) = split(caller);
    let (from_upstream, to_upstream) = split(upstream);
    let mut in_flight = admitted.share_in_flight();
    let outcome = Arc::new(RequestBodyOutcome::default());
    admitted.record_mut().set_request_body(Arc::clone(&outcome));
    let observer = RequestObserver::new(&admitted, Arc::clone(&outcome));
    let mut request = stream(&admitted, Direction::Egress, from_caller)(observer);
    let to_observer = stream(&admitted, Direction::Ingress, from_upstream);
    let mut response = to_observer(ResponseObserver::new(admitted, lease));
    let whole = tokio::select! {
        biased;
        () = in_flight.severed() => false,
        whole = pass(&mut response, to_caller) => whole,
        whole = pass(&mut request, to_upstream) => whole,
    };
    if whole {
        response.observer_mut().detach();
    }
    if let Some(end @ BodyEnd::Stopped(_)) = outcome.end() {
        response.observer_mut().admitted_mut().deny(&end.denial(HttpMessage::Request));
    }
    // First the record, which says whether the caller's connection is to be reset; then that connection.
    drop(response);
    drop(request);
}

/// Makes the stream of the bytes that one side sends. They leave the company where `leaving` is the exchange's
/// direction.
fn stream<O: BodyObserver>(
    admitted: &Admitted,
    leaving: Direction,
    side: ReadHalf<SocketIo>,
) -> impl FnOnce(O) -> BodyStream<O> + use<O> {
    let record = admitted.record();
    let clock = record.gateway.clock.clone();
    let pipeline = BodyPipeline::new(admitted.route(), None, record.direction() == leaving, clock.now());
    let source = (BodySource::Socket(side), BodyRateMonitor::idle(bounds::WEBSOCKET_IDLE_DEADLINE));
    let in_flight = admitted.share_in_flight();
    move |observer| BodyStream::new(source, pipeline, in_flight, clock, observer)
}

/// Passes what one side sends to the other. Returns whether that side has ended by itself, and the other learned of it.
async fn pass<O: BodyObserver>(from: &mut BodyStream<O>, mut to: WriteHalf<SocketIo>) -> bool {
    let mut whole = true;
    while let Some(frame) = from.frame().await {
        let Ok(Ok(bytes)) = frame.map(hyper::body::Frame::into_data) else {
            whole = false;
            break;
        };
        if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
            return false;
        }
    }
    // Where this fails the connection is closed anyway.
    let _ = to.shutdown().await;
    whole
}
