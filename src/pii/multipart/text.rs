//! The text of the open part: checked, and held where a rule needs it whole.

use crate::bounds::VALUE_BYTES_MAX;
use crate::pii::utf8::{Utf8Validator, not_utf8};
use crate::pii::{PieceTransform, RewriteError, RewriteResult};
use zeroize::Zeroizing;

/// The text of the open part.
#[derive(Default)]
pub(super) struct PartText {
    utf8: Utf8Validator,
    /// The text, where it is held.
    held: Zeroizing<Vec<u8>>,
    /// The treatment under way, where the treatment keeps nothing of the value: then the text is not held.
    pieces: Option<PieceTransform>,
    /// Offset of the part's body, for errors.
    start: u64,
}

impl PartText {
    /// A part begins at this offset.
    pub(super) fn begin(&mut self, pieces: Option<PieceTransform>, start: u64) {
        self.utf8 = Utf8Validator::default();
        self.held.clear();
        self.pieces = pieces;
        self.start = start;
    }

    /// Takes a piece of the text, and puts it out if it `passes`.
    ///
    /// # Errors
    /// [`RewriteError::Malformed`] when it is not UTF-8, [`RewriteError::Bound`] when it must be held and is too long.
    pub(super) fn push(&mut self, piece: &[u8], passes: bool, out: &mut Vec<u8>) -> RewriteResult {
        let good = self.utf8.push_all(piece);
        match &mut self.pieces {
            Some(pieces) => pieces.push_and_drain(&piece[..good], out),
            None if passes => out.extend_from_slice(&piece[..good]),
            None if self.held.len() + good > VALUE_BYTES_MAX => {
                return Err(RewriteError::Bound { bound: "a value", limit: VALUE_BYTES_MAX as u64 });
            }
            None => self.held.extend_from_slice(&piece[..good]),
        }
        if good == piece.len() { Ok(()) } else { Err(not_utf8(self.start)) }
    }

    /// The part ends.
    ///
    /// # Errors
    /// [`RewriteError::Malformed`] when its last character is not complete.
    pub(super) const fn finish(&self) -> RewriteResult {
        if self.utf8.is_whole() { Ok(()) } else { Err(not_utf8(self.start)) }
    }

    pub(super) fn take_pieces(&mut self) -> Option<PieceTransform> {
        self.pieces.take()
    }

    /// The text that has been held.
    pub(super) fn held(&self) -> &[u8] {
        &self.held
    }
}
