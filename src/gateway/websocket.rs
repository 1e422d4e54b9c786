//! An exchange that becomes a WebSocket (RFC 6455): bytes pass both ways until one side ends it, or a kill does.
//!
//! Where a rule of the route reads bodies, each text message is one (`websocket_messages`); else nothing reads the
//! bytes. They are charged and counted as exposed like those of any body, and the slots of the request are held to the
//! end.

use std::sync::Arc;
use std::sync::atomic::Ordering;

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
use super::websocket_messages::{CloseCode, MessageRewriter};
use crate::bounds;
use crate::http::{
    BodyError, FrameWriter, GatewayBody, WebSocketSide, is_websocket_upgrade, refuse_extensions, set_websocket_upgrade,
};
use crate::model::{Denial, Direction, Reason};
use crate::pii::Rewriter;
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
    if admitted.route().reads_bodies() && refuse_extensions(&mut head.headers) {
        return admitted.refuse(&Denial::new(
            Reason::UpstreamUnreadable,
            "the upstream uses an extension of WebSockets, which the request did not offer",
        ));
    }
    let mut counts = HeadCounts::default();
    if let Err(error) = headers::rewrite_response(&admitted, (&mut head, &mut counts), false) {
        return admitted.refuse(&AbortReason::Untreatable(error).denial(HttpMessage::Response));
    }
    if let Some(rules) = &admitted.route().response {
        let exposure = rules.exposure(admitted.route(), admitted.record().client());
        counts.record_sent(rules, admitted.route(), exposure.as_ref());
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
    let (from_caller, mut to_caller) = split(caller);
    let (from_upstream, mut to_upstream) = split(upstream);
    let mut in_flight = admitted.share_in_flight();
    let outcome = Arc::new(RequestBodyOutcome::default());
    admitted.record_mut().set_request_body(Arc::clone(&outcome));
    let code = CloseCode::default();
    let observer = RequestObserver::new(&admitted, Arc::clone(&outcome));
    let mut request = stream(&admitted, HttpMessage::Request, from_caller, &code)(observer);
    let to_observer = stream(&admitted, HttpMessage::Response, from_upstream, &code);
    let mut response = to_observer(ResponseObserver::new(admitted, lease));
    let end = tokio::select! {
        biased;
        () = in_flight.severed() => PassEnd::Broken(BodyError::Severed),
        end = pass(&mut response, &mut to_caller) => end,
        end = pass(&mut request, &mut to_upstream) => end,
    };
    match end {
        PassEnd::Whole => response.observer_mut().detach(),
        PassEnd::Broken(error) => close(error, &code, (&mut to_caller, &mut to_upstream)).await,
        PassEnd::ReaderGone => {}
    }
    if let Some(end @ BodyEnd::Stopped(_)) = outcome.end() {
        response.observer_mut().admitted_mut().deny(&end.denial(HttpMessage::Request));
    }
    // First the record, which says whether the caller's connection is to be reset; then that connection.
    drop(response);
    drop(request);
}

/// Tells both sides why a WebSocket whose messages are under rules ends. One that has no rules has no frames either.
async fn close(
    error: BodyError,
    code: &CloseCode,
    (to_caller, to_upstream): (&mut WriteHalf<SocketIo>, &mut WriteHalf<SocketIo>),
) {
    let code = match (error, code.load(Ordering::Relaxed)) {
        (BodyError::Unreadable | BodyError::BudgetSpent, code @ 1..) => code,
        _ => return,
    };
    let (mut as_server, mut as_client) = (Vec::new(), Vec::new());
    FrameWriter::new(WebSocketSide::Server).close(code, &mut as_server);
    FrameWriter::new(WebSocketSide::Client).close(code, &mut as_client);
    let both = async {
        // A side that is gone needs no reason.
        let _ = to_caller.write_all(&as_server).await;
        let _ = to_caller.shutdown().await;
        let _ = to_upstream.write_all(&as_client).await;
        let _ = to_upstream.shutdown().await;
    };
    let _ = tokio::time::timeout(bounds::WEBSOCKET_CLOSE_DEADLINE, both).await;
}

/// Makes the stream of what one side sends. It leaves the company where the caller's side is ours, or the upstream's
/// is.
fn stream<O: BodyObserver>(
    admitted: &Admitted,
    sender: HttpMessage,
    side: ReadHalf<SocketIo>,
    code: &CloseCode,
) -> impl FnOnce(O) -> BodyStream<O> + use<O> {
    let (record, route) = (admitted.record(), admitted.route());
    let clock = record.gateway.clock.clone();
    let (rules, leaving) = match sender {
        HttpMessage::Request => (&route.request, Direction::Egress),
        HttpMessage::Response => (&route.response, Direction::Ingress),
    };
    let rules = rules.as_ref().filter(|rules| rules.plan.reads_body());
    let rewriter = |rules| (rules, Box::new(MessageRewriter::new(route, sender, code)) as Box<dyn Rewriter>);
    let pipeline = BodyPipeline::new(route, rules.map(rewriter), record.exposure_of(leaving), clock.now());
    let source = (BodySource::Socket(side), BodyRateMonitor::idle(bounds::WEBSOCKET_IDLE_DEADLINE));
    let in_flight = admitted.share_in_flight();
    move |observer| BodyStream::new(source, pipeline, in_flight, clock, observer)
}

/// How the passing of what one side sends has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PassEnd {
    /// The side has ended by itself, and the other has learned of it.
    Whole,
    /// It was broken off.
    Broken(BodyError),
    /// The other side takes nothing more.
    ReaderGone,
}

/// Passes what one side sends to the other.
async fn pass<O: BodyObserver>(from: &mut BodyStream<O>, to: &mut WriteHalf<SocketIo>) -> PassEnd {
    while let Some(frame) = from.frame().await {
        let bytes = match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(bytes)) => bytes,
            // A socket has no trailers.
            Ok(Err(_)) => return PassEnd::ReaderGone,
            Err(error @ (BodyError::Unreadable | BodyError::BudgetSpent)) => return PassEnd::Broken(error),
            Err(error) => {
                // Where this fails the connection is closed anyway.
                let _ = to.shutdown().await;
                return PassEnd::Broken(error);
            }
        };
        if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
            return PassEnd::ReaderGone;
        }
    }
    // Where this fails the connection is closed anyway.
    let _ = to.shutdown().await;
    PassEnd::Whole
}
