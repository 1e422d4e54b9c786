//! What of one body is seen to leave in clear: held, as all counts are, until it has left.

use crate::bounds::{CLEAR_NAMES_MAX, CLEAR_PLACES_MAX};
use crate::exposure;
use crate::meter::RecordMeter;
use crate::pii::{ClearPaths, Cut, Sort, Stop, Watch, Witness};

/// Looks at one body whose turn it is: see [`exposure::Handle::is_looked_at`].
pub(super) struct Looks {
    /// Reads a body that passes untreated beside its way; without, the engine that treats it tells.
    witness: Option<Witness>,
    /// Of the piece that is worked on, and of those that are charged and have not left yet.
    piece: ClearPaths,
    kept: ClearPaths,
}

impl Looks {
    pub(super) fn new(witness: Option<Witness>) -> Self {
        let none = || ClearPaths::new(CLEAR_NAMES_MAX, CLEAR_PLACES_MAX);
        Self { witness, piece: none(), kept: none() }
    }

    /// Lets the witness, where there is one, look at a piece or at the end.
    pub(super) fn beside(&mut self, act: impl FnOnce(&mut Witness, &mut dyn FnMut(&str))) {
        if let Some(witness) = &mut self.witness {
            act(witness, &mut |path| self.piece.add(path, 1));
        }
    }

    /// For the engine that treats the body.
    pub(super) fn within<'a>(&'a mut self, meter: &'a mut RecordMeter) -> Looking<'a> {
        Looking { meter, clear: &mut self.piece }
    }

    /// The piece is charged, and will leave.
    pub(super) fn keep(&mut self) {
        self.kept.absorb(&mut self.piece);
    }

    /// The piece stays.
    pub(super) fn forget(&mut self) {
        self.piece.clear();
    }

    /// All that was kept has left; whether there was anything.
    pub(super) fn left(&mut self, exposure: &exposure::Handle) -> bool {
        let any = !self.kept.is_empty();
        if any {
            exposure.in_clear(&mut self.kept);
        }
        any
    }
}

/// A body's meter, and the paths of what leaves of it in clear.
pub(super) struct Looking<'a> {
    meter: &'a mut RecordMeter,
    clear: &'a mut ClearPaths,
}

impl Watch for Looking<'_> {
    fn record(&mut self) -> Result<(), Cut> {
        self.meter.record()
    }

    fn treated(&mut self, rule: usize) {
        self.meter.treated(rule);
    }

    fn found(&mut self, sort: Sort) {
        self.meter.found(sort);
    }

    fn misshapen(&mut self, why: Stop) -> Result<(), Stop> {
        self.meter.misshapen(why)
    }

    fn subject(&mut self, value: &[u8]) {
        self.meter.subject(value);
    }

    fn asks_clear(&self) -> bool {
        true
    }

    fn clear(&mut self, path: &str) {
        self.clear.add(path, 1);
    }
}
