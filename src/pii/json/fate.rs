//! What becomes of each value: the decisions of the byte engine, and their execution.
//!
//! A value's fate is decided at its first byte and executed after its last. Until the decision, its comma and key
//! wait in the lead; until the execution, its own bytes go nowhere.

use crate::bounds::{DOCUMENT_DEPTH_MAX, KEY_BYTES_MAX, LEAD_BYTES_MAX, VALUE_BYTES_MAX};
use crate::pii::clear::Trail;
use crate::pii::{Kind, Shape, Stop, Value};

use super::{
    engine::{Run, too_deep},
    machine::{Fate, Frame, Mode, Sink, Take},
    matcher::{DEAD, Level, Type},
    scalar,
    skim::Skim,
    text,
};

impl Run<'_, '_> {
    /// A container begins at the present byte.
    pub(super) fn open(&mut self, of: Type) -> Result<(), Stop> {
        let depth = self.machine.depth;
        let state = self.machine.value;
        if self.desk.matcher.state(state).subject && self.machine.tree.is_none() {
            self.machine.tree = Some(depth);
            self.machine.tree_held.clear();
            self.tree_from = self.pos;
        }
        let fate = self.decide(of)?;
        if fate == Fate::Pass {
            self.pos += 1;
            return self.enter(of, state);
        }
        self.switch(Sink::Void, self.pos);
        self.pos += 1;
        self.machine.mute = Some(fate);
        self.push(Frame { state: DEAD, object: of == Type::Object, ..Frame::default() })?;
        self.machine.mode = Mode::Skim(Skim::new(DOCUMENT_DEPTH_MAX - self.machine.depth));
        Ok(())
    }

    /// Goes into a container, whose opening bracket has been read.
    #[inline]
    pub(super) fn enter(&mut self, of: Type, state: u16) -> Result<(), Stop> {
        let object = of == Type::Object;
        let place = self.desk.matcher.state(state);
        let Level { holds, leaps, .. } = if object { place.members } else { place.elements };
        self.push(Frame { state, object, any: false, holds, leaps, index: 0 })?;
        if holds {
            self.switch(Sink::Lead, self.pos);
        }
        if object {
            self.machine.mode = Mode::FirstKey;
        } else {
            self.machine.mode = Mode::FirstElement;
            self.machine.value = self.desk.matcher.element(state, 0);
        }
        Ok(())
    }

    fn push(&mut self, frame: Frame) -> Result<(), Stop> {
        if let Some(trail) = &mut self.machine.trail {
            trail.open(frame.object);
        }
        if self.machine.push(frame) { Ok(()) } else { Err(too_deep()) }
    }

    /// The innermost container ends at the present byte.
    pub(super) fn close(&mut self) -> Result<(), Stop> {
        if self.machine.sink == Sink::Lead {
            // Nothing but space: the container had no member.
            self.check_lead(LEAD_BYTES_MAX)?;
            self.switch(Sink::Out, self.pos);
            self.desk.out.append(&mut self.machine.lead);
        }
        self.pos += 1;
        self.machine.depth -= 1;
        self.machine.trail.iter_mut().for_each(Trail::close);
        let depth = self.machine.depth;
        if self.machine.tree == Some(depth) {
            self.hold_tree(self.pos);
            self.machine.tree = None;
            self.desk.watch.subject(self.machine.tree_held.as_slice());
            self.machine.tree_held.clear();
        }
        if let Some(fate) = self.machine.mute.take() {
            self.execute(fate, Kind::Container, b"", b"")?;
            self.switch(Sink::Out, self.pos);
        }
        self.after_value();
        Ok(())
    }

    /// A scalar begins at the present byte.
    #[inline]
    pub(super) fn begin_scalar(&mut self, of: Type) -> Result<(), Stop> {
        self.machine.take = None;
        self.machine.holds_token = false;
        let unasked = self.machine.sink == Sink::Out
            && self.machine.depth > 0
            && !self.desk.matcher.quick(self.machine.value).asks;
        if unasked {
            return Ok(());
        }
        let fate = self.decide(of)?;
        let named = self.desk.matcher.state(self.machine.value).subject;
        let subject = named && of != Type::Null && self.machine.tree.is_none();
        if fate == Fate::Pass && !subject {
            return Ok(());
        }
        self.switch(Sink::Void, self.pos);
        self.machine.take = Some(Take { fate, subject });
        self.machine.holds_token = subject || matches!(fate, Fate::Treat(_));
        self.token = self.pos + usize::from(of == Type::String);
        Ok(())
    }

    /// Decides at a value's first byte, and lets its comma and key go their way.
    fn decide(&mut self, of: Type) -> Result<Fate, Stop> {
        let matcher = self.desk.matcher;
        let state = matcher.state(self.machine.value);
        let choice = state.choice(of);
        let root = self.machine.depth == 0;
        let shell = root && matches!(of, Type::Object | Type::Array);
        let dropping = choice.filter(|choice| choice.drops);
        if state.is_on_way() || (root && matcher.row.is_some()) {
            self.judge_shape(state, of)?;
        }
        if dropping.is_some() || !(state.keeps(of) || shell) {
            let rule = dropping.map(|choice| choice.rule);
            self.discard_lead()?;
            return Ok(if root { Fate::Null(rule) } else { Fate::Drop(rule) });
        }
        self.check_lead(LEAD_BYTES_MAX)?;
        if state.record {
            self.desk.watch.record()?;
        }
        self.release_lead();
        Ok(choice.filter(|_| of != Type::Null).map_or(Fate::Pass, |choice| Fate::Treat(choice.rule)))
    }

    fn discard_lead(&mut self) -> Result<(), Stop> {
        if self.machine.sink == Sink::Lead {
            self.check_lead(LEAD_BYTES_MAX)?;
            self.machine.lead.clear();
            self.from = self.pos;
            self.machine.sink = Sink::Void;
        }
        Ok(())
    }

    /// The lead may leave, with its comma where one is needed.
    fn release_lead(&mut self) {
        if self.machine.sink != Sink::Lead {
            return;
        }
        self.switch(Sink::Out, self.pos);
        let comes_first = self.machine.frame_mut().is_some_and(|frame| !std::mem::replace(&mut frame.any, true));
        let lead = self.machine.lead.as_slice();
        let lead = if comes_first { lead.strip_prefix(b",").unwrap_or(lead) } else { lead };
        self.desk.out.extend_from_slice(lead);
        self.machine.lead.clear();
    }

    /// A key has ended; its closing quote stands at `end`.
    #[inline]
    pub(super) fn end_key(&mut self, end: usize) -> Result<(), Stop> {
        self.machine.mode = Mode::Colon;
        let place = self.machine.place();
        if !self.machine.holds_token {
            self.machine.value = self.desk.matcher.member(place, None);
            return Ok(());
        }
        let part = &self.input[self.token..end];
        if self.machine.held.len() + part.len() > KEY_BYTES_MAX {
            return self.give_up_key();
        }
        if self.machine.held.len() == 0 && !self.machine.escaped {
            self.machine.value = self.desk.matcher.member(place, Some(part));
            self.machine.holds_token = false;
            self.machine.trail.iter_mut().for_each(|trail| trail.name(Some(part)));
            return Ok(());
        }
        let mut held = std::mem::take(&mut self.machine.held);
        let raw = whole(&mut held, part);
        let name = if !self.machine.escaped {
            Some(raw)
        } else {
            text::unescape(raw, &mut self.machine.text).ok().map(|()| self.machine.text.as_slice())
        };
        self.machine.value = self.desk.matcher.member(place, name);
        self.machine.holds_token = false;
        self.machine.trail.iter_mut().for_each(|trail| trail.name(name));
        held.clear();
        self.machine.held = held;
        Ok(())
    }

    /// The key is longer than any listed name, so that its member's fate can be known without the rest of it.
    pub(super) fn give_up_key(&mut self) -> Result<(), Stop> {
        self.machine.value = self.desk.matcher.member(self.machine.place(), None);
        self.machine.holds_token = false;
        self.machine.trail.iter_mut().for_each(|trail| trail.name(None));
        self.machine.held.clear();
        let state = self.desk.matcher.state(self.machine.value);
        if state.surely_passes() || self.machine.sink != Sink::Lead {
            self.release_lead();
            Ok(())
        } else if state.surely_drops() {
            self.machine.lead.clear();
            self.from = self.pos;
            self.machine.sink = Sink::Void;
            Ok(())
        } else {
            Err(Stop::Bound { bound: "a key", limit: KEY_BYTES_MAX as u64 })
        }
    }

    /// A scalar has ended; `end` is one past its text.
    #[inline]
    pub(super) fn end_scalar(&mut self, end: usize) -> Result<(), Stop> {
        let Some(take) = self.machine.take.take() else {
            if !matches!(self.machine.mode, Mode::Word(b"null", _)) {
                self.tell_clear();
            }
            self.after_value();
            return Ok(());
        };
        let kind = match self.machine.mode {
            Mode::Text(_) => Kind::String,
            Mode::Number(_) => Kind::Number,
            Mode::Word(b"null", _) => Kind::Null,
            _ => Kind::Boolean,
        };
        let part = if self.machine.holds_token { &self.input[self.token..end] } else { b"" };
        if self.machine.pieces.is_some() || self.machine.held.len() + part.len() > VALUE_BYTES_MAX {
            return self.end_pieces(take, part);
        }
        self.machine.holds_token = false;
        let mut held = std::mem::take(&mut self.machine.held);
        let raw = whole(&mut held, part);
        let done = self.settle_scalar(take, kind, raw);
        held.clear();
        self.machine.held = held;
        done?;
        self.switch(Sink::Out, self.pos);
        self.after_value();
        Ok(())
    }

    /// Treats a string without escapes that a rule selects; it stands between these places, quotes and all.
    pub(super) fn treat_text(&mut self, rule: usize, from: usize, end: usize) -> Result<(), Stop> {
        self.switch(Sink::Void, from);
        self.pos = end;
        let raw = &self.input[from + 1..end - 1];
        self.execute(Fate::Treat(rule), Kind::String, raw, raw)?;
        self.switch(Sink::Out, end);
        self.machine.mode = Mode::After;
        Ok(())
    }

    fn settle_scalar(&mut self, take: Take, kind: Kind, raw: &[u8]) -> Result<(), Stop> {
        if !(self.machine.escaped && kind == Kind::String) || raw.is_empty() {
            return self.report_scalar(take, kind, raw, raw);
        }
        let mut decoded = std::mem::take(&mut self.machine.text);
        let done = match text::unescape(raw, &mut decoded) {
            Ok(()) => self.report_scalar(take, kind, raw, decoded.as_slice()),
            Err(text::LoneSurrogate) => self.report_half_pair(take, kind, raw, decoded.as_slice()),
        };
        decoded.clear();
        self.machine.text = decoded;
        done
    }

    pub(super) fn report_scalar(&mut self, take: Take, kind: Kind, raw: &[u8], decoded: &[u8]) -> Result<(), Stop> {
        if take.subject {
            self.desk.watch.subject(decoded);
        }
        self.execute(take.fate, kind, raw, decoded)
    }

    /// Does to a complete value what was decided at its start.
    fn execute(&mut self, fate: Fate, kind: Kind, raw: &[u8], decoded: &[u8]) -> Result<(), Stop> {
        let rule = match fate {
            Fate::Pass => {
                let quote: &[u8] = if kind == Kind::String { b"\"" } else { b"" };
                [quote, raw, quote].iter().for_each(|part| self.desk.out.extend_from_slice(part));
                if kind != Kind::Null {
                    self.tell_clear();
                }
                None
            }
            Fate::Treat(rule) => self.write_treated(rule, Value { kind, text: decoded }, raw)?.then_some(rule),
            Fate::Drop(rule) => rule,
            Fate::Null(rule) => {
                self.desk.out.extend_from_slice(b"null");
                rule
            }
        };
        if let Some(rule) = rule {
            self.desk.watch.treated(rule);
        }
        Ok(())
    }

    /// The value at the present place leaves as it came. One that is null tells nothing.
    fn tell_clear(&mut self) {
        if let Some(trail) = &self.machine.trail {
            self.desk.watch.clear(trail.path());
        }
    }

    /// Writes what a treatment makes of a value; whether it counts as treated.
    fn write_treated(&mut self, rule: usize, value: Value<'_>, raw: &[u8]) -> Result<bool, Stop> {
        let mut untouched = false;
        let out = &mut *self.desk.out;
        let start = out.len();
        out.push(b'"');
        let written = self.desk.treat.defer(rule, value, out, self.desk.batch).and_then(|shape| match shape {
            Shape::Text => {
                text::escape_from(out, start + 1)?;
                out.push(b'"');
                Ok(true)
            }
            Shape::AsItCame { counted } if value.kind == Kind::String => {
                out.extend_from_slice(raw);
                out.push(b'"');
                untouched = true;
                Ok(counted)
            }
            Shape::AsItCame { counted } if value.kind == Kind::Number => {
                out.truncate(start);
                out.extend_from_slice(raw);
                untouched = true;
                Ok(counted)
            }
            Shape::AsItCame { .. } => {
                Err(Stop::Untreatable { what: "only a string or a number can be left as it came" })
            }
            Shape::Literal if scalar::is_literal(&out[start + 1..]) => {
                out.remove(start);
                Ok(true)
            }
            Shape::Literal => Err(Stop::Untreatable { what: "a treatment made a literal that JSON does not have" }),
        });
        if written.is_err() {
            out.truncate(start);
        }
        if untouched {
            self.tell_clear();
        }
        written
    }

    /// Holds what has been read of the container that identifies a subject, as far as its bound.
    pub(super) fn hold_tree(&mut self, end: usize) {
        let room = VALUE_BYTES_MAX - self.machine.tree_held.len();
        let part = &self.input[self.tree_from..end];
        self.machine.tree_held.push(&part[..part.len().min(room)]);
        self.tree_from = end;
    }

    #[inline]
    fn after_value(&mut self) {
        self.machine.mode = if self.machine.depth == 0 { Mode::End } else { Mode::After };
    }
}

/// A token that earlier chunks may have begun.
fn whole<'a>(held: &'a mut super::held::Held, part: &'a [u8]) -> &'a [u8] {
    if held.len() == 0 {
        return part;
    }
    held.push(part);
    held.as_slice()
}
