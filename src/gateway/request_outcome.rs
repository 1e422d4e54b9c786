//! How the body of a request is doing, shared by the task that sends it and the exchange that it belongs to.

use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use super::body_end::BodyEnd;
use super::body_pipeline::BodyCounters;
use crate::model::Lock as _;

/// How the body of a request is doing. The upstream's connection owns the body and writes here; the exchange reads.
#[derive(Debug, Default)]
pub(super) struct RequestBodyOutcome(Mutex<RequestBodyState>);

#[derive(Debug, Default)]
struct RequestBodyState {
    counters: BodyCounters,
    end: Option<BodyEnd>,
    is_done: bool,
    /// The task that waits for the end.
    waker: Option<Waker>,
}

impl RequestBodyOutcome {
    pub(super) fn counters(&self) -> BodyCounters {
        self.lock().counters
    }

    pub(super) fn set_counters(&self, counters: BodyCounters) {
        self.lock().counters = counters;
    }

    /// Why the body ended early; `None` while it is sent, and after its last byte.
    pub(super) fn end(&self) -> Option<BodyEnd> {
        self.lock().end.clone()
    }

    /// Whether nothing more of the body will be sent.
    pub(super) fn is_done(&self) -> bool {
        self.lock().is_done
    }

    /// Ready when nothing more of the body will be sent. Only one task may wait.
    pub(super) fn poll_done(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.is_done {
            return Poll::Ready(());
        }
        match &mut state.waker {
            Some(known) => known.clone_from(cx.waker()),
            empty @ None => *empty = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Records that nothing more will be sent, and why where the body ended early.
    pub(super) fn finish(&self, end: Option<BodyEnd>) {
        let mut state = self.lock();
        (state.end, state.is_done) = (end, true);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, RequestBodyState> {
        self.0.locked()
    }
}
