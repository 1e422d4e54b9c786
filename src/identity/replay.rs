//! Remembers proofs of possession and webhook messages that were used, since each may be used only once.
//!
//! Each is remembered for exactly the time in which it could be accepted again. Two buckets each cover that time. When
//! the newer bucket is full, new proofs and messages are refused and no old one is dropped, so a flood hurts only the
//! vendor that sends it. Nothing is written to disk: what is dated before this cache began could have been used before
//! a restart, so it is refused; see [`ReplayCache::covers`].

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Mutex;
use std::time::Duration;

use crate::bounds::REPLAYS_MAX;
use crate::identity::caller::cache::{Fingerprint, FingerprintHasher};
use crate::model::{Lock as _, Moment, UnixTime};

type ReplayBucket = HashMap<Fingerprint, ReplayEntry, BuildHasherDefault<FingerprintHasher>>;

/// The proofs and messages that one vendor has used within a window.
#[derive(Debug, Default)]
pub(crate) struct ReplayCache {
    /// When this cache began, on the monotonic clock; `None` where nothing can have been used before.
    began_ns: Option<u64>,
    buckets: Mutex<ReplayBuckets>,
}

#[derive(Debug, Default)]
struct ReplayBuckets {
    newer: ReplayBucket,
    older: ReplayBucket,
    newer_since_ns: u64,
}

#[derive(Debug, Clone, Copy)]
struct ReplayEntry {
    taken_ns: u64,
    /// Whether the message has been delivered.
    settled: bool,
}

/// Whether a proof or message may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplayOutcome {
    /// It was not used before; it is recorded as used from now on.
    First,
    /// It is being used by another request, which has not finished.
    UnderWay,
    /// It was used before.
    Settled,
    /// It is new, but no more can be remembered.
    Full,
}

impl ReplayCache {
    /// Remembers from this time on. It is monotonic time, so that a wall clock that is wrong at the start does no harm
    /// later.
    pub(crate) fn since(began_ns: u64) -> Self {
        Self { began_ns: Some(began_ns), buckets: Mutex::default() }
    }

    /// Whether a proof or message of this date would be remembered if it had been used. Dates are often whole seconds,
    /// so the second in which this cache began counts as covered; so does a date in the future.
    pub(crate) fn covers(&self, dated: UnixTime, now: Moment) -> bool {
        let Some(began_ns) = self.began_ns else { return true };
        let began = now.wall.minus(Duration::from_nanos(now.monotonic_ns.saturating_sub(began_ns)));
        dated.as_secs() >= began.as_secs()
    }

    /// Records the use of a proof or message that could be accepted for `window` from now. It is known by any of its
    /// `names`.
    pub(crate) fn take(&self, names: &[Fingerprint], window: Duration, now: Moment) -> ReplayOutcome {
        self.with(|buckets| {
            buckets.turn(window, now);
            let known =
                names.iter().filter_map(|name| buckets.find(name, window, now)).max_by_key(|entry| entry.settled);
            match known {
                Some(ReplayEntry { settled: true, .. }) => ReplayOutcome::Settled,
                Some(ReplayEntry { settled: false, .. }) => ReplayOutcome::UnderWay,
                None if buckets.newer.len() + names.len() > REPLAYS_MAX => ReplayOutcome::Full,
                None => {
                    let taken = ReplayEntry { taken_ns: now.monotonic_ns, settled: false };
                    buckets.newer.extend(names.iter().map(|name| (*name, taken)));
                    ReplayOutcome::First
                }
            }
        })
    }

    /// Records that a message was delivered.
    pub(crate) fn settle(&self, names: &[Fingerprint]) {
        self.with(|ReplayBuckets { newer, older, .. }| {
            for name in names {
                if let Some(entry) = newer.get_mut(name).or_else(|| older.get_mut(name)) {
                    entry.settled = true;
                }
            }
        });
    }

    /// Forgets a message that was not delivered, so that it may be sent again.
    pub(crate) fn give_back(&self, names: &[Fingerprint]) {
        self.with(|ReplayBuckets { newer, older, .. }| {
            for name in names {
                if newer.remove(name).is_none() {
                    older.remove(name);
                }
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut ReplayBuckets) -> T) -> T {
        act(&mut self.buckets.locked())
    }
}

impl ReplayBuckets {
    /// The entry of a name that was recorded within the window, its last instant included.
    fn find(&self, name: &Fingerprint, window: Duration, now: Moment) -> Option<ReplayEntry> {
        let entry = self.newer.get(name).or_else(|| self.older.get(name)).copied()?;
        (u128::from(now.monotonic_ns.saturating_sub(entry.taken_ns)) <= window.as_nanos()).then_some(entry)
    }

    fn turn(&mut self, window: Duration, now: Moment) {
        let age = now.monotonic_ns.saturating_sub(self.newer_since_ns);
        let window = window.as_nanos() as u64;
        if age < window {
            return;
        }
        self.older = std::mem::take(&mut self.newer);
        if age >= window.saturating_mul(2) {
            self.older.clear();
        }
        self.newer_since_ns = now.monotonic_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Clock, UnixTime};

    #[test]
    fn a_message_is_known_in_its_window_and_not_a_second_longer() {
        let clock = Clock::manual(UnixTime::from_secs(1));
        let window = Duration::from_secs(100);
        // The buckets are exchanged at other times than a message's window ends.
        for start in [0, 1, 30, 99, 100, 101] {
            let replays = ReplayCache::default();
            let take = |thing: u8| replays.take(&[[thing; 16]], window, clock.now());
            assert_eq!(take(9), ReplayOutcome::First);
            clock.advance(Duration::from_secs(start));
            for second in 0..=100 {
                assert_eq!(take(200), ReplayOutcome::First, "unseen at {second}");
                replays.give_back(&[[200; 16]]);
                let seen = if second <= 50 { ReplayOutcome::UnderWay } else { ReplayOutcome::Settled };
                assert_eq!(take(1), if second == 0 { ReplayOutcome::First } else { seen }, "from {start}, {second}");
                if second == 50 {
                    replays.settle(&[[1; 16]]);
                }
                clock.advance(Duration::from_secs(1));
            }
            assert_eq!(take(1), ReplayOutcome::First, "forgotten when it cannot come again");
        }
    }

    #[test]
    fn a_message_of_two_names_is_known_by_either() {
        let (clock, replays) = (Clock::manual(UnixTime::from_secs(1)), ReplayCache::default());
        let take = |names: &[u8]| {
            let names: Vec<Fingerprint> = names.iter().map(|name| [*name; 16]).collect();
            replays.take(&names, Duration::from_secs(9), clock.now())
        };
        assert_eq!(take(&[1, 2]), ReplayOutcome::First);
        for names in [&[1, 3][..], &[3, 2], &[2], &[1]] {
            assert_eq!(take(names), ReplayOutcome::UnderWay, "{names:?}");
        }
        replays.settle(&[[1; 16], [2; 16]]);
        assert_eq!(
            (take(&[2, 3]), take(&[3])),
            (ReplayOutcome::Settled, ReplayOutcome::First),
            "a known thing takes no other name"
        );
    }

    #[test]
    fn what_is_covered_does_not_depend_on_the_wall_clock_at_the_start() {
        for wrong in [1, 4_000_000_000] {
            let clock = Clock::manual(UnixTime::from_secs(wrong));
            let replays = ReplayCache::since(clock.now().monotonic_ns);
            clock.advance(Duration::from_secs(10));
            clock.set_wall(UnixTime::from_secs(1_800_000_010));
            let covers = |secs| replays.covers(UnixTime::from_secs(secs), clock.now());
            assert!(covers(1_800_000_000) && !covers(1_799_999_999), "began at {wrong}");
        }
    }

    #[test]
    fn a_full_bucket_refuses_new_messages_and_drops_none() {
        let clock = Clock::manual(UnixTime::from_secs(1));
        let replays = ReplayCache::default();
        let thing = |at: usize| {
            let mut thing = [0; 16];
            thing[..8].copy_from_slice(&(at as u64).to_le_bytes());
            thing
        };
        let window = Duration::from_secs(100);
        let take = |at: usize| replays.take(&[thing(at)], window, clock.now());
        assert!((0..REPLAYS_MAX).all(|at| take(at) == ReplayOutcome::First));
        assert_eq!(take(REPLAYS_MAX), ReplayOutcome::Full);
        assert!((0..REPLAYS_MAX).all(|at| take(at) == ReplayOutcome::UnderWay));
    }
}
