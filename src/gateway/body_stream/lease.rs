//! Waits for a lease of a budget that a fleet shares.

use std::future::Future as _;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Body as _;

use super::{BodyObserver, BodyStream, StreamPhase};
use crate::bounds;
use crate::gateway::body_end::BodyEnd;

impl<O: BodyObserver> BodyStream<O> {
    /// Waits for a lease of a budget that a fleet shares, within a bound; the source is not asked for more meanwhile.
    pub(super) fn poll_lease(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyEnd>> {
        if self.in_flight.poll_severed(cx).is_ready() {
            return Poll::Ready(Err(self.severed()));
        }
        // Before the try, so that no lease is missed that comes between the two.
        self.pipeline.wake_at_lease(cx.waker());
        let Some(retried) = self.pipeline.retry(self.clock.now()) else {
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(bounds::LEASE_WAIT)));
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
            let stopped = self.pipeline.give_up();
            return self.take_piece(Bytes::new(), stopped);
        };
        self.timer = None;
        if retried.is_last {
            self.phase = StreamPhase::Ended;
        }
        self.take_piece(retried.out, retried.abort)
    }

    /// Whether the source of a body that passes as it is has no more, and nothing of it waits for a lease.
    pub(super) fn has_passed_all(&self) -> bool {
        !self.pipeline.rewrites() && !self.pipeline.is_starved() && self.source.is_end_stream()
    }
}
