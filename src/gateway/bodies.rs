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

use super::account::{Account, Halt, Message};
use super::pace::Patience;
use super::source::Source;
use super::target::HeadCounts;
use crate::bounds;
use crate::http::BodyError;
use crate::kill::InFlight;
use crate::model::{Clock, Denial, Reason};
use crate::pii::Stop;

/// Who is told how a body went, and holds what must live as long as it.
pub(super) trait Owner: Send + Unpin {
    /// Something was taken of which nothing leaves.
    fn took(&mut self, account: &Account);
    /// All that came out of the account has left.
    fn left(&mut self, account: &mut Account);
    /// The body has ended, well or not; nothing follows.
    fn ended(&mut self, account: &mut Account, how: Result<(), &Ending>);
    /// What of these trailers the body's reader gets.
    fn trailers(&self, fields: HeaderMap, changes: bool) -> Result<Option<HeaderMap>, Stop>;
    /// How often the reader's connection had handed to the kernel all that it had; none where nobody waits for that.
    fn flushes(&self) -> Option<u64>;
}

/// Why a body ended before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// The kill switch was thrown, or what it stood on was taken away: for this reason.
    Severed(Reason),
    /// The account allows no more.
    Halted(Halt),
    /// The sender broke off.
    Aborted,
    /// The sender went silent.
    Stalled,
    /// The sender sent too little in too long.
    Slow,
    /// Whoever should read it has gone.
    Dropped,
}

impl Ending {
    /// The denial that this was, by whose message broke.
    pub(super) fn denial(&self, message: Message) -> Denial {
        let (reason, detail) = match (self, message) {
            (Self::Halted(halt), _) => return halt.denial(message),
            (Self::Severed(reason), _) => (*reason, "severed in flight"),
            (Self::Aborted | Self::Dropped, Message::Request) => {
                (Reason::BodyMalformed, "the request's body broke off")
            }
            (Self::Aborted | Self::Dropped, Message::Answer) => {
                (Reason::UpstreamRefused, "the answer's body broke off")
            }
            (Self::Stalled, Message::Request) => (Reason::BodyTimeout, "the request's body came to a halt"),
            (Self::Stalled, Message::Answer) => (Reason::UpstreamTimeout, "the answer's body came to a halt"),
            (Self::Slow, Message::Request) => (Reason::BodyTimeout, "the request's body came below its least pace"),
            (Self::Slow, Message::Answer) => (Reason::UpstreamTimeout, "the answer's body came below its least pace"),
        };
        Denial::new(reason, detail)
    }

    const fn error(&self) -> BodyError {
        match self {
            Self::Severed(_) => BodyError::Severed,
            Self::Halted(Halt::Over(_)) => BodyError::Cut,
            Self::Halted(Halt::Stop(_)) => BodyError::Unreadable,
            Self::Aborted | Self::Dropped => BodyError::Aborted,
            Self::Stalled | Self::Slow => BodyError::Stalled,
        }
    }
}

/// A body from one hop to the next.
pub(super) struct Stream<O: Owner> {
    source: Source,
    account: Account,
    in_flight: InFlight,
    clock: Clock,
    owner: O,
    /// What may leave and has not been asked for: filled by [`Stream::hold`].
    held: BytesMut,
    trailers: Option<HeaderMap>,
    phase: Phase,
    patience: Patience,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the last byte of each piece goes by itself; see [`Stream::in_pairs`].
    pairs: bool,
    /// The connection's flushes when all that may leave of a cut body had been taken from it.
    cut_at: Option<u64>,
    /// Whether the owner knows the ending.
    told: bool,
}

#[derive(Debug)]
enum Phase {
    /// The source has more.
    Flowing,
    /// All has been taken; `held` and trailers may remain.
    Ended,
    /// Broken off; `held` may remain, then the error.
    Broken(BodyError),
    /// The last word has been said.
    Closed,
}

impl<O: Owner> Stream<O> {
    pub(super) fn new(
        (source, patience): (Source, Patience),
        account: Account,
        in_flight: InFlight,
        clock: Clock,
        owner: O,
    ) -> Self {
        Self {
            source,
            patience,
            account,
            in_flight,
            clock,
            owner,
            held: BytesMut::new(),
            trailers: None,
            phase: Phase::Flowing,
            timer: None,
            pairs: false,
            cut_at: None,
            told: false,
        }
    }

    /// Gives the last byte of each piece by itself.
    ///
    /// On HTTP/2 hyper takes a piece whatever the peer's window, but waits for the window before it takes the next. Asked
    /// for more after a last byte, this body knows that all before it can be written, so that a cut throws nothing away.
    pub(super) const fn in_pairs(mut self, pairs: bool) -> Self {
        self.pairs = pairs;
        self
    }

    /// Takes in what is at hand, up to a bound, so that a short body is checked whole before its head is sent.
    ///
    /// Does not wait. The answer is the ending, if there was one; the owner is not told of it.
    pub(super) fn hold(&mut self, cx: &mut Context<'_>) -> Option<Ending> {
        while matches!(self.phase, Phase::Flowing) && self.held.len() < bounds::HOLD_BYTES_MAX {
            match self.poll_piece(cx) {
                Poll::Ready(Ok(Some(piece))) => self.held.extend_from_slice(&piece),
                Poll::Ready(Ok(None)) => {}
                Poll::Ready(Err(ending)) => {
                    self.phase = Phase::Broken(ending.error());
                    self.told = true;
                    if matches!(ending, Ending::Severed(_)) {
                        self.held.clear();
                    }
                    self.owner.took(&self.account);
                    return Some(ending);
                }
                Poll::Pending => break,
            }
        }
        None
    }

    /// Whether there is more to come, and room to hold it.
    pub(super) fn waits(&self) -> bool {
        matches!(self.phase, Phase::Flowing) && self.held.len() < bounds::HOLD_BYTES_MAX
    }

    /// Whether this ending leaves something that the reader is still to get: what a budget had room for.
    pub(super) fn leaves(&self, ending: &Ending) -> bool {
        matches!(ending, Ending::Halted(Halt::Over(_))) && !self.held.is_empty()
    }

    /// Another handle of the registration, where there is more to come than is at hand.
    pub(super) fn flowing(&self) -> Option<InFlight> {
        matches!(self.phase, Phase::Flowing).then(|| self.in_flight.share())
    }

    /// What was treated in the message's head, for a head that leaves without this body.
    pub(super) fn take_head(&mut self) -> HeadCounts {
        self.account.take_head()
    }

    pub(super) const fn owner_mut(&mut self) -> &mut O {
        &mut self.owner
    }

    /// The next piece that may leave; none where the source gave nothing that may leave yet, or has ended.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Ending>> {
        let frame = match Pin::new(&mut self.source).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => return self.poll_wait(cx),
        };
        self.timer = None;
        let now = self.clock.now();
        if !self.patience.came(length(&frame), now) {
            return Poll::Ready(Err(Ending::Slow));
        }
        let (out, halt) = match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => self.account.feed(data, now),
                Err(frame) => {
                    let fields = frame.into_trailers().unwrap_or_default();
                    match self.owner.trailers(fields, self.account.changes()) {
                        Ok(trailers) => self.trailers = trailers,
                        Err(stop) => return Poll::Ready(Err(Ending::Halted(Halt::Stop(stop)))),
                    }
                    (Bytes::new(), None)
                }
            },
            Some(Err(_)) => return Poll::Ready(Err(Ending::Aborted)),
            None => {
                self.phase = Phase::Ended;
                self.account.finish(now)
            }
        };
        if let Some(halt) = halt {
            self.held.extend_from_slice(&out);
            return Poll::Ready(Err(Ending::Halted(halt)));
        }
        Poll::Ready(Ok(Some(out).filter(|out| !out.is_empty())))
    }

    /// Waits for the source, the kill switch and the deadline of a silent sender.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Ending>> {
        if self.in_flight.poll_severed(cx).is_ready() {
            return Poll::Ready(Err(self.severed()));
        }
        self.patience.wait(|| self.clock.now());
        let idle = self.patience.idle;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(Ending::Stalled))
    }

    fn severed(&self) -> Ending {
        Ending::Severed(self.in_flight.severed_for())
    }

    fn end(&mut self, ending: &Ending) {
        self.phase = Phase::Broken(ending.error());
        self.timer = None;
        if matches!(ending, Ending::Severed(_)) {
            self.held.clear();
        }
        if !self.held.is_empty() {
            self.leave();
        }
        self.tell(Err(ending));
    }

    /// What is at hand leaves: it is counted.
    pub(super) fn leave(&mut self) {
        self.owner.left(&mut self.account);
    }

    /// Tells the owner how it ended, once.
    fn tell(&mut self, how: Result<(), &Ending>) {
        if !std::mem::replace(&mut self.told, true) {
            self.owner.ended(&mut self.account, how);
        }
    }

    /// A frame for the reader, which has left with that.
    fn give(&mut self, all: Bytes) -> Frame<Bytes> {
        let piece = self.piece(all);
        self.leave();
        if matches!(self.phase, Phase::Ended) && self.held.is_empty() {
            self.tell(Ok(()));
        }
        Frame::data(piece)
    }

    /// Before the error of a cut body, what was let through must have been written, or it would be thrown away with it.
    fn poll_flushed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(flushes) = self.owner.flushes() else { return Poll::Ready(()) };
        let cut_at = *self.cut_at.get_or_insert(flushes);
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
    fn piece(&mut self, mut all: Bytes) -> Bytes {
        if self.pairs && all.len() > 1 {
            self.held.extend_from_slice(&all.split_off(all.len() - 1));
        }
        all
    }
}

/// Bytes of body that a frame brings.
fn length<E>(frame: &Option<Result<Frame<Bytes>, E>>) -> usize {
    frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len)
}

impl<O: Owner> Body for Stream<O> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            if this.in_flight.is_severed() && matches!(this.phase, Phase::Flowing | Phase::Ended) {
                this.end(&this.severed());
            }
            if !this.held.is_empty() {
                let held = this.held.split().freeze();
                return Poll::Ready(Some(Ok(this.give(held))));
            }
            match this.phase {
                Phase::Flowing => match ready!(this.poll_piece(cx)) {
                    Ok(Some(piece)) => return Poll::Ready(Some(Ok(this.give(piece)))),
                    Ok(None) => {}
                    Err(ending) => this.end(&ending),
                },
                Phase::Ended => {
                    this.tell(Ok(()));
                    this.phase = Phase::Closed;
                    return Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
                }
                Phase::Broken(error) => {
                    ready!(this.poll_flushed(cx));
                    this.phase = Phase::Closed;
                    return Poll::Ready(Some(Err(error)));
                }
                Phase::Closed => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self.phase {
            Phase::Flowing => !self.account.changes() && self.source.is_end_stream(),
            Phase::Ended => self.held.is_empty() && self.trailers.is_none(),
            Phase::Broken(_) => false,
            Phase::Closed => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.phase {
            Phase::Flowing if self.account.changes() => SizeHint::default(),
            Phase::Flowing => self.source.size_hint(),
            Phase::Ended => SizeHint::with_exact(self.held.len() as u64),
            Phase::Broken(_) => SizeHint::default(),
            Phase::Closed => SizeHint::with_exact(0),
        }
    }
}

impl<O: Owner> Drop for Stream<O> {
    fn drop(&mut self) {
        match self.phase {
            // hyper drops a body that says it is at its end without asking for the end.
            Phase::Flowing if !self.account.changes() && self.source.is_end_stream() => self.tell(Ok(())),
            Phase::Ended if self.held.is_empty() => self.tell(Ok(())),
            // The connection was cut under a severed body that nobody read.
            Phase::Flowing | Phase::Ended if self.in_flight.is_severed() => {
                let ending = self.severed();
                self.tell(Err(&ending));
            }
            Phase::Flowing | Phase::Ended => self.tell(Err(&Ending::Dropped)),
            Phase::Broken(_) | Phase::Closed => {}
        }
    }
}

impl<O: Owner> std::fmt::Debug for Stream<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("account", &self.account).field("phase", &self.phase).finish_non_exhaustive()
    }
}
