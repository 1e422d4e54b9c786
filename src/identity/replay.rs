//! Remembers what may be used once: proofs of possession and webhook messages.
//!
//! Two buckets that each cover the longest time in which a thing could come again; when the newer one is full the thing
//! is refused, not forgotten, so a flood hurts only the vendor that sends it. Not durable: what is dated before the memory
//! began could have been used before a restart, so it is refused; see [`Replays::covers`].

use std::collections::HashSet;
use std::hash::BuildHasherDefault;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::bounds::REPLAYS_MAX;
use crate::model::{Moment, UnixTime};

use super::cache::{Fingerprint, FirstBytes};

type Bucket = HashSet<Fingerprint, BuildHasherDefault<FirstBytes>>;

/// What one vendor has used within a window.
#[derive(Debug, Default)]
pub(super) struct Replays {
    /// On the monotonic clock; none where nothing came before.
    began_ns: Option<u64>,
    buckets: Mutex<Buckets>,
}

#[derive(Debug, Default)]
struct Buckets {
    newer: Bucket,
    older: Bucket,
    newer_since_ns: u64,
}

impl Replays {
    /// Remembers from now on, a time on the monotonic clock: a wall clock that is wrong at the start does no harm later.
    pub(super) fn since(began_ns: u64) -> Self {
        Self { began_ns: Some(began_ns), buckets: Mutex::default() }
    }

    /// Whether a thing of this date would be known if it had been used. Dates are often whole seconds, so the second in
    /// which the memory began counts as covered; so does what a fast clock dates ahead.
    pub(super) fn covers(&self, dated: UnixTime, now: Moment) -> bool {
        let Some(began_ns) = self.began_ns else { return true };
        let began = now.wall.minus(Duration::from_nanos(now.monotonic_ns.saturating_sub(began_ns)));
        dated.as_secs() >= began.as_secs()
    }

    /// Takes a thing that could come again for `window` from now. False when it was taken before, or when no more can
    /// be remembered.
    pub(super) fn take(&self, thing: Fingerprint, window: Duration, now: Moment) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.turn(window, now);
        let known = buckets.older.contains(&thing) || buckets.newer.contains(&thing);
        !known && buckets.newer.len() < REPLAYS_MAX && buckets.newer.insert(thing)
    }

    /// Gives a thing back that was taken but had no effect, so that it may come again.
    pub(super) fn give_back(&self, thing: &Fingerprint) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = buckets.newer.remove(thing) || buckets.older.remove(thing);
    }
}

impl Buckets {
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
    fn a_thing_is_taken_once_in_its_window() {
        let clock = Clock::manual(UnixTime::from_secs(1));
        let window = Duration::from_secs(100);
        let replays = Replays::default();
        let take = |thing: u8| replays.take([thing; 16], window, clock.now());
        clock.advance(Duration::from_secs(1000));
        for second in 0..400 {
            assert!(take(200), "unseen at {second}");
            replays.give_back(&[200; 16]);
            let fresh = take(1);
            assert!(fresh == (second == 0) || second >= 100 && fresh, "{second}");
            if fresh && second > 0 {
                return;
            }
            clock.advance(Duration::from_secs(1));
        }
        panic!("never forgotten");
    }

    #[test]
    fn what_a_memory_covers_does_not_hang_on_the_clock_at_its_start() {
        for wrong in [1, 4_000_000_000] {
            let clock = Clock::manual(UnixTime::from_secs(wrong));
            let replays = Replays::since(clock.now().monotonic_ns);
            clock.advance(Duration::from_secs(10));
            clock.set_wall(UnixTime::from_secs(1_800_000_010));
            let covers = |secs| replays.covers(UnixTime::from_secs(secs), clock.now());
            assert!(covers(1_800_000_000) && !covers(1_799_999_999), "began at {wrong}");
        }
    }

    #[test]
    fn a_full_bucket_refuses_and_forgets_nothing() {
        let clock = Clock::manual(UnixTime::from_secs(1));
        let replays = Replays::default();
        let thing = |at: usize| {
            let mut thing = [0; 16];
            thing[..8].copy_from_slice(&(at as u64).to_le_bytes());
            thing
        };
        let window = Duration::from_secs(100);
        assert!((0..REPLAYS_MAX).all(|at| replays.take(thing(at), window, clock.now())));
        assert!(!replays.take(thing(REPLAYS_MAX), window, clock.now()));
        assert!((0..REPLAYS_MAX).all(|at| !replays.take(thing(at), window, clock.now())));
    }
}
