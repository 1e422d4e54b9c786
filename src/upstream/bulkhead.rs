//! The bulkhead of one vendor's requests to one upstream: most requests at once, and most that wait for a place.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::group_settings::BulkheadSettings;

/// The places for requests at once.
#[derive(Debug)]
pub(super) struct Bulkhead {
    settings: BulkheadSettings,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Bulkhead {
    pub(super) fn new(settings: BulkheadSettings) -> Self {
        let places = Arc::new(Semaphore::new(settings.requests_max.get() as usize));
        Self { settings, places, waiting: AtomicUsize::new(0) }
    }

    /// Takes a place, at once or after a wait; `None` where there is none.
    pub(super) async fn enter(&self, deadline: Duration) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        let waiting = WaitingRequest::enter(&self.waiting, self.settings.pending_max as usize)?;
        let place = tokio::time::timeout(deadline, Arc::clone(&self.places).acquire_owned()).await;
        drop(waiting);
        place.ok()?.ok()
    }
}

/// Counts a request that waits for a place, until it is dropped.
struct WaitingRequest<'a>(&'a AtomicUsize);

impl<'a> WaitingRequest<'a> {
    fn enter(waiting: &'a AtomicUsize, most: usize) -> Option<Self> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let counted = Self(waiting);
        (before < most).then_some(counted)
    }
}

impl Drop for WaitingRequest<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
