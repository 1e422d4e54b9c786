//! Assigns each thread a shard of the counters and of the log's buffers.
//!
//! A worker claims a shard of its own for as long as it runs; all other threads use the first one. Two threads never
//! hold the same claim at once, so a worker can count without locked instructions.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::{Mutex, OnceLock};

use crate::bounds::METRIC_SHARDS_MAX;
use crate::model::Lock as _;

thread_local! {
    static MINE: Cell<usize> = const { Cell::new(SHARED) };
}

/// The shard of all threads that have none of their own.
const SHARED: usize = 0;

/// The shard of a thread.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct MetricShard(usize);

impl MetricShard {
    /// The shard of the calling thread.
    #[inline]
    pub(super) fn of_this_thread() -> Self {
        Self(MINE.get())
    }

    /// Its index, below [`shards`].
    #[inline]
    pub(super) const fn index(self) -> usize {
        self.0
    }

    /// Whether no other thread writes there.
    #[inline]
    pub(super) const fn is_exclusive(self) -> bool {
        self.0 != SHARED
    }
}

/// The number of shards: one for each core, up to a bound, and the one for all other threads.
pub(super) fn shards() -> usize {
    static SHARDS: OnceLock<usize> = OnceLock::new();
    *SHARDS.get_or_init(|| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        cores.min(METRIC_SHARDS_MAX) + 1
    })
}

/// A worker's claim to a shard of its own. It cannot leave the thread that made it, and is dropped there.
#[derive(Debug)]
#[must_use = "the shard is released when the claim is dropped"]
pub struct ShardClaim {
    index: usize,
    stays: PhantomData<*const ()>,
}

/// Gives the calling thread a shard of its own, so that it counts and logs without waiting for any other thread.
///
/// Each worker calls it once and keeps the claim for as long as it runs. Threads beyond the number of cores stay on the
/// shared shard, which only costs them time.
pub fn claim_worker() -> ShardClaim {
    let mut free = free();
    let index = if MINE.get() == SHARED { free.pop().unwrap_or(SHARED) } else { SHARED };
    if index != SHARED {
        MINE.set(index);
    }
    ShardClaim { index, stays: PhantomData }
}

impl Drop for ShardClaim {
    fn drop(&mut self) {
        if self.index != SHARED {
            MINE.set(SHARED);
            // The lock makes this thread's counts visible to the next thread that claims the shard.
            free().push(self.index);
        }
    }
}

fn free() -> std::sync::MutexGuard<'static, Vec<usize>> {
    static FREE: OnceLock<Mutex<Vec<usize>>> = OnceLock::new();
    let free = FREE.get_or_init(|| Mutex::new((SHARED + 1..shards()).rev().collect()));
    free.locked()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::{Barrier, Mutex};

    #[test]
    fn no_two_threads_hold_the_same_shard() {
        let threads = shards() + 3;
        let (all, claimed) = (Barrier::new(threads), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let claim = claim_worker();
                    let second = claim_worker();
                    assert!(second.index == SHARED && MetricShard::of_this_thread().index() == claim.index);
                    all.wait();
                    claimed.lock().unwrap().push(claim.index);
                    all.wait();
                    drop((second, claim));
                    assert!(!MetricShard::of_this_thread().is_exclusive());
                });
            }
        });
        let exclusive: Vec<_> = claimed.into_inner().unwrap().into_iter().filter(|index| *index != SHARED).collect();
        assert_eq!(exclusive.iter().collect::<BTreeSet<_>>().len(), exclusive.len());
        assert!(exclusive.iter().all(|index| *index < shards()));
    }
}
