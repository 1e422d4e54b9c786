//! Spare file descriptors: closed one by one when an operator's connection could not be accepted for want of one.

use std::fs::File;
use std::sync::{Arc, Mutex};

use crate::bounds::DESCRIPTORS_SPARE;
use crate::model::Lock as _;

/// Descriptors of one listener; cloning shares them.
#[derive(Debug, Clone)]
pub(super) struct SpareDescriptors(Arc<Mutex<Vec<File>>>);

impl SpareDescriptors {
    /// Opens spare descriptors while the process can have more.
    pub(super) fn take() -> Self {
        let spare = Self(Arc::default());
        spare.refill();
        spare
    }

    /// Closes one, so that the next accept can use it; false where none is left.
    pub(super) fn release_one(&self) -> bool {
        self.0.locked().pop().is_some()
    }

    /// Opens again what was closed, as far as the process can have more.
    pub(super) fn refill(&self) {
        let mut held = self.0.locked();
        while held.len() < DESCRIPTORS_SPARE {
            let Ok(file) = File::open("/dev/null") else { return };
            held.push(file);
        }
    }
}
