//! The stream between the kernel and hyper for a caller's connection. It has a deadline for a peer that does not read,
//! notes the first byte of a request head, and resets a severed connection.
//!
//! A reset makes the kernel throw away what it has not sent yet to a slow reader.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::accept::ConnectionSlot;
use super::timeouts::HeadBegun;
use crate::bounds;
use crate::gateway::Peer;
use crate::http::WriteStall;

/// Bytes that were read to learn the protocol, and that hyper is still to read.
pub(super) type ProtocolBytes = Vec<u8>;

/// The stream of a caller's connection, as hyper has it.
#[derive(Debug)]
pub(super) struct GuardedStream {
    stream: ServerStream,
    first: ProtocolBytes,
    /// Notes bytes that come while no request is under way; `None` for HTTP/2.
    head_begun: Option<Arc<HeadBegun>>,
    peer: Arc<Peer>,
    stall: WriteStall,
    /// Declared after the stream, so that it is dropped when the stream is closed.
    _closed: PeerCloseNotice,
    /// The slot of the connection, held until it closes, also where it has left HTTP.
    _slot: ConnectionSlot,
}

#[derive(Debug)]
struct PeerCloseNotice(Arc<Peer>);

impl Drop for PeerCloseNotice {
    fn drop(&mut self) {
        self.0.on_closed();
    }
}

/// A caller's connection: in clear, or under TLS.
pub(super) type ServerStream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

impl GuardedStream {
    pub(super) fn new(stream: ServerStream, first: ProtocolBytes, peer: Arc<Peer>, slot: ConnectionSlot) -> Self {
        let _closed = PeerCloseNotice(Arc::clone(&peer));
        let stall = WriteStall::new(bounds::BODY_IDLE_DEADLINE);
        Self { stream, first, head_begun: None, _closed, peer, stall, _slot: slot }
    }

    /// Has the first byte of each request head noted, on an HTTP/1.1 connection: all bytes between two requests are of
    /// a head.
    pub(super) fn watch_heads(&mut self) -> Arc<HeadBegun> {
        Arc::clone(self.head_begun.get_or_insert_default())
    }

    /// Passes the outcome of a write on, except that a peer that has read nothing for too long gives an error.
    fn watch<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.peer.set_blocked(outcome.is_pending());
        if !self.stall.has_passed(cx, outcome.is_pending()) {
            return outcome;
        }
        self.peer.reset();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Drop for GuardedStream {
    fn drop(&mut self) {
        if self.peer.is_reset() {
            let stream = match &self.stream {
                Either::Left(tcp) => tcp,
                Either::Right(tls) => tls.get_ref().0,
            };
            // Where this fails the connection is closed without a reset.
            let _ = stream.set_zero_linger();
        }
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let taken = self.first.len().min(buf.remaining());
            buf.put_slice(&self.first[..taken]);
            self.first.drain(..taken);
        } else {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        }
        if let Some(begun) = &self.head_begun {
            begun.set();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.peer.is_reset() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
