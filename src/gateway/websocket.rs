//! An exchange that goes on as a WebSocket (RFC 6455): bytes both ways, until one side ends it or a kill does.
//!
//! Nothing reads what passes, so only a route without rules for a body comes here. Its bytes are charged and exposed as
//! those of any body, and its slots are held to the end.

use std::sync::Arc;

use ::http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, WriteHalf, split};

use super::body_pipeline::{AbortReason, BodyPipeline, HttpMessage};
use super::body_rate::BodyRateMonitor;
use super::body_source::BodySource;
use super::body_stream::{BodyEnd, BodyObserver, BodyStream};
use super::exchange::Exchange;
use super::handle::Admitted;
use super::headers;
use super::observers::{RequestBodyOutcome, RequestObserver, ResponseObserver};
use super::snapshot::RouteRuntime;
use super::target::HeadCounts;
use crate::bounds;
use crate::http::{GatewayBody, is_websocket_upgrade, set_websocket_upgrade};
use crate::kill::InFlight;
use crate::model::{Denial, Direction, Reason};
use crate::upstream::UpstreamLease;

/// One side's connection, in its own bytes.
type SocketIo = TokioIo<Upgraded>;

/// Passes the upstream's agreement on, and its WebSocket behind it.
pub(super) fn switch_protocols(
    admitted: &Admitted,
    caller: Option<OnUpgrade>,
    mut response: Response<Incoming>,
    lease: UpstreamLease,
    mut exchange: Box<Exchange>,
) -> Response<GatewayBody> {
    let upstream = hyper::upgrade::on(&mut response);
    let (mut head, _) = response.into_parts();
    let (Some(caller), true) = (caller, is_websocket_upgrade(&head.headers)) else {
        return exchange.refuse(&Denial::new(Reason::UpstreamUnreadable, "the upstream left HTTP unasked"));
    };
    let in_flight = match exchange.share_in_flight() {
        Ok(in_flight) => in_flight,
        Err(denial) => return exchange.refuse(&denial),
    };
    let mut counts = HeadCounts::default();
    if let Err(stop) = headers::rewrite_response(&admitted.route, &exchange, (&mut head, &mut counts), false) {
        return exchange.refuse(&AbortReason::Untreatable(stop).denial(HttpMessage::Response));
    }
    if let Some(treats) = &admitted.route.response {
        counts.record_sent(treats, &admitted.route);
    }
    set_websocket_upgrade(&mut head.headers);
    exchange.answers(head.status.as_u16());
    let route = Arc::clone(&admitted.route);
    tokio::spawn(async move {
        if let Some((caller, upstream)) = switched(caller, upstream).await {
            run(caller, upstream, route, lease, exchange, in_flight).await;
        }
    });
    Response::from_parts(head, GatewayBody::full(""))
}

/// Both sides, once both have left HTTP; none where one did not.
async fn switched(caller: OnUpgrade, upstream: OnUpgrade) -> Option<(SocketIo, SocketIo)> {
    let both = async { tokio::try_join!(caller, upstream) };
    let (caller, upstream) = tokio::time::timeout(bounds::WEBSOCKET_SWITCH_DEADLINE, both).await.ok()?.ok()?;
    Some((TokioIo::new(caller), TokioIo::new(upstream)))
}

const fn patience() -> BodyRateMonitor {
    BodyRateMonitor::idle(bounds::WEBSOCKET_IDLE_DEADLINE)
}

/// Passes bytes both ways until either side ends, a budget is spent, or the vendor is cut off.
async fn run(
    caller: SocketIo,
    upstream: SocketIo,
    route: Arc<RouteRuntime>,
    lease: UpstreamLease,
    mut exchange: Box<Exchange>,
    mut in_flight: InFlight,
) {
    let (from_caller, to_caller) = split(caller);
    let (from_upstream, to_upstream) = split(upstream);
    let clock = exchange.gateway.clock.clone();
    let (now, inward) = (clock.now(), exchange.direction() == Direction::Ingress);
    let fate = Arc::new(RequestBodyOutcome::default());
    exchange.takes(Arc::clone(&fate));
    let owner = RequestObserver::new(Arc::clone(&fate), Arc::clone(&route), in_flight.share(), &exchange);
    let account = BodyPipeline::new(&route, None, !inward, now);
    let mut request = BodyStream::new(
        (BodySource::Socket(from_caller), patience()),
        account,
        in_flight.share(),
        clock.clone(),
        owner,
    );
    let account = BodyPipeline::new(&route, None, inward, now);
    let owner = ResponseObserver::new(exchange, lease, route);
    let mut answer =
        BodyStream::new((BodySource::Socket(from_upstream), patience()), account, in_flight.share(), clock, owner);
    let whole = tokio::select! {
        biased;
        () = in_flight.severed() => false,
        whole = pass(&mut answer, to_caller) => whole,
        whole = pass(&mut request, to_upstream) => whole,
    };
    if whole {
        answer.observer_mut().detach();
    }
    if let Some(ending @ BodyEnd::Stopped(_)) = fate.ending() {
        answer.observer_mut().note(&ending.denial(HttpMessage::Request));
    }
    // Closes the books, which say whether the caller's connection is to be reset; then that connection.
    drop(answer);
    drop(request);
}

/// Whether one side has ended by itself, and the other was told.
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
    // Where this fails the connection is closed all the same.
    let _ = to.shutdown().await;
    whole
}
