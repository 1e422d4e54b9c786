//! What stands between the kernel and hyper: the deadline of a peer that does not read, the first byte of a head, and
//! the hard end of a severed connection.
//!
//! A severed connection is reset, so that what the kernel still holds for a slow reader is thrown away with it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::accept::ConnectionSlot;
use super::timeouts::HeadBegun;
use crate::bounds;
use crate::gateway::Peer;

/// Bytes that were read to learn the protocol, and are yet to be read as what they are.
pub(super) type ProtocolBytes = Vec<u8>;

/// A peer's connection.
#[derive(Debug)]
pub(super) struct GuardedStream {
    stream: ServerStream,
    first: ProtocolBytes,
    /// Where the peer speaks HTTP/1.1: told of bytes that come while nothing is under way.
    head_begun: Option<Arc<HeadBegun>>,
    peer: Arc<Peer>,
    stalled: Option<Pin<Box<Sleep>>>,
    /// After the stream: it is told when that is closed.
    _closed: PeerCloseNotice,
    /// A connection counts until it closes, also where it has left HTTP.
    _held: ConnectionSlot,
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
    pub(super) fn new(stream: ServerStream, first: ProtocolBytes, peer: Arc<Peer>, held: ConnectionSlot) -> Self {
        let _closed = PeerCloseNotice(Arc::clone(&peer));
        Self { stream, first, head_begun: None, _closed, peer, stalled: None, _held: held }
    }

    /// Has the first byte of each head told, on a connection where each byte between two requests is one of a head.
    pub(super) fn watch_heads(&mut self) -> Arc<HeadBegun> {
        Arc::clone(self.head_begun.get_or_insert_default())
    }

    /// Passes a write's outcome on, but for a peer that has taken nothing for too long.
    fn watch<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.peer.set_blocked(outcome.is_pending());
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(bounds::BODY_IDLE_DEADLINE)));
        ready!(stalled.as_mut().poll(cx));
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
            // Where this fails the connection is closed all the same, only less abruptly.
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
