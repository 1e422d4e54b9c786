//! The open string, number or keyword, when its bytes are held until it is complete.
//!
//! A value of which the treatment keeps nothing may be longer than the bound on held values: what has been read of it
//! is then treated, and from there on each piece as it comes. Never lets a byte of such a value into the output.

use crate::bounds::VALUE_BYTES_MAX;
use crate::pii::{PieceTransform, RewriteError, RewriteResult};

use super::{context::JsonContext, secret_buffer::SecretBuffer, text};

/// The open token: whether it is held, and what earlier chunks had of it.
#[derive(Default)]
pub(in crate::pii::json) struct OpenToken {
    /// Its bytes are held until it is complete.
    pub(super) is_held: bool,
    /// It is a string with an escape in it.
    pub(super) escaped: bool,
    /// Where in the present chunk its text begins or goes on.
    from: usize,
    /// What earlier chunks had of it.
    held: SecretBuffer,
    /// Decoded text, of use only while one token is handled.
    pub(in crate::pii::json) decoded: SecretBuffer,
    /// The treatment under way, when the value is treated piece by piece.
    pieces: Option<PieceTransform>,
}

impl OpenToken {
    pub(super) fn reset(&mut self) {
        self.is_held = false;
        self.held.clear();
        self.decoded.clear();
        self.pieces = None;
    }

    /// A new chunk begins, and the token goes on in it.
    pub(super) fn begin_chunk(&mut self) {
        self.from = 0;
    }

    /// A token begins; its text begins at `from`.
    #[inline]
    pub(super) fn begin(&mut self, is_held: bool, from: usize) {
        self.is_held = is_held;
        self.escaped = false;
        self.from = from;
    }

    /// What the present chunk has of the token's text; nothing, when the token is not held.
    #[inline]
    pub(super) fn part<'c>(&self, end: usize, chunk: &'c [u8]) -> &'c [u8] {
        if self.is_held { &chunk[self.from..end] } else { b"" }
    }

    /// The length of the held text with this part of it.
    #[inline]
    pub(super) fn length_with(&self, part: &[u8]) -> usize {
        self.held.len() + part.len()
    }

    /// The chunk ends inside the token: holds its part.
    pub(super) fn hold(&mut self, part: &[u8]) {
        self.held.push(part);
    }

    /// The token is complete with this part: its text as it is in the document, and the buffer to decode it into.
    #[inline]
    pub(super) fn complete<'t>(&'t mut self, part: &'t [u8]) -> (&'t [u8], &'t mut SecretBuffer) {
        self.is_held = false;
        if self.held.len() == 0 {
            return (part, &mut self.decoded);
        }
        self.held.push(part);
        (self.held.as_slice(), &mut self.decoded)
    }

    /// The token is done with: wipes what was held of it.
    #[inline]
    pub(super) fn release(&mut self) {
        self.is_held = false;
        self.held.clear();
        self.decoded.clear();
    }

    /// Whether the value must be treated piece by piece from here on: it has begun to be, or it would be too long to
    /// be held.
    #[inline]
    pub(super) fn needs_pieces(&self, part: &[u8]) -> bool {
        self.pieces.is_some() || self.length_with(part) > VALUE_BYTES_MAX
    }

    /// Treats the next piece of the value; `ends` with the last one. `rule` is the one that treats it, if only a rule
    /// needs it.
    ///
    /// # Errors
    /// [`RewriteError::Bound`] when the rule's treatment keeps some of the value, which must then be held whole.
    pub(super) fn treat_piece(
        &mut self,
        rule: Option<usize>,
        part: &[u8],
        ends: bool,
        context: &mut JsonContext<'_>,
    ) -> RewriteResult {
        let pieces = match &mut self.pieces {
            Some(pieces) => pieces,
            None => {
                let Some(pieces) = rule.and_then(|rule| context.transform.begin_pieces(rule)) else {
                    return Err(RewriteError::Bound { bound: "a value to be treated", limit: VALUE_BYTES_MAX as u64 });
                };
                context.out.push(b'"');
                self.pieces.insert(pieces)
            }
        };
        self.held.push(part);
        let raw = self.held.as_slice();
        let ready = if ends { raw.len() } else { text::whole_escapes(raw) };
        // Half of a surrogate pair is decoded like any other character: nothing of the value is kept.
        let _ = text::unescape(&raw[..ready], &mut self.decoded);
        pieces.push_and_drain(self.decoded.as_slice(), context.out);
        self.decoded.clear();
        self.held.drop_front(ready);
        Ok(())
    }

    /// The last piece of the value has been treated: puts out the end of what takes its place.
    pub(super) fn finish_pieces(&mut self, rule: Option<usize>, context: &mut JsonContext<'_>) {
        self.is_held = false;
        if let (Some(pieces), Some(rule)) = (self.pieces.take(), rule) {
            context.transform.finish_pieces(rule, pieces, context.out);
            context.out.push(b'"');
            context.observer.on_treated(rule);
        }
    }
}
