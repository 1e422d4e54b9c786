//! The part of a vendor's request rates and slots that this gateway of a fleet has.
//!
//! Rates are not leased: a request must not wait, and a rate that is not used now is not owed later. Each gateway has a
//! share, the engine hands it out by demand, and it ends by itself. A small part of the whole is not handed out: every
//! gateway has an equal part of that at any time, so that a first request needs no answer.
//!
//! The shares of all gateways together are never more than the whole: what a gateway says it will keep holds here
//! before it is said.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use serde::Serialize;

use crate::bounds;
use crate::meter::{ConcurrencySlots, nanos};
use crate::model::Lock as _;

/// The whole of a limit, in millionths.
pub const WHOLE: u32 = 1_000_000;

/// The part of the whole that the engine hands out by demand, in millionths.
pub const SHARED_MILLIONTHS: u32 = 800_000;

/// The share of one ledger in its rates and slots.
#[derive(Debug)]
pub struct LimitShare {
    name: Arc<str>,
    millionths: AtomicU32,
    /// Requests that were offered since the last question.
    offered: AtomicU64,
    state: Mutex<ShareState>,
}

#[derive(Debug, Default)]
struct ShareState {
    slots: Vec<Weak<ConcurrencySlots>>,
    /// What the engine has handed out, and until when it holds.
    part: u32,
    until_ns: u64,
    /// What it said would be right, where there was room for it.
    target: u32,
}

/// A question about one share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShareAsk {
    /// The ledger, the same on all gateways.
    #[serde(skip)]
    pub name: Arc<str>,
    /// What this gateway keeps of what it was handed, in millionths.
    pub keeps: u32,
    /// How much it could use: requests since the last question, or slots that are taken, whichever is the larger part.
    pub demand: u64,
}

impl LimitShare {
    pub(super) fn new(name: Arc<str>) -> Self {
        let (millionths, offered) = (AtomicU32::new(0), AtomicU64::new(0));
        Self { name, millionths, offered, state: Mutex::default() }
    }

    /// The share now, in millionths.
    pub fn millionths(&self) -> u32 {
        self.millionths.load(Ordering::Relaxed)
    }

    /// This gateway's part of a number of slots; at least one.
    pub fn of(&self, limit: u32) -> u32 {
        let part = u64::from(limit) * u64::from(self.millionths()) / u64::from(WHOLE);
        u32::try_from(part).unwrap_or(limit).max(1)
    }

    /// A request was offered.
    pub fn offer(&self) {
        self.offered.fetch_add(1, Ordering::Relaxed);
    }

    /// Slots that must not be taken from under the requests that hold them.
    pub(in crate::meter) fn watch(&self, slots: &Arc<ConcurrencySlots>) {
        let mut state = self.state.locked();
        state.slots.retain(|known| known.strong_count() > 0);
        if !state.slots.iter().any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(slots))) {
            state.slots.push(Arc::downgrade(slots));
        }
    }

    /// The next question; `None` where nothing was offered and nothing is kept.
    pub(super) fn question(&self, nodes: u64, now_ns: u64) -> Option<ShareAsk> {
        let mut state = self.state.locked();
        let offered = self.offered.swap(0, Ordering::Relaxed);
        state.end(now_ns);
        let taken = state.taken();
        if offered == 0 && taken == 0 && state.part == 0 {
            return None;
        }
        // What is not asked for is free for others at once, except for what is in flight.
        let wants = if offered > 0 { state.target } else { 0 };
        let keeps = state.part.min(wants.max(taken.saturating_sub(floor(nodes))));
        state.part = keeps;
        self.millionths.store(floor(nodes) + keeps, Ordering::Relaxed);
        Some(ShareAsk { name: Arc::clone(&self.name), keeps, demand: offered.max(u64::from(taken / 10_000)) })
    }

    /// The engine has answered the question that was sent at this time.
    pub(super) fn answered(&self, part: u32, target: u32, nodes: u64, sent_ns: u64) {
        let mut state = self.state.locked();
        state.part = part.min(SHARED_MILLIONTHS);
        state.target = target;
        state.until_ns = sent_ns.saturating_add(nanos(bounds::SHARE_LIFE) / 10 * 9);
        self.millionths.store(floor(nodes) + state.part, Ordering::Relaxed);
    }

    /// Time has passed: a share ends, and where the engine is away for longer than any share lives, the whole is
    /// divided equally.
    pub(super) fn age(&self, nodes: u64, lost_since_ns: Option<u64>, now_ns: u64) {
        let mut state = self.state.locked();
        state.end(now_ns);
        let away = Duration::from_nanos(lost_since_ns.map_or(0, |since| now_ns.saturating_sub(since)));
        let equal = u32::try_from(u64::from(WHOLE).checked_div(nodes).unwrap_or(0)).unwrap_or(0);
        let share = if away > bounds::SHARE_LIFE * 2 { equal } else { floor(nodes) + state.part };
        self.millionths.store(share, Ordering::Relaxed);
    }
}

impl ShareState {
    fn end(&mut self, now_ns: u64) {
        if now_ns >= self.until_ns {
            (self.part, self.target) = (0, 0);
        }
    }

    /// The largest part of any of the slots that is taken, in millionths.
    fn taken(&self) -> u32 {
        let slots = self.slots.iter().filter_map(Weak::upgrade);
        slots.map(|slots| slots.taken_millionths()).max().unwrap_or(0)
    }
}

/// What all gateways together have without asking, in millionths.
const FLOORS: u32 = WHOLE - SHARED_MILLIONTHS;

/// What one of so many gateways has without asking; nothing where their number was never heard.
fn floor(nodes: u64) -> u32 {
    u32::try_from(u64::from(FLOORS).checked_div(nodes).unwrap_or(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_share_is_kept_for_what_is_in_flight_and_ends_by_itself() {
        let share = LimitShare::new("acme:ingress".into());
        let slots = ConcurrencySlots::new(NonZeroU32::new(100).unwrap());
        share.watch(&slots);
        assert_eq!(share.question(4, 0), None, "nothing was offered");
        share.offer();
        let ask = share.question(4, 0).unwrap();
        assert_eq!((ask.keeps, ask.demand, share.millionths()), (0, 1, 50_000));
        share.answered(800_000, 800_000, 4, 0);
        assert_eq!(share.of(100), 85);
        let held: Vec<_> = (0..40).map(|_| slots.take()).collect();
        share.answered(800_000, 100_000, 4, SECOND);
        assert_eq!(share.question(4, SECOND).map(|ask| ask.keeps), Some(350_000), "40 are in flight, 5 of them free");
        assert_eq!(share.of(100), 40);
        drop(held);
        share.offer();
        assert_eq!(share.question(4, SECOND).map(|ask| ask.keeps), Some(100_000), "what was said to be right");
        assert_eq!(share.question(4, SECOND).map(|ask| ask.keeps), Some(0), "nothing was offered any more");
        assert_eq!(share.question(4, SECOND), None);
        share.age(4, None, 4 * SECOND);
        assert_eq!((share.millionths(), share.of(3)), (50_000, 1));
    }

    #[test]
    fn without_its_engine_every_gateway_has_an_equal_share_once_no_other_can_hold_more() {
        let share = LimitShare::new("acme:ingress".into());
        share.answered(700_000, 700_000, 4, 0);
        let at = |secs: u64| {
            share.age(4, Some(SECOND), secs * SECOND);
            share.millionths()
        };
        assert_eq!([at(2), at(3), at(6), at(8)], [750_000, 50_000, 50_000, 250_000]);
    }
}
