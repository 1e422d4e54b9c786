//! Counts how many different subjects (people whom records are about) passed in a sliding window, to stop scrapers that
//! stay below the request rate.
//!
//! A table of cells, each with the time slot in which a subject that hashes to it was last seen. The number of live
//! cells gives the number of subjects (linear counting). The standard error is under 0.6 % at the budget; below some
//! hundred subjects it is under one subject. A subject counts for one window after it was last seen, and up to 1/64 of
//! the window longer. Memory is 64 KiB to 1 MiB, by the budget.
//!
//! Never keeps a subject, nor its hash: the index of a cell is 14 to 18 bits of a keyed hash.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::{Budget, OverrunAction, WindowSpent, nanos};
use crate::bounds;
use crate::model::{Lock as _, Moment, SubjectHash, UnixTime};

/// Slots that make up a window.
const SLOTS: u32 = 64;
/// Shortest slot, so that their number fits 32 bits for thirteen years.
const SLOT_NS_MIN: u64 = 100_000_000;
/// The age of a cell that no subject hashed to.
const EMPTY: u8 = u8::MAX;

/// Counts different subjects against a budget.
#[derive(Debug)]
pub struct SubjectCounter {
    settings: Budget,
    slot_ns: u64,
    /// Only one subject of 2^`sampled_bits` is counted; up to a budget of half a million all are.
    sampled_bits: u32,
    /// The slot in which each cell was last hit; 0 is never.
    cells: Box<[AtomicU32]>,
    /// The number of live cells at which the budget is spent.
    full: u32,
    live: AtomicU32,
    head: AtomicU32,
    turn: Mutex<()>,
    /// Cells reserved for records that were not sent yet, and how many records each.
    held: Mutex<HashMap<usize, u32>>,
}

/// A reservation for the subject of a record that was let through and not sent yet.
#[derive(Debug, Clone, Copy)]
#[must_use = "room that is neither settled nor forgotten stays taken"]
pub struct SubjectReservation {
    /// `None` where the subject is not in the sample.
    cell: Option<usize>,
    /// Whether its cell was not live.
    is_new: bool,
}

/// What survives a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SubjectsSnapshot {
    /// When it was taken, in milliseconds since the epoch.
    pub taken_ms: u64,
    /// The length of a slot, in nanoseconds.
    pub slot_ns: u64,
    /// Slots since each cell was last hit, 255 for never; as base64 in text.
    #[serde(with = "as_base64")]
    pub ages: Vec<u8>,
}

impl SubjectCounter {
    /// A counter that has seen no subject.
    pub fn new(settings: Budget) -> Self {
        let budget = settings.budget.get();
        let wanted = usize::try_from(budget.saturating_mul(2)).unwrap_or(usize::MAX);
        let most = bounds::SUBJECT_PLACES_MAX;
        let cells =
            wanted.clamp(bounds::SUBJECT_PLACES_MIN, most).checked_next_power_of_two().unwrap_or(most).min(most);
        let sampled_bits = (0..63).find(|bits| budget >> bits <= 2 * most as u64).unwrap_or(63);
        let load = (budget >> sampled_bits) as f64 / cells as f64;
        Self {
            settings,
            slot_ns: nanos(settings.window).div_ceil(u64::from(SLOTS)).max(SLOT_NS_MIN),
            sampled_bits,
            cells: (0..cells).map(|_| AtomicU32::new(0)).collect(),
            full: ((1.0 - (-load).exp()) * cells as f64).round().max(1.0) as u32,
            live: AtomicU32::new(0),
            head: AtomicU32::new(0),
            turn: Mutex::new(()),
            held: Mutex::default(),
        }
    }

    /// What an overrun does.
    pub const fn over(&self) -> OverrunAction {
        self.settings.over
    }

    /// The settings that this counter was made with.
    pub const fn settings(&self) -> Budget {
        self.settings
    }

    /// Counts a subject whose record was sent at once.
    ///
    /// # Errors
    /// [`WindowSpent`]; the subject was not counted then.
    #[cfg(test)]
    pub fn see(&self, subject: SubjectHash, now: Moment) -> Result<(), WindowSpent> {
        self.reserve(subject, now).map(|reserved| self.settle(reserved, now))
    }

    /// Reserves a cell for the subject of a record that is let through, unless the subject is new and the budget is
    /// spent. Call [`SubjectCounter::settle`] when the record was sent, or [`SubjectCounter::forget`] when it was not.
    /// A new subject
    /// whose cell is live already counts as known: the first refusal of another one ends a scrape all the same.
    ///
    /// # Errors
    /// [`WindowSpent`]; nothing was reserved then.
    pub fn reserve(&self, subject: SubjectHash, now: Moment) -> Result<SubjectReservation, WindowSpent> {
        let head = self.advance_to(now);
        let bits = subject.bits();
        if bits & ((1 << self.sampled_bits) - 1) != 0 {
            let nothing = SubjectReservation { cell: None, is_new: false };
            return if self.is_spent() { Err(self.spent(now)) } else { Ok(nothing) };
        }
        let cell = (((bits >> 32) * self.cells.len() as u64) >> 32) as usize;
        if self.is_known(cell, head) {
            return Ok(SubjectReservation { cell: Some(cell), is_new: false });
        }
        let mut held = self.held();
        if self.is_known(cell, head) {
            return Ok(SubjectReservation { cell: Some(cell), is_new: false });
        }
        match held.get_mut(&cell) {
            Some(holders) => *holders += 1,
            None => {
                let more = |live: u32| (live < self.full).then(|| live + 1);
                self.live.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).map_err(|_| self.spent(now))?;
                held.insert(cell, 1);
            }
        }
        Ok(SubjectReservation { cell: Some(cell), is_new: true })
    }

    /// The record was sent: its subject counts from now on.
    pub fn settle(&self, reserved: SubjectReservation, now: Moment) {
        let Some(cell) = reserved.cell else { return };
        let head = self.advance_to(now);
        if !reserved.is_new && self.is_known(cell, head) {
            self.cells[cell].fetch_max(head, Ordering::AcqRel);
            return;
        }
        let mut held = self.held();
        let before = self.cells[cell].fetch_max(head, Ordering::AcqRel);
        // The cell was counted by its reservation; without one it has left the window meanwhile and is counted here.
        if held.remove(&cell).is_none() && !is_live(before, head) {
            self.live.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The record was not sent: its cell is free again, unless another record has reserved it too.
    pub fn forget(&self, reserved: SubjectReservation) {
        let Some(cell) = reserved.cell.filter(|_| reserved.is_new) else { return };
        let mut held = self.held();
        let Some(holders) = held.get_mut(&cell) else { return };
        *holders -= 1;
        if *holders == 0 {
            held.remove(&cell);
            self.live.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Whether a new subject would still be let through.
    ///
    /// # Errors
    /// [`WindowSpent`] when not.
    pub fn ask(&self, now: Moment) -> Result<(), WindowSpent> {
        self.advance_to(now);
        if self.is_spent() { Err(self.spent(now)) } else { Ok(()) }
    }

    /// About how many different subjects passed in the window.
    pub fn estimate(&self, now: Moment) -> u64 {
        self.advance_to(now);
        let cells = self.cells.len() as f64;
        let free = cells - f64::from(self.live.load(Ordering::Relaxed));
        let sampled = cells * (cells / free.max(0.5)).ln();
        (sampled * (1u64 << self.sampled_bits) as f64).round() as u64
    }

    /// The part of the budget that is left, from 0 to 1.
    pub fn remaining_ratio(&self, now: Moment) -> f64 {
        (1.0 - self.estimate(now) as f64 / self.settings.budget.get() as f64).clamp(0.0, 1.0)
    }

    /// What must be kept for [`SubjectCounter::restore`].
    pub fn snapshot(&self, now: Moment) -> SubjectsSnapshot {
        let head = self.advance_to(now);
        let age = |cell: &AtomicU32| {
            let last = cell.load(Ordering::Relaxed);
            if is_live(last, head) { u8::try_from(head.saturating_sub(last)).unwrap_or(EMPTY) } else { EMPTY }
        };
        let ages = self.cells.iter().map(age).collect();
        SubjectsSnapshot { taken_ms: now.wall.as_millis(), slot_ns: self.slot_ns, ages }
    }

    /// Restores what an earlier run had seen. If the number of cells differs, each is put where its subjects hash to
    /// now.
    pub fn restore(&self, snapshot: &SubjectsSnapshot, now: Moment) {
        let away = nanos(now.wall.since(UnixTime::from_millis(snapshot.taken_ms))).saturating_sub(1_000_000);
        let head = self.advance_to(now);
        for (index, age) in snapshot.ages.iter().enumerate().filter(|(_, age)| **age != EMPTY) {
            let ago_ns = u64::from(*age).saturating_mul(snapshot.slot_ns).saturating_add(away);
            let slots_ago = u32::try_from(ago_ns / self.slot_ns).unwrap_or(u32::MAX);
            if slots_ago <= SLOTS {
                let cell = &self.cells[index * self.cells.len() / snapshot.ages.len()];
                cell.fetch_max(head.saturating_sub(slots_ago), Ordering::AcqRel);
            }
        }
        self.recount(head);
    }

    fn is_known(&self, cell: usize, head: u32) -> bool {
        is_live(self.cells[cell].load(Ordering::Acquire), head)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<usize, u32>> {
        self.held.locked()
    }

    fn is_spent(&self) -> bool {
        self.live.load(Ordering::Relaxed) >= self.full
    }

    fn advance_to(&self, now: Moment) -> u32 {
        // Slots are numbered a window ahead of the clock, so that restored cells have a number above zero, and 0 is
        // never.
        let slot = u32::try_from(now.monotonic_ns / self.slot_ns).unwrap_or(u32::MAX).saturating_add(SLOTS + 2);
        let head = self.head.load(Ordering::Acquire);
        if slot <= head { head } else { self.advance_slowly(slot) }
    }

    #[cold]
    fn advance_slowly(&self, slot: u32) -> u32 {
        let _turn = self.turn.locked();
        let head = self.head.fetch_max(slot, Ordering::AcqRel);
        if head < slot {
            self.recount(slot);
        }
        head.max(slot)
    }

    /// Counts the live cells again, once a slot. A cell that is hit meanwhile may count twice, or not at all, until the
    /// next time.
    fn recount(&self, head: u32) {
        let held = self.held();
        let live = held.len() + self.cells.iter().filter(|cell| is_live(cell.load(Ordering::Relaxed), head)).count();
        self.live.store(u32::try_from(live).unwrap_or(u32::MAX), Ordering::Release);
    }

    #[cold]
    fn spent(&self, now: Moment) -> WindowSpent {
        let head = self.head.load(Ordering::Acquire);
        let lasts = self.cells.iter().map(|cell| cell.load(Ordering::Relaxed)).filter(|last| is_live(*last, head));
        let frees = lasts.min().unwrap_or(head) + SLOTS + 1;
        let at_ns = u64::from(frees - (SLOTS + 2)).saturating_mul(self.slot_ns);
        WindowSpent::budget(Duration::from_nanos(at_ns.saturating_sub(now.monotonic_ns).max(1)))
    }
}

/// Bytes as base64, a third of the size of a list of numbers.
mod as_base64 {
    use std::borrow::Cow;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        BASE64.decode(text.as_bytes()).map_err(serde::de::Error::custom)
    }
}

const fn is_live(last: u32, head: u32) -> bool {
    last != 0 && last.saturating_add(SLOTS) >= head
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;
    use crate::model::{Secret, SubjectKey};

    const HOUR_NS: u64 = 3_600_000_000_000;

    fn counter(budget: u64) -> SubjectCounter {
        let budget = NonZeroU64::new(budget).unwrap();
        SubjectCounter::new(Budget { budget, window: Duration::from_secs(3600), over: OverrunAction::Kill })
    }

    fn at(ns: u64) -> Moment {
        Moment { wall: UnixTime::from_millis(1_000 + ns / 1_000_000), monotonic_ns: ns }
    }

    fn subject(i: u64) -> SubjectHash {
        SubjectKey::new(Secret::new([7; 32])).hash(&i.to_le_bytes())
    }

    /// How many of `subjects`, one a microsecond from `ns` on, are let through before the first that is not.
    fn passed(counter: &SubjectCounter, subjects: std::ops::Range<u64>, ns: u64) -> u64 {
        subjects.take_while(|i| counter.see(subject(*i), at(ns + i * 1_000)).is_ok()).count() as u64
    }

    #[test]
    fn the_first_refusal_is_within_three_standard_errors_of_the_budget() {
        for (budget, error) in [(10, 0.3), (100, 0.03), (5_000, 0.018), (40_000, 0.018), (700_000, 0.018)] {
            let passed = passed(&counter(budget), 0..budget * 3 / 2, 0) as f64;
            assert!((passed - budget as f64).abs() <= error * budget as f64, "{passed} of {budget}");
        }
    }

    #[test]
    fn subjects_seen_before_pass_and_count_once() {
        let counter = counter(5_000);
        for round in 0..5 {
            assert_eq!(passed(&counter, 0..4_000, round * HOUR_NS / 10), 4_000);
        }
        let estimate = counter.estimate(at(HOUR_NS / 2));
        assert!(estimate.abs_diff(4_000) < 72, "{estimate}");
        assert!(counter.remaining_ratio(at(HOUR_NS / 2)) < 0.22);
    }

    #[test]
    fn a_window_later_there_is_room_and_the_refusal_tells_when() {
        let counter = counter(1_000);
        passed(&counter, 0..2_000, HOUR_NS / 2);
        let spent = counter.ask(at(HOUR_NS)).unwrap_err();
        let room_ns = HOUR_NS + nanos(spent.retry_after);
        assert!(counter.ask(at(room_ns - 1)).is_err());
        assert!(counter.ask(at(room_ns)).is_ok());
        assert!(room_ns > HOUR_NS / 2 + HOUR_NS && room_ns < HOUR_NS / 2 + HOUR_NS + HOUR_NS / 32);
        assert_eq!(counter.estimate(at(room_ns + HOUR_NS)), 0);
    }

    #[test]
    fn neither_a_restart_nor_another_budget_loses_seen_subjects() {
        let before = counter(6_000);
        passed(&before, 0..5_000, 0);
        let kept = before.snapshot(at(HOUR_NS / 4));
        for budget in [6_000, 20_000] {
            let after = counter(budget);
            after.restore(&kept, Moment { monotonic_ns: 0, ..at(HOUR_NS / 2) });
            let estimate = after.estimate(at(1));
            assert!(estimate.abs_diff(5_000) < 600, "{estimate}");
            assert_eq!(after.estimate(at(HOUR_NS * 3 / 4)), 0, "what was seen before counts no longer than a window");
        }
    }
}
