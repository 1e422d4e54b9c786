//! The element whose text a rule treats: what has been read of it.

use crate::bounds::VALUE_BYTES_MAX;
use crate::pii::{PieceTransform, RewriteError, RewriteResult, SelectedValue, ValueKind};
use zeroize::Zeroizing;

/// The text of the selected element that is open.
#[derive(Default)]
pub(super) struct HeldElement {
    /// Its decoded text.
    text: Zeroizing<Vec<u8>>,
    /// The treatment under way, where the treatment keeps nothing of the value: then the text is not held.
    pieces: Option<PieceTransform>,
    /// Whether it has elements within: then it is replaced as a whole, and no text of it is needed.
    has_elements: bool,
}

impl HeldElement {
    /// A selected element begins.
    pub(super) fn begin(&mut self, pieces: Option<PieceTransform>) {
        self.text.clear();
        self.has_elements = false;
        self.pieces = pieces;
    }

    /// An element begins within it.
    pub(super) fn add_element(&mut self) {
        self.has_elements = true;
        self.text.clear();
    }

    /// Takes a piece of its decoded text.
    ///
    /// # Errors
    /// [`RewriteError::Bound`] when the text must be held and is too long.
    pub(super) fn push(&mut self, decoded: &[u8], out: &mut Vec<u8>) -> RewriteResult {
        match &mut self.pieces {
            _ if self.has_elements => Ok(()),
            Some(pieces) => {
                pieces.push(decoded);
                if pieces.ready_bytes() > VALUE_BYTES_MAX {
                    pieces.drain(out);
                }
                Ok(())
            }
            None => hold(&mut self.text, decoded),
        }
    }

    /// The treatment under way, if its result takes the element's place.
    pub(super) fn take_pieces(&mut self) -> Option<PieceTransform> {
        self.pieces.take().filter(|_| !self.has_elements)
    }

    /// The element as a value to be treated.
    pub(super) fn value(&self) -> SelectedValue<'_> {
        let kind = if self.has_elements { ValueKind::Container } else { ValueKind::String };
        SelectedValue { kind, text: &self.text }
    }
}

/// Appends decoded text to a value that is held.
///
/// # Errors
/// [`RewriteError::Bound`] when the value is too long.
pub(super) fn hold(value: &mut Vec<u8>, decoded: &[u8]) -> RewriteResult {
    if value.len() + decoded.len() > VALUE_BYTES_MAX {
        return Err(RewriteError::Bound { bound: "a value", limit: VALUE_BYTES_MAX as u64 });
    }
    value.extend_from_slice(decoded);
    Ok(())
}
