//! The streamed answers of one connection, so that a kill reaches those whose reader does not read.
//!
//! A body is asked for more only when there is room for it. Behind a reader who rests there is none, and a severed body
//! would lie there until the reader came back. The connection therefore watches the line for its bodies, and is itself
//! cut where one does not leave. Costs nothing where no answer streams.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use crate::kill::InFlight;
use crate::model::Lock as _;

/// The streamed answers of one connection.
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
    /// Whether the connection's waker stands on the line.
    asked: bool,
}

/// A streamed answer's place on the list, until it is dropped.
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
        entries.all.push(StreamedEntry { key, in_flight, asked: false });
        list.count.store(entries.all.len(), Ordering::Relaxed);
        drop(entries);
        StreamedResponse { list: Arc::clone(list), key }
    }

    /// How many answers on the list are severed, where any is. One task asks, always the same.
    pub(super) fn poll_severed(&self, cx: &Context<'_>) -> Poll<usize> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return Poll::Pending;
        }
        let mut severed = 0;
        for entry in &mut self.entries().all {
            // The waker stays on the line, so that it is left there once.
            let asked = std::mem::replace(&mut entry.asked, true);
            let is_severed =
                if asked { entry.in_flight.is_severed() } else { entry.in_flight.poll_severed(cx).is_ready() };
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
        // The registration may be the last, and to leave takes another lock.
        drop(entries);
        drop(entry);
    }
}
