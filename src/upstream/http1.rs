//! An HTTP/1.1 connection to an upstream: one exchange at a time.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ::http::header::UPGRADE;
use ::http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use super::connect::UpstreamStream;
use super::guarded_stream::{ConnectionControl, GuardedUpstream};
use super::pool::{OpenConnection, SendError};
use crate::bounds;
use crate::http::{ExpectedResponse, GatewayBody, PendingResponse, ScreenedStream};
use crate::kill::InFlight;
use crate::model::Moment;

/// An HTTP/1.1 connection.
#[derive(Debug)]
pub(super) struct PooledConnection {
    requests: SendRequest<GatewayBody>,
    control: Arc<ConnectionControl>,
    /// Whether an exchange is under way on the connection.
    is_busy: bool,
    /// What the screening of the upstream's bytes must expect as the next response.
    asked: Arc<PendingResponse>,
    open: OpenConnection,
}

/// A connection that is dropped in the middle of an exchange is reset, so that the upstream does not take it for whole.
impl Drop for PooledConnection {
    fn drop(&mut self) {
        if self.is_busy {
            self.control.abort();
        }
    }
}

impl PooledConnection {
    /// Speaks HTTP/1.1 over a stream. `idle` is how long the upstream may read nothing.
    pub(super) async fn handshake(
        stream: UpstreamStream,
        idle: Duration,
        open: OpenConnection,
    ) -> Result<Self, SendError> {
        let control = Arc::new(ConnectionControl::default());
        let wire = GuardedUpstream::new(stream, Arc::clone(&control), idle);
        let asked = Arc::new(PendingResponse::default());
        let (requests, connection) = http1::Builder::new()
            .max_buf_size(bounds::UPSTREAM_BUFFER_BYTES_MAX)
            .handshake(TokioIo::new(ScreenedStream::answers(wire, Arc::clone(&asked))))
            .await
            .map_err(SendError::Ended)?;
        let theirs = Arc::clone(&control);
        tokio::spawn(async move {
            let mut connection = pin!(connection.with_upgrades());
            // An exchange that waits on the connection gets the error from hyper, and nothing else needs it.
            poll_fn(|cx| match theirs.poll_aborted(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => connection.as_mut().poll(cx).map(drop),
            })
            .await;
        });
        Ok(Self { requests, control, is_busy: false, asked, open })
    }

    /// Whether the connection has finished its last exchange, and takes the next one, within this time.
    pub(super) async fn is_ready(&mut self, deadline: Duration) -> bool {
        matches!(tokio::time::timeout(deadline, self.requests.ready()).await, Ok(Ok(())))
    }

    /// Sends a request, and waits for the head of its response. The connection is busy from then on.
    ///
    /// # Errors
    /// The request beside the error, where not a byte of it was sent.
    pub(super) async fn exchange(
        &mut self,
        request: Request<GatewayBody>,
        sending: Option<InFlight>,
    ) -> Result<Response<Incoming>, (SendError, Option<Request<GatewayBody>>)> {
        self.is_busy = true;
        self.control.begin(sending);
        self.asked.expect(expected(&request));
        self.requests.try_send_request(request).await.map_err(|mut failure| {
            let unsent = failure.take_message();
            (self.error(failure.into_error()), unsent)
        })
    }

    /// The exchange is over, to the last byte, or the connection has left HTTP.
    pub(super) fn finish(&mut self) {
        self.is_busy = false;
        self.control.finish();
    }

    /// Whether the connection can take another request.
    pub(super) fn is_reusable(&self, now: Moment) -> bool {
        now.monotonic_ns < self.open.expires_ns && !self.requests.is_closed() && self.asked.error().is_none()
    }

    fn error(&self, error: hyper::Error) -> SendError {
        match self.asked.error() {
            Some(flaw) => SendError::Flawed(flaw),
            None if error.is_parse() => SendError::Unreadable,
            None if has_stalled(&error) => SendError::Deadline,
            None => SendError::Ended(error),
        }
    }
}

/// The kind of response that a request will get.
fn expected(request: &Request<GatewayBody>) -> ExpectedResponse {
    match *request.method() {
        Method::HEAD => ExpectedResponse::HeadResponse,
        _ if request.headers().contains_key(UPGRADE) => ExpectedResponse::Upgrade,
        _ => ExpectedResponse::Response,
    }
}

/// Whether the upstream did not read what it was sent: see [`GuardedUpstream`].
fn has_stalled(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}
