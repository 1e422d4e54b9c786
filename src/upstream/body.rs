//! The body of an upstream's response, from either version of HTTP.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// The body of an upstream's response.
#[derive(Debug)]
pub enum UpstreamBody {
    /// No body at all.
    Empty,
    /// From an HTTP/1.1 connection.
    Http1(Incoming),
    /// From a stream of an HTTP/2 connection.
    Http2(StreamBody),
}

/// The body of a response on an HTTP/2 stream.
///
/// The window of the stream opens again as the body is taken, so an upstream sends no faster than the caller reads.
/// Dropping the body before its end resets the stream.
#[derive(Debug)]
pub struct StreamBody {
    stream: RecvStream,
    /// What is left of the declared length; h2 has the body break off where it does not fit.
    left: Option<u64>,
}

/// An upstream's body has broken off.
#[derive(Debug, thiserror::Error)]
#[error("the upstream's body broke off")]
pub struct UpstreamBodyBroken;

impl StreamBody {
    pub(super) const fn new(stream: RecvStream, length: Option<u64>) -> Self {
        Self { stream, left: length }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if let Some(data) = ready!(self.stream.poll_data(cx)?) {
            self.stream.flow_control().release_capacity(data.len())?;
            self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let trailers = ready!(self.stream.poll_trailers(cx)?);
        Poll::Ready(trailers.map(|fields| Ok(Frame::trailers(fields))))
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = UpstreamBodyBroken;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamBodyBroken>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Http1(body) => Pin::new(body).poll_frame(cx).map_err(|_| UpstreamBodyBroken),
            Self::Http2(body) => body.poll_frame(cx).map_err(|_| UpstreamBodyBroken),
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.stream.is_end_stream(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
