//! What the engine works with besides its state, and what it does with a value that is complete.

use crate::pii::clear::PathTracker;
use crate::pii::json::{fast::JsonEngine, matcher::Matcher};
use crate::pii::{
    DeferredBatch, Replacement, RewriteError, RewriteObserver, RewriteResult, SelectedValue, Transform, ValueKind,
};

use super::{scalar, state::ValueAction, text};

/// What the engine works with besides its state: the same for all chunks of one call.
pub(in crate::pii::json) struct JsonContext<'a> {
    pub(in crate::pii::json) engine: JsonEngine,
    pub(in crate::pii::json) matcher: &'a Matcher,
    pub(in crate::pii::json) transform: &'a dyn Transform,
    pub(in crate::pii::json) observer: &'a mut dyn RewriteObserver,
    pub(in crate::pii::json) out: &'a mut Vec<u8>,
    /// Values whose place in `out` is reserved, and filled before the call returns.
    pub(in crate::pii::json) batch: &'a mut DeferredBatch,
}

/// A value that is complete, and what is done with it.
#[derive(Clone, Copy)]
pub(super) struct CompleteValue<'a> {
    pub(super) action: ValueAction,
    /// It identifies a subject.
    pub(super) is_subject: bool,
    pub(super) kind: ValueKind,
    /// Its text as it is in the document, without quotes; empty for a container.
    pub(super) raw: &'a [u8],
    pub(super) decoded: &'a [u8],
    /// Its path, where the observer wants to know what leaves untreated.
    pub(super) path: Option<&'a PathTracker>,
}

/// What a treatment has made of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Replaced,
    /// The value leaves as it came, and may count as treated all the same.
    Unchanged {
        counted: bool,
    },
}

impl JsonContext<'_> {
    /// Reports a scalar that identifies a subject, and does what was decided at its first byte.
    pub(super) fn put_scalar(&mut self, value: CompleteValue<'_>) -> RewriteResult {
        if value.is_subject {
            self.observer.on_subject(value.decoded);
        }
        self.put(value)
    }

    /// As [`Self::put_scalar`], for a string with half of a surrogate pair in it: that is no text to a treatment which
    /// keeps some of it. `at` is the string's end in the document.
    ///
    /// # Errors
    /// [`RewriteError::Malformed`] when the rule's treatment keeps some of the value.
    pub(super) fn put_with_half_pair(&mut self, value: CompleteValue<'_>, at: u64) -> RewriteResult {
        let ValueAction::Treat(rule) = value.action else { return self.put_scalar(value) };
        let Some(mut pieces) = self.transform.begin_pieces(rule) else {
            return match self.transform.accepts_any_bytes(rule) {
                true => self.put_scalar(value),
                false => {
                    let what = "half a surrogate pair in a value of which some is kept";
                    Err(RewriteError::Malformed { what, at })
                }
            };
        };
        if value.is_subject {
            self.observer.on_subject(value.decoded);
        }
        pieces.push(value.decoded);
        self.out.push(b'"');
        pieces.drain(self.out);
        self.transform.finish_pieces(rule, pieces, self.out);
        self.out.push(b'"');
        self.observer.on_treated(rule);
        Ok(())
    }

    /// Does with a complete value what was decided at its first byte.
    pub(super) fn put(&mut self, value: CompleteValue<'_>) -> RewriteResult {
        let rule = match value.action {
            ValueAction::Pass => {
                let quote: &[u8] = if value.kind == ValueKind::String { b"\"" } else { b"" };
                [quote, value.raw, quote].iter().for_each(|part| self.out.extend_from_slice(part));
                if value.kind != ValueKind::Null {
                    self.report_clear(value.path);
                }
                None
            }
            ValueAction::Treat(rule) => self.put_treated(rule, value)?.then_some(rule),
            ValueAction::Drop(rule) => rule,
            ValueAction::ReplaceByNull(rule) => {
                self.out.extend_from_slice(b"null");
                rule
            }
        };
        if let Some(rule) = rule {
            self.observer.on_treated(rule);
        }
        Ok(())
    }

    /// Reports that the value at this path leaves as it came.
    pub(super) fn report_clear(&mut self, path: Option<&PathTracker>) {
        if let Some(path) = path {
            self.observer.on_clear_path(path.current_path());
        }
    }

    /// Puts out what a treatment makes of a value; says whether it counts as treated.
    fn put_treated(&mut self, rule: usize, value: CompleteValue<'_>) -> RewriteResult<bool> {
        let start = self.out.len();
        self.out.push(b'"');
        let selected = SelectedValue { kind: value.kind, text: value.decoded };
        let made = self.transform.defer(rule, selected, self.out, self.batch);
        match made.and_then(|made| close_value(made, value, start, self.out)) {
            Ok(Written::Replaced) => Ok(true),
            Ok(Written::Unchanged { counted }) => {
                self.report_clear(value.path);
                Ok(counted)
            }
            Err(error) => {
                self.out.truncate(start);
                Err(error)
            }
        }
    }
}

/// Makes a JSON value of what a treatment has appended to `out`, where a quote is at `start`.
fn close_value(made: Replacement, value: CompleteValue<'_>, start: usize, out: &mut Vec<u8>) -> RewriteResult<Written> {
    match made {
        Replacement::Text => {
            text::escape_from(out, start + 1)?;
            out.push(b'"');
            Ok(Written::Replaced)
        }
        Replacement::Unchanged { counted } if value.kind == ValueKind::String => {
            out.extend_from_slice(value.raw);
            out.push(b'"');
            Ok(Written::Unchanged { counted })
        }
        Replacement::Unchanged { counted } if value.kind == ValueKind::Number => {
            out.truncate(start);
            out.extend_from_slice(value.raw);
            Ok(Written::Unchanged { counted })
        }
        Replacement::Unchanged { .. } => {
            Err(RewriteError::Untreatable { what: "only a string or a number can be left as it came" })
        }
        Replacement::Literal if scalar::is_literal(&out[start + 1..]) => {
            out.remove(start);
            Ok(Written::Replaced)
        }
        Replacement::Literal => {
            Err(RewriteError::Untreatable { what: "a treatment made a literal that JSON does not have" })
        }
    }
}
