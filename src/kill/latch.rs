//! Opens when all that was severed has left.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::model::debug_fields;

/// Counts the severed requests that have not left. Made with one count for its maker, who is still adding.
pub(super) struct CountdownLatch {
    remaining: AtomicUsize,
    open: Notify,
}

impl CountdownLatch {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { remaining: AtomicUsize::new(1), open: Notify::new() })
    }

    pub(super) fn count_up(&self) {
        self.remaining.fetch_add(1, Ordering::Relaxed);
    }

    /// Also called once by the maker, when nothing more will be added.
    pub(super) fn count_down(&self) {
        if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.open.notify_waiters();
        }
    }

    pub(super) fn remaining(&self) -> usize {
        self.remaining.load(Ordering::Acquire)
    }

    pub(super) async fn wait(&self) {
        loop {
            let opened = self.open.notified();
            if self.remaining() == 0 {
                return;
            }
            opened.await;
        }
    }
}

debug_fields!(CountdownLatch: remaining);
