//! Counters that many threads add to and a scrape sums.
//!
//! Each worker adds to cache lines of its own, without the locked instructions that shared counters cost; all other
//! threads share one more set of lines, where they add atomically. A sum may miss what is being added at that moment,
//! and the next one has it. Nothing here allocates, locks or formats after it was made.

use std::sync::atomic::{AtomicU64, Ordering};

use super::shard::{MetricShard, shards};
use crate::model::debug_fields;

/// Counters per line: two cache lines of 64 bytes, since processors fetch them in pairs.
const LINE: usize = 16;

#[repr(align(128))]
#[derive(Default)]
struct CellLine([AtomicU64; LINE]);

/// A fixed set of counters, kept once for each shard.
pub(super) struct ShardedCells {
    lines: Box<[CellLine]>,
    /// Number of lines of one shard.
    stride: usize,
}

/// The counters of this thread's shard.
#[derive(Clone, Copy)]
pub(super) struct ShardCells<'a> {
    lines: &'a [CellLine],
    shard: MetricShard,
}

impl ShardedCells {
    /// Makes `count` counters, all zero.
    pub(super) fn new(count: usize) -> Self {
        let stride = count.div_ceil(LINE).max(1);
        Self { lines: (0..stride * shards()).map(|_| CellLine::default()).collect(), stride }
    }

    /// The counters of this thread's shard, to add to.
    #[inline]
    pub(super) fn of_this_thread(&self) -> ShardCells<'_> {
        let shard = MetricShard::of_this_thread();
        let first = shard.index() * self.stride;
        ShardCells { lines: self.lines.get(first..first + self.stride).unwrap_or_default(), shard }
    }

    /// The sum of a counter over all shards.
    pub(super) fn sum(&self, slot: usize) -> u64 {
        let shares = self.lines.chunks_exact(self.stride).filter_map(|lines| cell(lines, slot));
        shares.fold(0, |sum, cell| sum.wrapping_add(cell.load(Ordering::Relaxed)))
    }
}

impl ShardCells<'_> {
    /// Adds to the counter at `slot`. Out of range, nothing is added.
    #[inline]
    pub(super) fn add(self, slot: usize, amount: u64) {
        let Some(cell) = cell(self.lines, slot) else { return };
        if self.shard.is_exclusive() {
            // No other thread writes here, so reading and writing need not be one atomic step.
            cell.store(cell.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
        } else {
            cell.fetch_add(amount, Ordering::Relaxed);
        }
    }

    /// Subtracts from the counter at `slot`. The counter of one shard may wrap; the sum over all shards is right.
    #[inline]
    pub(super) fn subtract(self, slot: usize, amount: u64) {
        self.add(slot, amount.wrapping_neg());
    }
}

#[inline]
fn cell(lines: &[CellLine], slot: usize) -> Option<&AtomicU64> {
    lines.get(slot / LINE)?.0.get(slot % LINE)
}

debug_fields!(ShardedCells: stride);

/// A histogram of durations in some [`ShardedCells`]: one counter for each bucket, one for longer durations, one for
/// the sum.
#[derive(Debug, Clone, Copy)]
pub(super) struct HistogramCells {
    /// The first of its counters.
    pub(super) first: usize,
    /// Upper bounds in nanoseconds, inclusive and rising.
    pub(super) bounds: &'static [u64],
}

/// The values of a histogram at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HistogramReading {
    /// Observations up to and including each bound.
    pub(super) cumulative: Vec<(f64, u64)>,
    /// All observations.
    pub(super) count: u64,
    /// Their sum in seconds.
    pub(super) sum_secs: f64,
}

impl HistogramCells {
    /// The number of counters that a histogram of these bounds takes.
    pub(super) const fn slots(bounds: &[u64]) -> usize {
        bounds.len() + 2
    }

    /// Counts one duration.
    #[inline]
    pub(super) fn observe(self, mine: ShardCells<'_>, nanos: u64) {
        let bucket = self.bounds.iter().position(|bound| nanos <= *bound).unwrap_or(self.bounds.len());
        mine.add(self.first + bucket, 1);
        mine.add(self.first + self.bounds.len() + 1, nanos);
    }

    /// The histogram in the cumulative form of Prometheus.
    pub(super) fn read(self, cells: &ShardedCells) -> HistogramReading {
        let mut count = 0;
        let mut cumulative = Vec::with_capacity(self.bounds.len());
        for (bucket, bound) in self.bounds.iter().enumerate() {
            count += cells.sum(self.first + bucket);
            cumulative.push((seconds(*bound), count));
        }
        count += cells.sum(self.first + self.bounds.len());
        HistogramReading { cumulative, count, sum_secs: seconds(cells.sum(self.first + self.bounds.len() + 1)) }
    }
}

/// Nanoseconds as seconds. The division prints a bound as it was written.
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_lose_no_count_and_a_gauge_may_rise_and_fall_on_different_threads() {
        let cells = ShardedCells::new(20);
        std::thread::scope(|scope| {
            for worker in [true, false, true, false, true, false, true, false] {
                let add = || (0..1_000).for_each(|_| cells.of_this_thread().add(17, 2));
                scope.spawn(move || {
                    let claim = worker.then(crate::telemetry::claim_worker);
                    add();
                    drop(claim);
                });
            }
        });
        std::thread::scope(|scope| {
            scope.spawn(|| (0..15_990).for_each(|_| cells.of_this_thread().subtract(17, 1)));
        });
        assert_eq!((cells.sum(17), cells.sum(16), cells.sum(10_000)), (10, 0, 0));
    }

    #[test]
    fn a_duration_equal_to_a_bound_counts_in_the_bucket_of_that_bound() {
        let buckets = HistogramCells { first: 3, bounds: &[1_000, 5_000_000] };
        let cells = ShardedCells::new(3 + HistogramCells::slots(buckets.bounds));
        for nanos in [0, 1_000, 1_001, 5_000_000, 5_000_001, u64::from(u32::MAX)] {
            buckets.observe(cells.of_this_thread(), nanos);
        }
        let reading = buckets.read(&cells);
        assert_eq!(reading.cumulative, [(0.000_001, 2), (0.005, 4)]);
        assert_eq!((reading.count, cells.sum(2)), (6, 0));
        assert!((reading.sum_secs - 4.304_969_297).abs() < 1e-9, "{}", reading.sum_secs);
    }
}
