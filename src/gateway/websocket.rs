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

use super::account::{Account, Halt, Message};
use super::bodies::{Ending, Owner, Stream};
use super::door;
use super::exchange::Exchange;
use super::handle::Admitted;
use super::owners::{AnswerOwner, Fate, RequestOwner};
use super::pace::Patience;
use super::snapshot::Route;
use super::source::Source;
use super::target::HeadCounts;
use crate::bounds;
use crate::http::{GatewayBody, name_websocket, names_websocket};
use crate::kill::InFlight;
use crate::model::{Denial, Direction, Reason};
use crate::upstream::Lease;

/// One side's connection, in its own bytes.
type Side = TokioIo<Upgraded>;

/// Passes the upstream's agreement on, and its WebSocket behind it.
pub(super) fn go_on(
    admitted: &Admitted,
    caller: Option<OnUpgrade>,
    mut response: Response<Incoming>,
    lease: Lease,
    mut exchange: Box<Exchange>,
) -> Response<GatewayBody> {
    let upstream = hyper::upgrade::on(&mut response);
    let (mut head, _) = response.into_parts();
    let (Some(caller), true) = (caller, names_websocket(&head.headers)) else {
        return exchange.refuse(&Denial::new(Reason::UpstreamUnreadable, "the upstream left HTTP unasked"));
    };
    let in_flight = match exchange.share_in_flight() {
        Ok(in_flight) => in_flight,
        Err(denial) => return exchange.refuse(&denial),
    };
    let mut counts = HeadCounts::default();
    if let Err(stop) = door::answer(&admitted.route, &exchange, (&mut head, &mut counts), false) {
        return exchange.refuse(&Halt::Stop(stop).denial(Message::Answer));
    }
    if let Some(treats) = &admitted.route.response {
        counts.left(treats, &admitted.route);
    }
    name_websocket(&mut head.headers);
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
async fn switched(caller: OnUpgrade, upstream: OnUpgrade) -> Option<(Side, Side)> {
    let both = async { tokio::try_join!(caller, upstream) };
    let (caller, upstream) = tokio::time::timeout(bounds::WEBSOCKET_SWITCH_DEADLINE, both).await.ok()?.ok()?;
    Some((TokioIo::new(caller), TokioIo::new(upstream)))
}

const fn patience() -> Patience {
    Patience::idle(bounds::WEBSOCKET_IDLE_DEADLINE)
}

/// Passes bytes both ways until either side ends, a budget is spent, or the vendor is cut off.
async fn run(
    caller: Side,
    upstream: Side,
    route: Arc<Route>,
    lease: Lease,
    mut exchange: Box<Exchange>,
    mut in_flight: InFlight,
) {
    let (from_caller, to_caller) = split(caller);
    let (from_upstream, to_upstream) = split(upstream);
    let clock = exchange.gateway.clock.clone();
    let (now, inward) = (clock.now(), exchange.direction() == Direction::Ingress);
    let fate = Arc::new(Fate::default());
    exchange.takes(Arc::clone(&fate));
    let owner = RequestOwner::new(Arc::clone(&fate), Arc::clone(&route), in_flight.share(), &exchange);
    let account = Account::new(&route, None, !inward, now);
    let mut request =
        Stream::new((Source::Socket(from_caller), patience()), account, in_flight.share(), clock.clone(), owner);
    let account = Account::new(&route, None, inward, now);
    let owner = AnswerOwner::new(exchange, lease, route);
    let mut answer = Stream::new((Source::Socket(from_upstream), patience()), account, in_flight.share(), clock, owner);
    let whole = tokio::select! {
        biased;
        () = in_flight.severed() => false,
        whole = pass(&mut answer, to_caller) => whole,
        whole = pass(&mut request, to_upstream) => whole,
    };
    if whole {
        answer.owner_mut().let_go();
    }
    if let Some(ending @ Ending::Halted(_)) = fate.ending() {
        answer.owner_mut().note(&ending.denial(Message::Request));
    }
    // Closes the books, which say whether the caller's connection is to be reset; then that connection.
    drop(answer);
    drop(request);
}

/// Whether one side has ended by itself, and the other was told.
async fn pass<O: Owner>(from: &mut Stream<O>, mut to: WriteHalf<Side>) -> bool {
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
