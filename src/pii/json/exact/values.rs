//! The decisions about values: what is done with each, and where its bytes go.
//!
//! The reader reports what it reads (a key, the beginning and the end of a scalar or a container) with its place in
//! the chunk. What is done with a value is decided at its first byte and done after its last. Until the decision its
//! comma and key wait as the pending separator; from the decision on, the value's own bytes are discarded, unless it
//! passes.

use crate::bounds::{DOCUMENT_DEPTH_MAX, KEY_BYTES_MAX, PENDING_SEPARATOR_BYTES_MAX};
use crate::pii::clear::PathTracker;
use crate::pii::json::{
    fast::ContainerSkip,
    matcher::{ChildNeeds, JsonType, MatchState, NO_PATH, StateId},
};
use crate::pii::{RewriteError, RewriteResult, ValueKind};

use super::{
    context::{CompleteValue, JsonContext},
    output::ByteSink,
    state::{JsonFrame, JsonMode, PendingValue, ValueAction, ValueState},
    text,
};

/// More containers are open than may be.
pub(super) fn too_deep() -> RewriteError {
    RewriteError::Bound { bound: "the depth of the document", limit: DOCUMENT_DEPTH_MAX as u64 }
}

/// Decides about the values of one chunk. All places are offsets in it.
pub(in crate::pii::json) struct ValueHandler<'a, 'd> {
    pub(in crate::pii::json) state: &'a mut ValueState,
    pub(in crate::pii::json) context: &'a mut JsonContext<'d>,
    pub(in crate::pii::json) chunk: &'a [u8],
}

impl<'a, 'd> ValueHandler<'a, 'd> {
    pub(super) fn new(state: &'a mut ValueState, context: &'a mut JsonContext<'d>, chunk: &'a [u8]) -> Self {
        if state.path.is_none() && context.observer.wants_clear_paths() {
            state.path = Some(PathTracker::default());
        }
        state.route.begin_chunk();
        state.token.begin_chunk();
        state.subject.begin_chunk();
        Self { state, context, chunk }
    }

    /// The chunk ends at `end`, where the reader stopped: sends all of it to its sink, and holds what is not complete.
    ///
    /// # Errors
    /// [`RewriteError::Bound`] when what is held is longer than its bound.
    pub(super) fn end_chunk(&mut self, end: usize, in_key: bool) -> RewriteResult {
        if self.state.token.is_held {
            self.hold_token(end, in_key)?;
        }
        self.state.subject.hold(end, self.chunk);
        let checked = if in_key { Ok(()) } else { self.state.route.check(end, PENDING_SEPARATOR_BYTES_MAX) };
        self.switch_sink(self.state.route.sink(), end);
        checked
    }

    fn hold_token(&mut self, end: usize, in_key: bool) -> RewriteResult {
        let ValueState { token, pending_value, .. } = &mut *self.state;
        let part = token.part(end, self.chunk);
        if in_key && token.length_with(part) > KEY_BYTES_MAX {
            return self.give_up_key(end);
        }
        if token.needs_pieces(part) {
            let rule = pending_value.and_then(PendingValue::rule_alone);
            return token.treat_piece(rule, part, false, self.context);
        }
        token.hold(part);
        Ok(())
    }

    /// A comma at `at` ends a member or element. Says whether the container is an object, and whether its keys are
    /// held.
    #[inline]
    pub(super) fn begin_item(&mut self, at: usize) -> Option<(bool, bool)> {
        let frame = self.state.stack.top_mut()?;
        frame.index = frame.index.saturating_add(1);
        let JsonFrame { state, object, holds_keys, index, .. } = *frame;
        if !object {
            self.state.value = self.context.matcher.element(state, index);
        }
        if holds_keys {
            self.switch_sink(ByteSink::Pending, at);
        }
        Some((object, holds_keys))
    }

    /// The opening quote of a key is at `at`.
    #[inline]
    pub(super) fn begin_key(&mut self, at: usize) -> RewriteResult {
        let holds_keys = self.state.stack.top().is_some_and(|frame| frame.holds_keys);
        let names_matter = self.context.matcher.summary(self.state.stack.top_state()).names_matter;
        self.state.route.check(at, PENDING_SEPARATOR_BYTES_MAX - KEY_BYTES_MAX)?;
        self.state.token.begin(holds_keys || names_matter || self.state.path.is_some(), at + 1);
        Ok(())
    }

    /// The closing quote of a key is at `end`.
    #[inline]
    pub(super) fn end_key(&mut self, end: usize) -> RewriteResult {
        let ValueState { stack, token, path, value, .. } = &mut *self.state;
        let (matcher, container) = (self.context.matcher, stack.top_state());
        if !token.is_held {
            *value = matcher.member(container, None);
            return Ok(());
        }
        let part = token.part(end, self.chunk);
        if token.length_with(part) > KEY_BYTES_MAX {
            return self.give_up_key(end + 1);
        }
        let escaped = token.escaped;
        let (raw, decoded) = token.complete(part);
        let name = text::decode_name(raw, escaped, decoded);
        *value = matcher.member(container, name);
        if let Some(path) = path {
            path.enter_member(name);
        }
        token.release();
        Ok(())
    }

    /// The key is longer than any listed name, so that its member can be decided about without the rest of it.
    fn give_up_key(&mut self, at: usize) -> RewriteResult {
        self.state.value = self.context.matcher.member(self.state.stack.top_state(), None);
        self.state.token.release();
        if let Some(path) = &mut self.state.path {
            path.enter_member(None);
        }
        let matched = self.context.matcher.state(self.state.value);
        if matched.always_passes() || self.state.route.sink() != ByteSink::Pending {
            self.release_pending(at);
            Ok(())
        } else if matched.always_drops() {
            self.state.route.discard(at);
            Ok(())
        } else {
            Err(RewriteError::Bound { bound: "a key", limit: KEY_BYTES_MAX as u64 })
        }
    }

    /// A container begins at `at`: decides about it.
    pub(super) fn begin_container(&mut self, of: JsonType, at: usize) -> RewriteResult<ValueAction> {
        if self.context.matcher.state(self.state.value).subject && self.state.subject.depth().is_none() {
            self.state.subject.begin(self.state.stack.depth, at);
        }
        let action = self.decide(of, at)?;
        if action != ValueAction::Pass {
            self.switch_sink(ByteSink::Discard, at);
        }
        Ok(action)
    }

    /// Goes into a container that passes; `at` is behind its opening bracket.
    #[inline]
    pub(in crate::pii::json) fn enter_container(
        &mut self,
        of: JsonType,
        state: StateId,
        at: usize,
    ) -> RewriteResult<JsonMode> {
        let object = of == JsonType::Object;
        let matched = self.context.matcher.state(state);
        let ChildNeeds { holds_keys, fast_entry, .. } = if object { matched.members } else { matched.elements };
        self.push(JsonFrame { state, object, has_kept: false, holds_keys, fast_entry, index: 0 })?;
        if holds_keys {
            self.switch_sink(ByteSink::Pending, at);
        }
        if object {
            return Ok(JsonMode::FirstKey);
        }
        self.state.value = self.context.matcher.element(state, 0);
        Ok(JsonMode::FirstElement)
    }

    /// Goes into a container that is dropped or replaced as a whole: its end is all that is looked for.
    pub(super) fn skip_container(&mut self, of: JsonType, action: ValueAction) -> RewriteResult<JsonMode> {
        self.state.pending_drop = Some(action);
        self.push(JsonFrame { state: NO_PATH, object: of == JsonType::Object, ..JsonFrame::default() })?;
        Ok(JsonMode::Skip(ContainerSkip::new(DOCUMENT_DEPTH_MAX - self.state.stack.depth)))
    }

    fn push(&mut self, frame: JsonFrame) -> RewriteResult {
        if let Some(path) = &mut self.state.path {
            path.open(frame.object);
        }
        if self.state.stack.push(frame) { Ok(()) } else { Err(too_deep()) }
    }

    /// The closing bracket of the innermost container is at `at`.
    pub(in crate::pii::json) fn end_container(&mut self, at: usize) -> RewriteResult {
        if self.state.route.sink() == ByteSink::Pending {
            // Only space is pending: the container had no member, or none after a comma.
            self.state.route.check(at, PENDING_SEPARATOR_BYTES_MAX)?;
            self.switch_sink(ByteSink::Out, at);
            self.state.route.release(false, self.context.out);
        }
        let ValueState { stack, subject, path, pending_drop, .. } = &mut *self.state;
        stack.depth -= 1;
        path.iter_mut().for_each(PathTracker::close);
        if subject.depth() == Some(stack.depth) {
            subject.finish(at + 1, self.chunk, |text| self.context.observer.on_subject(text));
        }
        if let Some(action) = pending_drop.take() {
            let (kind, path) = (ValueKind::Container, path.as_ref());
            let value = CompleteValue { action, is_subject: false, kind, raw: b"", decoded: b"", path };
            self.context.put(value)?;
            self.switch_sink(ByteSink::Out, at + 1);
        }
        Ok(())
    }

    /// The first byte of a scalar is at `at`: decides about it.
    #[inline]
    pub(super) fn begin_scalar(&mut self, of: JsonType, at: usize) -> RewriteResult {
        self.state.pending_value = None;
        self.state.token.begin(false, at);
        let passes = self.state.route.sink() == ByteSink::Out
            && self.state.stack.depth > 0
            && !self.context.matcher.summary(self.state.value).needs_decision;
        if passes {
            return Ok(());
        }
        let action = self.decide(of, at)?;
        let selected = self.context.matcher.state(self.state.value).subject;
        let is_subject = selected && of != JsonType::Null && self.state.subject.depth().is_none();
        if action == ValueAction::Pass && !is_subject {
            return Ok(());
        }
        self.switch_sink(ByteSink::Discard, at);
        self.state.pending_value = Some(PendingValue { action, is_subject });
        let is_held = is_subject || matches!(action, ValueAction::Treat(_));
        self.state.token.begin(is_held, at + usize::from(of == JsonType::String));
        Ok(())
    }

    /// A scalar has ended: its text, without quotes, ends before `end`.
    #[inline]
    pub(super) fn end_scalar(&mut self, kind: ValueKind, end: usize) -> RewriteResult {
        match self.state.pending_value.take() {
            Some(pending) => self.put_pending(pending, kind, end),
            None => {
                if kind != ValueKind::Null {
                    self.context.report_clear(self.state.path.as_ref());
                }
                Ok(())
            }
        }
    }

    fn put_pending(&mut self, pending: PendingValue, kind: ValueKind, end: usize) -> RewriteResult {
        let after = end + usize::from(kind == ValueKind::String);
        let at = self.state.offset + after as u64;
        let ValueState { token, path, .. } = &mut *self.state;
        let part = token.part(end, self.chunk);
        if token.needs_pieces(part) {
            token.treat_piece(pending.rule_alone(), part, true, self.context)?;
            token.finish_pieces(pending.rule_alone(), self.context);
        } else {
            let decodes = token.escaped && kind == ValueKind::String;
            let (raw, buffer) = token.complete(part);
            let PendingValue { action, is_subject } = pending;
            let value = CompleteValue { action, is_subject, kind, raw, decoded: raw, path: path.as_ref() };
            let put = if !decodes || raw.is_empty() {
                self.context.put_scalar(value)
            } else {
                match text::unescape(raw, buffer) {
                    Ok(()) => self.context.put_scalar(CompleteValue { decoded: buffer.as_slice(), ..value }),
                    Err(text::LoneSurrogate) => {
                        self.context.put_with_half_pair(CompleteValue { decoded: buffer.as_slice(), ..value }, at)
                    }
                }
            };
            token.release();
            put?;
        }
        self.switch_sink(ByteSink::Out, after);
        Ok(())
    }

    /// Treats a string without escapes that a rule selects; with its quotes it reaches from `from` to before `end`.
    pub(in crate::pii::json) fn put_text(&mut self, rule: usize, from: usize, end: usize) -> RewriteResult {
        self.switch_sink(ByteSink::Discard, from);
        let raw = &self.chunk[from + 1..end - 1];
        let (action, kind, path) = (ValueAction::Treat(rule), ValueKind::String, self.state.path.as_ref());
        self.context.put(CompleteValue { action, is_subject: false, kind, raw, decoded: raw, path })?;
        self.switch_sink(ByteSink::Out, end);
        Ok(())
    }

    /// Decides about the value whose first byte is at `at`, and puts out or drops the pending separator.
    fn decide(&mut self, of: JsonType, at: usize) -> RewriteResult<ValueAction> {
        let matcher = self.context.matcher;
        let matched = matcher.state(self.state.value);
        let choice = matched.choice(of);
        let root = self.state.stack.depth == 0;
        let stays_as_shell = root && matches!(of, JsonType::Object | JsonType::Array);
        let dropping = choice.filter(|choice| choice.drops);
        if matched.is_on_records_path() || (root && matcher.row_types.is_some()) {
            self.check_shape(matched, of, at)?;
        }
        if dropping.is_some() || !(matched.keeps(of) || stays_as_shell) {
            let rule = dropping.map(|choice| choice.rule);
            if self.state.route.sink() == ByteSink::Pending {
                self.state.route.check(at, PENDING_SEPARATOR_BYTES_MAX)?;
                self.state.route.discard(at);
            }
            return Ok(if root { ValueAction::ReplaceByNull(rule) } else { ValueAction::Drop(rule) });
        }
        self.state.route.check(at, PENDING_SEPARATOR_BYTES_MAX)?;
        if matched.record {
            self.context.observer.on_record()?;
        }
        self.release_pending(at);
        let treated = choice.filter(|_| of != JsonType::Null);
        Ok(treated.map_or(ValueAction::Pass, |choice| ValueAction::Treat(choice.rule)))
    }

    /// The value at `at` is put out, so its pending separator is too.
    fn release_pending(&mut self, at: usize) {
        if self.state.route.sink() != ByteSink::Pending {
            return;
        }
        self.switch_sink(ByteSink::Out, at);
        let top = self.state.stack.top_mut();
        let comes_first = top.is_some_and(|frame| !std::mem::replace(&mut frame.has_kept, true));
        self.state.route.release(comes_first, self.context.out);
    }

    /// Notes a value that is on the way to the records, is one, or is a row; reports one of an unexpected type.
    fn check_shape(&mut self, matched: &MatchState, of: JsonType, at: usize) -> RewriteResult {
        let row = self.context.matcher.row_types.filter(|_| self.state.stack.depth == 0);
        match self.state.progress.observe(matched, of, self.state.stack.depth == 0, row) {
            true => Ok(()),
            false => self.report_shape("a value of another type than the rules expect", at),
        }
    }

    /// The document has ended.
    ///
    /// # Errors
    /// What the observer says of a document in which the records' container was nowhere.
    pub(super) fn end_document(&mut self) -> RewriteResult {
        match self.context.matcher.records_path.is_met(self.state.progress) {
            true => Ok(()),
            false => self.report_shape("no container where the records should be", 0),
        }
    }

    fn report_shape(&mut self, what: &'static str, at: usize) -> RewriteResult {
        if std::mem::replace(&mut self.state.progress.reported, true) {
            return Ok(());
        }
        let at = self.state.offset + at as u64;
        self.context.observer.on_unexpected_shape(RewriteError::UnexpectedShape { what, at })
    }

    #[inline]
    fn switch_sink(&mut self, sink: ByteSink, at: usize) {
        self.state.route.switch(sink, at, self.chunk, self.context.out);
    }
}
