//! What a gateway was granted of one limit, slot by slot, so that an engine that lost its memory can be told.
//!
//! Never forgets a slot that still counts.

use std::collections::{BTreeMap, VecDeque};

use super::messages::{FleetTime, LeaseGrant, SlotFigure};
use super::terms::LeaseTerms;

/// How far the fleet's clock may be ahead of what was expected before the figures move with it.
const JUMP_MS: u64 = 1_000;

/// How much longer than it counts a figure is kept: an engine that forgot compares what it is told with what counted
/// some seconds ago.
const KEPT_MS: u64 = 15_000;

/// The figures of one limit.
#[derive(Debug, Default)]
pub(super) struct OwnFigures {
    /// By the start of the slot, in milliseconds of the fleet's time.
    by_slot: BTreeMap<u64, OwnFigure>,
    /// What was spent without a lease, or by an earlier run: it joins a slot when the engine is heard.
    uncounted: VecDeque<Uncounted>,
    epoch: String,
    /// The fleet's time at a moment of this process's clock.
    clock: Option<(u64, u64)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct OwnFigure {
    granted: u64,
    returned: u64,
    /// What of both the engine has.
    told: (u64, u64),
}

impl OwnFigure {
    const fn is_told(self) -> bool {
        self.granted == self.told.0 && self.returned == self.told.1
    }
}

#[derive(Debug, Clone, Copy)]
struct Uncounted {
    /// On this process's clock; below zero for what an earlier run spent.
    at_ms: i64,
    count: u64,
}

/// A question that was answered: what it told, when it left, and when the answer came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered<'a> {
    pub(super) told: &'a [SlotFigure],
    pub(super) sent_ns: u64,
    pub(super) now_ns: u64,
}

impl OwnFigures {
    /// Takes over what an earlier run had spent, as (how many nanoseconds ago, how much), and the epoch that it knew.
    pub(super) fn seed(&mut self, spent: impl Iterator<Item = (u64, u64)>, epoch: &str, now_ns: u64) {
        let uncounted = |(age_ns, count): (u64, u64)| Uncounted { at_ms: signed_ms(now_ns) - signed_ms(age_ns), count };
        self.uncounted.extend(spent.map(uncounted));
        epoch.clone_into(&mut self.epoch);
    }

    /// Records what was spent without a lease.
    pub(super) fn spend_uncounted(&mut self, count: u64, now_ns: u64, terms: &LeaseTerms) {
        let at_ms = signed_ms(now_ns);
        let oldest = at_ms - i64::try_from(terms.span_ms()).unwrap_or(i64::MAX);
        while self.uncounted.front().is_some_and(|first| first.at_ms < oldest) {
            self.uncounted.pop_front();
        }
        match self.uncounted.back_mut() {
            Some(last) if at_ms.abs_diff(last.at_ms) < terms.slot_ms() => {
                // The later time counts longer.
                *last = Uncounted { at_ms, count: last.count.saturating_add(count) };
            }
            Some(_) | None => self.uncounted.push_back(Uncounted { at_ms, count }),
        }
    }

    /// Takes back what was recorded last and is not sent in the end.
    pub(super) fn unspend_uncounted(&mut self, count: u64) {
        if let Some(last) = self.uncounted.back_mut() {
            last.count = last.count.saturating_sub(count);
        }
    }

    /// Records that a part of a grant is given back.
    pub(super) fn give_back(&mut self, slot: u64, count: u64) {
        if let Some(own) = self.by_slot.get_mut(&slot).filter(|_| count > 0) {
            own.returned = (own.returned + count).min(own.granted);
        }
    }

    /// Gives what was spent without a lease a slot, by what the fleet's time should be, so that the first question
    /// after a loss tells it. Before the fleet's time is known it waits for the answer.
    pub(super) fn settle(&mut self, terms: &LeaseTerms, now_ns: u64) {
        if let Some((then_ms, then_ns)) = self.clock {
            self.count_uncounted(then_ms + now_ns.saturating_sub(then_ns) / 1_000_000, terms, now_ns);
        }
    }

    /// What the engine has not been told.
    pub(super) fn untold(&self) -> Vec<SlotFigure> {
        let untold = self.by_slot.iter().filter(|(_, own)| !own.is_told());
        untold.map(|(slot, own)| SlotFigure { slot: *slot, granted: own.granted, returned: own.returned }).collect()
    }

    /// Whether there is anything that the engine has not been told.
    pub(super) fn has_untold(&self) -> bool {
        self.by_slot.values().any(|own| !own.is_told())
    }

    /// Whether the engine of this epoch has been told all that was granted or spent.
    pub(super) fn has_told(&self, epoch: &str) -> bool {
        let is_told = || self.by_slot.values().all(|own| own.granted == own.told.0);
        self.uncounted.is_empty() && (self.by_slot.is_empty() || self.epoch == epoch && is_told())
    }

    /// The engine has answered.
    pub(super) fn heard(&mut self, time: &FleetTime, answered: Answered<'_>, terms: &LeaseTerms) {
        let fleet_ms = time.now_ms + answered.now_ns.saturating_sub(answered.sent_ns) / 1_000_000;
        self.mark_told(answered.told);
        if self.epoch != time.epoch {
            time.epoch.clone_into(&mut self.epoch);
            self.tell_all();
        } else if self.clock.is_none() {
            // This engine still knows what the earlier run told it.
            self.uncounted.clear();
        }
        self.follow_clock(fleet_ms, terms, answered.now_ns);
        self.count_uncounted(fleet_ms, terms, answered.now_ns);
        let kept_ms = terms.span_ms() + KEPT_MS.min(terms.span_ms());
        self.by_slot.retain(|slot, _| slot + kept_ms >= time.now_ms);
    }

    /// Adds a grant. What the engine has beyond it was granted in an answer that never came, and is given back.
    pub(super) fn granted(&mut self, grant: &LeaseGrant) {
        if grant.own == 0 {
            return;
        }
        let own = self.by_slot.entry(grant.slot).or_default();
        let known = own.granted + grant.granted;
        own.returned += grant.own.saturating_sub(known);
        own.granted = known.max(grant.own);
        own.told.0 = own.told.0.max(grant.own);
    }

    fn mark_told(&mut self, told: &[SlotFigure]) {
        for figure in told {
            if let Some(own) = self.by_slot.get_mut(&figure.slot) {
                own.told = (figure.granted, figure.returned);
            }
        }
    }

    fn tell_all(&mut self) {
        self.by_slot.values_mut().for_each(|own| own.told = (0, 0));
    }

    /// Where the engine's clock has jumped ahead, what was granted keeps its age.
    fn follow_clock(&mut self, fleet_ms: u64, terms: &LeaseTerms, now_ns: u64) {
        let Some((then_ms, then_ns)) = self.clock.replace((fleet_ms, now_ns)) else { return };
        let ahead = fleet_ms.saturating_sub(then_ms + now_ns.saturating_sub(then_ns) / 1_000_000);
        if ahead > JUMP_MS {
            let moved = ahead.next_multiple_of(terms.slot_ms());
            self.by_slot = self.by_slot.iter().map(|(slot, own)| (slot + moved, *own)).collect();
            self.tell_all();
        }
    }

    fn count_uncounted(&mut self, fleet_ms: u64, terms: &LeaseTerms, now_ns: u64) {
        for spent in self.uncounted.drain(..).filter(|spent| spent.count > 0) {
            let age_ms = u64::try_from(signed_ms(now_ns) - spent.at_ms).unwrap_or(0);
            let at_ms = fleet_ms.saturating_sub(age_ms);
            let own = self.by_slot.entry(at_ms - at_ms % terms.slot_ms()).or_default();
            own.granted += spent.count;
        }
    }
}

fn signed_ms(ns: u64) -> i64 {
    i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX / 2)
}
