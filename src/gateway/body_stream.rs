//! Bodies in motion: each frame asks the kill switch, passes the account, and wakes for either side.
//!
//! An aborted body looks aborted: its error makes hyper reset the stream or close without the last chunk. Never lets
//! a frame out after the request was severed.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http::HeaderMap;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::body_pipeline::{AbortReason, BodyPipeline, HttpMessage};
use super::body_rate::BodyRateMonitor;
use super::body_source::BodySource;
use super::target::HeadCounts;
use crate::bounds;
use crate::http::BodyError;
use crate::kill::InFlight;
use crate::model::{Clock, Denial, Reason};
use crate::pii::RewriteError;

/// Who is told how a body went, and holds what must live as long as it.
pub(super) trait BodyObserver: Send + Unpin {
    /// Something was taken of which nothing leaves.
    fn on_consumed(&mut self, account: &BodyPipeline);
    /// All that came out of the account has left.
    fn on_sent(&mut self, account: &mut BodyPipeline);
    /// The body has ended, well or not; nothing follows.
    fn on_end(&mut self, account: &mut BodyPipeline, how: Result<(), &BodyEnd>);
    /// What of these trailers the body's reader gets.
    fn trailers(&self, fields: HeaderMap, changes: bool) -> Result<Option<HeaderMap>, RewriteError>;
    /// How often the reader's connection had handed to the kernel all that it had; none where nobody waits for that.
    fn flush_count(&self) -> Option<u64>;
}

/// Why a body ended before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BodyEnd {
    /// The kill switch was thrown, or what it stood on was taken away: for this reason.
    Severed(Reason),
    /// The account allows no more.
    Stopped(AbortReason),
    /// The sender broke off.
    SenderGone,
    /// The sender went silent.
    Stalled,
    /// The sender sent too little in too long.
    Slow,
    /// Whoever should read it has gone.
    ReaderGone,
}

impl BodyEnd {
    /// The denial that this was, by whose message broke.
    pub(super) fn denial(&self, message: HttpMessage) -> Denial {
        let (reason, detail) = match (self, message) {
            (Self::Stopped(halt), _) => return halt.denial(message),
            (Self::Severed(reason), _) => (*reason, "severed in flight"),
            (Self::SenderGone | Self::ReaderGone, HttpMessage::Request) => {
                (Reason::BodyMalformed, "the request's body broke off")
            }
            (Self::SenderGone | Self::ReaderGone, HttpMessage::Response) => {
                (Reason::UpstreamRefused, "the answer's body broke off")
            }
            (Self::Stalled, HttpMessage::Request) => (Reason::BodyTimeout, "the request's body came to a halt"),
            (Self::Stalled, HttpMessage::Response) => (Reason::UpstreamTimeout, "the answer's body came to a halt"),
            (Self::Slow, HttpMessage::Request) => (Reason::BodyTimeout, "the request's body came below its least pace"),
            (Self::Slow, HttpMessage::Response) => {
                (Reason::UpstreamTimeout, "the answer's body came below its least pace")
            }
        };
        Denial::new(reason, detail)
    }

    const fn error(&self) -> BodyError {
        match self {
            Self::Severed(_) => BodyError::Severed,
            Self::Stopped(AbortReason::BudgetSpent(_)) => BodyError::BudgetSpent,
            Self::Stopped(AbortReason::Untreatable(_)) => BodyError::Unreadable,
            Self::SenderGone | Self::ReaderGone => BodyError::Aborted,
            Self::Stalled | Self::Slow => BodyError::Stalled,
        }
    }
}

/// A body from one hop to the next.
pub(super) struct BodyStream<O: BodyObserver> {
    source: BodySource,
    pipeline: BodyPipeline,
    in_flight: InFlight,
    clock: Clock,
    observer: O,
    /// What may leave and has not been asked for: filled by [`BodyStream::hold`].
    buffer: BytesMut,
    trailers: Option<HeaderMap>,
    phase: StreamPhase,
    rate: BodyRateMonitor,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the last byte of each piece goes by itself; see [`BodyStream::in_pairs`].
    last_byte_apart: bool,
    /// The connection's flushes when all that may leave of a cut body had been taken from it.
    flushes_at_cut: Option<u64>,
    /// Whether the owner knows the ending.
    end_reported: bool,
}

#[derive(Debug)]
enum StreamPhase {
    /// The source has more.
    Flowing,
    /// All has been taken; `held` and trailers may remain.
    Ended,
    /// Broken off; `held` may remain, then the error.
    Broken(BodyError),
    /// The last word has been said.
    Closed,
}

impl<O: BodyObserver> BodyStream<O> {
    pub(super) fn new(
        (source, rate): (BodySource, BodyRateMonitor),
        pipeline: BodyPipeline,
        in_flight: InFlight,
        clock: Clock,
        observer: O,
    ) -> Self {
        Self {
            source,
            rate,
            pipeline,
            in_flight,
            clock,
            observer,
            buffer: BytesMut::new(),
            trailers: None,
            phase: StreamPhase::Flowing,
            timer: None,
            last_byte_apart: false,
            flushes_at_cut: None,
            end_reported: false,
        }
    }

    /// Gives the last byte of each piece by itself.
    ///
    /// On HTTP/2 hyper takes a piece whatever the peer's window, but waits for the window before it takes the next. Asked
    /// for more after a last byte, this body knows that all before it can be written, so that a cut throws nothing away.
    pub(super) const fn with_last_byte_apart(mut self, pairs: bool) -> Self {
        self.last_byte_apart = pairs;
        self
    }

    /// Takes in what is at hand, up to a bound, so that a short body is checked whole before its head is sent.
    ///
    /// Does not wait. The answer is the ending, if there was one; the owner is not told of it.
    pub(super) fn buffer_ready(&mut self, cx: &mut Context<'_>) -> Option<BodyEnd> {
        while matches!(self.phase, StreamPhase::Flowing) && self.buffer.len() < bounds::HOLD_BYTES_MAX {
            match self.poll_piece(cx) {
                Poll::Ready(Ok(Some(piece))) => self.buffer.extend_from_slice(&piece),
                Poll::Ready(Ok(None)) => {}
                Poll::Ready(Err(ending)) => {
                    self.phase = StreamPhase::Broken(ending.error());
                    self.end_reported = true;
                    if matches!(ending, BodyEnd::Severed(_)) {
                        self.buffer.clear();
                    }
                    self.observer.on_consumed(&self.pipeline);
                    return Some(ending);
                }
                Poll::Pending => break,
            }
        }
        None
    }

    /// Whether there is more to come, and room to hold it.
    pub(super) fn wants_more(&self) -> bool {
        matches!(self.phase, StreamPhase::Flowing) && self.buffer.len() < bounds::HOLD_BYTES_MAX
    }

    /// Whether this ending leaves something that the reader is still to get: what a budget had room for.
    pub(super) fn has_sendable(&self, ending: &BodyEnd) -> bool {
        matches!(ending, BodyEnd::Stopped(AbortReason::BudgetSpent(_))) && !self.buffer.is_empty()
    }

    /// Another handle of the registration, where there is more to come than is at hand.
    pub(super) fn in_flight_if_streaming(&self) -> Option<InFlight> {
        matches!(self.phase, StreamPhase::Flowing).then(|| self.in_flight.share())
    }

    /// What was treated in the message's head, for a head that leaves without this body.
    pub(super) fn take_head_counts(&mut self) -> HeadCounts {
        self.pipeline.take_head_counts()
    }

    pub(super) const fn observer_mut(&mut self) -> &mut O {
        &mut self.observer
    }

    /// The next piece that may leave; none where the source gave nothing that may leave yet, or has ended.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyEnd>> {
        let frame = match Pin::new(&mut self.source).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => return self.poll_wait(cx),
        };
        self.timer = None;
        let now = self.clock.now();
        if !self.rate.received(length(&frame), now) {
            return Poll::Ready(Err(BodyEnd::Slow));
        }
        let (out, halt) = match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.pipeline.feed(data, now),
                Err(frame) => {
                    let fields = frame.into_trailers().unwrap_or_default();
                    match self.observer.trailers(fields, self.pipeline.rewrites()) {
                        Ok(trailers) => self.trailers = trailers,
                        Err(stop) => return Poll::Ready(Err(BodyEnd::Stopped(AbortReason::Untreatable(stop)))),
                    }
                    (Bytes::new(), None)
                }
            },
            Some(Err(_)) => return Poll::Ready(Err(BodyEnd::SenderGone)),
            None => {
                self.phase = StreamPhase::Ended;
                self.pipeline.finish(now)
            }
        };
        if let Some(halt) = halt {
            self.buffer.extend_from_slice(&out);
            return Poll::Ready(Err(BodyEnd::Stopped(halt)));
        }
        Poll::Ready(Ok(Some(out).filter(|out| !out.is_empty())))
    }

    /// Waits for the source, the kill switch and the deadline of a silent sender.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyEnd>> {
        if self.in_flight.poll_severed(cx).is_ready() {
            return Poll::Ready(Err(self.severed()));
        }
        self.rate.await_sender(|| self.clock.now());
        let idle = self.rate.idle;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(BodyEnd::Stalled))
    }

    fn severed(&self) -> BodyEnd {
        BodyEnd::Severed(self.in_flight.sever_reason())
    }

    fn end(&mut self, ending: &BodyEnd) {
        self.phase = StreamPhase::Broken(ending.error());
        self.timer = None;
        if matches!(ending, BodyEnd::Severed(_)) {
            self.buffer.clear();
        }
        if !self.buffer.is_empty() {
            self.mark_sent();
        }
        self.report_end(Err(ending));
    }

    /// What is at hand leaves: it is counted.
    pub(super) fn mark_sent(&mut self) {
        self.observer.on_sent(&mut self.pipeline);
    }

    /// Tells the owner how it ended, once.
    fn report_end(&mut self, how: Result<(), &BodyEnd>) {
        if !std::mem::replace(&mut self.end_reported, true) {
            self.observer.on_end(&mut self.pipeline, how);
        }
    }

    /// A frame for the reader, which has left with that.
    fn send_piece(&mut self, all: Bytes) -> Frame<Bytes> {
        let piece = self.all_but_last_byte(all);
        self.mark_sent();
        if matches!(self.phase, StreamPhase::Ended) && self.buffer.is_empty() {
            self.report_end(Ok(()));
        }
        Frame::data(piece)
    }

    /// Before the error of a cut body, what was let through must have been written, or it would be thrown away with it.
    fn poll_flushed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(flushes) = self.observer.flush_count() else { return Poll::Ready(()) };
        let cut_at = *self.flushes_at_cut.get_or_insert(flushes);
        if flushes > cut_at || self.in_flight.poll_severed(cx).is_ready() {
            return Poll::Ready(());
        }
        // hyper writes what it has while this is pending; a look every few milliseconds costs a cut body only.
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(Duration::from_millis(2))));
        ready!(timer.as_mut().poll(cx));
        self.timer = None;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// What is given at once of what may leave: all, or all but the last byte.
    fn all_but_last_byte(&mut self, mut all: Bytes) -> Bytes {
        if self.last_byte_apart && all.len() > 1 {
            self.buffer.extend_from_slice(&all.split_off(all.len() - 1));
        }
        all
    }
}

/// Bytes of body that a frame brings.
fn length<E>(frame: &Option<Result<Frame<Bytes>, E>>) -> usize {
    frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len)
}

impl<O: BodyObserver> Body for BodyStream<O> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            if this.in_flight.is_severed() && matches!(this.phase, StreamPhase::Flowing | StreamPhase::Ended) {
                this.end(&this.severed());
            }
            if !this.buffer.is_empty() {
                let held = this.buffer.split().freeze();
                return Poll::Ready(Some(Ok(this.send_piece(held))));
            }
            match this.phase {
                StreamPhase::Flowing => match ready!(this.poll_piece(cx)) {
                    Ok(Some(piece)) => return Poll::Ready(Some(Ok(this.send_piece(piece)))),
                    Ok(None) => {}
                    Err(ending) => this.end(&ending),
                },
                StreamPhase::Ended => {
                    this.report_end(Ok(()));
                    this.phase = StreamPhase::Closed;
                    return Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
                }
                StreamPhase::Broken(error) => {
                    ready!(this.poll_flushed(cx));
                    this.phase = StreamPhase::Closed;
                    return Poll::Ready(Some(Err(error)));
                }
                StreamPhase::Closed => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self.phase {
            StreamPhase::Flowing => !self.pipeline.rewrites() && self.source.is_end_stream(),
            StreamPhase::Ended => self.buffer.is_empty() && self.trailers.is_none(),
            StreamPhase::Broken(_) => false,
            StreamPhase::Closed => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.phase {
            StreamPhase::Flowing if self.pipeline.rewrites() => SizeHint::default(),
            StreamPhase::Flowing => self.source.size_hint(),
            StreamPhase::Ended => SizeHint::with_exact(self.buffer.len() as u64),
            StreamPhase::Broken(_) => SizeHint::default(),
            StreamPhase::Closed => SizeHint::with_exact(0),
        }
    }
}

impl<O: BodyObserver> Drop for BodyStream<O> {
    fn drop(&mut self) {
        match self.phase {
            // hyper drops a body that says it is at its end without asking for the end.
            StreamPhase::Flowing if !self.pipeline.rewrites() && self.source.is_end_stream() => self.report_end(Ok(())),
            StreamPhase::Ended if self.buffer.is_empty() => self.report_end(Ok(())),
            // The connection was cut under a severed body that nobody read.
            StreamPhase::Flowing | StreamPhase::Ended if self.in_flight.is_severed() => {
                let ending = self.severed();
                self.report_end(Err(&ending));
            }
            StreamPhase::Flowing | StreamPhase::Ended => self.report_end(Err(&BodyEnd::ReaderGone)),
            StreamPhase::Broken(_) | StreamPhase::Closed => {}
        }
    }
}

impl<O: BodyObserver> std::fmt::Debug for BodyStream<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("account", &self.pipeline).field("phase", &self.phase).finish_non_exhaustive()
    }
}
