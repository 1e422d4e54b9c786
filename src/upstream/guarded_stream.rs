//! The stream between hyper and an upstream's socket. It has a deadline for an upstream that does not read, and resets
//! the connection of an exchange that was broken off.
//!
//! A reset makes the kernel throw away what it has not sent yet to a slow reader. What was sent before cannot be taken
//! back.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connect::{UpstreamStream, reset_on_close};
use crate::http::WriteStall;
use crate::kill::InFlight;
use crate::model::Lock as _;

/// The state that an exchange shares with the task of its connection.
#[derive(Debug, Default)]
pub(super) struct ConnectionControl {
    aborted: AtomicBool,
    /// Wakes the task of the connection.
    task: OnceLock<Waker>,
    /// Whether `sending` is set, so that an exchange without a body takes no lock.
    sends: AtomicBool,
    /// The registration of a request with a body: a kill of it ends the connection, and it is in flight until the
    /// socket is closed.
    sending: Mutex<Option<InFlight>>,
    /// How often bytes have come. Only the task of the connection writes it.
    heard: AtomicU64,
    is_closed: AtomicBool,
}

impl ConnectionControl {
    /// An exchange begins. `sending` is its registration, where its request has a body.
    pub(super) fn begin(&self, sending: Option<InFlight>) {
        if sending.is_some() {
            *self.sending() = sending;
            self.sends.store(true, Ordering::Release);
            self.wake();
        }
    }

    /// The exchange is over, to the last byte.
    pub(super) fn finish(&self) {
        if self.sends.swap(false, Ordering::AcqRel) {
            drop(self.sending().take());
        }
    }

    /// The exchange was broken off: the connection is reset at once.
    pub(super) fn abort(&self) {
        self.aborted.store(true, Ordering::Release);
        self.wake();
    }

    /// Ready when the connection is to be reset. Only the task of the connection may poll.
    pub(super) fn poll_aborted(&self, cx: &Context<'_>) -> Poll<()> {
        self.task.get_or_init(|| cx.waker().clone());
        if self.sends.load(Ordering::Acquire)
            && let Some(sending) = &mut *self.sending()
            && sending.poll_severed(cx).is_ready()
        {
            self.aborted.store(true, Ordering::Release);
        }
        if self.aborted.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// How often bytes have come from the upstream.
    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Whether the socket has been closed.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    fn wake(&self) {
        if let Some(task) = self.task.get() {
            task.wake_by_ref();
        }
    }

    fn sending(&self) -> MutexGuard<'_, Option<InFlight>> {
        self.sending.locked()
    }
}

/// The stream of an upstream's connection, as hyper has it.
#[derive(Debug)]
pub(super) struct GuardedUpstream {
    connection: UpstreamStream,
    control: Arc<ConnectionControl>,
    stall: WriteStall,
    /// Declared after the connection, so that it is dropped when the connection is closed.
    _closed: ControlCloseNotice,
}

#[derive(Debug)]
struct ControlCloseNotice(Arc<ConnectionControl>);

impl Drop for ControlCloseNotice {
    fn drop(&mut self) {
        self.0.is_closed.store(true, Ordering::Release);
        self.0.finish();
    }
}

impl GuardedUpstream {
    pub(super) fn new(connection: UpstreamStream, control: Arc<ConnectionControl>, idle: Duration) -> Self {
        let _closed = ControlCloseNotice(Arc::clone(&control));
        Self { connection, control, stall: WriteStall::new(idle), _closed }
    }

    /// Passes the outcome of a write on, except that an upstream that has read nothing for too long gives an error.
    fn watch<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if self.stall.has_passed(cx, outcome.is_pending()) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        outcome
    }
}

impl Drop for GuardedUpstream {
    fn drop(&mut self) {
        if self.control.aborted.load(Ordering::Acquire) {
            reset_on_close(&self.connection);
        }
    }
}

impl AsyncRead for GuardedUpstream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.connection).poll_read(cx, buf);
        if outcome.is_ready() {
            self.control.heard.store(self.control.heard().wrapping_add(1), Ordering::Relaxed);
        }
        outcome
    }
}

impl AsyncWrite for GuardedUpstream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.connection).poll_write(cx, buf);
        self.watch(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.connection).poll_write_vectored(cx, bufs);
        self.watch(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.connection).poll_flush(cx);
        self.watch(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}
