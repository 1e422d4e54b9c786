//! The destinations that our services asked for and no contract lists: what a roll-out still has to write contracts
//! for.
//!
//! A bounded list of names and times, which outlives reloads and not the process. Holds no path, no query and no value.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::bounds::{UNKNOWN_DESTINATION_STALE, UNKNOWN_DESTINATIONS_MAX};
use crate::model::{Lock as _, UnixTime};

/// The destinations that were asked for and are in no contract.
#[derive(Debug, Default)]
pub struct UnknownDestinations {
    rows: Mutex<HashMap<AskedDestination, AskedTimes>>,
    /// How often a destination was asked for.
    asked: AtomicU64,
    /// How often one was asked for that found no room in the list.
    unlisted: AtomicU64,
}

/// A destination, and who asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AskedDestination {
    /// `host:port`, or `/name` where the first segment of a path names no vendor.
    pub destination: Box<str>,
    /// Our service, where it has proven its name.
    pub caller: Option<Box<str>>,
}

/// How often and when a destination was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedTimes {
    /// How often.
    pub count: u64,
    /// How often it was let pass, for a roll-out.
    pub passed: u64,
    /// The first time.
    pub first: UnixTime,
    /// The last time.
    pub last: UnixTime,
}

impl UnknownDestinations {
    /// Notes that a destination was asked for and refused.
    pub(in crate::gateway) fn note(&self, destination: String, caller: Option<&str>, now: UnixTime) {
        self.count_one(destination, caller, now, false);
    }

    /// Notes that a destination was asked for and let pass. Returns whether that is news of the list.
    pub(in crate::gateway) fn note_passed(&self, destination: String, caller: Option<&str>, now: UnixTime) -> bool {
        self.count_one(destination, caller, now, true) == Some(1)
    }

    /// Returns how often it passed, where it is listed.
    fn count_one(&self, destination: String, caller: Option<&str>, now: UnixTime, passes: bool) -> Option<u64> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let asked = AskedDestination { destination: destination.into(), caller: caller.map(Into::into) };
        let mut rows = self.rows();
        if let Some(times) = rows.get_mut(&asked) {
            (times.count, times.last) = (times.count.saturating_add(1), now);
            times.passed += u64::from(passes);
            return Some(times.passed);
        }
        if rows.len() >= UNKNOWN_DESTINATIONS_MAX && !drop_stale(&mut rows, now) {
            self.unlisted.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let passed = u64::from(passes);
        rows.insert(asked, AskedTimes { count: 1, passed, first: now, last: now });
        Some(passed)
    }

    /// The list, those that were asked for most first.
    pub fn listed(&self) -> Vec<(AskedDestination, AskedTimes)> {
        let mut rows: Vec<_> = self.rows().iter().map(|(asked, times)| (asked.clone(), *times)).collect();
        rows.sort_unstable_by(|(a, left), (b, right)| {
            right.count.cmp(&left.count).then_with(|| (&a.destination, &a.caller).cmp(&(&b.destination, &b.caller)))
        });
        rows
    }

    /// How often a destination was asked for, since the start of the process.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// How often one was asked for that found no room in the list.
    pub fn unlisted(&self) -> u64 {
        self.unlisted.load(Ordering::Relaxed)
    }

    /// How many destinations are in the list.
    pub fn count(&self) -> usize {
        self.rows().len()
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<AskedDestination, AskedTimes>> {
        self.rows.locked()
    }
}

/// Drops what nobody has asked for of late. Whoever asks for ever new names pushes out nothing that is in use.
fn drop_stale(rows: &mut HashMap<AskedDestination, AskedTimes>, now: UnixTime) -> bool {
    let before = rows.len();
    rows.retain(|_, times| now.since(times.last) < UNKNOWN_DESTINATION_STALE);
    rows.len() < before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_ever_new_names_push_out_nothing_in_use() {
        let unknown = UnknownDestinations::default();
        let at = UnixTime::from_secs;
        unknown.note("a:443".into(), Some("checkout"), at(0));
        for n in 0..UNKNOWN_DESTINATIONS_MAX + 10 {
            unknown.note(format!("h{n}:443"), None, at(1));
        }
        unknown.note("a:443".into(), Some("checkout"), at(2));
        assert_eq!((unknown.count(), unknown.unlisted()), (UNKNOWN_DESTINATIONS_MAX, 11));
        assert_eq!(unknown.asked(), UNKNOWN_DESTINATIONS_MAX as u64 + 12);
        let (first, times) = unknown.listed().swap_remove(0);
        assert_eq!((&*first.destination, first.caller.as_deref()), ("a:443", Some("checkout")));
        assert_eq!(times, AskedTimes { count: 2, passed: 0, first: at(0), last: at(2) });
        let later = UNKNOWN_DESTINATION_STALE.as_secs() + 2;
        unknown.note("b:443".into(), None, at(later));
        assert_eq!(unknown.count(), 1, "what nobody asks for any more makes room");
    }
}
