//! A connection whose incoming bytes are validated before hyper reads them.
//!
//! Bytes are read straight into hyper's buffer and validated there; only an incomplete head is held back. In place of a
//! refused request hyper reads an empty placeholder, so that it is answered, counted and audited like any other;
//! nothing is read after it. A refused response fails the connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{FramingError, FramingValidator, FramingVerdict, MessageSide, PendingResponse, RequestSequence};
use crate::bounds;

/// The placeholder that hyper reads in place of a refused request. No client uses its method.
const REFUSED_REQUEST: &[u8] = b"- / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// A connection whose incoming bytes are validated.
#[derive(Debug)]
pub struct ScreenedStream<S> {
    stream: S,
    framing: FramingValidator,
    peer: ScreenedPeer,
    /// Bytes that may pass and did not fit, or that are not yet validated to their end.
    buffered: Vec<u8>,
    /// How many bytes at the front of `buffered` may pass.
    cleared: usize,
    /// How many bytes were thrown away after a refusal.
    drained: Option<usize>,
}

#[derive(Debug)]
enum ScreenedPeer {
    Caller(Arc<RequestSequence>),
    Upstream(Arc<PendingResponse>),
}

impl<S> ScreenedStream<S> {
    /// A caller's connection.
    pub fn requests(stream: S, turns: Arc<RequestSequence>) -> Self {
        Self::new(stream, MessageSide::Request, ScreenedPeer::Caller(turns))
    }

    /// A connection to an upstream.
    pub fn answers(stream: S, pending: Arc<PendingResponse>) -> Self {
        Self::new(stream, MessageSide::Response, ScreenedPeer::Upstream(pending))
    }

    fn new(stream: S, side: MessageSide, peer: ScreenedPeer) -> Self {
        Self { stream, framing: FramingValidator::new(side), peer, buffered: Vec::new(), cleared: 0, drained: None }
    }

    fn validate(&mut self, fresh: &[u8]) -> FramingVerdict {
        let pending = match &self.peer {
            ScreenedPeer::Caller(_) => None,
            ScreenedPeer::Upstream(pending) => Some(&**pending),
        };
        if self.buffered.is_empty() {
            let verdict = self.framing.validate(fresh, pending);
            self.buffered.extend_from_slice(&fresh[verdict.pass..]);
            return verdict;
        }
        self.buffered.extend_from_slice(fresh);
        let verdict = self.framing.validate(&self.buffered, pending);
        self.cleared = verdict.pass;
        verdict
    }

    /// Puts the placeholder in the place of what was refused.
    fn refuse(&mut self, error: FramingError) {
        self.buffered.truncate(self.cleared);
        self.drained = Some(0);
        match &self.peer {
            ScreenedPeer::Upstream(pending) => pending.fail(error),
            ScreenedPeer::Caller(turns) if self.framing.is_in_head() => {
                turns.reject_request(self.framing.heads(), error);
                self.buffered.extend_from_slice(REFUSED_REQUEST);
                self.cleared = self.buffered.len();
            }
            // In the middle of a body there is no next request that a placeholder could be: the body breaks off.
            ScreenedPeer::Caller(_) => {}
        }
    }

    /// Copies as many of the cleared bytes as fit.
    fn copy_cleared(&mut self, buf: &mut ReadBuf<'_>) {
        let given = self.cleared.min(buf.remaining());
        buf.put_slice(&self.buffered[..given]);
        self.cleared -= given;
        if given == self.buffered.len() {
            // Free the buffer: most connections never need it again.
            self.buffered = Vec::new();
        } else {
            self.buffered.drain(..given);
        }
    }
}

impl<S: AsyncRead + Unpin> ScreenedStream<S> {
    /// Reads and drops what comes after a refusal. Unread bytes would make the kernel reset the connection, and the
    /// peer would lose the answer.
    fn poll_drain(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>, mut drained: usize) -> Poll<io::Result<()>> {
        if let ScreenedPeer::Upstream(pending) = &self.peer {
            let error = pending.error().unwrap_or(FramingError::Surplus);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        if !self.framing.is_in_head() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, FramingError::Chunk)));
        }
        let before = buf.filled().len();
        while drained < bounds::REFUSED_DRAIN_BYTES_MAX {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
            let read = buf.filled().len() - before;
            buf.set_filled(before);
            if read == 0 {
                // The peer has closed its sending side and still waits for its answer.
                return Poll::Pending;
            }
            drained += read;
            self.drained = Some(drained);
        }
        // Stop reading. The answer closes the connection.
        Poll::Pending
    }

    /// Waits to learn whether the connection was upgraded. Meanwhile it keeps reading into the buffer, so that a caller
    /// that hangs up is noticed.
    fn poll_upgrade_outcome(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let ScreenedPeer::Caller(turns) = &self.peer else { return Poll::Ready(Ok(true)) };
        if let Poll::Ready(switched) = turns.poll_upgraded(self.framing.heads(), cx) {
            self.framing.finish_upgrade(switched);
            let verdict = self.framing.validate(&self.buffered, None);
            self.cleared = verdict.pass;
            if let Some(error) = verdict.error {
                self.refuse(error);
            }
            return Poll::Ready(Ok(true));
        }
        let before = buf.filled().len();
        while self.buffered.len() < bounds::HEAD_BYTES_MAX {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
            if buf.filled().len() == before {
                return Poll::Ready(Ok(false));
            }
            self.buffered.extend_from_slice(&buf.filled()[before..]);
            buf.set_filled(before);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ScreenedStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if this.cleared > 0 {
                this.copy_cleared(buf);
                return Poll::Ready(Ok(()));
            }
            if let Some(drained) = this.drained {
                return this.poll_drain(cx, buf, drained);
            }
            if this.framing.is_passthrough() {
                return Pin::new(&mut this.stream).poll_read(cx, buf);
            }
            if this.framing.is_awaiting_upgrade() {
                if ready!(this.poll_upgrade_outcome(cx, buf))? {
                    continue;
                }
                return Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            if buf.filled().len() == before {
                // The stream ended in the middle of a head: hyper reports that.
                this.cleared = this.buffered.len();
                if this.cleared == 0 {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            let was_held = !this.buffered.is_empty();
            let verdict = this.validate(&buf.filled()[before..]);
            buf.set_filled(if was_held { before } else { before + verdict.pass });
            if let Some(error) = verdict.error {
                this.refuse(error);
            }
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ScreenedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
