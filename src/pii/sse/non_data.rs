//! The lines of an event stream that are not data: comments, and the fields `event`, `id` and `retry`.
//!
//! They pass as they came; under detectors they are looked at, line by line; where only listed fields may pass they are left
//! out, since none of them is a field of the data. Never lets one through that the rules have not been asked about.

use crate::pii::{DetectStream, RewriteObserver};

/// What becomes of such lines.
#[derive(Debug)]
pub(super) struct NonDataLines {
    guard: Option<DetectStream>,
    /// Whether they are left out.
    pub(super) drops: bool,
    /// What of the open line may leave.
    pub(super) piece: Vec<u8>,
}

impl NonDataLines {
    pub(super) const fn new(guard: Option<DetectStream>, drops: bool) -> Self {
        Self { guard, drops, piece: Vec::new() }
    }

    /// Takes a piece of a line.
    pub(super) fn feed(&mut self, line: &[u8], observer: &mut dyn RewriteObserver) {
        match &mut self.guard {
            Some(guard) => guard.feed(line, observer, &mut self.piece),
            None => self.piece.extend_from_slice(line),
        }
    }

    /// Takes the end of the line.
    pub(super) fn end(&mut self, observer: &mut dyn RewriteObserver) {
        if let Some(guard) = &mut self.guard {
            guard.finish(observer, &mut self.piece);
        }
    }
}
