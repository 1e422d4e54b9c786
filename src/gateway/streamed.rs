//! The streamed responses of one connection, so that a kill reaches those whose reader does not read.
//!
//! hyper polls a body only when there is room for what it gives. While the reader does not read there is none, so a
//! severed body would not learn of the kill until the reader went on. The task of the connection therefore waits for
//! the kill as well, and the connection is closed when a severed body does not end. Costs nothing while no response is
//! streamed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use crate::kill::InFlight;
use crate::model::Lock as _;

/// The streamed responses of one connection.
#[derive(Debug, Default)]
pub(super) struct StreamedResponses {
    count: AtomicUsize,
    entries: Mutex<StreamedList>,
}

#[derive(Debug, Default)]
struct StreamedList {
    next: u64,
    all: Vec<StreamedEntry>,
}

#[derive(Debug)]
struct StreamedEntry {
    key: u64,
    in_flight: InFlight,
    /// Whether the waker of the connection's task was left with the registration.
    has_waker: bool,
}

/// The entry of a streamed response, until it is dropped.
#[derive(Debug)]
pub(super) struct StreamedResponse {
    list: Arc<StreamedResponses>,
    key: u64,
}

impl StreamedResponses {
    pub(super) fn add(list: &Arc<Self>, in_flight: InFlight) -> StreamedResponse {
        let mut entries = list.entries();
        let key = entries.next;
        entries.next += 1;
        entries.all.push(StreamedEntry { key, in_flight, has_waker: false });
        list.count.store(entries.all.len(), Ordering::Relaxed);
        drop(entries);
        StreamedResponse { list: Arc::clone(list), key }
    }

    /// Ready with the number of severed responses, when there is any. Only the task of the connection may poll.
    pub(super) fn poll_severed(&self, cx: &Context<'_>) -> Poll<usize> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return Poll::Pending;
        }
        let mut severed = 0;
        for entry in &mut self.entries().all {
            // The waker stays with the registration, so it is left there once.
            let has_waker = std::mem::replace(&mut entry.has_waker, true);
            let is_severed =
                if has_waker { entry.in_flight.is_severed() } else { entry.in_flight.poll_severed(cx).is_ready() };
            severed += usize::from(is_severed);
        }
        if severed > 0 { Poll::Ready(severed) } else { Poll::Pending }
    }

    fn entries(&self) -> MutexGuard<'_, StreamedList> {
        self.entries.locked()
    }
}

impl Drop for StreamedResponse {
    fn drop(&mut self) {
        let mut entries = self.list.entries();
        let place = entries.all.iter().position(|entry| entry.key == self.key);
        let entry = place.map(|place| entries.all.swap_remove(place));
        self.list.count.store(entries.all.len(), Ordering::Relaxed);
        // This may be the last handle of the registration, and dropping that takes another lock.
        drop(entries);
        drop(entry);
    }
}
