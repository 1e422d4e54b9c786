//! The lines of an event stream that are not data: comments, and the fields `event`, `id` and `retry`.
//!
//! They pass as they came, or with what detectors find in them treated. Under an allow-list they are dropped, since
//! none of them is a listed field of the data.

use crate::pii::{DetectStream, RewriteObserver};

/// The rules for these lines, and the open one.
#[derive(Debug)]
pub(super) struct NonDataLines {
    detection: Option<DetectStream>,
    /// Whether such lines are dropped.
    pub(super) drops: bool,
    /// What may leave of the open line.
    pub(super) piece: Vec<u8>,
}

impl NonDataLines {
    pub(super) const fn new(detection: Option<DetectStream>, drops: bool) -> Self {
        Self { detection, drops, piece: Vec::new() }
    }

    /// Takes a piece of a line.
    pub(super) fn feed(&mut self, line: &[u8], observer: &mut dyn RewriteObserver) {
        match &mut self.detection {
            Some(detection) => detection.feed(line, observer, &mut self.piece),
            None => self.piece.extend_from_slice(line),
        }
    }

    /// Takes the end of the line.
    pub(super) fn end(&mut self, observer: &mut dyn RewriteObserver) {
        if let Some(detection) = &mut self.detection {
            detection.finish(observer, &mut self.piece);
        }
    }
}
