//! File descriptors held in hand: given up, one by one, when an operator could not be accepted for want of one.

use std::fs::File;
use std::sync::{Arc, Mutex};

use crate::bounds::DESCRIPTORS_SPARE;
use crate::model::Lock as _;

/// Descriptors of one listener; cloning shares them.
#[derive(Debug, Clone)]
pub(super) struct SpareDescriptors(Arc<Mutex<Vec<File>>>);

impl SpareDescriptors {
    /// Takes them while there are any.
    pub(super) fn take() -> Self {
        let spare = Self(Arc::default());
        spare.refill();
        spare
    }

    /// Closes one, so that the next accept finds it; false where none is left.
    pub(super) fn release_one(&self) -> bool {
        self.0.locked().pop().is_some()
    }

    /// Takes back what was given up, as far as there is any.
    pub(super) fn refill(&self) {
        let mut held = self.0.locked();
        while held.len() < DESCRIPTORS_SPARE {
            let Ok(file) = File::open("/dev/null") else { return };
            held.push(file);
        }
    }
}
