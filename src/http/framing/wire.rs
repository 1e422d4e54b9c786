//! A connection whose incoming bytes are judged on their way to the HTTP library.
//!
//! Bytes are read straight into the reader's buffer and judged there; only a head that has come in part is held back. A
//! refused request reaches the library as an empty one that stands for it, so that it is answered, counted and audited
//! like any other; behind it nothing is read. A refused answer fails the connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Asked, Flaw, Framing, Judged, Side, Turns};
use crate::bounds;

/// What the library reads in place of a request that was refused. Its method is a token, and nobody's.
const REFUSED: &[u8] = b"- / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// A connection, screened.
#[derive(Debug)]
pub struct Screened<S> {
    stream: S,
    framing: Framing,
    watch: Watch,
    /// What is held: what may pass and did not fit, or what has not been judged to its end.
    held: Vec<u8>,
    /// So many bytes at the front of it may pass.
    passed: usize,
    /// Bytes that were thrown away behind a refusal.
    drained: Option<usize>,
}

#[derive(Debug)]
enum Watch {
    Requests(Arc<Turns>),
    Answers(Arc<Asked>),
}

impl<S> Screened<S> {
    /// A caller's connection.
    pub fn requests(stream: S, turns: Arc<Turns>) -> Self {
        Self::new(stream, Side::Requests, Watch::Requests(turns))
    }

    /// A connection to an upstream.
    pub fn answers(stream: S, asked: Arc<Asked>) -> Self {
        Self::new(stream, Side::Answers, Watch::Answers(asked))
    }

    fn new(stream: S, side: Side, watch: Watch) -> Self {
        Self { stream, framing: Framing::of(side), watch, held: Vec::new(), passed: 0, drained: None }
    }

    fn judge(&mut self, fresh: &[u8]) -> Judged {
        let asked = match &self.watch {
            Watch::Requests(_) => None,
            Watch::Answers(asked) => Some(&**asked),
        };
        if self.held.is_empty() {
            let judged = self.framing.judge(fresh, asked);
            self.held.extend_from_slice(&fresh[judged.pass..]);
            return judged;
        }
        self.held.extend_from_slice(fresh);
        let judged = self.framing.judge(&self.held, asked);
        self.passed = judged.pass;
        judged
    }

    /// Puts what stands for a refusal in the place of what was refused.
    fn refuse(&mut self, flaw: Flaw) {
        self.held.truncate(self.passed);
        self.drained = Some(0);
        match &self.watch {
            Watch::Answers(asked) => asked.poison(flaw),
            Watch::Requests(turns) if self.framing.is_in_head() => {
                turns.refuse(self.framing.heads(), flaw);
                self.held.extend_from_slice(REFUSED);
                self.passed = self.held.len();
            }
            // In the middle of a body there is no next request that could stand for it: the body breaks off.
            Watch::Requests(_) => {}
        }
    }

    /// Gives what may pass, as far as it fits.
    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let given = self.passed.min(buf.remaining());
        buf.put_slice(&self.held[..given]);
        self.passed -= given;
        if given == self.held.len() {
            // Most connections never need it again.
            self.held = Vec::new();
        } else {
            self.held.drain(..given);
        }
    }
}

impl<S: AsyncRead + Unpin> Screened<S> {
    /// Reads behind a refusal: so that what the peer has sent by now does not reset the connection under its answer.
    fn poll_drain(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>, mut drained: usize) -> Poll<io::Result<()>> {
        if let Watch::Answers(asked) = &self.watch {
            let flaw = asked.flaw().unwrap_or(Flaw::Surplus);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, flaw)));
        }
        if !self.framing.is_in_head() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, Flaw::Chunk)));
        }
        let before = buf.filled().len();
        while drained < bounds::REFUSED_DRAIN_BYTES_MAX {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
            let read = buf.filled().len() - before;
            buf.set_filled(before);
            if read == 0 {
                // It has said all, and still waits for its answer.
                return Poll::Pending;
            }
            drained += read;
            self.drained = Some(drained);
        }
        // The answer closes the connection; nothing else is waited for.
        Poll::Pending
    }

    /// Waits to learn whether HTTP was left; meanwhile what comes is held, so that a caller that leaves is noticed.
    fn poll_decided(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let Watch::Requests(turns) = &self.watch else { return Poll::Ready(Ok(true)) };
        if let Poll::Ready(switched) = turns.poll_switched(self.framing.heads(), cx) {
            self.framing.decide(switched);
            let judged = self.framing.judge(&self.held, None);
            self.passed = judged.pass;
            if let Some(flaw) = judged.flaw {
                self.refuse(flaw);
            }
            return Poll::Ready(Ok(true));
        }
        let before = buf.filled().len();
        while self.held.len() < bounds::HEAD_BYTES_MAX {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
            if buf.filled().len() == before {
                return Poll::Ready(Ok(false));
            }
            self.held.extend_from_slice(&buf.filled()[before..]);
            buf.set_filled(before);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Screened<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if this.passed > 0 {
                this.give(buf);
                return Poll::Ready(Ok(()));
            }
            if let Some(drained) = this.drained {
                return this.poll_drain(cx, buf, drained);
            }
            if this.framing.is_open() {
                return Pin::new(&mut this.stream).poll_read(cx, buf);
            }
            if this.framing.is_undecided() {
                if ready!(this.poll_decided(cx, buf))? {
                    continue;
                }
                return Poll::Ready(Ok(()));
            }
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            if buf.filled().len() == before {
                // Half a head, and then the end: the library says what that is.
                this.passed = this.held.len();
                if this.passed == 0 {
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            let was_held = !this.held.is_empty();
            let judged = this.judge(&buf.filled()[before..]);
            buf.set_filled(if was_held { before } else { before + judged.pass });
            if let Some(flaw) = judged.flaw {
                this.refuse(flaw);
            }
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Screened<S> {
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
