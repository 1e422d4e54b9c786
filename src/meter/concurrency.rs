//! Limits how many requests are in flight at once, each from its permit to the last byte of its body.
//!
//! Never queues: a request for which there is no slot is refused.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use super::lease::{LimitShare, WHOLE};

/// The slots of one vendor or route.
#[derive(Debug)]
pub struct ConcurrencySlots {
    limit: AtomicU32,
    taken: AtomicU32,
    /// The part of the limit that this gateway has, where a fleet shares it.
    share: OnceLock<Arc<LimitShare>>,
}

/// A slot, free again when this is dropped: keep it with the body, not with the request.
#[derive(Debug)]
pub struct ConcurrencySlot(Arc<ConcurrencySlots>);

impl ConcurrencySlots {
    /// Slots that are all free.
    pub fn new(limit: NonZeroU32) -> Arc<Self> {
        Arc::new(Self { limit: AtomicU32::new(limit.get()), taken: AtomicU32::new(0), share: OnceLock::new() })
    }

    /// Takes a slot, if there is one.
    pub fn take(self: &Arc<Self>) -> Option<ConcurrencySlot> {
        let limit = self.limit();
        let more = |taken: u32| (taken < limit).then(|| taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).ok()?;
        Some(ConcurrencySlot(Arc::clone(self)))
    }

    /// Changes the limit. Where more slots are taken than that, none is free until enough have been returned.
    pub fn set_limit(&self, limit: NonZeroU32) {
        self.limit.store(limit.get(), Ordering::Relaxed);
    }

    /// Shares the limit with a fleet.
    pub(super) fn join_fleet(self: &Arc<Self>, share: &Arc<LimitShare>) {
        share.watch(self);
        let _ = self.share.set(Arc::clone(share));
    }

    /// The part of the whole limit that is taken, in millionths.
    pub(super) fn taken_millionths(&self) -> u32 {
        let part = u64::from(self.taken()) * u64::from(WHOLE) / u64::from(self.limit.load(Ordering::Relaxed).max(1));
        u32::try_from(part).unwrap_or(WHOLE)
    }

    fn limit(&self) -> u32 {
        let limit = self.limit.load(Ordering::Relaxed);
        self.share.get().map_or(limit, |share| share.of(limit))
    }

    /// Slots that are taken.
    pub fn taken(&self) -> u32 {
        self.taken.load(Ordering::Relaxed)
    }

    /// The part that is free, from 0 to 1.
    pub fn remaining_ratio(&self) -> f64 {
        let limit = self.limit();
        f64::from(limit.saturating_sub(self.taken())) / f64::from(limit.max(1))
    }
}

impl Drop for ConcurrencySlot {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_held_until_it_is_dropped() {
        let slots = ConcurrencySlots::new(NonZeroU32::new(2).unwrap());
        let (first, second) = (slots.take().unwrap(), slots.take().unwrap());
        assert!(slots.take().is_none());
        drop(first);
        let third = slots.take().unwrap();
        slots.set_limit(NonZeroU32::MIN);
        drop(third);
        assert!(slots.take().is_none(), "one is still held, and one is the limit now");
        drop(second);
        assert!(slots.take().is_some());
        assert_eq!((slots.taken(), slots.remaining_ratio()), (0, 1.0));
    }

    #[test]
    fn threads_never_hold_more_than_the_limit_together() {
        let slots = ConcurrencySlots::new(NonZeroU32::new(3).unwrap());
        let (held, most) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        if let Some(_slot) = slots.take() {
                            most.fetch_max(held.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                            held.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert!((1..=3).contains(&most.into_inner()));
        assert_eq!(slots.taken(), 0);
    }
}
