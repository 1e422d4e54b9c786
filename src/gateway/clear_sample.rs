//! What of one body is seen to leave in clear: held, as all counts are, until it has left.

use crate::bounds::{CLEAR_NAMES_MAX, CLEAR_PLACES_MAX};
use crate::exposure;
use crate::meter::RecordMeter;
use crate::pii::{ClearPathCounts, ClearScanner, PiiKind, RecordBudgetSpent, RewriteError, RewriteObserver};

/// Looks at one body whose turn it is: see [`exposure::RouteCounters::is_looked_at`].
pub(super) struct ClearSample {
    /// Reads a body that passes untreated beside its way; without, the engine that treats it tells.
    witness: Option<ClearScanner>,
    /// Of the piece that is worked on, and of those that are charged and have not left yet.
    piece: ClearPathCounts,
    kept: ClearPathCounts,
}

impl ClearSample {
    pub(super) fn new(witness: Option<ClearScanner>) -> Self {
        let none = || ClearPathCounts::new(CLEAR_NAMES_MAX, CLEAR_PLACES_MAX);
        Self { witness, piece: none(), kept: none() }
    }

    /// Lets the witness, where there is one, look at a piece or at the end.
    pub(super) fn observe(&mut self, act: impl FnOnce(&mut ClearScanner, &mut dyn FnMut(&str))) {
        if let Some(witness) = &mut self.witness {
            act(witness, &mut |path| self.piece.add(path, 1));
        }
    }

    /// For the engine that treats the body.
    pub(super) fn with_meter<'a>(&'a mut self, meter: &'a mut RecordMeter) -> SamplingMeter<'a> {
        SamplingMeter { meter, clear: &mut self.piece }
    }

    /// The piece is charged, and will leave.
    pub(super) fn commit(&mut self) {
        self.kept.absorb(&mut self.piece);
    }

    /// The piece stays.
    pub(super) fn discard(&mut self) {
        self.piece.clear();
    }

    /// All that was kept has left; whether there was anything.
    pub(super) fn record_sent(&mut self, exposure: &exposure::RouteCounters) -> bool {
        let any = !self.kept.is_empty();
        if any {
            exposure.add_clear_paths(&mut self.kept);
        }
        any
    }
}

/// A body's meter, and the paths of what leaves of it in clear.
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

    fn on_found(&mut self, sort: PiiKind) {
        self.meter.on_found(sort);
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
