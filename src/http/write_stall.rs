//! The deadline for a peer that reads nothing, so that writes to it wait.

use std::future::Future as _;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// How long the writes of one connection may wait. Runs only while they do.
#[derive(Debug)]
pub struct WriteStall {
    /// The longest time in which the peer may read nothing.
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl WriteStall {
    /// A deadline that does not run yet.
    pub const fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    /// Whether writes have waited for the whole limit; `waits` says whether the latest one does. The task of `cx` is
    /// woken when the limit passes.
    pub fn has_passed(&mut self, cx: &mut Context<'_>, waits: bool) -> bool {
        if !waits {
            self.timer = None;
            return false;
        }
        let limit = self.limit;
        self.timer.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(cx).is_ready()
    }
}
