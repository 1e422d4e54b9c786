//! The metrics of the config: which one is in force, and what came of loads.

use std::sync::atomic::Ordering;

use super::metrics::{Metrics, RELOAD};

impl Metrics {
    /// Sets the number of the config in force.
    pub fn config_generation(&self, generation: u64) {
        self.values.generation.store(generation, Ordering::Relaxed);
    }

    /// Sets whether the config on disk could not be loaded.
    pub fn config_stale(&self, is_stale: bool) {
        self.values.stale.store(u64::from(is_stale), Ordering::Relaxed);
    }

    /// Counts an attempt to load a changed config.
    pub fn config_reloaded(&self, succeeded: bool) {
        self.values.cells.of_this_thread().add(RELOAD + usize::from(!succeeded), 1);
    }
}
