//! The interface between an engine and the treatments: the engine selects and decodes a value, a [`Transform`] says
//! what takes its place, and the engine quotes and escapes that.

use super::rewriter::RewriteResult;
use super::treatment::{DeferredBatch, PieceTransform};

/// Applies treatments to the values that an engine has selected and decoded. `rule` is the number of a rule, as
/// [`super::Plan::rules`] counts them.
pub trait Transform: Send + Sync {
    /// Whether the rule leaves its member out, so that the engine leaves out the key and the comma too.
    fn drops_member(&self, rule: usize) -> bool;

    /// Appends to `out` the text that takes the value's place: unquoted and unescaped, since that is the engine's task.
    ///
    /// # Errors
    /// [`crate::pii::RewriteError::Untreatable`]; the raw value must then not leave.
    fn transform(&self, rule: usize, value: SelectedValue<'_>, out: &mut Vec<u8>) -> RewriteResult<Replacement>;

    /// Begins the treatment of a value that comes piece by piece, with the same result as [`Transform::transform`] of
    /// the whole value. `None` where the rule keeps a part of the value: it then needs the whole value, which is
    /// bounded.
    fn begin_pieces(&self, _rule: usize) -> Option<PieceTransform> {
        None
    }

    /// Appends the rest of the result of a value that came piece by piece.
    fn finish_pieces(&self, _rule: usize, _pieces: PieceTransform, _out: &mut Vec<u8>) {}

    /// Whether the rule accepts a text that is not UTF-8, such as half of a surrogate pair.
    fn accepts_any_bytes(&self, _rule: usize) -> bool {
        false
    }

    /// As [`Transform::transform`], but the appended bytes may be placeholders until [`Transform::complete_deferred`]:
    /// as many bytes as the result has, and none that an engine must escape. An engine that calls this must complete
    /// the batch before it returns, also before it returns an error, and must not move the bytes in `out` until then.
    ///
    /// # Errors
    /// As [`Transform::transform`].
    fn defer(
        &self,
        rule: usize,
        value: SelectedValue<'_>,
        out: &mut Vec<u8>,
        _batch: &mut DeferredBatch,
    ) -> RewriteResult<Replacement> {
        self.transform(rule, value, out)
    }

    /// Replaces in `out` the placeholders that [`Transform::defer`] has left.
    fn complete_deferred(&self, _batch: &mut DeferredBatch, _out: &mut [u8]) {}
}

/// A value that a rule selects. `Debug` prints its kind and length alone, since its text must not be printed.
#[derive(Clone, Copy)]
pub struct SelectedValue<'a> {
    /// What it is in its document.
    pub kind: ValueKind,
    /// The decoded text of a string; the lexeme of a number, boolean or null; empty for a container.
    pub text: &'a [u8],
}

impl std::fmt::Debug for SelectedValue<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} of {} bytes", self.kind, self.text.len())
    }
}

/// What a value is in its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Text, quoted where the format quotes.
    String,
    /// A number's lexeme.
    Number,
    /// `true` or `false`.
    Boolean,
    /// `null`: passes as it is unless its rule drops it.
    Null,
    /// An object or array: redacted whole by every treatment of values.
    Container,
}

/// How the engine writes the text that a treatment appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// As a string, quoted and escaped.
    Text,
    /// As a bare literal: a number or `null`.
    Literal,
    /// Nothing was appended: the value passes as it came, byte for byte.
    Unchanged {
        /// Whether the value counts as treated all the same.
        counted: bool,
    },
}
