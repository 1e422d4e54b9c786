//! The body of every message that the gateway sends: bytes in memory, or a stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Why a body ended before its end. The connection or stream is then reset, so that the receiver does not take the body
/// for whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The kill switch cut the exchange.
    #[error("severed by the kill switch")]
    Severed,
    /// A budget was spent.
    #[error("cut at its budget")]
    BudgetSpent,
    /// The body cannot be read, or cannot be treated.
    #[error("the body cannot be read to its end")]
    Unreadable,
    /// The other side ended or reset the exchange.
    #[error("the other side ended the exchange")]
    Aborted,
    /// The other side stopped sending.
    #[error("the other side sent nothing for too long")]
    Stalled,
}

/// The body of a message.
pub struct GatewayBody(GatewayBodyKind);

enum GatewayBodyKind {
    Full(Option<Bytes>),
    Stream(Pin<Box<dyn Body<Data = Bytes, Error = BodyError> + Send>>),
}

impl GatewayBody {
    /// A body that is in memory.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self(GatewayBodyKind::Full(Some(bytes.into()).filter(|bytes| !bytes.is_empty())))
    }

    /// A body that is streamed.
    pub fn stream(body: impl Body<Data = Bytes, Error = BodyError> + Send + 'static) -> Self {
        Self(GatewayBodyKind::Stream(Box::pin(body)))
    }
}

impl fmt::Debug for GatewayBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            GatewayBodyKind::Full(_) => "full body",
            GatewayBodyKind::Stream(_) => "streamed body",
        })
    }
}

impl Body for GatewayBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            GatewayBodyKind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            GatewayBodyKind::Stream(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            GatewayBodyKind::Full(bytes) => bytes.is_none(),
            GatewayBodyKind::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            GatewayBodyKind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            GatewayBodyKind::Stream(body) => body.size_hint(),
        }
    }
}
