//! What is usual of one signal of one vendor at each hour of the week.
//!
//! For every hour the most of a minute, of ten minutes and of the hour are kept, so that a job that runs for five
//! minutes each night is usual. An hour may be what its neighbours are, because jobs move and clocks change. Counts are
//! compared by their square roots: the noise of a count grows with its root. How noisy this vendor is, is measured.
//!
//! A quiet holiday never alarms, because only more than usual counts. It hardly lowers what is usual, because a slot
//! falls slower than it rises. A theft hardly raises it, because a slot rises by half at most in a week. Growth is
//! followed: a lift goes with the last busy hours. A theft that stays just under the noise adds up hour by hour.

use std::time::Duration;

use super::{AnomalyScore, AnomalySignal};
use crate::model::UnixTime;

/// How often a baseline is fed.
pub const TICK: Duration = Duration::from_secs(10);

const TICK_SECS: u64 = TICK.as_secs();
const TICKS_PER_MINUTE: usize = 6;
const MINUTES: usize = 60;
const HOUR_SECS: u64 = 3_600;
/// The hours of a week.
pub(super) const SLOTS: usize = 168;
/// A minute, ten minutes, an hour.
pub(super) const WINDOWS: usize = 3;
/// Hours with a baseline before anything is scored.
const LEARNING_HOURS: u32 = 72;
/// An hour of which less was seen, because the process started in it, teaches nothing.
const TICKS_OF_A_WHOLE_HOUR: u32 = 300;

/// How much of a difference a slot takes over in a week.
const RISE: f32 = 0.3;
const FALL: f32 = 0.1;
/// The most that counts of a rise in a week: by half, or from zero by this number.
const RISE_FACTOR_MAX: f32 = 1.5;
const RISE_FROM_ZERO: f32 = 20.0;
/// The noise relative to the count that is assumed before any was measured, and the hours that this is worth.
const ASSUMED_NOISE: f32 = 0.3;
const ASSUMED_HOURS: f32 = 48.0;
/// The hours over which noise is measured, and the bounds within which an hour counts, as a multiple of the noise.
const NOISE_HOURS_MAX: f32 = 500.0;
const OUTLIER: f32 = 3.0;
/// What an hour may be above the usual without adding to the sum of hours, as a multiple of the noise.
const SLACK: f32 = 1.0;
const SUM_MAX: f32 = 20.0;
/// The busy hours over which growth is followed, and the bounds of the factor.
const LIFT_HOURS: f32 = 24.0;
const LIFT_BOUNDS: (f32, f32) = (0.2, 5.0);

/// The usual most of each window in one hour of the week.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Slot(pub(super) Option<[f32; WINDOWS]>);

/// What was learned.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Learned {
    pub(super) slots: Box<[Slot; SLOTS]>,
    /// The mean square of what an hour's root is off, by window, and the hours that it was measured over.
    pub(super) noise: [f32; WINDOWS],
    pub(super) noise_hours: f32,
    /// What the last busy hours were of the usual.
    pub(super) lift: f32,
    /// By how much the last hours were above the usual, added up.
    pub(super) sum: f32,
    pub(super) hours: u32,
}

/// One signal of one vendor: what was learned, and the last hour.
#[derive(Debug, Default)]
pub struct Baseline {
    pub(super) learned: Learned,
    /// The number of the newest tick since 1970.
    tick: Option<u64>,
    ticks: [f32; TICKS_PER_MINUTE],
    minutes: Minutes,
    /// The most of each window in this hour, and how many ticks of it were seen.
    peaks: [f32; WINDOWS],
    ticks_seen: u32,
}

#[derive(Debug)]
struct Minutes([f32; MINUTES]);

impl Default for Minutes {
    fn default() -> Self {
        Self([0.0; MINUTES])
    }
}

impl Default for Learned {
    fn default() -> Self {
        Self {
            slots: Box::new([Slot::default(); SLOTS]),
            noise: [0.0; WINDOWS],
            noise_hours: 0.0,
            lift: 1.0,
            sum: 0.0,
            hours: 0,
        }
    }
}

impl From<Learned> for Baseline {
    fn from(learned: Learned) -> Self {
        Self { learned, ..Self::default() }
    }
}

impl Baseline {
    /// Adds the count of the ten seconds that end now. True when an hour has ended and was learned.
    pub fn tick(&mut self, now: UnixTime, count: f32, killed: bool) -> bool {
        let tick = now.as_secs() / TICK_SECS;
        let learned = self.advance(tick);
        if killed {
            self.forget_last_hour();
            return learned;
        }
        self.ticks[place(tick, TICKS_PER_MINUTE)] += count;
        self.minutes.0[place(tick / TICKS_PER_MINUTE as u64, MINUTES)] += count;
        self.ticks_seen += 1;
        let windows = self.windows();
        for (peak, window) in self.peaks.iter_mut().zip(windows) {
            *peak = peak.max(window);
        }
        learned
    }

    /// The score of the last hour.
    pub fn score(&self, signal: AnomalySignal, now: UnixTime) -> AnomalyScore {
        let learned = self.learned.hours >= LEARNING_HOURS;
        let (windows, usual) = (self.windows(), self.learned.usual(slot_of(now)));
        AnomalyScore {
            signal,
            score: if learned { self.learned.score(windows, usual) } else { 0.0 },
            last_minute: windows[0] as u64,
            usual: learned.then_some(usual[0] as u64),
        }
    }

    /// Moves the windows on to a tick. A clock that was set back adds to the newest tick.
    fn advance(&mut self, tick: u64) -> bool {
        let Some(last) = self.tick.replace(tick) else { return false };
        if tick <= last {
            self.tick = Some(last);
            return false;
        }
        let hour_of = |tick: u64| tick * TICK_SECS / HOUR_SECS;
        let is_over = hour_of(tick) > hour_of(last);
        let learned = is_over && self.end_hour(place(hour_of(last), SLOTS));
        self.empty(last, tick);
        learned
    }

    /// Empties the places of the ticks and minutes after `last`, up to `tick`.
    fn empty(&mut self, last: u64, tick: u64) {
        (last + 1..=tick).rev().take(TICKS_PER_MINUTE).for_each(|tick| self.ticks[place(tick, TICKS_PER_MINUTE)] = 0.0);
        let minute = |tick: u64| tick / TICKS_PER_MINUTE as u64;
        let minutes = (minute(last) + 1..=minute(tick)).rev().take(MINUTES);
        minutes.for_each(|minute| self.minutes.0[place(minute, MINUTES)] = 0.0);
    }

    fn windows(&self) -> [f32; WINDOWS] {
        let newest = self.tick.unwrap_or_default() / TICKS_PER_MINUTE as u64;
        let ten = (0..10).map(|back| self.minutes.0[place(newest.saturating_sub(back), MINUTES)]).sum();
        [self.ticks.iter().sum(), ten, self.minutes.0.iter().sum()]
    }

    fn end_hour(&mut self, slot: usize) -> bool {
        let peaks = std::mem::take(&mut self.peaks);
        let is_whole = std::mem::take(&mut self.ticks_seen) >= TICKS_OF_A_WHOLE_HOUR;
        if is_whole {
            self.learned.learn(slot, peaks);
        }
        is_whole
    }

    pub(super) fn forget_last_hour(&mut self) {
        (self.ticks, self.minutes) = Default::default();
        (self.peaks, self.ticks_seen, self.learned.sum) = Default::default();
    }
}

impl Learned {
    /// The usual most of each window in a slot; before its neighbours were seen, that of the whole week so far.
    fn usual(&self, slot: usize) -> [f32; WINDOWS] {
        let near = [slot + SLOTS - 1, slot, slot + 1].map(|slot| self.slots[slot % SLOTS]);
        let most = match near.iter().all(|slot| slot.0.is_some()) {
            true => most_of(&near),
            false => most_of(&*self.slots),
        };
        most.map(|most| most * self.lift.max(1.0))
    }

    fn score(&self, windows: [f32; WINDOWS], usual: [f32; WINDOWS]) -> f32 {
        let above = |window: usize| self.off(window, windows[window], usual[window]);
        (0..WINDOWS).map(above).fold(self.sum, f32::max)
    }

    /// How far a count is above the usual, as a multiple of the noise.
    fn off(&self, window: usize, count: f32, usual: f32) -> f32 {
        (root(count) - root(usual)) / self.noise(window, usual)
    }

    /// The noise of the root of a count, 1 at least: that of independent events.
    fn noise(&self, window: usize, usual: f32) -> f32 {
        let assumed = 1.0 + ASSUMED_NOISE * ASSUMED_NOISE * usual;
        let (all, hours) = (self.noise[window] * self.noise_hours, ASSUMED_HOURS + self.noise_hours);
        ((assumed * ASSUMED_HOURS + all) / hours).max(1.0).sqrt()
    }

    fn learn(&mut self, slot: usize, peaks: [f32; WINDOWS]) {
        if self.hours >= LEARNING_HOURS {
            self.compare(slot, peaks);
        }
        self.hours = self.hours.saturating_add(1);
        let Some(usual) = &mut self.slots[slot].0 else {
            self.slots[slot].0 = Some(peaks);
            return;
        };
        for (usual, peak) in usual.iter_mut().zip(peaks) {
            let off = peak.min(*usual * RISE_FACTOR_MAX + RISE_FROM_ZERO) - *usual;
            *usual += off * if off > 0.0 { RISE } else { FALL };
        }
    }

    /// Measures the noise, the lift and the sum by an hour that has ended.
    fn compare(&mut self, slot: usize, peaks: [f32; WINDOWS]) {
        let around = self.usual(slot);
        let lift = self.lift.max(1.0);
        let own = self.slots[slot].0.map(|own| own.map(|usual| usual * lift));
        let hour = self.off(WINDOWS - 1, peaks[WINDOWS - 1], own.unwrap_or(around)[WINDOWS - 1]);
        self.sum = (self.sum + hour.clamp(-OUTLIER, OUTLIER) - SLACK).clamp(0.0, SUM_MAX);
        if let Some(own) = own {
            self.noise_hours = (self.noise_hours + 1.0).min(NOISE_HOURS_MAX);
            for window in 0..WINDOWS {
                let bound = OUTLIER * self.noise(window, own[window]);
                let off = (root(peaks[window]) - root(own[window])).clamp(-bound, bound);
                self.noise[window] += (off * off - self.noise[window]) / self.noise_hours;
            }
        }
        // A quiet hour says little of growth, so it weighs as much as it carries.
        let (usual, busiest) = (around[WINDOWS - 1] / lift + 1.0, most_of(&*self.slots)[WINDOWS - 1] + 1.0);
        let ratio = ((peaks[WINDOWS - 1] + 1.0) / usual).clamp(LIFT_BOUNDS.0, LIFT_BOUNDS.1);
        self.lift += (ratio - self.lift) * (usual / busiest).min(1.0) / LIFT_HOURS;
    }
}

fn most_of(slots: &[Slot]) -> [f32; WINDOWS] {
    let most = |most: [f32; WINDOWS], slot: [f32; WINDOWS]| std::array::from_fn(|i| most[i].max(slot[i]));
    slots.iter().filter_map(|slot| slot.0).fold([0.0; WINDOWS], most)
}

/// Anscombe's root: the noise of independent events is 1 whatever their number.
fn root(count: f32) -> f32 {
    2.0 * (count + 0.375).sqrt()
}

fn slot_of(now: UnixTime) -> usize {
    place(now.as_secs() / HOUR_SECS, SLOTS)
}

fn place(number: u64, places: usize) -> usize {
    usize::try_from(number % places as u64).unwrap_or_default()
}
