//! A wall clock that is confirmed by the monotonic clock.
//!
//! A wall clock can be wrong for seconds: a virtual machine moves, a time server errs, somebody types a wrong year. An
//! act that cannot be undone must not rely on one reading of it. This clock follows the wall clock back at once, and
//! ahead only when a jump has lasted for a whole window of the monotonic clock.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Moment, UnixTime};

/// The window is divided into this many parts.
const PARTS: u64 = 8;

/// Compares readings of both clocks over a window, and gives the wall-clock time on which they agree.
#[derive(Debug)]
pub struct ConfirmedClock {
    part_ns: u64,
    began_ns: Option<u64>,
    /// For each part of the window, its number and the least lead of the wall clock over the monotonic one in it, in
    /// milliseconds. Oldest first.
    parts: VecDeque<(u64, i128)>,
}

impl ConfirmedClock {
    /// Confirms over a window of this length.
    pub fn over(window: Duration) -> Self {
        let part_ns = (window.as_nanos() as u64 / PARTS).max(1);
        Self { part_ns, began_ns: None, parts: VecDeque::new() }
    }

    /// The latest time that no reading within the window contradicts; before a window has passed, no reading so far.
    pub fn confirmed(&mut self, now: Moment) -> UnixTime {
        self.note(now);
        let least = self.parts.iter().map(|(_, ahead)| *ahead).min().unwrap_or_default();
        let millis = i128::from(now.monotonic_ns / 1_000_000) + least;
        UnixTime::from_millis(u64::try_from(millis.max(0)).unwrap_or(u64::MAX))
    }

    /// As [`Self::confirmed`], once there are readings of a whole window; `None` before.
    pub fn confirmed_for_a_window(&mut self, now: Moment) -> Option<UnixTime> {
        let steady = self.confirmed(now);
        let began = self.began_ns?;
        (now.monotonic_ns.saturating_sub(began) >= self.part_ns.saturating_mul(PARTS)).then_some(steady)
    }

    fn note(&mut self, now: Moment) {
        self.began_ns.get_or_insert(now.monotonic_ns);
        let part = now.monotonic_ns / self.part_ns;
        let ahead = i128::from(now.wall.as_millis()) - i128::from(now.monotonic_ns / 1_000_000);
        match self.parts.back_mut() {
            Some((last, least)) if *last == part => *least = ahead.min(*least),
            _ => self.parts.push_back((part, ahead)),
        }
        while self.parts.front().is_some_and(|(first, _)| first + PARTS < part) {
            self.parts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall_secs: u64, monotonic_secs: u64) -> Moment {
        Moment { wall: UnixTime::from_secs(wall_secs), monotonic_ns: monotonic_secs * 1_000_000_000 }
    }

    #[test]
    fn a_jump_ahead_is_followed_once_it_has_lasted_and_one_back_at_once() {
        let mut clock = ConfirmedClock::over(Duration::from_secs(80));
        let mut look = |wall, monotonic| clock.confirmed(at(wall, monotonic)).as_secs();
        assert_eq!((look(1000, 0), look(1005, 5)), (1000, 1005));
        assert_eq!(look(9_999_999, 6), 1006, "one reading");
        (7..80).for_each(|second| assert_eq!(look(9_999_993 + second, second), 1000 + second));
        assert_eq!(look(1081, 81), 1081, "it was wrong for more than a minute");
        (82..162).for_each(|second| assert_eq!(look(5000 + second, second), 1000 + second, "at {second}"));
        assert_eq!(look(5000 + 180, 180), 5180, "it stays");
        assert_eq!(look(2000, 181), 2000, "back at once");
    }

    #[test]
    fn no_time_is_confirmed_before_a_whole_window_has_passed() {
        let mut clock = ConfirmedClock::over(Duration::from_secs(80));
        assert_eq!(clock.confirmed_for_a_window(at(1000, 50)), None);
        assert_eq!(clock.confirmed_for_a_window(at(1079, 129)), None);
        assert_eq!(clock.confirmed_for_a_window(at(1080, 130)), Some(UnixTime::from_secs(1080)));
    }

    proptest::proptest! {
        /// Whatever the wall clock says for less than a window, the time that is followed is never ahead of the true
        /// one.
        #[test]
        fn an_error_shorter_than_the_window_never_moves_it_ahead(errors in proptest::collection::vec((1_u64..70, 0_u64..1_000_000), 0..20)) {
            let mut clock = ConfirmedClock::over(Duration::from_secs(80));
            let mut now = 0;
            clock.confirmed(at(1000, now));
            for (length, ahead) in errors {
                for _ in 0..length {
                    now += 1;
                    proptest::prop_assert!(clock.confirmed(at(1000 + now + ahead, now)).as_secs() <= 1000 + now);
                }
                now += 1;
                proptest::prop_assert_eq!(clock.confirmed(at(1000 + now, now)).as_secs(), 1000 + now);
            }
        }
    }
}
