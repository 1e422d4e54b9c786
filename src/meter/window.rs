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

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use super::nanos;
use crate::model::{Lock as _, Moment, UnixTime};

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
}

/// The running total of all grants, on a cache line of its own: all threads write it.
#[derive(Debug, Default)]
#[repr(align(64))]
struct PaddedTotal(AtomicU64);

/// The running total at the start of each slot that counts; slot `s` is at index `s % RING`.
#[derive(Debug)]
struct SlotStarts([u64; RING]);

/// The budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSpent {
    /// After how long the requested count can pass, if nothing else is granted until then.
    pub retry_after: Duration,
}

/// A grant, by which the charge can be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowCharge {
    slot: u64,
    /// Tells windows of different lengths apart: a charge is never given back to another window.
    slot_ns: u64,
    count: u64,
}

impl WindowCharge {
    /// Adds another grant if it is of the same window and slot; returns whether it was.
    pub(super) const fn join(&mut self, other: Self) -> bool {
        let same = self.slot == other.slot && self.slot_ns == other.slot_ns;
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
        }
    }

    /// The window's length, as it was asked for.
    pub const fn length(&self) -> Duration {
        self.length
    }

    /// Changes the budget and keeps what is used.
    pub fn set_budget(&self, budget: NonZeroU64) {
        self.budget.store(budget.get(), Ordering::Relaxed);
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
                Ok(_) => return Ok(WindowCharge { slot, slot_ns: self.slot_ns, count }),
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
        if self.peek(now).remaining() >= count { Ok(()) } else { Err(self.spent(count, now)) }
    }

    /// The part of the budget that is left, from 0 to 1.
    pub fn remaining_ratio(&self, now: Moment) -> f64 {
        let usage = self.peek(now);
        usage.remaining() as f64 / usage.budget as f64
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
        let Some((slot, _)) = frees else { return WindowSpent { retry_after: self.length } };
        // A slot stops counting one ring of slots after it began, and slot numbers are one ring ahead of the clock.
        let at_ns = slot.saturating_mul(self.slot_ns);
        WindowSpent { retry_after: Duration::from_nanos(at_ns.saturating_sub(now.monotonic_ns).max(1)) }
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
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(10);

    fn at(ns: u64) -> Moment {
        Moment { wall: UnixTime::from_millis(1_000_000 + ns / 1_000_000), monotonic_ns: ns }
    }

    fn window(budget: u64) -> SlidingWindow {
        SlidingWindow::new(NonZeroU64::new(budget).unwrap(), LENGTH)
    }

    #[test]
    fn the_refusal_tells_exactly_when_there_is_room() {
        let window = window(10);
        window.take(4, at(0)).unwrap();
        window.take(6, at(5_000_000_000)).unwrap();
        for (count, room_for_it) in [(1, 4), (4, 4), (5, 10), (10, 10)] {
            let now = at(6_000_000_000);
            let wait = nanos(window.ask(count, now).unwrap_err().retry_after);
            assert!(window.peek(at(now.monotonic_ns + wait - 1)).remaining() < count, "{count} too early");
            let window = super::tests::window(10);
            window.take(4, at(0)).unwrap();
            window.take(6, at(5_000_000_000)).unwrap();
            assert_eq!(window.peek(at(now.monotonic_ns + wait)).remaining(), room_for_it, "{count}");
        }
        assert_eq!(window.ask(11, at(16_000_000_000)), Err(WindowSpent { retry_after: LENGTH }));
    }

    #[test]
    fn threads_together_get_exactly_the_budget_while_time_passes() {
        let (window, ns) = (window(50_000), AtomicU64::new(0));
        // Many slots go by, but never the window: nothing comes back.
        let run = || {
            (0..20_000u64).fold(0, |granted, i| {
                let now = at(ns.fetch_add(100_000, Ordering::Relaxed));
                match window.take(1 + i % 3, now) {
                    Ok(charge) if i % 7 == 0 => {
                        window.give_back(charge, charge.count);
                        granted
                    }
                    Ok(charge) => granted + charge.count,
                    Err(_) => granted,
                }
            })
        };
        let granted: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        let left = (0..10).take_while(|_| window.take(1, at(9_000_000_000)).is_ok()).count() as u64;
        assert_eq!(granted + left, 50_000);
    }

    #[test]
    fn a_budget_of_one_is_never_granted_to_two_threads_at_once() {
        let (window, inside, most, entered) = (window(1), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let enter = |_| {
            if let Ok(charge) = window.take(1, at(0)) {
                most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                entered.fetch_add(1, Ordering::SeqCst);
                inside.fetch_sub(1, Ordering::SeqCst);
                window.give_back(charge, 1);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..400_000).for_each(enter));
            }
        });
        assert_eq!((most.into_inner(), window.peek(at(0)).used), (1, 0));
        assert!(entered.into_inner() > 1_000);
    }

    #[test]
    fn a_smaller_budget_keeps_what_is_used() {
        let window = window(10);
        window.take(8, at(0)).unwrap();
        window.set_budget(NonZeroU64::new(5).unwrap());
        assert!(window.take(1, at(1)).is_err());
        assert_eq!((window.peek(at(1)).remaining(), window.remaining_ratio(at(1))), (0, 0.0));
        window.set_budget(NonZeroU64::new(16).unwrap());
        assert_eq!(window.remaining_ratio(at(1)), 0.5);
    }
}
