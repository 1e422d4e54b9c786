//! What the rules of a contract that observes would do with one body, which passes as it is.
//!
//! The rules run on a copy whose output is thrown away. The first thing for which they would refuse the body, or cut
//! it, is reported, and they read no more of it. Never delays or changes the body, and never charges a record beyond a
//! budget.

use super::body_end::{AbortReason, HttpMessage};
use crate::meter::RecordMeter;
use crate::model::{Moment, Reason};
use crate::pii::{OnUnexpectedShape, RewriteError, RewriteObserver, Rewriter};

/// The rules of one body, and the meter of its records.
pub(super) struct ObservedBody {
    /// `None` once the rules have found something for which they would refuse the rest.
    rewriter: Option<Box<dyn Rewriter>>,
    meter: RecordMeter,
    /// Whether a spent budget was reported.
    is_overrun: bool,
    message: HttpMessage,
    out: Vec<u8>,
}

/// What the rules have found in one piece of a body.
#[derive(Debug, Default)]
pub(super) struct ObservedPiece {
    /// Why the body would have been refused, or cut.
    pub(super) would_deny: [Option<Reason>; 2],
    /// Whether the body is of another shape than the path of its records describes.
    pub(super) is_misshapen: bool,
}

impl ObservedBody {
    /// `meter` must observe.
    pub(super) const fn new(rewriter: Box<dyn Rewriter>, meter: RecordMeter, message: HttpMessage) -> Self {
        Self { rewriter: Some(rewriter), meter, is_overrun: false, message, out: Vec::new() }
    }

    /// Sets what is reported of a body of an unexpected shape.
    pub(super) fn on_shape(mut self, on_shape: OnUnexpectedShape) -> Self {
        self.meter = self.meter.on_shape(on_shape);
        self
    }

    pub(super) const fn meter_mut(&mut self) -> &mut RecordMeter {
        &mut self.meter
    }

    /// Reads a piece of the body.
    pub(super) fn feed(&mut self, input: &[u8], now: Moment) -> ObservedPiece {
        self.run(now, |rewriter, observer, out| rewriter.feed(input, observer, out))
    }

    /// Reads the end of the body, once.
    pub(super) fn finish(&mut self, now: Moment) -> ObservedPiece {
        let piece = self.run(now, |rewriter, observer, out| rewriter.finish(observer, out));
        self.rewriter = None;
        piece
    }

    fn run(
        &mut self,
        now: Moment,
        act: impl FnOnce(&mut dyn Rewriter, &mut dyn RewriteObserver, &mut Vec<u8>) -> Result<(), RewriteError>,
    ) -> ObservedPiece {
        let Some(rewriter) = &mut self.rewriter else { return ObservedPiece::default() };
        self.meter.begin(now);
        self.out.clear();
        let outcome = act(&mut **rewriter, &mut self.meter, &mut self.out);
        self.meter.keep();
        let mut piece = ObservedPiece { is_misshapen: self.meter.take_misshapen(), ..ObservedPiece::default() };
        if let Err(error) = outcome {
            self.rewriter = None;
            piece.would_deny[0] = Some(AbortReason::Untreatable(error).denial(self.message).reason);
        }
        if let Some(overrun) = self.meter.overrun().filter(|_| !self.is_overrun) {
            self.is_overrun = true;
            piece.would_deny[1] = Some(overrun.denial().reason);
        }
        piece
    }
}
