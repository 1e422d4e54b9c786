//! Bodies in motion: each frame asks the kill switch, passes the pipeline, and can wake either side.
//!
//! A body that ends early looks so to its reader: its error makes hyper reset the stream, or close the connection
//! without the last chunk. Never lets a frame out after the request was severed.

mod lease;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http::HeaderMap;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::body_end::{AbortReason, BodyEnd};
use super::body_pipeline::BodyPipeline;
use super::body_rate::BodyRateMonitor;
use super::body_source::BodySource;
use super::consequence::AdmittedRequest;
use super::target::HeadCounts;
use crate::bounds;
use crate::http::BodyError;
use crate::kill::InFlight;
use crate::model::{Clock, debug_fields};
use crate::pii::RewriteError;

/// Observes one body, and holds what must live as long as the body.
pub(super) trait BodyObserver: Send + Unpin {
    /// A part of the body was taken in, of which nothing is sent.
    fn on_consumed(&mut self, pipeline: &BodyPipeline);
    /// All that came out of the pipeline has been sent.
    fn on_sent(&mut self, pipeline: &mut BodyPipeline);
    /// The body has ended, by its last byte or early. Called once, and nothing follows.
    fn on_end(&mut self, pipeline: &mut BodyPipeline, outcome: Result<(), &BodyEnd>);
    /// The trailers that the reader gets.
    fn trailers(&self, fields: HeaderMap, rewrites_body: bool) -> Result<Option<HeaderMap>, RewriteError>;
    /// The trailers by which the reader learns that the body has ended early; `None` where it learns of it by an error.
    fn closing_trailers(&self, end: &BodyEnd) -> Option<HeaderMap>;
    /// How often the reader's connection has handed all that it had to the kernel; `None` where nothing waits for that.
    fn flush_count(&self) -> Option<u64>;
    /// The request that the body belongs to, for the consequences of an overrun.
    fn as_request(&self) -> AdmittedRequest<'_>;
}

/// A body on its way from its sender to its reader.
pub(super) struct BodyStream<O: BodyObserver> {
    source: BodySource,
    pipeline: BodyPipeline,
    in_flight: InFlight,
    clock: Clock,
    observer: O,
    /// Bytes that may be sent and have not been asked for yet.
    buffer: BytesMut,
    trailers: Option<HeaderMap>,
    phase: StreamPhase,
    rate: BodyRateMonitor,
    timer: Option<Pin<Box<Sleep>>>,
    /// See [`BodyStream::with_last_byte_apart`].
    last_byte_apart: bool,
    /// The flush count when the last byte that may be sent of a cut body was taken.
    flushes_at_cut: Option<u64>,
    /// Whether the observer was told how the body ended.
    end_reported: bool,
}

#[derive(Debug)]
enum StreamPhase {
    /// The source may have more.
    Flowing,
    /// The source has ended; the buffer and the trailers may hold something.
    Ended,
    /// The body has ended early; what the buffer holds is sent first, and then the error.
    Broken(BodyError),
    /// Nothing follows.
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

    /// Sends the last byte of each piece as a piece of its own.
    ///
    /// On HTTP/2 hyper takes a piece whatever the size of the peer's window, but waits for the window before it takes
    /// the next one. When hyper asks for more after a last byte, all bytes before it can be written, so that a cut
    /// after them throws nothing away.
    pub(super) const fn with_last_byte_apart(mut self, apart: bool) -> Self {
        self.last_byte_apart = apart;
        self
    }

    /// Takes in what the source has ready, up to [`bounds::HOLD_BYTES_MAX`], so that a short body is checked whole
    /// before its head is sent. Does not wait.
    ///
    /// Returns why the body has ended early, if it has. The observer is not told of that: the caller either drops the
    /// stream and makes a refusal, or calls [`Self::report_end`].
    pub(super) fn buffer_ready(&mut self, cx: &mut Context<'_>) -> Option<BodyEnd> {
        while matches!(self.phase, StreamPhase::Flowing) && self.buffer.len() < bounds::HOLD_BYTES_MAX {
            match self.poll_piece(cx) {
                Poll::Ready(Ok(Some(piece))) => self.buffer.extend_from_slice(&piece),
                Poll::Ready(Ok(None)) => {}
                Poll::Ready(Err(end)) => {
                    self.break_off(&end);
                    if matches!(end, BodyEnd::Severed(_)) {
                        self.buffer.clear();
                    }
                    self.observer.on_consumed(&self.pipeline);
                    return Some(end);
                }
                Poll::Pending => break,
            }
        }
        None
    }

    /// Waits until the whole body is in the buffer, and returns it; `None` where it is larger than the buffer, or has
    /// trailers.
    ///
    /// # Errors
    /// Why the body has ended early, as [`Self::buffer_ready`] has it.
    pub(super) async fn buffer_whole(&mut self) -> Result<Option<Bytes>, BodyEnd> {
        let end = poll_fn(|cx| {
            let end = self.buffer_ready(cx);
            if end.is_none() && self.wants_more() { Poll::Pending } else { Poll::Ready(end) }
        })
        .await;
        match end {
            Some(end) => Err(end),
            None if matches!(self.phase, StreamPhase::Ended) && self.trailers.is_none() => {
                Ok(Some(Bytes::copy_from_slice(&self.buffer)))
            }
            None => Ok(None),
        }
    }

    /// Whether the source may have more, and the buffer has room for it.
    pub(super) fn wants_more(&self) -> bool {
        matches!(self.phase, StreamPhase::Flowing) && self.buffer.len() < bounds::HOLD_BYTES_MAX
    }

    /// Whether the reader is still to get what a spent budget had room for.
    pub(super) fn has_sendable(&self, end: &BodyEnd) -> bool {
        matches!(end, BodyEnd::Stopped(AbortReason::BudgetSpent(_))) && !self.buffer.is_empty()
    }

    /// Another handle of the registration, where the body goes on after what the buffer holds.
    pub(super) fn in_flight_if_streaming(&self) -> Option<InFlight> {
        matches!(self.phase, StreamPhase::Flowing).then(|| self.in_flight.share())
    }

    /// Takes out what was treated in the head of the message, for a head that is sent without this body.
    pub(super) fn take_head_counts(&mut self) -> HeadCounts {
        self.pipeline.take_head_counts()
    }

    pub(super) const fn observer_mut(&mut self) -> &mut O {
        &mut self.observer
    }

    /// The next piece that may be sent; `None` where nothing may be sent yet, and where the source has ended.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyEnd>> {
        if self.pipeline.is_starved() {
            return self.poll_lease(cx);
        }
        let frame = match Pin::new(&mut self.source).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => return self.poll_wait(cx),
        };
        self.timer = None;
        let now = self.clock.now();
        if !self.rate.received(length(&frame), now) {
            return Poll::Ready(Err(BodyEnd::Slow));
        }
        let (out, stopped) = match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.pipeline.feed(data, now),
                Err(frame) => {
                    let fields = frame.into_trailers().unwrap_or_default();
                    match self.observer.trailers(fields, self.pipeline.rewrites()) {
                        Ok(trailers) => self.trailers = trailers,
                        Err(error) => return Poll::Ready(Err(BodyEnd::Stopped(AbortReason::Untreatable(error)))),
                    }
                    (Bytes::new(), None)
                }
            },
            Some(Err(_)) => return Poll::Ready(Err(BodyEnd::SenderGone)),
            None => {
                let finished = self.pipeline.finish(now);
                // What waits for a lease is still to come.
                if !self.pipeline.is_starved() {
                    self.phase = StreamPhase::Ended;
                }
                finished
            }
        };
        self.take_piece(out, stopped)
    }

    fn take_piece(&mut self, out: Bytes, stopped: Option<AbortReason>) -> Poll<Result<Option<Bytes>, BodyEnd>> {
        if let Some(stopped) = stopped {
            self.buffer.extend_from_slice(&out);
            if let AbortReason::BudgetSpent(overrun) = &stopped {
                self.observer.as_request().on_overrun(&self.in_flight, overrun);
            }
            return Poll::Ready(Err(BodyEnd::Stopped(stopped)));
        }
        Poll::Ready(Ok(Some(out).filter(|out| !out.is_empty())))
    }

    /// Waits for the source, the kill switch and the deadline of a silent sender.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyEnd>> {
        if self.in_flight.poll_severed(cx).is_ready() {
            return Poll::Ready(Err(self.severed()));
        }
        self.rate.await_sender(|| self.clock.now());
        ready!(self.rate.poll_silent(&mut self.timer, &self.clock, cx));
        Poll::Ready(Err(BodyEnd::Stalled))
    }

    fn severed(&self) -> BodyEnd {
        BodyEnd::Severed(self.in_flight.sever_reason())
    }

    fn end_early(&mut self, end: &BodyEnd) {
        self.break_off(end);
        self.timer = None;
        if matches!(end, BodyEnd::Severed(_)) {
            self.buffer.clear();
        }
        if !self.buffer.is_empty() {
            self.mark_sent();
        }
        self.report_end(Err(end));
    }

    /// Nothing more is taken from the source: what the buffer holds is sent first, and then the error, or trailers.
    fn break_off(&mut self, end: &BodyEnd) {
        self.trailers = self.observer.closing_trailers(end);
        self.phase = if self.trailers.is_some() { StreamPhase::Ended } else { StreamPhase::Broken(end.error()) };
    }

    /// Counts what has come out of the pipeline as sent.
    pub(super) fn mark_sent(&mut self) {
        self.observer.on_sent(&mut self.pipeline);
    }

    /// Tells the observer how the body ended, once. A cut after a part of the body was sent is audited.
    pub(super) fn report_end(&mut self, outcome: Result<(), &BodyEnd>) {
        if std::mem::replace(&mut self.end_reported, true) {
            return;
        }
        if outcome.is_ok() {
            self.pipeline.finish_observed();
        }
        self.observer.on_end(&mut self.pipeline, outcome);
        if let Err(BodyEnd::Stopped(AbortReason::BudgetSpent(overrun))) = outcome {
            self.observer.as_request().audit_body_cut(overrun, self.pipeline.counters());
        }
    }

    /// A frame for the reader: what it holds counts as sent.
    fn send_piece(&mut self, all: Bytes) -> Frame<Bytes> {
        let piece = self.all_but_last_byte(all);
        self.mark_sent();
        if matches!(self.phase, StreamPhase::Ended) && self.buffer.is_empty() {
            self.report_end(Ok(()));
        }
        Frame::data(piece)
    }

    /// Waits until what a budget had room for has been written: the error of the cut body would throw the rest away.
    fn poll_flushed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(flushes) = self.observer.flush_count() else { return Poll::Ready(()) };
        let cut_at = *self.flushes_at_cut.get_or_insert(flushes);
        if flushes > cut_at || self.in_flight.poll_severed(cx).is_ready() {
            return Poll::Ready(());
        }
        // hyper writes what it has while this is pending. Only a cut body polls every few milliseconds.
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(Duration::from_millis(2))));
        ready!(timer.as_mut().poll(cx));
        self.timer = None;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Keeps the last byte back, where it is sent as a piece of its own.
    fn all_but_last_byte(&mut self, mut all: Bytes) -> Bytes {
        if self.last_byte_apart && all.len() > 1 {
            self.buffer.extend_from_slice(&all.split_off(all.len() - 1));
        }
        all
    }
}

/// The bytes of body in a frame.
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
                this.end_early(&this.severed());
            }
            if !this.buffer.is_empty() {
                let ready = this.buffer.split().freeze();
                return Poll::Ready(Some(Ok(this.send_piece(ready))));
            }
            match this.phase {
                StreamPhase::Flowing => match ready!(this.poll_piece(cx)) {
                    Ok(Some(piece)) => return Poll::Ready(Some(Ok(this.send_piece(piece)))),
                    Ok(None) => {}
                    Err(end) => this.end_early(&end),
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
            StreamPhase::Flowing => self.has_passed_all(),
            StreamPhase::Ended => self.buffer.is_empty() && self.trailers.is_none(),
            StreamPhase::Broken(_) => false,
            StreamPhase::Closed => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.phase {
            StreamPhase::Flowing if self.pipeline.rewrites() || self.pipeline.is_starved() => SizeHint::default(),
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
            // hyper does not poll a body to its end that says it is at its end, but drops it.
            StreamPhase::Flowing if self.has_passed_all() => self.report_end(Ok(())),
            StreamPhase::Ended if self.buffer.is_empty() => self.report_end(Ok(())),
            // The connection was closed under a severed body that was not read to its error.
            StreamPhase::Flowing | StreamPhase::Ended if self.in_flight.is_severed() => {
                let end = self.severed();
                self.report_end(Err(&end));
            }
            StreamPhase::Flowing | StreamPhase::Ended => self.report_end(Err(&BodyEnd::ReaderGone)),
            StreamPhase::Broken(_) | StreamPhase::Closed => {}
        }
    }
}

debug_fields!([<O: BodyObserver>] BodyStream<O>: pipeline, phase);
