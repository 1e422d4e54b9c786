//! Forwarding: an admitted request goes to its upstream, and the response comes back.
//!
//! Consumes what `admission` made. Waits for the upstream, for bodies and for the kill switch. Decides only what cannot
//! be known before: whether a body can be read.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use ::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName};
use ::http::{HeaderValue, Request, Response, StatusCode, request, response};
use http_body::Body;

use super::admission::Admitted;
use super::body_end::{AbortReason, BodyEnd, HttpMessage};
use super::body_pipeline::BodyPipeline;
use super::body_rate::BodyRateMonitor;
use super::body_source::BodySource;
use super::body_stream::BodyStream;
use super::credentialed::CredentialedRequest;
use super::last_good::LastGoodKey;
use super::observers::{RequestObserver, ResponseObserver};
use super::request_outcome::RequestBodyOutcome;
use super::seen_body::SeenBody;
use super::send::send;
use super::snapshot::{MessageRules, RouteRuntime};
use super::target::{HeadCounts, upstream_uri};
use super::{fallback, headers, observe, websocket, withheld};
use crate::bounds;
use crate::http::{GatewayBody, is_framed_once, is_grpc};
use crate::model::{Denial, Direction, Reason};
use crate::pii::{RewriteError, Rewriter};
use crate::upstream::{TargetLease, UpstreamBody};

/// Sends an admitted request to its upstream and returns the response for the caller. The body of that response holds
/// what was admitted until its last byte.
pub(super) async fn forward(
    worker: usize,
    mut admitted: Admitted,
    mut head: request::Parts,
    body: BodySource,
) -> Response<GatewayBody> {
    let key = fallback::key_of(admitted.record(), &head);
    let caller = head.extensions.remove().filter(|_| admitted.is_websocket());
    let outcome = match upstream_request(&mut admitted, head, body).await {
        Ok((request, counts, None)) => send(worker, &mut admitted, request, Some(counts)).await,
        // Boxed, so that its state is not part of the future of every request.
        Ok((request, counts, Some(own))) => Box::pin(own.send(worker, &mut admitted, request, counts)).await,
        Err(denial) => Err(denial),
    };
    match outcome {
        Ok((response, lease)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            websocket::switch_protocols(admitted, caller, response, lease)
        }
        Ok((response, lease)) => caller_response(admitted, response, lease, key).await,
        Err(denial) => match fallback::for_denied(admitted.record(), &denial, key.as_ref()) {
            Some(response) => {
                admitted.deny(&denial);
                admitted.reply(response)
            }
            None => admitted.refuse(&denial),
        },
    }
}

/// The request for the upstream. Returns beside it what was treated in its head, where that is sent without a body, and
/// what is still to give it its credential, where the gateway holds one.
async fn upstream_request(
    admitted: &mut Admitted,
    mut head: request::Parts,
    body: BodySource,
) -> Result<(Request<GatewayBody>, HeadCounts, Option<CredentialedRequest>), Denial> {
    let route = Arc::clone(admitted.route());
    let rules = route.request.as_ref();
    let has_body = !body.is_end_stream();
    let rewriter = rewriter(rules, has_body, &head.headers).map_err(unreadable_request)?;
    if let Some(rules) = rules {
        rules.plan.check_graphql_query(head.uri.query(), has_body).map_err(unreadable_request)?;
    }
    let mut counts = HeadCounts::default();
    let mut credentialed = CredentialedRequest::new(admitted, &head.headers);
    let path = admitted.take_path();
    let mut target = upstream_uri(&route, &path, &head.uri, &mut counts)?;
    if let Some(observed) = route.observed.as_ref().and_then(|observed| observed.request.as_ref()) {
        observe::request_head(admitted, observed, (&path, &head, has_body), &mut counts);
    }
    headers::rewrite_request(admitted, (&mut head, &mut counts), rewriter.is_some()).map_err(unreadable_request)?;
    if let Some(own) = &credentialed {
        own.strip(&mut head.headers, &mut target);
    }
    let body = if has_body {
        let exposure = admitted.record().exposure_of(Direction::Egress);
        let pipeline = BodyPipeline::new(&route, rules.zip(rewriter), exposure, admitted.record().started);
        let pipeline = with_clear_sample(pipeline, &head.headers).with_head_counts(std::mem::take(&mut counts));
        let pipeline = match route.observed.as_ref().and_then(|observed| observed.request.as_ref()) {
            Some(rules) => {
                let rewriter = self::rewriter(Some(rules), true, &head.headers);
                pipeline.with_observed(&route, rules, HttpMessage::Request, rewriter)
            }
            None => pipeline,
        };
        let pipeline = with_seen(pipeline, admitted, true, &head.headers);
        request_body(admitted, body, pipeline, credentialed.as_mut()).await?
    } else {
        GatewayBody::full("")
    };
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = target;
    *request.headers_mut() = head.headers;
    Ok((request, counts, credentialed))
}

/// The body of the request for the upstream. What is ready of it is read before the upstream is asked, so that most
/// bodies that must be refused never reach it.
async fn request_body(
    admitted: &mut Admitted,
    body: BodySource,
    pipeline: BodyPipeline,
    credentialed: Option<&mut CredentialedRequest>,
) -> Result<GatewayBody, Denial> {
    let outcome = Arc::new(RequestBodyOutcome::default());
    admitted.record_mut().set_request_body(Arc::clone(&outcome));
    let observer = RequestObserver::new(admitted, outcome);
    let rewrites = pipeline.rewrites();
    let body = (body, request_rate(admitted));
    let clock = admitted.record().gateway.clock.clone();
    let mut stream = BodyStream::new(body, pipeline, admitted.share_in_flight(), clock, observer);
    if let Some(own) = credentialed.filter(|own| own.signs_body()) {
        own.body = stream.buffer_whole().await.map_err(|end| end.denial(HttpMessage::Request))?;
    } else if rewrites && let Some(end) = poll_fn(|cx| Poll::Ready(stream.buffer_ready(cx))).await {
        return Err(end.denial(HttpMessage::Request));
    }
    Ok(GatewayBody::stream(stream))
}

/// The response for the caller.
async fn caller_response(
    mut admitted: Admitted,
    response: Response<UpstreamBody>,
    lease: TargetLease,
    key: Option<LastGoodKey>,
) -> Response<GatewayBody> {
    let (mut head, body) = response.into_parts();
    let route = Arc::clone(admitted.route());
    let rules = route.response.as_ref();
    if !is_framed_once(&head.headers) {
        return admitted
            .refuse(&Denial::new(Reason::UpstreamUnreadable, "the length of the response is given in two ways"));
    }
    let has_body = !body.is_end_stream();
    let rewriter = check_whole(&head, has_body).and_then(|()| rewriter(rules, has_body, &head.headers));
    let mut counts = HeadCounts::default();
    if let Some(observed) = route.observed.as_ref().and_then(|observed| observed.response.as_ref()) {
        observe::response_head(&mut admitted, observed, &head, &mut counts);
    }
    let reads_body = rules.is_some_and(|rules| rules.plan.reads_body());
    let rewrites = reads_body || rewriter.as_ref().is_ok_and(Option::is_some);
    if let Err(error) = headers::rewrite_response(&admitted, (&mut head, &mut counts), rewrites) {
        return admitted.refuse(&AbortReason::Untreatable(error).denial(HttpMessage::Response));
    }
    let rewriter = match rewriter {
        Ok(rewriter) => rewriter,
        Err(error) if reads_body => {
            let end = BodyEnd::Stopped(AbortReason::Untreatable(error));
            return withheld::respond(&mut admitted, head.status, (&head.headers, counts), &end);
        }
        Err(_) => None,
    };
    let rewrites = rewriter.is_some();
    let mut stream = response_stream(admitted, (&head, body), rewriter, counts, lease);
    let end = if rewrites { buffer_response(&mut stream, head.status).await } else { None };
    if let Some(end) = &end
        && !stream.has_sendable(end)
    {
        // Nothing has been sent, and a refusal says more than a response that breaks off.
        let counts = stream.take_head_counts();
        return withheld::respond(stream.observer_mut().admitted_mut(), head.status, (&head.headers, counts), end);
    }
    if end.is_some() {
        // What a budget had room for is sent now, so that the audit of the cut can count it.
        stream.mark_sent();
    }
    stream.observer_mut().admitted_mut().record_mut().set_status(head.status.as_u16());
    if let Some(end) = &end {
        stream.report_end(Err(end));
    }
    if let Some(in_flight) = stream.in_flight_if_streaming() {
        stream.observer_mut().watch_reader(in_flight);
    }
    let kept = fallback::keep(stream.observer_mut().admitted_mut().record(), key, head.status, &head.headers);
    let body = match kept.filter(|_| end.is_none()) {
        Some(kept) => GatewayBody::stream(kept.with_body(stream)),
        None => GatewayBody::stream(stream),
    };
    Response::from_parts(head, body)
}

/// The body of the response on its way to the caller.
fn response_stream(
    admitted: Admitted,
    (head, body): (&response::Parts, UpstreamBody),
    rewriter: Option<Box<dyn Rewriter>>,
    counts: HeadCounts,
    lease: TargetLease,
) -> BodyStream<ResponseObserver> {
    let (record, route) = (admitted.record(), admitted.route());
    let rules = route.response.as_ref();
    let exposure = record.exposure_of(Direction::Ingress);
    let has_body = !body.is_end_stream();
    let clock = record.gateway.clock.clone();
    let pipeline = BodyPipeline::new(route, rules.zip(rewriter), exposure, clock.now()).with_head_counts(counts);
    let pipeline = match route.observed.as_ref().and_then(|observed| observed.response.as_ref()) {
        Some(rules) => {
            let rewriter =
                check_whole(head, has_body).and_then(|()| self::rewriter(Some(rules), has_body, &head.headers));
            pipeline.with_observed(route, rules, HttpMessage::Response, rewriter)
        }
        None => pipeline,
    };
    let pipeline = if head.status.is_success() { pipeline } else { pipeline.ignoring_shape() };
    let pipeline = if has_body { with_clear_sample(pipeline, &head.headers) } else { pipeline };
    let is_read = has_body && head.status.is_success();
    let pipeline = if is_read { with_seen(pipeline, &admitted, false, &head.headers) } else { pipeline };
    let last_byte_apart = record.is_h2() && rules.is_some_and(|rules| rules.counts_records);
    let body = (body.into(), response_rate(&head.headers, route));
    let in_flight = admitted.share_in_flight();
    let observer = ResponseObserver::new(admitted, lease);
    BodyStream::new(body, pipeline, in_flight, clock, observer).with_last_byte_apart(last_byte_apart)
}

/// Buffers what is ready of a response. A response that is of use without its body is waited for, up to
/// [`bounds::ERROR_BODY_WAIT`]: once its head is sent, the body can no longer be replaced.
async fn buffer_response(stream: &mut BodyStream<ResponseObserver>, status: StatusCode) -> Option<BodyEnd> {
    if !withheld::has_meaning_alone(status) {
        return poll_fn(|cx| Poll::Ready(stream.buffer_ready(cx))).await;
    }
    let since = stream.observer_mut().admitted_mut().record().gateway.clock.now();
    let whole = poll_fn(|cx| {
        let end = stream.buffer_ready(cx);
        if end.is_none() && stream.wants_more() { Poll::Pending } else { Poll::Ready(end) }
    });
    let end = tokio::time::timeout(bounds::ERROR_BODY_WAIT, whole).await.ok().flatten();
    stream.observer_mut().admitted_mut().record_mut().waited(since);
    end
}

/// The least rate of a response. An event stream and a gRPC stream may be as slow as their events and messages, but
/// must not be silent.
fn response_rate(headers: &HeaderMap, route: &RouteRuntime) -> BodyRateMonitor {
    let is_events = |value: &HeaderValue| {
        let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        essence.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
    };
    let body = route.upstream.body_limits();
    if headers.get(CONTENT_TYPE).is_some_and(is_events) || is_grpc(headers) {
        BodyRateMonitor::idle(body.idle)
    } else {
        BodyRateMonitor::new(body)
    }
}

/// The least rate of a request: a gRPC stream may be as slow as its messages.
fn request_rate(admitted: &Admitted) -> BodyRateMonitor {
    let body = admitted.route().upstream.body_limits();
    if admitted.record().is_grpc() { BodyRateMonitor::idle(body.idle) } else { BodyRateMonitor::new(body) }
}

/// The rewriter of a body; `None` where there is no body, or no rule that reads it.
fn rewriter(
    rules: Option<&MessageRules>,
    has_body: bool,
    headers: &HeaderMap,
) -> Result<Option<Box<dyn Rewriter>>, RewriteError> {
    match rules.filter(|rules| has_body && rules.plan.reads_body()) {
        None => Ok(None),
        Some(rules) => {
            rules.plan.body_rewriter(single(headers, CONTENT_TYPE)?, single(headers, CONTENT_ENCODING)?).map(Some)
        }
    }
}

/// Has what leaves in clear collected, by what the headers say of the body.
fn with_clear_sample(pipeline: BodyPipeline, headers: &HeaderMap) -> BodyPipeline {
    let value = |name| single(headers, name).ok().flatten();
    pipeline.with_clear_sample(value(CONTENT_TYPE), value(CONTENT_ENCODING))
}

/// Has the fields of the body noted, where the call is looked at.
fn with_seen(pipeline: BodyPipeline, admitted: &Admitted, is_request: bool, headers: &HeaderMap) -> BodyPipeline {
    let Some(seen) = admitted.record().seen() else { return pipeline };
    let value = |name| single(headers, name).ok().flatten();
    pipeline.with_seen(SeenBody::begin(Some(seen), is_request, value(CONTENT_TYPE), value(CONTENT_ENCODING)))
}

/// The value of a field that describes the body: two of them could describe it in two ways.
fn single(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, RewriteError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(RewriteError::Opaque { what: "a body with two content types or content codings" });
    }
    let text = first.map(|value| value.to_str()).transpose();
    text.map_err(|_| RewriteError::Opaque { what: "a body whose content type or coding is not ASCII" })
}

/// Refuses a partial body (206), which cannot be read as a document.
fn check_whole(head: &response::Parts, has_body: bool) -> Result<(), RewriteError> {
    if has_body && head.status == StatusCode::PARTIAL_CONTENT {
        Err(RewriteError::Opaque { what: "a partial body" })
    } else {
        Ok(())
    }
}

fn unreadable_request(error: RewriteError) -> Denial {
    AbortReason::Untreatable(error).denial(HttpMessage::Request)
}
