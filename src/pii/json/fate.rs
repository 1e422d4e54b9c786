//! What becomes of each value: the decisions of the byte engine, and their execution.
//!
//! A value's fate is decided at its first byte and executed after its last. Until the decision, its comma and key
//! wait in the lead; until the execution, its own bytes go nowhere.

use crate::bounds::{DOCUMENT_DEPTH_MAX, KEY_BYTES_MAX, PENDING_SEPARATOR_BYTES_MAX, VALUE_BYTES_MAX};
use crate::pii::clear::PathTracker;
use crate::pii::{Replacement, RewriteError, SelectedValue, ValueKind};

use super::{
    engine::{ExactReader, too_deep},
    machine::{ByteSink, JsonFrame, JsonMode, PendingValue, ValueAction},
    matcher::{ChildNeeds, JsonType, NO_PATH},
    scalar,
    skim::Skim,
    text,
};

impl ExactReader<'_, '_> {
    /// A container begins at the present byte.
    pub(super) fn open(&mut self, of: JsonType) -> Result<(), RewriteError> {
        let depth = self.state.depth;
        let state = self.state.value;
        if self.context.matcher.state(state).subject && self.state.subject_depth.is_none() {
            self.state.subject_depth = Some(depth);
            self.state.subject_buffer.clear();
            self.subject_from = self.pos;
        }
        let fate = self.decide(of)?;
        if fate == ValueAction::Pass {
            self.pos += 1;
            return self.enter(of, state);
        }
        self.switch_sink(ByteSink::Discard, self.pos);
        self.pos += 1;
        self.state.pending_drop = Some(fate);
        self.push(JsonFrame { state: NO_PATH, object: of == JsonType::Object, ..JsonFrame::default() })?;
        self.state.mode = JsonMode::Skip(Skim::new(DOCUMENT_DEPTH_MAX - self.state.depth));
        Ok(())
    }

    /// Goes into a container, whose opening bracket has been read.
    #[inline]
    pub(super) fn enter(&mut self, of: JsonType, state: u16) -> Result<(), RewriteError> {
        let object = of == JsonType::Object;
        let place = self.context.matcher.state(state);
        let ChildNeeds { holds_keys: holds, fast_entry: leaps, .. } =
            if object { place.members } else { place.elements };
        self.push(JsonFrame { state, object, has_kept: false, holds_keys: holds, fast_entry: leaps, index: 0 })?;
        if holds {
            self.switch_sink(ByteSink::Pending, self.pos);
        }
        if object {
            self.state.mode = JsonMode::FirstKey;
        } else {
            self.state.mode = JsonMode::FirstElement;
            self.state.value = self.context.matcher.element(state, 0);
        }
        Ok(())
    }

    fn push(&mut self, frame: JsonFrame) -> Result<(), RewriteError> {
        if let Some(trail) = &mut self.state.trail {
            trail.open(frame.object);
        }
        if self.state.push(frame) { Ok(()) } else { Err(too_deep()) }
    }

    /// The innermost container ends at the present byte.
    pub(super) fn close(&mut self) -> Result<(), RewriteError> {
        if self.state.sink == ByteSink::Pending {
            // Nothing but space: the container had no member.
            self.check_pending(PENDING_SEPARATOR_BYTES_MAX)?;
            self.switch_sink(ByteSink::Out, self.pos);
            self.context.out.append(&mut self.state.pending_separator);
        }
        self.pos += 1;
        self.state.depth -= 1;
        self.state.trail.iter_mut().for_each(PathTracker::close);
        let depth = self.state.depth;
        if self.state.subject_depth == Some(depth) {
            self.hold_subject(self.pos);
            self.state.subject_depth = None;
            self.context.observer.on_subject(self.state.subject_buffer.as_slice());
            self.state.subject_buffer.clear();
        }
        if let Some(fate) = self.state.pending_drop.take() {
            self.execute(fate, ValueKind::Container, b"", b"")?;
            self.switch_sink(ByteSink::Out, self.pos);
        }
        self.after_value();
        Ok(())
    }

    /// A scalar begins at the present byte.
    #[inline]
    pub(super) fn begin_scalar(&mut self, of: JsonType) -> Result<(), RewriteError> {
        self.state.pending_value = None;
        self.state.holds_token = false;
        let unasked = self.state.sink == ByteSink::Out
            && self.state.depth > 0
            && !self.context.matcher.summary(self.state.value).needs_decision;
        if unasked {
            return Ok(());
        }
        let fate = self.decide(of)?;
        let named = self.context.matcher.state(self.state.value).subject;
        let subject = named && of != JsonType::Null && self.state.subject_depth.is_none();
        if fate == ValueAction::Pass && !subject {
            return Ok(());
        }
        self.switch_sink(ByteSink::Discard, self.pos);
        self.state.pending_value = Some(PendingValue { fate, subject });
        self.state.holds_token = subject || matches!(fate, ValueAction::Treat(_));
        self.token_from = self.pos + usize::from(of == JsonType::String);
        Ok(())
    }

    /// Decides at a value's first byte, and lets its comma and key go their way.
    fn decide(&mut self, of: JsonType) -> Result<ValueAction, RewriteError> {
        let matcher = self.context.matcher;
        let state = matcher.state(self.state.value);
        let choice = state.choice(of);
        let root = self.state.depth == 0;
        let shell = root && matches!(of, JsonType::Object | JsonType::Array);
        let dropping = choice.filter(|choice| choice.drops);
        if state.is_on_records_path() || (root && matcher.row_types.is_some()) {
            self.check_shape(state, of)?;
        }
        if dropping.is_some() || !(state.keeps(of) || shell) {
            let rule = dropping.map(|choice| choice.rule);
            self.discard_pending()?;
            return Ok(if root { ValueAction::ReplaceByNull(rule) } else { ValueAction::Drop(rule) });
        }
        self.check_pending(PENDING_SEPARATOR_BYTES_MAX)?;
        if state.record {
            self.context.observer.on_record()?;
        }
        self.release_pending();
        Ok(choice.filter(|_| of != JsonType::Null).map_or(ValueAction::Pass, |choice| ValueAction::Treat(choice.rule)))
    }

    fn discard_pending(&mut self) -> Result<(), RewriteError> {
        if self.state.sink == ByteSink::Pending {
            self.check_pending(PENDING_SEPARATOR_BYTES_MAX)?;
            self.state.pending_separator.clear();
            self.from = self.pos;
            self.state.sink = ByteSink::Discard;
        }
        Ok(())
    }

    /// The lead may leave, with its comma where one is needed.
    fn release_pending(&mut self) {
        if self.state.sink != ByteSink::Pending {
            return;
        }
        self.switch_sink(ByteSink::Out, self.pos);
        let comes_first = self.state.frame_mut().is_some_and(|frame| !std::mem::replace(&mut frame.has_kept, true));
        let lead = self.state.pending_separator.as_slice();
        let lead = if comes_first { lead.strip_prefix(b",").unwrap_or(lead) } else { lead };
        self.context.out.extend_from_slice(lead);
        self.state.pending_separator.clear();
    }

    /// A key has ended; its closing quote stands at `end`.
    #[inline]
    pub(super) fn end_key(&mut self, end: usize) -> Result<(), RewriteError> {
        self.state.mode = JsonMode::Colon;
        let place = self.state.place();
        if !self.state.holds_token {
            self.state.value = self.context.matcher.member(place, None);
            return Ok(());
        }
        let part = &self.input[self.token_from..end];
        if self.state.held.len() + part.len() > KEY_BYTES_MAX {
            return self.give_up_key();
        }
        if self.state.held.len() == 0 && !self.state.escaped {
            self.state.value = self.context.matcher.member(place, Some(part));
            self.state.holds_token = false;
            self.state.trail.iter_mut().for_each(|trail| trail.enter_member(Some(part)));
            return Ok(());
        }
        let mut held = std::mem::take(&mut self.state.held);
        let raw = whole(&mut held, part);
        let name = if !self.state.escaped {
            Some(raw)
        } else {
            text::unescape(raw, &mut self.state.text).ok().map(|()| self.state.text.as_slice())
        };
        self.state.value = self.context.matcher.member(place, name);
        self.state.holds_token = false;
        self.state.trail.iter_mut().for_each(|trail| trail.enter_member(name));
        held.clear();
        self.state.held = held;
        Ok(())
    }

    /// The key is longer than any listed name, so that its member's fate can be known without the rest of it.
    pub(super) fn give_up_key(&mut self) -> Result<(), RewriteError> {
        self.state.value = self.context.matcher.member(self.state.place(), None);
        self.state.holds_token = false;
        self.state.trail.iter_mut().for_each(|trail| trail.enter_member(None));
        self.state.held.clear();
        let state = self.context.matcher.state(self.state.value);
        if state.always_passes() || self.state.sink != ByteSink::Pending {
            self.release_pending();
            Ok(())
        } else if state.always_drops() {
            self.state.pending_separator.clear();
            self.from = self.pos;
            self.state.sink = ByteSink::Discard;
            Ok(())
        } else {
            Err(RewriteError::Bound { bound: "a key", limit: KEY_BYTES_MAX as u64 })
        }
    }

    /// A scalar has ended; `end` is one past its text.
    #[inline]
    pub(super) fn end_scalar(&mut self, end: usize) -> Result<(), RewriteError> {
        let Some(take) = self.state.pending_value.take() else {
            if !matches!(self.state.mode, JsonMode::Keyword(b"null", _)) {
                self.report_clear();
            }
            self.after_value();
            return Ok(());
        };
        let kind = match self.state.mode {
            JsonMode::Text(_) => ValueKind::String,
            JsonMode::Number(_) => ValueKind::Number,
            JsonMode::Keyword(b"null", _) => ValueKind::Null,
            _ => ValueKind::Boolean,
        };
        let part = if self.state.holds_token { &self.input[self.token_from..end] } else { b"" };
        if self.state.pieces.is_some() || self.state.held.len() + part.len() > VALUE_BYTES_MAX {
            return self.end_pieces(take, part);
        }
        self.state.holds_token = false;
        let mut held = std::mem::take(&mut self.state.held);
        let raw = whole(&mut held, part);
        let done = self.settle_scalar(take, kind, raw);
        held.clear();
        self.state.held = held;
        done?;
        self.switch_sink(ByteSink::Out, self.pos);
        self.after_value();
        Ok(())
    }

    /// Treats a string without escapes that a rule selects; it stands between these places, quotes and all.
    pub(super) fn treat_text(&mut self, rule: usize, from: usize, end: usize) -> Result<(), RewriteError> {
        self.switch_sink(ByteSink::Discard, from);
        self.pos = end;
        let raw = &self.input[from + 1..end - 1];
        self.execute(ValueAction::Treat(rule), ValueKind::String, raw, raw)?;
        self.switch_sink(ByteSink::Out, end);
        self.state.mode = JsonMode::After;
        Ok(())
    }

    fn settle_scalar(&mut self, take: PendingValue, kind: ValueKind, raw: &[u8]) -> Result<(), RewriteError> {
        if !(self.state.escaped && kind == ValueKind::String) || raw.is_empty() {
            return self.report_scalar(take, kind, raw, raw);
        }
        let mut decoded = std::mem::take(&mut self.state.text);
        let done = match text::unescape(raw, &mut decoded) {
            Ok(()) => self.report_scalar(take, kind, raw, decoded.as_slice()),
            Err(text::LoneSurrogate) => self.report_half_pair(take, kind, raw, decoded.as_slice()),
        };
        decoded.clear();
        self.state.text = decoded;
        done
    }

    pub(super) fn report_scalar(
        &mut self,
        take: PendingValue,
        kind: ValueKind,
        raw: &[u8],
        decoded: &[u8],
    ) -> Result<(), RewriteError> {
        if take.subject {
            self.context.observer.on_subject(decoded);
        }
        self.execute(take.fate, kind, raw, decoded)
    }

    /// Does to a complete value what was decided at its start.
    fn execute(&mut self, fate: ValueAction, kind: ValueKind, raw: &[u8], decoded: &[u8]) -> Result<(), RewriteError> {
        let rule = match fate {
            ValueAction::Pass => {
                let quote: &[u8] = if kind == ValueKind::String { b"\"" } else { b"" };
                [quote, raw, quote].iter().for_each(|part| self.context.out.extend_from_slice(part));
                if kind != ValueKind::Null {
                    self.report_clear();
                }
                None
            }
            ValueAction::Treat(rule) => {
                self.write_treated(rule, SelectedValue { kind, text: decoded }, raw)?.then_some(rule)
            }
            ValueAction::Drop(rule) => rule,
            ValueAction::ReplaceByNull(rule) => {
                self.context.out.extend_from_slice(b"null");
                rule
            }
        };
        if let Some(rule) = rule {
            self.context.observer.on_treated(rule);
        }
        Ok(())
    }

    /// The value at the present place leaves as it came. One that is null tells nothing.
    fn report_clear(&mut self) {
        if let Some(trail) = &self.state.trail {
            self.context.observer.on_clear_path(trail.current_path());
        }
    }

    /// Writes what a treatment makes of a value; whether it counts as treated.
    fn write_treated(&mut self, rule: usize, value: SelectedValue<'_>, raw: &[u8]) -> Result<bool, RewriteError> {
        let mut untouched = false;
        let out = &mut *self.context.out;
        let start = out.len();
        out.push(b'"');
        let written = self.context.treat.defer(rule, value, out, self.context.batch).and_then(|shape| match shape {
            Replacement::Text => {
                text::escape_from(out, start + 1)?;
                out.push(b'"');
                Ok(true)
            }
            Replacement::Unchanged { counted } if value.kind == ValueKind::String => {
                out.extend_from_slice(raw);
                out.push(b'"');
                untouched = true;
                Ok(counted)
            }
            Replacement::Unchanged { counted } if value.kind == ValueKind::Number => {
                out.truncate(start);
                out.extend_from_slice(raw);
                untouched = true;
                Ok(counted)
            }
            Replacement::Unchanged { .. } => {
                Err(RewriteError::Untreatable { what: "only a string or a number can be left as it came" })
            }
            Replacement::Literal if scalar::is_literal(&out[start + 1..]) => {
                out.remove(start);
                Ok(true)
            }
            Replacement::Literal => {
                Err(RewriteError::Untreatable { what: "a treatment made a literal that JSON does not have" })
            }
        });
        if written.is_err() {
            out.truncate(start);
        }
        if untouched {
            self.report_clear();
        }
        written
    }

    /// Holds what has been read of the container that identifies a subject, as far as its bound.
    pub(super) fn hold_subject(&mut self, end: usize) {
        let room = VALUE_BYTES_MAX - self.state.subject_buffer.len();
        let part = &self.input[self.subject_from..end];
        self.state.subject_buffer.push(&part[..part.len().min(room)]);
        self.subject_from = end;
    }

    #[inline]
    fn after_value(&mut self) {
        self.state.mode = if self.state.depth == 0 { JsonMode::End } else { JsonMode::After };
    }
}

/// A token that earlier chunks may have begun.
fn whole<'a>(held: &'a mut super::held::SecretBuffer, part: &'a [u8]) -> &'a [u8] {
    if held.len() == 0 {
        return part;
    }
    held.push(part);
    held.as_slice()
}
