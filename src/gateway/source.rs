//! Where a body comes from: the wire, or a spool that was filled while its signature was checked.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// A body to be forwarded.
#[derive(Debug)]
pub(super) enum Source {
    /// As it arrives.
    Live(Incoming),
    /// Taken whole; `None` once it was handed on.
    Spooled(Option<Bytes>),
}

impl Source {
    /// What was spooled, as a body.
    pub(super) fn spooled(body: Bytes) -> Self {
        Self::Spooled(Some(body).filter(|body| !body.is_empty()))
    }
}

impl From<Incoming> for Source {
    fn from(body: Incoming) -> Self {
        Self::Live(body)
    }
}

impl Body for Source {
    type Data = Bytes;
    type Error = hyper::Error;

    #[inline]
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Live(body) => Pin::new(body).poll_frame(cx),
            Self::Spooled(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match self {
            Self::Live(body) => body.is_end_stream(),
            Self::Spooled(body) => body.is_none(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Live(body) => body.size_hint(),
            Self::Spooled(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
        }
    }
}
