//! A tunnel whose bytes pass unread: both ways, until one side ends it, a budget is spent, or a kill severs it.
//!
//! The bytes are charged and counted as exposed like those of any body, and the slots of the tunnel are held to its
//! end.

use std::sync::Arc;

use http_body_util::BodyExt;
use tokio::io::{AsyncWrite, AsyncWriteExt, ReadHalf, split};

use super::admission::Admitted;
use super::body_end::{BodyEnd, HttpMessage};
use super::body_pipeline::BodyPipeline;
use super::body_rate::{BodyRateMonitor, SharedActivity};
use super::body_source::BodySource;
use super::body_stream::{BodyObserver, BodyStream};
use super::egress::OpaqueTunnel;
use super::observers::{RequestObserver, ResponseObserver};
use super::request_outcome::RequestBodyOutcome;
use crate::bounds;
use crate::http::ByteStream;
use crate::model::Direction;

/// Passes bytes both ways.
pub(super) async fn run(tunnel: OpaqueTunnel, caller: Box<dyn ByteStream>) {
    let OpaqueTunnel { mut admitted, upstream } = tunnel;
    let (from_caller, to_caller) = split(caller);
    let (from_upstream, to_upstream) = split(Box::new(upstream) as Box<dyn ByteStream>);
    let mut in_flight = admitted.share_in_flight();
    let outcome = Arc::new(RequestBodyOutcome::default());
    admitted.record_mut().set_request_body(Arc::clone(&outcome));
    let observer = RequestObserver::new(&admitted, Arc::clone(&outcome));
    let activity = SharedActivity::begin(admitted.record().gateway.clock.now());
    let mut request = stream(&admitted, Direction::Egress, from_caller, &activity)(observer);
    let to_observer = stream(&admitted, Direction::Ingress, from_upstream, &activity);
    let mut response = to_observer(ResponseObserver::of_tunnel(admitted));
    tokio::select! {
        biased;
        () = in_flight.severed() => {}
        () = pass(&mut response, to_caller) => {}
        () = pass(&mut request, to_upstream) => {}
    }
    if let Some(end @ BodyEnd::Stopped(_)) = outcome.end() {
        response.observer_mut().admitted_mut().deny(&end.denial(HttpMessage::Request));
    }
    // First the record, which says whether the caller's connection is to be reset; then that connection.
    drop(response);
    drop(request);
}

/// Makes the stream of the bytes that one side sends. They leave the company where `leaving` is the tunnel's direction.
fn stream<O: BodyObserver>(
    admitted: &Admitted,
    leaving: Direction,
    side: ReadHalf<Box<dyn ByteStream>>,
    activity: &SharedActivity,
) -> impl FnOnce(O) -> BodyStream<O> + use<O> {
    let record = admitted.record();
    let clock = record.gateway.clock.clone();
    let pipeline = BodyPipeline::new(admitted.route(), None, record.exposure_of(leaving), clock.now());
    let rate = BodyRateMonitor::idle_together(bounds::TUNNEL_IDLE_DEADLINE, activity);
    let source = (BodySource::Tunnel(side), rate);
    let in_flight = admitted.share_in_flight();
    move |observer| BodyStream::new(source, pipeline, in_flight, clock, observer)
}

/// Passes what one side sends to the other, until it ends.
async fn pass<O: BodyObserver>(from: &mut BodyStream<O>, mut to: impl AsyncWrite + Unpin) {
    while let Some(frame) = from.frame().await {
        let Ok(Ok(bytes)) = frame.map(hyper::body::Frame::into_data) else { return };
        if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
    // Where this fails the connection is closed anyway.
    let _ = to.shutdown().await;
}
