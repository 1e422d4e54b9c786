//! How long a connection may take to send its next request.
//!
//! A peer that has proven nothing yet, or has begun to send a request head, has the head timeout for the whole head. A
//! peer that is known may idle longer between two requests. A request under way has deadlines of its own, so none runs
//! here meanwhile.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::http::SlotHolder;

/// The timeouts of the connections of one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionTimeouts {
    /// The time for a whole request head.
    pub head: Duration,
    /// The time that a known peer may idle between two requests.
    pub idle: Duration,
}

/// Whether the first byte of a request head has come while no request was under way.
#[derive(Debug, Default)]
pub(super) struct HeadBegun(AtomicBool);

impl HeadBegun {
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn take(&self, is_busy: bool) -> bool {
        if is_busy {
            self.0.store(false, Ordering::Relaxed);
        }
        !is_busy && self.0.load(Ordering::Relaxed)
    }
}

/// What the connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AwaitedInput {
    Nothing,
    Head,
    Request,
}

/// What did not come in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// A whole head.
    Head,
    /// The next request of a known peer.
    Request,
}

/// The running deadline of one connection.
#[derive(Debug)]
pub(super) struct ConnectionDeadline {
    patience: ConnectionTimeouts,
    waits: Option<(u64, AwaitedInput)>,
    due: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl ConnectionDeadline {
    pub(super) fn new(patience: ConnectionTimeouts) -> Self {
        Self { patience, waits: None, due: Instant::now(), timer: None }
    }

    /// Starts the head timeout again, so that the peer can learn that the connection will close.
    pub(super) fn extend(&mut self) {
        self.due = Instant::now() + self.patience.head;
    }

    /// Ready when what the connection waits for has not come in time. Polled whenever the connection has done all it
    /// can.
    pub(super) fn poll(&mut self, seat: &SlotHolder, begun: &HeadBegun, cx: &mut Context<'_>) -> Poll<Overdue> {
        let has_begun = begun.take(seat.busy() > 0);
        let waits = match (seat.busy() > 0, seat.is_proven() && !has_begun) {
            (true, _) => AwaitedInput::Nothing,
            (false, true) => AwaitedInput::Request,
            (false, false) => AwaitedInput::Head,
        };
        let (span, late) = match waits {
            AwaitedInput::Nothing => {
                self.waits = None;
                return Poll::Pending;
            }
            AwaitedInput::Head => (self.patience.head, Overdue::Head),
            AwaitedInput::Request => (self.patience.idle, Overdue::Request),
        };
        if self.waits != Some((seat.completed(), waits)) {
            self.waits = Some((seat.completed(), waits));
            self.due = Instant::now() + span;
        }
        loop {
            // A timer that is set too early is left to fire and is then set again: most requests come long before.
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(self.due)));
            if timer.deadline() > self.due {
                timer.as_mut().reset(self.due);
            }
            ready!(timer.as_mut().poll(cx));
            if self.due <= Instant::now() {
                return Poll::Ready(late);
            }
            timer.as_mut().reset(self.due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    const LONG: Duration = Duration::from_secs(3600);

    /// Whether it is late now; with a head's time of nothing, whether a head is what is waited for.
    async fn is_late(deadline: &mut ConnectionDeadline, seat: &SlotHolder, begun: &HeadBegun) -> bool {
        // Timers fire on the millisecond after their time; the deadline is asked before this one.
        let over = poll_fn(|cx| deadline.poll(seat, begun, cx));
        tokio::time::timeout(Duration::from_millis(20), over).await.is_ok()
    }

    #[tokio::test]
    async fn only_a_known_peer_may_idle_and_no_peer_may_send_a_head_slowly() {
        let (seat, begun) = (SlotHolder::default(), HeadBegun::default());
        let mut deadline = ConnectionDeadline::new(ConnectionTimeouts { head: Duration::ZERO, idle: LONG });
        assert!(is_late(&mut deadline, &seat, &begun).await, "nothing is proven");
        seat.begin_work();
        assert!(!is_late(&mut deadline, &seat, &begun).await, "a request has deadlines of its own");
        seat.end_work(0);
        assert!(is_late(&mut deadline, &seat, &begun).await, "a refused one proves nothing");
        seat.begin_work();
        seat.mark_proven();
        begun.set();
        assert!(!is_late(&mut deadline, &seat, &begun).await);
        seat.end_work(0);
        assert!(!is_late(&mut deadline, &seat, &begun).await, "what was read meanwhile was a body");
        begun.set();
        assert!(is_late(&mut deadline, &seat, &begun).await, "a head has begun");
    }

    #[tokio::test]
    async fn another_byte_of_a_head_gives_no_more_time_but_a_request_does() {
        let (seat, begun) = (SlotHolder::default(), HeadBegun::default());
        let mut deadline = ConnectionDeadline::new(ConnectionTimeouts { head: LONG, idle: LONG });
        is_late(&mut deadline, &seat, &begun).await;
        let first = deadline.due;
        begun.set();
        is_late(&mut deadline, &seat, &begun).await;
        assert_eq!(deadline.due, first);
        seat.begin_work();
        is_late(&mut deadline, &seat, &begun).await;
        seat.end_work(0);
        is_late(&mut deadline, &seat, &begun).await;
        assert!(deadline.due > first);
    }
}
