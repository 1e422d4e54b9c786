//! The fast path: from bracket to bracket, and from key to key that a path may name.
//!
//! A [`FastPath`] goes through one window that the scan has checked, and skips what no path selects. Whatever needs a
//! decision (a selected value, a container whose keys are held, a window that breaks the grammar) is left to the exact
//! reader, at that very place and with the state that it would have had there. So both put out the same.

use std::cell::RefCell;

use crate::pii::RewriteResult;
use crate::pii::json::{
    exact::{ExactReader, JsonFrame, JsonMode, decode_name},
    matcher::{FastEntry, JsonType, StateId},
};

use super::window::{ScanScratch, WINDOW, WindowEntry};

/// Shorter rests of a chunk are read exactly: a scan would cost more than it saves.
const SCAN_BYTES_MIN: usize = 96;

thread_local! {
    /// What the scan notes about the window at hand. One for each thread is enough, since a window is read in one call.
    static SCRATCH: RefCell<ScanScratch> = RefCell::new(ScanScratch::new());
}

/// Reads up to a place in the chunk, by the fast path where it can begin.
///
/// # Errors
/// As [`ExactReader::read_to`].
pub(in crate::pii::json) fn read_to(reader: &mut ExactReader<'_, '_>, end: usize) -> RewriteResult {
    SCRATCH.with(|scratch| {
        let Ok(mut scratch) = scratch.try_borrow_mut() else { return reader.read_to(end) };
        while reader.pos < end {
            match entry_of(reader) {
                Some(entry) if end - reader.pos >= SCAN_BYTES_MIN => read_window(reader, entry, end, &mut scratch)?,
                Some(_) => return reader.read_to(end),
                None => reader.step()?,
            }
        }
        Ok(())
    })
}

/// Which token is before the present byte, if the fast path can begin here.
#[inline]
fn entry_of(reader: &ExactReader<'_, '_>) -> Option<WindowEntry> {
    let frame = reader.values.state.stack.top()?;
    let entry = match *reader.mode {
        JsonMode::After => WindowEntry::Value,
        JsonMode::FirstElement | JsonMode::FirstKey => WindowEntry::Open,
        JsonMode::Key => WindowEntry::Comma,
        JsonMode::Value if !frame.object => WindowEntry::Comma,
        JsonMode::Value
        | JsonMode::Colon
        | JsonMode::End
        | JsonMode::Text(_)
        | JsonMode::Escape(_)
        | JsonMode::Hex(..)
        | JsonMode::Skip(_)
        | JsonMode::Number(_)
        | JsonMode::Keyword(..) => return None,
    };
    let can_begin = match frame.fast_entry {
        FastEntry::Never => false,
        FastEntry::AfterKept => frame.has_kept && entry == WindowEntry::Value,
        FastEntry::Anywhere => true,
    };
    can_begin.then_some(entry)
}

/// Scans the next window and goes through it.
fn read_window(
    reader: &mut ExactReader<'_, '_>,
    entry: WindowEntry,
    end: usize,
    scratch: &mut ScanScratch,
) -> RewriteResult {
    let (base, matcher) = (reader.pos, reader.values.context.matcher);
    let window = &reader.chunk[base..end.min(base + WINDOW)];
    let (depth, unmatched) = (reader.values.state.stack.depth, reader.values.state.stack.unmatched_from());
    // Where no path selects anything below, names of members need not be looked for.
    let names = Some(&matcher.names).filter(|names| unmatched > depth && names.len() > 0);
    let floor = if unmatched > depth { 0 } else { unmatched };
    let Some(scanned) = reader.values.context.engine.scan(window, entry, names, scratch) else {
        return reader.read_to(base + window.len());
    };
    let (scratch, end) = (&*scratch, base + scanned.cut + 1);
    let path = FastPath { reader, scratch, window, base, end, safe: base, floor, child: None };
    path.run(&scratch.events[..scanned.events])
}

/// The way through one window.
struct FastPath<'p, 'a, 'd> {
    reader: &'p mut ExactReader<'a, 'd>,
    /// What the scan noted about the window.
    scratch: &'p ScanScratch,
    window: &'a [u8],
    /// Where in the chunk the window begins.
    base: usize,
    /// Where in the chunk the last comma or bracket of the window ends: the scan has checked no more.
    end: usize,
    /// Where in the chunk the reader's state is true, and all before has been checked: behind the last bracket, or
    /// where the exact reader stopped.
    safe: usize,
    /// The least depth for which the scan looked for the right names.
    floor: usize,
    /// The match state of the container that opens next, if a path may select something in it by its key.
    child: Option<StateId>,
}

/// What follows after an event of the window.
enum FastStep {
    Continue,
    /// The exact reader has read up to a place in the chunk.
    ReadExactly,
    /// The exact reader must read the rest of this window.
    FallBack,
}

impl FastPath<'_, '_, '_> {
    fn run(mut self, events: &[u16]) -> RewriteResult {
        let mut at = 0;
        loop {
            at += self.advance(&events[at..]);
            let Some(event) = events.get(at) else { break };
            at += 1;
            let place = usize::from(*event);
            let step = match self.window[place] {
                b':' => self.colon(place)?,
                b'{' => self.open(place, JsonType::Object)?,
                b'[' => self.open(place, JsonType::Array)?,
                bracket => self.close(place, bracket == b'}')?,
            };
            match step {
                FastStep::Continue => {}
                FastStep::ReadExactly if self.reader.pos >= self.end || !self.is_deep_enough() => return Ok(()),
                FastStep::ReadExactly => {
                    self.safe = self.reader.pos;
                    self.child = None;
                    while events.get(at).is_some_and(|event| self.base + usize::from(*event) < self.safe) {
                        at += 1;
                    }
                }
                FastStep::FallBack => return self.fall_back(),
            }
        }
        self.finish()
    }

    /// Passes the events that need nothing, and says how many. Most are such: containers in which no path selects a
    /// value directly, and keys that no path can name.
    #[inline(always)]
    fn advance(&mut self, events: &[u16]) -> usize {
        let (window, scratch, matcher) = (self.window, self.scratch, self.reader.values.context.matcher);
        let state = &mut *self.reader.values.state;
        let least = state.subject.depth().map_or(0, |depth| depth + 1).max(self.floor).max(1);
        let (stack, mut child, mut last) = (&mut state.stack, self.child, None);
        let passed = events.iter().position(|event| {
            let place = usize::from(*event);
            let Some(frame) = stack.top() else { return true };
            let (byte, object) = (window[place], frame.object);
            if byte == b':' {
                return object && matcher.summary(frame.state).names_matter;
            }
            if scratch.has_misplaced(place, object) {
                return true;
            }
            if byte == b'{' || byte == b'[' {
                let state = child.unwrap_or_else(|| matcher.summary(frame.state).below(object));
                let of_object = byte == b'{';
                let is_skippable = matcher.summary(state).is_skippable(of_object);
                if !is_skippable || !stack.push(JsonFrame::skippable(state, of_object)) {
                    return true;
                }
                child = None;
            } else {
                let ends = object == (byte == b'}') && !frame.holds_keys && stack.depth > least;
                if !ends || stack.outer().is_none_or(|outer| outer.fast_entry == FastEntry::Never) {
                    return true;
                }
                stack.depth -= 1;
            }
            last = Some(place);
            false
        });
        self.child = child;
        if let Some(place) = last {
            self.safe = self.base + place + 1;
            self.set_state_after(window[place]);
        }
        passed.unwrap_or(events.len())
    }

    /// Sets the reader's state to what it is behind a bracket, at the safe place.
    fn set_state_after(&mut self, bracket: u8) {
        self.reader.pos = self.safe;
        *self.reader.mode = match bracket {
            b'{' => JsonMode::FirstKey,
            b'[' => JsonMode::FirstElement,
            _ => JsonMode::After,
        };
        if *self.reader.mode == JsonMode::FirstElement {
            let values = &mut self.reader.values;
            values.state.value = values.context.matcher.element(values.state.stack.top_state(), 0);
        }
    }

    /// Ends the window behind its last comma or bracket.
    fn finish(mut self) -> RewriteResult {
        if self.safe >= self.end {
            return Ok(());
        }
        let Some(JsonFrame { state, object, holds_keys, .. }) = self.reader.values.state.stack.top().copied() else {
            return self.fall_back();
        };
        let last = self.end - 1;
        if self.scratch.has_misplaced_between(self.safe - self.base, last - self.base, object) {
            return self.fall_back();
        }
        if holds_keys {
            // The comma waits with the key behind it, so the window ends before it.
            if last == self.base {
                return self.fall_back();
            }
            self.reader.pos = last;
            *self.reader.mode = JsonMode::After;
            return Ok(());
        }
        self.reader.pos = self.end;
        *self.reader.mode = if object { JsonMode::Key } else { JsonMode::Value };
        self.reader.values.state.value = self.reader.values.context.matcher.element(state, 0);
        Ok(())
    }

    /// Something behind the safe place is wrong or cannot be checked here: the exact reader will say what.
    fn fall_back(&mut self) -> RewriteResult {
        self.reader.pos = self.safe;
        self.reader.read_to(self.base + self.window.len())
    }

    /// The colon behind a key that a path may name.
    #[inline]
    fn colon(&mut self, place: usize) -> RewriteResult<FastStep> {
        let window = self.window;
        let Some(frame) = self.reader.values.state.stack.top() else { return Ok(FastStep::FallBack) };
        let Some(quote) = window[..place].iter().rposition(|byte| *byte == b'"') else { return Ok(FastStep::FallBack) };
        let raw = self.scratch.key(window, quote);
        let start = quote - raw.len();
        let matcher = self.reader.values.context.matcher;
        let escaped = self.scratch.has_escape(start, quote);
        let name = decode_name(raw, escaped, &mut self.reader.values.state.token.decoded);
        let member = matcher.member(frame.state, name);
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        let Some(space) = window[place + 1..].iter().position(|byte| !is_space(byte)) else {
            return Ok(FastStep::FallBack);
        };
        let value = place + 1 + space;
        if !matcher.summary(member).needs_decision {
            self.child = matches!(window[value], b'{' | b'[').then_some(member);
            return Ok(FastStep::Continue);
        }
        if self.scratch.has_misplaced_between(self.safe - self.base, place, true) {
            return Ok(FastStep::FallBack);
        }
        self.decide(member, start - 1, value)
    }

    /// A member needs a decision; the quotes of its key begin at `key`, and its value at `value`.
    #[inline]
    fn decide(&mut self, member: StateId, key: usize, value: usize) -> RewriteResult<FastStep> {
        let (window, base) = (self.window, self.base);
        let matcher = self.reader.values.context.matcher;
        let reader = &mut *self.reader;
        if reader.values.state.stack.top().is_some_and(|frame| frame.holds_keys) {
            // The comma before the key is needed too, to be held with it.
            let Some(comma) = window[..key].iter().rposition(|byte| *byte == b',') else {
                return Ok(FastStep::FallBack);
            };
            reader.pos = base + comma;
            *reader.mode = JsonMode::After;
            reader.step()?;
            return self.read_exactly();
        }
        if let Some(rule) = matcher.state(member).plain_text_rule()
            && let Some(closing) = self.scratch.closing(window, value)
        {
            reader.pos = base + closing + 1;
            reader.values.put_text(rule, base + value, reader.pos)?;
            *reader.mode = JsonMode::After;
            self.safe = reader.pos;
            return Ok(FastStep::Continue);
        }
        reader.pos = base + value;
        *reader.mode = JsonMode::Value;
        reader.values.state.value = member;
        self.read_exactly()
    }

    #[inline]
    fn open(&mut self, place: usize, of: JsonType) -> RewriteResult<FastStep> {
        let Some(frame) = self.reader.values.state.stack.top() else { return Ok(FastStep::FallBack) };
        if self.scratch.has_misplaced(place, frame.object) {
            return Ok(FastStep::FallBack);
        }
        let matcher = self.reader.values.context.matcher;
        let state = match self.child.take() {
            Some(state) => state,
            None if frame.object => matcher.member(frame.state, None),
            None => matcher.element(frame.state, u32::MAX),
        };
        self.reader.pos = self.base + place + 1;
        *self.reader.mode = self.reader.values.enter_container(of, state, self.reader.pos)?;
        self.continue_after_bracket()
    }

    #[inline]
    fn close(&mut self, place: usize, object: bool) -> RewriteResult<FastStep> {
        let Some(frame) = self.reader.values.state.stack.top() else { return Ok(FastStep::FallBack) };
        if frame.object != object || self.scratch.has_misplaced(place, object) {
            return Ok(FastStep::FallBack);
        }
        self.reader.pos = self.base + place;
        self.reader.close()?;
        self.continue_after_bracket()
    }

    /// Goes on behind a bracket that the reader has taken: exactly, where the container asks for it.
    #[inline]
    fn continue_after_bracket(&mut self) -> RewriteResult<FastStep> {
        self.safe = self.reader.pos;
        match (self.is_deep_enough(), entry_of(self.reader)) {
            (true, Some(_)) => Ok(FastStep::Continue),
            (true, None) => self.read_exactly(),
            (false, _) => Ok(FastStep::ReadExactly),
        }
    }

    /// Reads exactly until the fast path can go on, or the window has ended.
    fn read_exactly(&mut self) -> RewriteResult<FastStep> {
        while self.reader.pos < self.end {
            self.reader.step()?;
            if entry_of(self.reader).is_some() {
                break;
            }
        }
        Ok(FastStep::ReadExactly)
    }

    /// Whether the present depth is one for which the scan looked for the right names.
    #[inline]
    fn is_deep_enough(&self) -> bool {
        self.reader.values.state.stack.depth >= self.floor
    }
}
