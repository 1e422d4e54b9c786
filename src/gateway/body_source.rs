//! Where a body comes from: a connection, a buffer that was filled to check the signature, or one side of a WebSocket
//! or a tunnel.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf, ReadHalf};

use crate::bounds;
use crate::http::ByteStream;
use crate::upstream::UpstreamBody;

/// A body to be forwarded.
#[derive(Debug)]
pub(super) enum BodySource {
    /// As it arrives from a caller's connection.
    Live(Incoming),
    /// As it arrives from an upstream's connection.
    Upstream(UpstreamBody),
    /// Read whole before; `None` once it was handed on.
    Spooled(Option<Bytes>),
    /// One side of a WebSocket, as raw bytes.
    Socket(ReadHalf<TokioIo<Upgraded>>),
    /// One side of a tunnel, as raw bytes.
    Tunnel(ReadHalf<Box<dyn ByteStream>>),
}

/// The source of a body has failed.
#[derive(Debug)]
pub(super) struct SourceBroken;

impl BodySource {
    /// A body that was read whole before.
    pub(super) fn spooled(body: Bytes) -> Self {
        Self::Spooled(Some(body).filter(|body| !body.is_empty()))
    }
}

impl From<Incoming> for BodySource {
    fn from(body: Incoming) -> Self {
        Self::Live(body)
    }
}

impl From<UpstreamBody> for BodySource {
    fn from(body: UpstreamBody) -> Self {
        Self::Upstream(body)
    }
}

impl Body for BodySource {
    type Data = Bytes;
    type Error = SourceBroken;

    #[inline]
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, SourceBroken>>> {
        match &mut *self {
            Self::Live(body) => Pin::new(body).poll_frame(cx).map_err(|_| SourceBroken),
            Self::Upstream(body) => Pin::new(body).poll_frame(cx).map_err(|_| SourceBroken),
            Self::Spooled(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Self::Socket(socket) => poll_socket(socket, cx),
            Self::Tunnel(tunnel) => poll_socket(tunnel, cx),
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match self {
            Self::Live(body) => body.is_end_stream(),
            Self::Upstream(body) => body.is_end_stream(),
            Self::Spooled(body) => body.is_none(),
            Self::Socket(_) | Self::Tunnel(_) => false,
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Live(body) => body.size_hint(),
            Self::Upstream(body) => body.size_hint(),
            Self::Spooled(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Self::Socket(_) | Self::Tunnel(_) => SizeHint::default(),
        }
    }
}

fn poll_socket(
    socket: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, SourceBroken>>> {
    let mut piece = [0; bounds::WEBSOCKET_PIECE_BYTES];
    let mut buf = ReadBuf::new(&mut piece);
    let read = ready!(Pin::new(socket).poll_read(cx, &mut buf));
    let filled = buf.filled();
    Poll::Ready(match read {
        Ok(()) if filled.is_empty() => None,
        Ok(()) => Some(Ok(Frame::data(Bytes::copy_from_slice(filled)))),
        Err(_) => Some(Err(SourceBroken)),
    })
}
