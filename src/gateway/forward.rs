//! The other half: an admitted request to its upstream, and the answer back.
//!
//! Consumes what `admit` made. Waits for the upstream, for bodies and for the kill switch; decides only what cannot be
//! known before: whether a body can be read.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use ::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName};
use ::http::{HeaderValue, Request, Response, StatusCode, request, response};
use http_body::Body;
use hyper::body::Incoming;

use super::body_pipeline::{AbortReason, BodyPipeline, HttpMessage};
use super::body_rate::BodyRateMonitor;
use super::body_source::BodySource;
use super::body_stream::{BodyEnd, BodyStream};
use super::exchange::Exchange;
use super::handle::Admitted;
use super::observers::{RequestBodyOutcome, RequestObserver, ResponseObserver};
use super::snapshot::{MessageRules, RouteRuntime};
use super::target::HeadCounts;
use super::{headers, target, websocket, withheld};
use crate::bounds;
use crate::http::{GatewayBody, is_framed_once};
use crate::model::{Denial, Direction, Moment, Reason, with_causes};
use crate::pii::{RewriteError, Rewriter};
use crate::upstream::{ConnectError, SendError, UpstreamLease, UpstreamRequest};

/// Sends an admitted request on and brings the head of the answer back; the answer's body closes the exchange.
pub(super) async fn forward(
    worker: usize,
    admitted: Admitted,
    mut head: request::Parts,
    body: BodySource,
    mut exchange: Box<Exchange>,
) -> Response<GatewayBody> {
    let caller = head.extensions.remove().filter(|_| admitted.websocket);
    let outcome = match outgoing(&admitted, head, body, &mut exchange).await {
        Ok((request, head)) => send(worker, &admitted, request, head, &mut exchange).await,
        Err(denial) => Err(denial),
    };
    match outcome {
        Ok((response, lease)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            websocket::switch_protocols(&admitted, caller, response, lease, exchange)
        }
        Ok((response, lease)) => incoming(&admitted, response, lease, exchange).await,
        Err(denial) => exchange.refuse(&denial),
    }
}

/// The request as the upstream gets it, and what was treated in its head where that goes without a body.
async fn outgoing(
    admitted: &Admitted,
    mut head: request::Parts,
    body: BodySource,
    exchange: &mut Exchange,
) -> Result<(Request<GatewayBody>, HeadCounts), Denial> {
    let route = &admitted.route;
    let direction = exchange.direction();
    let treats = route.request.as_ref();
    let has_body = !body.is_end_stream();
    let rewriter = engine(treats, has_body, &head.headers).map_err(|stop| unreadable_request(&stop))?;
    if let Some(treats) = treats {
        treats.plan.check_graphql_query(head.uri.query(), has_body).map_err(|stop| unreadable_request(&stop))?;
    }
    let mut counts = HeadCounts::default();
    let target = target::upstream_uri(admitted, &head.uri, treats, &mut counts)?;
    headers::rewrite_request(admitted, exchange, (&mut head, &mut counts), rewriter.is_some())
        .map_err(|stop| unreadable_request(&stop))?;
    let body = if has_body {
        let treat = treats.zip(rewriter);
        let account = BodyPipeline::new(route, treat, direction == Direction::Egress, exchange.started);
        let account = with_clear_sample(account, &head.headers);
        request_body(body, account.with_head_counts(std::mem::take(&mut counts)), exchange, route).await?
    } else {
        GatewayBody::full("")
    };
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = target;
    *request.headers_mut() = head.headers;
    Ok((request, counts))
}

/// A request's body on its way: what is at hand is read before the upstream is asked, so that most bad ones never are.
async fn request_body(
    body: BodySource,
    account: BodyPipeline,
    exchange: &mut Exchange,
    route: &Arc<RouteRuntime>,
) -> Result<GatewayBody, Denial> {
    let fate = Arc::new(RequestBodyOutcome::default());
    let owner = RequestObserver::new(Arc::clone(&fate), Arc::clone(route), exchange.share_in_flight()?, exchange);
    let changes = account.rewrites();
    exchange.takes(Arc::clone(&fate));
    let body = (body, BodyRateMonitor::new(route.upstream.body_limits()));
    let mut stream = BodyStream::new(body, account, exchange.share_in_flight()?, exchange.gateway.clock.clone(), owner);
    if changes && let Some(ending) = poll_fn(|cx| Poll::Ready(stream.buffer_ready(cx))).await {
        exchange.follow(&ending);
        return Err(ending.denial(HttpMessage::Request));
    }
    Ok(GatewayBody::stream(stream))
}

/// Sends, and waits for the head of the answer or the kill switch.
async fn send(
    worker: usize,
    admitted: &Admitted,
    request: Request<GatewayBody>,
    mut head: HeadCounts,
    exchange: &mut Exchange,
) -> Result<(Response<Incoming>, UpstreamLease), Denial> {
    let mut is_out = true;
    let asked = exchange.gateway.clock.now();
    let mut in_flight = exchange.share_in_flight()?;
    let fate = exchange.request_fate();
    let sending = fate.as_ref().map(|_| in_flight.share());
    let sent = poll_fn(|cx| fate.as_ref().map_or(Poll::Ready(()), |fate| fate.poll_done(cx)));
    let outgoing = UpstreamRequest { request, sent, sending };
    let outcome = tokio::select! {
        biased;
        outcome = admitted.route.upstream.send(worker, outgoing, asked) => outcome.map_err(|error| {
            is_out = !matches!(error, SendError::Connect(_) | SendError::Full);
            send_denial(&error)
        }),
        () = in_flight.severed() => {
            Err(Denial::new(in_flight.sever_reason(), "severed while the upstream was awaited"))
        }
    };
    exchange.waited(asked);
    if let Some(treats) = admitted.route.request.as_ref().filter(|treats| is_out && treats.plan.reads_head()) {
        head.record_sent(treats, &admitted.route);
        if treats.counts_as_exposure {
            admitted.route.exposure.add_left(0, 0, exchange.started);
        }
    }
    // Where our side of the request broke, that is the reason, and the upstream's complaint its consequence.
    outcome.map_err(|denial| exchange.request_broke().map_or(denial, |ending| ending.denial(HttpMessage::Request)))
}

/// The answer as the caller gets it.
async fn incoming(
    admitted: &Admitted,
    response: Response<Incoming>,
    lease: UpstreamLease,
    exchange: Box<Exchange>,
) -> Response<GatewayBody> {
    let (mut head, body) = response.into_parts();
    let route = &admitted.route;
    let treats = route.response.as_ref();
    if !is_framed_once(&head.headers) {
        return exchange.refuse(&Denial::new(Reason::UpstreamUnreadable, "the answer's length is told in two ways"));
    }
    let has_body = !body.is_end_stream();
    let rewriter = readable(&head, has_body).and_then(|()| engine(treats, has_body, &head.headers));
    let mut counts = HeadCounts::default();
    let in_flight = match exchange.share_in_flight() {
        Ok(in_flight) => in_flight,
        Err(denial) => return exchange.refuse(&denial),
    };
    let reads = treats.is_some_and(|treats| treats.plan.reads_body()) || rewriter.as_ref().is_ok_and(Option::is_some);
    if let Err(stop) = headers::rewrite_response(route, &exchange, (&mut head, &mut counts), reads) {
        return exchange.refuse(&unreadable_answer(&stop));
    }
    let rewriter = match rewriter {
        Ok(rewriter) => rewriter,
        Err(stop) if treats.is_some_and(|treats| treats.plan.reads_body()) => {
            let ending = BodyEnd::Stopped(AbortReason::Untreatable(stop));
            return withheld::respond(exchange, route, head.status, (&head.headers, counts), &ending);
        }
        Err(_) => None,
    };
    let changes = rewriter.is_some();
    let leaves = exchange.direction() == Direction::Ingress;
    let (gateway, now) = (Arc::clone(&exchange.gateway), exchange.gateway.clock.now());
    let account = BodyPipeline::new(route, treats.zip(rewriter), leaves, now).with_head_counts(counts);
    let account = if head.status.is_success() { account } else { account.ignoring_shape() };
    let account = if has_body { with_clear_sample(account, &head.headers) } else { account };
    let pairs = exchange.is_h2() && treats.is_some_and(|treats| treats.counts_records);
    let owner = ResponseObserver::new(exchange, lease, Arc::clone(route));
    let body = (body.into(), response_rate(&head.headers, route));
    let mut stream =
        BodyStream::new(body, account, in_flight, gateway.clock.clone(), owner).with_last_byte_apart(pairs);
    let broken = if changes { buffer_response(&mut stream, head.status, now).await } else { None };
    if let Some(ending) = &broken
        && !stream.has_sendable(ending)
        && let Some(exchange) = stream.observer_mut().give_up()
    {
        // Nothing has been sent: a refusal says more than an answer that breaks off.
        return withheld::respond(exchange, route, head.status, (&head.headers, stream.take_head_counts()), ending);
    }
    if broken.is_some() {
        // What a budget had room for leaves now, and the record of the cut says so.
        stream.mark_sent();
    }
    stream.observer_mut().answers(head.status.as_u16(), broken.as_ref());
    if let Some(in_flight) = stream.in_flight_if_streaming() {
        stream.observer_mut().watch_reader(in_flight);
    }
    Response::from_parts(head, GatewayBody::stream(stream))
}

/// Takes in what is at hand of an answer. What stands without its body is waited for, but not for long: its head cannot
/// be mended any more once it has left.
async fn buffer_response(
    stream: &mut BodyStream<ResponseObserver>,
    status: StatusCode,
    since: Moment,
) -> Option<BodyEnd> {
    if !withheld::has_meaning_alone(status) {
        return poll_fn(|cx| Poll::Ready(stream.buffer_ready(cx))).await;
    }
    let whole = poll_fn(|cx| {
        let broken = stream.buffer_ready(cx);
        if broken.is_none() && stream.wants_more() { Poll::Pending } else { Poll::Ready(broken) }
    });
    let broken = tokio::time::timeout(bounds::ERROR_BODY_WAIT, whole).await.ok().flatten();
    stream.observer_mut().waited(since);
    broken
}

/// An event stream may be as slow as its events, but not silent.
fn response_rate(headers: &HeaderMap, route: &RouteRuntime) -> BodyRateMonitor {
    let is_events = |value: &HeaderValue| {
        let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        essence.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
    };
    let body = route.upstream.body_limits();
    if headers.get(CONTENT_TYPE).is_some_and(is_events) {
        BodyRateMonitor::idle(body.idle)
    } else {
        BodyRateMonitor::new(body)
    }
}

/// The engine of a body; none where there is no body, or no rule that reads it.
fn engine(
    treats: Option<&MessageRules>,
    has_body: bool,
    headers: &HeaderMap,
) -> Result<Option<Box<dyn Rewriter>>, RewriteError> {
    match treats.filter(|treats| has_body && treats.plan.reads_body()) {
        None => Ok(None),
        Some(treats) => {
            treats.plan.body_rewriter(single(headers, CONTENT_TYPE)?, single(headers, CONTENT_ENCODING)?).map(Some)
        }
    }
}

/// What leaves in clear is told of the body, by what its headers say that it is.
fn with_clear_sample(account: BodyPipeline, headers: &HeaderMap) -> BodyPipeline {
    let said = |name| single(headers, name).ok().flatten();
    account.with_clear_sample(said(CONTENT_TYPE), said(CONTENT_ENCODING))
}

/// A header of which two would describe the body in two ways.
fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, RewriteError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(RewriteError::Opaque { what: "a body that is described twice" });
    }
    let text = first.map(|value| value.to_str()).transpose();
    text.map_err(|_| RewriteError::Opaque { what: "a body that is described in other than ASCII" })
}

/// An answer that is a part of a document cannot be read as one.
fn readable(head: &response::Parts, has_body: bool) -> Result<(), RewriteError> {
    if has_body && head.status == StatusCode::PARTIAL_CONTENT {
        Err(RewriteError::Opaque { what: "a part of a body" })
    } else {
        Ok(())
    }
}

fn unreadable_request(stop: &RewriteError) -> Denial {
    AbortReason::Untreatable(stop.clone()).denial(HttpMessage::Request)
}

fn unreadable_answer(stop: &RewriteError) -> Denial {
    AbortReason::Untreatable(stop.clone()).denial(HttpMessage::Response)
}

fn send_denial(error: &SendError) -> Denial {
    let reason = match error {
        SendError::Connect(ConnectError::Deadline) | SendError::Deadline => Reason::UpstreamTimeout,
        SendError::Connect(ConnectError::Forbidden) => Reason::DestinationUnknown,
        SendError::Connect(ConnectError::ServerName | ConnectError::Resolve(_) | ConnectError::Connect(_))
        | SendError::Ended(_) => Reason::UpstreamRefused,
        SendError::Full => Reason::Overloaded,
        SendError::Unreadable | SendError::Flawed(_) => Reason::UpstreamUnreadable,
    };
    Denial::new(reason, with_causes(error))
}
