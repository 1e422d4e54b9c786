//! The paths of one body that leave in clear, collected for the exposure and counted when the body has been sent.

use crate::bounds::{CLEAR_NAMES_MAX, CLEAR_PLACES_MAX};
use crate::exposure;
use crate::meter::RecordMeter;
use crate::pii::{ClearPathCounts, ClearScanner, RecordBudgetSpent, RewriteError, RewriteObserver};

/// The sample of one body: see [`exposure::CallerCounters::samples_next_body`].
pub(super) struct ClearSample {
    /// Reads a body that is not treated; `None` where the engine that treats the body reports the paths.
    scanner: Option<ClearScanner>,
    /// The paths in the piece that is being read.
    piece: ClearPathCounts,
    /// The paths in the pieces that are charged and have not been sent yet.
    charged: ClearPathCounts,
}

impl ClearSample {
    pub(super) fn new(scanner: Option<ClearScanner>) -> Self {
        let none = || ClearPathCounts::new(CLEAR_NAMES_MAX, CLEAR_PLACES_MAX);
        Self { scanner, piece: none(), charged: none() }
    }

    /// Lets the scanner, where there is one, read a piece or the end.
    pub(super) fn observe(&mut self, act: impl FnOnce(&mut ClearScanner, &mut dyn FnMut(&str))) {
        if let Some(scanner) = &mut self.scanner {
            act(scanner, &mut |path| self.piece.add(path, 1));
        }
    }

    /// The observer for the engine that treats the body.
    pub(super) fn with_meter<'a>(&'a mut self, meter: &'a mut RecordMeter) -> SamplingMeter<'a> {
        SamplingMeter { meter, clear: &mut self.piece }
    }

    /// The piece is charged, and will be sent.
    pub(super) fn commit(&mut self) {
        self.charged.absorb(&mut self.piece);
    }

    /// The piece will not be sent.
    pub(super) fn discard(&mut self) {
        self.piece.clear();
    }

    /// All that was charged has been sent. Returns whether there was any path.
    pub(super) fn record_sent(&mut self, exposure: &exposure::CallerCounters) -> bool {
        let any = !self.charged.is_empty();
        if any {
            exposure.add_clear_paths(&mut self.charged);
        }
        any
    }
}

/// The meter of a body, which also collects the paths that leave in clear.
pub(super) struct SamplingMeter<'a> {
    meter: &'a mut RecordMeter,
    clear: &'a mut ClearPathCounts,
}

impl RewriteObserver for SamplingMeter<'_> {
    fn on_record(&mut self) -> Result<(), RecordBudgetSpent> {
        self.meter.on_record()
    }

    fn on_treated(&mut self, rule: usize) {
        self.meter.on_treated(rule);
    }

    fn on_unexpected_shape(&mut self, why: RewriteError) -> Result<(), RewriteError> {
        self.meter.on_unexpected_shape(why)
    }

    fn on_subject(&mut self, value: &[u8]) {
        self.meter.on_subject(value);
    }

    fn wants_clear_paths(&self) -> bool {
        true
    }

    fn on_clear_path(&mut self, path: &str) {
        self.clear.add(path, 1);
    }
}
