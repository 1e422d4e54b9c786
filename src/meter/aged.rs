//! Whether anything was spent between two snapshots. If only time passed, the later one need not be written.
//!
//! A snapshot has the time at which it was taken, and restoring it counts the time since then. In doubt it is written.

use super::{LedgerSnapshot, RouteUsageSnapshot, SubjectsSnapshot, WindowSnapshot};
use crate::model::Moment;

impl LedgerSnapshot {
    /// Whether this snapshot, taken `now`, differs from an earlier one, taken `then`, only by the time that passed.
    pub fn is_aged(&self, now: Moment, earlier: &Self, then: Moment) -> bool {
        let time = SnapshotTimes { now_ns: now.monotonic_ns, then_ns: then.monotonic_ns };
        let subjects = match (&self.subjects, &earlier.subjects) {
            (Some(subjects), Some(earlier)) => time.aged_subjects(subjects, earlier),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        subjects
            && time.aged_window(&self.records, &earlier.records)
            && time.aged_window(&self.bytes, &earlier.bytes)
            && time.aged_debt(self.rate_ns, earlier.rate_ns)
            && self.clients_ns.iter().all(|(client, debt)| {
                let earlier = earlier.clients_ns.iter().find(|(theirs, _)| theirs == client);
                earlier.is_some_and(|(_, earlier)| time.aged_debt(*debt, *earlier))
            })
            && self.routes.len() == earlier.routes.len()
            && self.routes.iter().zip(&earlier.routes).all(|(route, earlier)| time.aged_route(route, earlier))
    }
}

#[derive(Clone, Copy)]
struct SnapshotTimes {
    now_ns: u64,
    then_ns: u64,
}

impl SnapshotTimes {
    fn aged_route(self, route: &RouteUsageSnapshot, earlier: &RouteUsageSnapshot) -> bool {
        let window = |own: &Option<WindowSnapshot>, earlier: &Option<WindowSnapshot>| match (own, earlier) {
            (Some(own), Some(earlier)) => self.aged_window(own, earlier),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        (&route.direction, &route.route) == (&earlier.direction, &earlier.route)
            && window(&route.records, &earlier.records)
            && window(&route.bytes, &earlier.bytes)
            && self.aged_debt(route.rate_ns, earlier.rate_ns)
    }

    /// Each grant that still counts was there before, at the same time of the clock; others have left the window.
    fn aged_window(self, window: &WindowSnapshot, earlier: &WindowSnapshot) -> bool {
        window.slot_ns == earlier.slot_ns
            && window.grants.iter().all(|(age_ns, count)| {
                let mut before = earlier.grants.iter();
                before.any(|(before, times)| times == count && self.is_one_slot(*age_ns, *before, window.slot_ns))
            })
    }

    /// Whether these are ages of the same slot. A slot that has not ended has the age zero, and ends within its length.
    fn is_one_slot(self, age_ns: u64, before_ns: u64, slot_ns: u64) -> bool {
        let at = |now_ns: u64, age_ns: u64| i128::from(now_ns) - i128::from(age_ns);
        let (end, end_before) = (at(self.now_ns, age_ns), at(self.then_ns, before_ns));
        end == end_before || (before_ns == 0 && (end_before..end_before + i128::from(slot_ns)).contains(&end))
    }

    /// A debt ends at the same time of the clock as before, or has ended.
    const fn aged_debt(self, debt_ns: u64, earlier_ns: u64) -> bool {
        debt_ns == 0 || self.now_ns.saturating_add(debt_ns) == self.then_ns.saturating_add(earlier_ns)
    }

    /// Each cell is older by the number of slots that began since, or has left the window.
    fn aged_subjects(self, subjects: &SubjectsSnapshot, earlier: &SubjectsSnapshot) -> bool {
        if (subjects.slot_ns, subjects.ages.len()) != (earlier.slot_ns, earlier.ages.len()) || subjects.slot_ns == 0 {
            return false;
        }
        let slots = (self.now_ns / subjects.slot_ns).saturating_sub(self.then_ns / subjects.slot_ns);
        let slots = u8::try_from(slots).unwrap_or(u8::MAX);
        let aged = |(age, before): (&u8, &u8)| *age == u8::MAX || *age == before.saturating_add(slots);
        subjects.ages.iter().zip(&earlier.ages).all(aged)
    }
}
