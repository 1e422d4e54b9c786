//! A budget in a sliding window of time, exact across threads.
//!
//! Time is cut into slots of 1/64 of the window. What was granted in the present slot and in the 64 before it counts as
//! used. So in **any** span of the window's length, wherever it begins, at most the budget was granted. The price is
//! that used budget comes back up to 1/64 of the window late.
//!
//! A grant is one compare-and-swap on a running total. The total at the start of each slot is stored under a lock, once
//! per slot. What is used is the total less its value at the start of the oldest slot that counts.
//!
//! Never grants the same budget twice: not after a restart, a reload, a clock that was set back, or a charge given
//! back.

mod leased;
mod spent;

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use super::lease::{LeasePool, LeaseTerms};
use super::nanos;
use crate::model::{Lock as _, Moment, UnixTime};

pub use spent::{SpentCause, WindowSpent};

/// Slots of a window: used budget comes back at most 1/64 of the window late.
const SLOTS: u64 = 64;
/// Slots that count: the present one, which has not ended, and a whole window before it.
const RING: usize = SLOTS as usize + 1;

/// The largest grant that is restored, so that no file on disk can make the running total overflow.
const RESTORED_MAX: u64 = u64::MAX >> 8;

/// A budget in a sliding window, shared by all requests that spend from it.
#[derive(Debug)]
pub struct SlidingWindow {
    length: Duration,
    slot_ns: u64,
    budget: AtomicU64,
    /// The present slot, ever rising.
    head: AtomicU64,
    /// The running total at the start of the oldest slot that counts.
    floor: AtomicU64,
    granted: PaddedTotal,
    starts: Mutex<SlotStarts>,
    /// Where to spend instead, once a reload has changed the window's length.
    successor: OnceLock<Arc<SlidingWindow>>,
    /// The leases without which nothing is granted, where a fleet shares the budget.
    leases: OnceLock<Arc<LeasePool>>,
}

/// The running total of all grants, on a cache line of its own: all threads write it.
#[derive(Debug, Default)]
#[repr(align(64))]
struct PaddedTotal(AtomicU64);

/// The running total at the start of each slot that counts; slot `s` is at index `s % RING`.
#[derive(Debug)]
struct SlotStarts([u64; RING]);

/// A grant, by which the charge can be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowCharge {
    slot: u64,
    /// Tells windows of different lengths apart: a charge is never given back to another window.
    slot_ns: u64,
    count: u64,
    /// The number of the lease that covers it.
    lease: u32,
}

impl WindowCharge {
    /// Adds another grant if it is of the same window and slot; returns whether it was.
    pub(super) const fn join(&mut self, other: Self) -> bool {
        let same = self.slot == other.slot && self.slot_ns == other.slot_ns && self.lease == other.lease;
        if same {
            self.count += other.count;
        }
        same
    }
}

/// How much of a budget is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowUsage {
    /// What counts as used now.
    pub used: u64,
    /// The whole budget.
    pub budget: u64,
}

/// What survives a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WindowSnapshot {
    /// When it was taken, in milliseconds since the epoch.
    pub taken_ms: u64,
    /// Grants that still count, as (how long before that time at the least, in nanoseconds; how many).
    pub grants: Vec<(u64, u64)>,
    /// The length of a slot in nanoseconds, for comparing two snapshots of one run.
    #[serde(skip)]
    pub slot_ns: u64,
}

impl SlidingWindow {
    /// An unspent window. A length of zero counts as the shortest there is.
    pub fn new(budget: NonZeroU64, length: Duration) -> Self {
        Self {
            length,
            slot_ns: nanos(length).div_ceil(SLOTS).max(1),
            budget: AtomicU64::new(budget.get()),
            head: AtomicU64::new(0),
            floor: AtomicU64::new(0),
            granted: PaddedTotal::default(),
            starts: Mutex::new(SlotStarts([0; RING])),
            successor: OnceLock::new(),
            leases: OnceLock::new(),
        }
    }

    /// The window's length, as it was asked for.
    pub const fn length(&self) -> Duration {
        self.length
    }

    /// Changes the budget and keeps what is used.
    pub fn set_budget(&self, budget: NonZeroU64) {
        self.budget.store(budget.get(), Ordering::Relaxed);
        if let Some(leases) = self.leases.get() {
            leases.set_terms(LeaseTerms::new(budget, self.length));
        }
    }

    /// Grants `count`, all or nothing.
    ///
    /// # Errors
    /// [`WindowSpent`] when less is left; nothing is charged then.
    pub fn take(&self, count: u64, now: Moment) -> Result<WindowCharge, WindowSpent> {
        if let Some(successor) = self.successor.get() {
            return successor.take(count, now);
        }
        let slot = self.advance_to(now);
        let budget = self.budget.load(Ordering::Relaxed);
        let mut granted = self.granted.0.load(Ordering::Acquire);
        loop {
            // A stale floor is too low, so `used` comes out too high: a request may be refused early, never late.
            let used = granted.saturating_sub(self.floor.load(Ordering::Acquire));
            if count > budget.saturating_sub(used) {
                return Err(self.spent(count, now));
            }
            let next = granted.wrapping_add(count);
            match self.granted.0.compare_exchange_weak(granted, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return self.lease(WindowCharge { slot, slot_ns: self.slot_ns, count, lease: 0 }, used, now),
                Err(present) => granted = present,
            }
        }
    }

    /// Gives back `count` of a grant that was not used in the end. Nothing is done where the grant no longer counts.
    pub fn give_back(&self, charge: WindowCharge, count: u64) {
        if let Some(successor) = self.successor.get() {
            return successor.give_back(charge, count);
        }
        let count = count.min(charge.count);
        if let Some(leases) = self.leases.get().filter(|_| charge.slot_ns == self.slot_ns) {
            leases.give_back(charge.lease, count);
        }
        self.uncharge(charge, count);
    }

    fn uncharge(&self, charge: WindowCharge, count: u64) {
        let mut starts = self.lock();
        let head = self.head.load(Ordering::Acquire);
        if count == 0 || charge.slot_ns != self.slot_ns || charge.slot + SLOTS < head {
            return;
        }
        self.granted.0.fetch_sub(count, Ordering::AcqRel);
        // The grant may have been made just after the next slot began: then that slot's start does not contain it, so a
        // start never falls below that of the grant's own slot.
        let least = starts.0[index_of(charge.slot)];
        for slot in charge.slot + 1..=head {
            let start = &mut starts.0[index_of(slot)];
            *start = start.saturating_sub(count).max(least);
        }
    }

    /// How much is used, without spending.
    pub fn peek(&self, now: Moment) -> WindowUsage {
        if let Some(successor) = self.successor.get() {
            return successor.peek(now);
        }
        self.advance_to(now);
        let floor = self.floor.load(Ordering::Acquire);
        let used = self.granted.0.load(Ordering::Acquire).saturating_sub(floor);
        WindowUsage { used, budget: self.budget.load(Ordering::Relaxed) }
    }

    /// Whether `count` would be granted now.
    ///
    /// # Errors
    /// [`WindowSpent`] as [`SlidingWindow::take`] would answer.
    pub fn ask(&self, count: u64, now: Moment) -> Result<(), WindowSpent> {
        let usage = self.peek(now);
        if usage.remaining() < count {
            return Err(self.spent(count, now));
        }
        let Some(leases) = self.leases() else { return Ok(()) };
        Ok(leases.ask_one(usage.used, now.monotonic_ns)?)
    }

    /// The part of the budget that is left, from 0 to 1.
    pub fn remaining_ratio(&self, now: Moment) -> f64 {
        let usage = self.peek(now);
        let own = usage.remaining() as f64 / usage.budget as f64;
        self.leases().and_then(|leases| leases.remaining_ratio()).map_or(own, |of_fleet| own.min(of_fleet))
    }

    /// What must be kept for [`SlidingWindow::restore`]. Ages are rounded down, so a restart brings nothing back early.
    pub fn snapshot(&self, now: Moment) -> WindowSnapshot {
        if let Some(successor) = self.successor.get() {
            return successor.snapshot(now);
        }
        self.advance_to(now);
        let starts = self.lock();
        let shifted_ns = now.monotonic_ns.saturating_add(self.slot_ns.saturating_mul(RING as u64));
        let age = |slot: u64| shifted_ns.saturating_sub((slot + 1).saturating_mul(self.slot_ns));
        let grants = self.grants(&starts).map(|(slot, count)| (age(slot), count));
        let grants = grants.filter(|(_, count)| *count > 0).collect();
        WindowSnapshot { taken_ms: now.wall.as_millis(), grants, slot_ns: self.slot_ns }
    }

    /// Adds the grants of an earlier run, or of a window of another length.
    /// If the wall clock was set back in between, no time counts as passed.
    pub fn restore(&self, snapshot: &WindowSnapshot, now: Moment) {
        // Both readings are rounded down to a millisecond, so the difference can be one too long.
        let away = nanos(now.wall.since(UnixTime::from_millis(snapshot.taken_ms))).saturating_sub(1_000_000);
        self.advance_to(now);
        let mut starts = self.lock();
        let head = self.head.load(Ordering::Acquire);
        for (age_ns, count) in snapshot.grants.iter().take(RING) {
            let slots_ago = age_ns.saturating_add(away) / self.slot_ns;
            if slots_ago <= SLOTS {
                let (slot, count) = (head.saturating_sub(slots_ago), (*count).min(RESTORED_MAX));
                self.granted.0.fetch_add(count, Ordering::AcqRel);
                (slot + 1..=head).for_each(|later| starts.0[index_of(later)] += count);
            }
        }
    }

    /// Hands over to a window of another length: what is used counts there, and all who hold this window spend there
    /// from now on.
    pub fn hand_over_to(&self, successor: &Arc<Self>, now: Moment) {
        successor.restore(&self.snapshot(now), now);
        if let Some(leases) = self.leases.get() {
            successor.join_leases(leases);
        }
        // `set` fails if there is a successor: that one stays, and forwards to its own successor.
        let _ = self.successor.set(Arc::clone(successor));
    }

    /// Advances to the slot of `now`, unless another thread is further already; returns the slot.
    fn advance_to(&self, now: Moment) -> u64 {
        // Slots are numbered a ring ahead of the clock, so that restored grants have slot numbers above zero.
        let slot = now.monotonic_ns / self.slot_ns + RING as u64;
        let head = self.head.load(Ordering::Acquire);
        if slot <= head { head } else { self.advance_slowly(slot) }
    }

    #[cold]
    fn advance_slowly(&self, slot: u64) -> u64 {
        let mut starts = self.lock();
        let head = self.head.load(Ordering::Acquire);
        if slot <= head {
            return head;
        }
        // Grants from here on count in the new slot at the earliest.
        let granted = self.granted.0.load(Ordering::Acquire);
        for later in (head + 1).max(slot.saturating_sub(SLOTS))..=slot {
            starts.0[index_of(later)] = granted;
        }
        self.floor.store(starts.0[index_of(slot + 1)], Ordering::Release);
        self.head.store(slot, Ordering::Release);
        slot
    }

    /// Every slot that counts, the oldest first, and what was granted in it.
    fn grants(&self, starts: &SlotStarts) -> impl Iterator<Item = (u64, u64)> {
        let head = self.head.load(Ordering::Acquire);
        let granted = self.granted.0.load(Ordering::Acquire);
        let starts = starts.0;
        (head.saturating_sub(SLOTS)..=head).map(move |slot| {
            let end = if slot == head { granted } else { starts[index_of(slot + 1)] };
            (slot, end.saturating_sub(starts[index_of(slot)]))
        })
    }

    #[cold]
    fn spent(&self, count: u64, now: Moment) -> WindowSpent {
        let starts = self.lock();
        let budget = self.budget.load(Ordering::Relaxed);
        let mut used = self.granted.0.load(Ordering::Acquire).saturating_sub(self.floor.load(Ordering::Acquire));
        let frees = self.grants(&starts).find(|(_, granted)| {
            used = used.saturating_sub(*granted);
            count <= budget.saturating_sub(used)
        });
        let Some((slot, _)) = frees else { return WindowSpent::budget(self.length) };
        // A slot stops counting one ring of slots after it began, and slot numbers are one ring ahead of the clock.
        let at_ns = slot.saturating_mul(self.slot_ns);
        WindowSpent::budget(Duration::from_nanos(at_ns.saturating_sub(now.monotonic_ns).max(1)))
    }

    fn lock(&self) -> MutexGuard<'_, SlotStarts> {
        self.starts.locked()
    }
}

impl WindowUsage {
    /// What is left of the budget; none where a reload has made it smaller than what is used.
    pub const fn remaining(self) -> u64 {
        self.budget.saturating_sub(self.used)
    }
}

const fn index_of(slot: u64) -> usize {
    (slot % RING as u64) as usize
}

#[cfg(test)]
mod tests;
