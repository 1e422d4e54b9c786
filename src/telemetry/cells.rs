//! Numbers that many threads add to and a scrape sums.
//!
//! Each thread adds to its own cache lines, so workers on different cores never wait for one another; reading
//! walks every thread's share. A sum may miss what is being added at that instant, and never loses it.
//! Nothing here allocates, locks or formats after it was made.

use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::bounds::METRIC_SHARDS_MAX;

/// Numbers per line: two cache lines of 64 bytes, since processors fetch lines in pairs.
const LINE: usize = 16;

#[repr(align(128))]
#[derive(Default)]
struct Line([AtomicU64; LINE]);

/// A fixed set of numbers, kept once per shard.
pub(super) struct Cells {
    lines: Box<[Line]>,
    /// Lines of one shard.
    stride: usize,
}

impl Cells {
    /// Makes `count` numbers, all zero.
    pub(super) fn new(count: usize) -> Self {
        let stride = count.div_ceil(LINE).max(1);
        Self { lines: (0..stride * shards()).map(|_| Line::default()).collect(), stride }
    }

    /// Adds to the number at `slot`; out of range adds nothing.
    pub(super) fn add(&self, slot: usize, amount: u64) {
        if let Some(cell) = self.cell(shard(), slot) {
            cell.fetch_add(amount, Ordering::Relaxed);
        }
    }

    /// Takes from the number at `slot`; shares wrap, their sum does not.
    pub(super) fn subtract(&self, slot: usize, amount: u64) {
        if let Some(cell) = self.cell(shard(), slot) {
            cell.fetch_sub(amount, Ordering::Relaxed);
        }
    }

    /// The sum of all threads' shares.
    pub(super) fn sum(&self, slot: usize) -> u64 {
        (0..self.lines.len() / self.stride)
            .filter_map(|shard| self.cell(shard, slot))
            .fold(0, |sum, cell| sum.wrapping_add(cell.load(Ordering::Relaxed)))
    }

    fn cell(&self, shard: usize, slot: usize) -> Option<&AtomicU64> {
        self.lines.get(shard * self.stride + slot / LINE)?.0.get(slot % LINE)
    }
}

impl fmt::Debug for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cells").field("numbers", &(self.stride * LINE)).finish_non_exhaustive()
    }
}

/// A histogram of durations inside some [`Cells`]: one number per bucket, one for all longer ones, one for the sum.
#[derive(Debug, Clone, Copy)]
pub(super) struct Buckets {
    /// The first of the numbers that belong to it.
    pub(super) first: usize,
    /// Upper bounds in nanoseconds, inclusive and rising.
    pub(super) bounds: &'static [u64],
}

/// What a histogram holds at one instant.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    /// Observations up to and including each bound.
    pub(super) cumulative: Vec<(f64, u64)>,
    /// All observations.
    pub(super) count: u64,
    /// Their sum in seconds.
    pub(super) sum_secs: f64,
}

impl Buckets {
    /// How many numbers a histogram of these bounds takes.
    pub(super) const fn slots(bounds: &[u64]) -> usize {
        bounds.len() + 2
    }

    /// Counts one duration.
    pub(super) fn observe(self, cells: &Cells, nanos: u64) {
        let bucket = self.bounds.iter().position(|bound| nanos <= *bound).unwrap_or(self.bounds.len());
        cells.add(self.first + bucket, 1);
        cells.add(self.first + self.bounds.len() + 1, nanos);
    }

    /// The histogram as exporters want it.
    pub(super) fn read(self, cells: &Cells) -> Reading {
        let mut count = 0;
        let mut cumulative = Vec::with_capacity(self.bounds.len());
        for (bucket, bound) in self.bounds.iter().enumerate() {
            count += cells.sum(self.first + bucket);
            cumulative.push((seconds(*bound), count));
        }
        count += cells.sum(self.first + self.bounds.len());
        Reading { cumulative, count, sum_secs: seconds(cells.sum(self.first + self.bounds.len() + 1)) }
    }
}

/// Nanoseconds as seconds, rounded so that a bound reads as it was written.
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// How many shares there are: a power of two that covers the machine's cores.
pub(super) fn shards() -> usize {
    static SHARDS: OnceLock<usize> = OnceLock::new();
    *SHARDS.get_or_init(|| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        cores.next_power_of_two().min(METRIC_SHARDS_MAX)
    })
}

/// This thread's share; threads take turns, so that one worker per core gets one each.
pub(super) fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    MINE.with(|mine| match mine.get() {
        usize::MAX => {
            let taken = NEXT.fetch_add(1, Ordering::Relaxed) & (shards() - 1);
            mine.set(taken);
            taken
        }
        taken => taken,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_lose_nothing_and_a_gauge_may_rise_and_fall_on_different_threads() {
        let cells = Cells::new(20);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1_000).for_each(|_| cells.add(17, 2)));
            }
        });
        std::thread::scope(|scope| {
            scope.spawn(|| (0..15_990).for_each(|_| cells.subtract(17, 1)));
        });
        assert_eq!((cells.sum(17), cells.sum(16), cells.sum(10_000)), (10, 0, 0));
    }

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        let buckets = Buckets { first: 3, bounds: &[1_000, 5_000_000] };
        let cells = Cells::new(3 + Buckets::slots(buckets.bounds));
        for nanos in [0, 1_000, 1_001, 5_000_000, 5_000_001, u64::from(u32::MAX)] {
            buckets.observe(&cells, nanos);
        }
        let reading = buckets.read(&cells);
        assert_eq!(reading.cumulative, [(0.000_001, 2), (0.005, 4)]);
        assert_eq!((reading.count, cells.sum(2)), (6, 0));
        assert!((reading.sum_secs - 4.304_969_297).abs() < 1e-9, "{}", reading.sum_secs);
    }
}
