//! One exchange on an HTTP/2 connection: its head, the body of its request, and the head of its response.
//!
//! The body is asked for its next piece only when the upstream has room for one. It goes on as a task of its own where
//! it is not ready at once, since the response may come before it has ended. Whatever breaks the exchange off resets
//! its stream.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http::header::{CONNECTION, CONTENT_LENGTH, HOST};
use ::http::uri::{Authority, PathAndQuery, Scheme};
use ::http::{Method, Request, Response, StatusCode, Uri, Version, request};
use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http_body::Body;
use tokio::task::AbortHandle;

use super::body::{StreamBody, UpstreamBody};
use super::http2::{SharedConnection, SharedState, StreamSlot};
use super::pool::SendError;
use crate::bounds;
use crate::http::{FramingError, GatewayBody, WriteStall};
use crate::kill::InFlight;
use crate::model::Moment;

/// A request for an HTTP/2 connection.
pub(super) struct StreamRequest<'a> {
    pub(super) request: Request<GatewayBody>,
    /// The scheme and the authority of the upstream, which HTTP/2 sends with every request.
    pub(super) origin: &'a (Scheme, Authority),
    /// The registration of the request, where it has a body.
    pub(super) sending: Option<InFlight>,
    /// How long the upstream may have no room for more of the body.
    pub(super) idle: Duration,
    /// Set once the response has not come in time.
    pub(super) is_late: &'a AtomicBool,
}

/// An exchange whose response is being read. Dropping it ends the sending of the request.
#[derive(Debug)]
pub(super) struct StreamLease {
    slot: Arc<StreamSlot>,
    body: Option<AbortHandle>,
}

impl StreamLease {
    /// The exchange is over, to the last byte.
    pub(super) fn release(self, now: Moment) {
        self.slot.touch(now);
    }
}

impl Drop for StreamLease {
    fn drop(&mut self) {
        if let Some(body) = &self.body {
            body.abort();
        }
    }
}

/// Sends a request on a connection, and waits for the head of its response.
///
/// # Errors
/// The request beside the error, where the upstream has processed nothing of it and none of its body was taken.
pub(super) async fn exchange(
    connection: SharedConnection,
    slot: StreamSlot,
    outgoing: StreamRequest<'_>,
) -> Result<(Response<UpstreamBody>, StreamLease), (SendError, Option<Request<GatewayBody>>)> {
    let SharedConnection { mut requests, state } = connection;
    if let Err(error) = poll_fn(|cx| requests.poll_ready(cx)).await {
        state.retire();
        return Err((SendError::Unprocessed(error), Some(outgoing.request)));
    }
    let StreamRequest { request, origin, sending, idle, is_late } = outgoing;
    let (head, body) = request.into_parts();
    let has_body = !body.is_end_stream();
    let expects_body = head.method != Method::HEAD;
    // Only a request without a body can be sent again, since a body is taken at once.
    let spare = (!has_body).then(|| head.clone());
    let heard = state.heard();
    let (response, stream) = requests.send_request(on_wire(head, origin, &body), !has_body).map_err(|error| {
        state.retire();
        (SendError::Reset(error), None)
    })?;
    let slot = Arc::new(slot);
    let mut lease = StreamLease { slot: Arc::clone(&slot), body: None };
    if has_body {
        let mut body = Box::pin(BodySender { body, stream, slot, sending, stall: WriteStall::new(idle) });
        let is_done = poll_fn(|cx| Poll::Ready(body.as_mut().poll(cx).is_ready())).await;
        lease.body = (!is_done).then(|| tokio::spawn(body).abort_handle());
    }
    let mut awaited = AwaitedResponse { response, interim: 0, state, heard, is_late };
    match poll_fn(|cx| awaited.poll(cx)).await {
        Ok(response) => {
            received(response, expects_body).map(|response| (response, lease)).map_err(|error| (error, None))
        }
        Err(error) => {
            let spare = spare.filter(|_| matches!(error, SendError::Unprocessed(_)));
            Err((error, spare.map(|head| Request::from_parts(head, GatewayBody::full("")))))
        }
    }
}

/// The head of a request as HTTP/2 has it: the host is in the target, and no field is about the connection.
fn on_wire(mut head: request::Parts, (scheme, authority): &(Scheme, Authority), body: &GatewayBody) -> Request<()> {
    let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let uri = Uri::builder().scheme(scheme.clone()).authority(authority.clone()).path_and_query(path).build();
    head.uri = uri.unwrap_or(head.uri);
    head.version = Version::HTTP_2;
    head.headers.remove(HOST);
    head.headers.remove(CONNECTION);
    let has_meaning = matches!(head.method, Method::POST | Method::PUT | Method::PATCH);
    if let Some(length) = body.size_hint().exact().filter(|length| *length > 0 || has_meaning) {
        head.headers.entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    Request::from_parts(head, ())
}

/// The response with its body, once its head is known to be within the bounds.
fn received(response: Response<RecvStream>, expects_body: bool) -> Result<Response<UpstreamBody>, SendError> {
    if response.headers().len() > bounds::HEADERS_MAX {
        return Err(SendError::Flawed(FramingError::ManyFields));
    }
    // h2 takes two equal lengths, and refuses others.
    if response.headers().get_all(CONTENT_LENGTH).iter().count() > 1 {
        return Err(SendError::Flawed(FramingError::RepeatedLength));
    }
    let has_none = !expects_body || matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let length = response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    Ok(response.map(|stream| match has_none {
        true => UpstreamBody::Empty,
        false => UpstreamBody::Http2(StreamBody::new(stream, length)),
    }))
}

/// The head of a response that has not come yet.
struct AwaitedResponse<'a> {
    response: ResponseFuture,
    /// How many interim responses (1xx) came.
    interim: usize,
    state: Arc<SharedState>,
    /// How often bytes had come from the upstream before the request.
    heard: u64,
    is_late: &'a AtomicBool,
}

impl AwaitedResponse<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<RecvStream>, SendError>> {
        while let Poll::Ready(Some(interim)) = self.response.poll_informational(cx) {
            interim.map_err(send_error)?;
            self.interim += 1;
            if self.interim > bounds::INTERIM_ANSWERS_MAX {
                return Poll::Ready(Err(SendError::Flawed(FramingError::Interim)));
            }
        }
        Pin::new(&mut self.response).poll(cx).map_err(send_error)
    }
}

/// An upstream that lets a deadline pass without a byte may be gone without a word, so its connection takes no more.
impl Drop for AwaitedResponse<'_> {
    fn drop(&mut self) {
        if self.is_late.load(Ordering::Relaxed) && self.state.heard() == self.heard {
            self.state.retire();
        }
    }
}

fn send_error(error: h2::Error) -> SendError {
    let is_refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    match error.get_io().map(std::io::Error::kind) {
        Some(std::io::ErrorKind::TimedOut) => SendError::Deadline,
        // Streams that the upstream's GOAWAY covers as processed do not get its error.
        _ if error.is_remote() && (is_refused || error.is_go_away()) => SendError::Unprocessed(error),
        _ if error.is_library() => SendError::Unreadable,
        // Only a body that found no room has its stream reset by us.
        _ if error.is_reset() && !error.is_remote() => SendError::Deadline,
        _ => SendError::Reset(error),
    }
}

/// Sends the body of a request.
struct BodySender {
    body: GatewayBody,
    stream: SendStream<Bytes>,
    slot: Arc<StreamSlot>,
    sending: Option<InFlight>,
    stall: WriteStall,
}

/// Why a body is not sent to its end: what the upstream learns, or nothing where the stream has ended.
type SendingEnd = Option<Reason>;

impl Future for BodySender {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.sending.as_mut().is_some_and(|sending| sending.poll_severed(cx).is_ready()) {
            this.stream.send_reset(Reason::CANCEL);
            this.slot.severed();
            return Poll::Ready(());
        }
        match ready!(this.poll_send(cx)) {
            Ok(()) => this.slot.sent(),
            Err(Some(reason)) => this.stream.send_reset(reason),
            Err(None) => {}
        }
        Poll::Ready(())
    }
}

impl BodySender {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendingEnd>> {
        loop {
            ready!(self.poll_room(cx))?;
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else {
                return Poll::Ready(self.stream.send_data(Bytes::new(), true).map_err(|_| None));
            };
            let frame = frame.map_err(|_| Some(Reason::CANCEL))?;
            match frame.into_data() {
                Ok(data) => {
                    let is_last = self.body.is_end_stream();
                    if is_last || !data.is_empty() {
                        self.stream.send_data(data, is_last).map_err(|_| None)?;
                    }
                    if is_last {
                        return Poll::Ready(Ok(()));
                    }
                }
                Err(frame) => {
                    let fields = frame.into_trailers().unwrap_or_default();
                    return Poll::Ready(self.stream.send_trailers(fields).map_err(|_| None));
                }
            }
        }
    }

    /// Ready when the upstream has room for a byte.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendingEnd>> {
        self.stream.reserve_capacity(1);
        while self.stream.capacity() == 0 {
            match self.stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(None)),
                Poll::Pending if self.stall.has_passed(cx, true) => return Poll::Ready(Err(Some(Reason::CANCEL))),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.stall.has_passed(cx, false);
        // An upstream that wants no more of the body has reset the stream.
        if self.stream.poll_reset(cx).is_ready() { Poll::Ready(Err(None)) } else { Poll::Ready(Ok(())) }
    }
}
