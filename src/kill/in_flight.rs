//! A request's place in the registry of its vendor's gate: whether it may begin, and the signal that ends it.
//!
//! Each part of a request that streams holds a handle of it ([`InFlight::share`]), and the request is in flight until
//! the last one is dropped. A body asks [`InFlight::is_severed`] before each frame, and leaves its waker with
//! [`InFlight::poll_severed`] while it waits for a peer, so that a slow one cannot keep it alive. Never fails open: a
//! handle once severed stays severed, also after a restore.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use super::order::Kill;
use super::shard::RegistryShard;
use crate::model::{Lock as _, Reason, debug_fields};

/// One request in flight, or one part of it.
#[must_use = "a request is in flight for as long as this is held"]
pub struct InFlight {
    shard: Arc<RegistryShard>,
    slot: Arc<SeverSignal>,
    index: u32,
    /// The place of this handle's waker among those of the request.
    lane: u32,
}

/// What a request's handles share with the switch; used again by the next request in the same place.
#[derive(Default)]
pub(super) struct SeverSignal {
    severed: AtomicBool,
    holders: AtomicU32,
    lanes: AtomicU32,
    /// Whether `wakers` holds any, so that a request that never waited need not look.
    waiting: AtomicBool,
    wakers: Mutex<Vec<Option<Waker>>>,
}

impl InFlight {
    pub(super) fn first(shard: Arc<RegistryShard>, slot: Arc<SeverSignal>, index: u32) -> Self {
        slot.holders.store(1, Ordering::Relaxed);
        slot.lanes.store(1, Ordering::Relaxed);
        Self { shard, slot, index, lane: 0 }
    }

    /// Whether the request may begin. Ask after registering; the other order loses kills.
    ///
    /// # Errors
    /// The kill, where one covers it, or has severed it already.
    #[inline]
    pub fn check(&self) -> Result<(), Arc<Kill>> {
        if !self.shard.active.is_armed() && !self.is_severed() {
            return Ok(());
        }
        self.killed().map_or(Ok(()), Err)
    }

    /// Whether a kill has cut this request. One atomic read: ask before each frame.
    #[inline]
    pub fn is_severed(&self) -> bool {
        self.slot.severed.load(Ordering::Acquire)
    }

    /// Ready when a kill has cut this request; else this task is woken when one does.
    pub fn poll_severed(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.is_severed() {
            return Poll::Ready(());
        }
        self.slot.wait(self.lane, cx.waker());
        // Again, for a kill that came before the waker was there to be seen.
        if self.is_severed() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits for a kill; for `select!`.
    pub async fn severed(&mut self) {
        poll_fn(|cx| self.poll_severed(cx)).await;
    }

    /// The kill that covers or has cut this request.
    pub fn killed(&self) -> Option<Arc<Kill>> {
        self.shard.verdict(self.index)
    }

    /// The reason for which it was severed: the kill switch, or the proof that it had lost.
    pub fn sever_reason(&self) -> Reason {
        self.shard.lost(self.index).unwrap_or(Reason::VendorKilled)
    }

    /// Whether this is a handle of the request in that place.
    pub(super) fn is_of(&self, slot: &Arc<SeverSignal>) -> bool {
        Arc::ptr_eq(&self.slot, slot)
    }

    /// Another handle of the same request, with a waker of its own: for the other body, or the other hop.
    pub fn share(&self) -> Self {
        self.slot.holders.fetch_add(1, Ordering::Relaxed);
        let lane = self.slot.lanes.fetch_add(1, Ordering::Relaxed);
        Self { shard: Arc::clone(&self.shard), slot: Arc::clone(&self.slot), index: self.index, lane }
    }
}

/// The last handle takes the request out of the registry, which opens the latches that wait for it.
impl Drop for InFlight {
    fn drop(&mut self) {
        if self.slot.holders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shard.release(self.index);
        }
    }
}

debug_fields!(InFlight: index);

impl SeverSignal {
    /// Raises the signal and hands out who must be woken: those who end the request, and in the end who took a handle
    /// last, such as the connection that carries it away. Only under the shard's lock, while the place is live.
    pub(super) fn sever(&self, first: &mut Vec<Waker>, last: &mut Vec<Waker>) {
        self.severed.store(true, Ordering::Release);
        let mut wakers = self.wakers();
        last.extend(wakers.pop().flatten());
        first.extend(wakers.drain(..).flatten());
    }

    /// Makes the slot fit for the next request. Only under the shard's lock, when no handle is left.
    pub(super) fn reset(&self) {
        self.severed.store(false, Ordering::Relaxed);
        if self.waiting.load(Ordering::Relaxed) {
            self.waiting.store(false, Ordering::Relaxed);
            self.wakers().clear();
        }
    }

    fn wait(&self, lane: u32, waker: &Waker) {
        let mut wakers = self.wakers();
        self.waiting.store(true, Ordering::Relaxed);
        let lane = lane as usize;
        if wakers.len() <= lane {
            wakers.resize(lane + 1, None);
        }
        match &mut wakers[lane] {
            Some(known) => known.clone_from(waker),
            empty @ None => *empty = Some(waker.clone()),
        }
    }

    fn wakers(&self) -> MutexGuard<'_, Vec<Option<Waker>>> {
        self.wakers.locked()
    }
}
