//! The second phase of the fast engine: from bracket to bracket and from key to key of interest.
//!
//! Leaps over what nothing selects. Whatever asks for a decision, a selected value, a container that holds its keys
//! back, the end of a container that is left out, a window that breaks the grammar, is left to the byte engine at
//! that very place, with the state that it would have had; so both engines do the same by construction.

use std::cell::RefCell;

use crate::pii::RewriteError;

use super::{
    engine::ExactReader,
    machine::{FastEntry, JsonFrame, JsonMode},
    matcher::{JsonType, StateId},
    text,
    window::{Entry, Scanned, Scratch, WINDOW},
};

/// Shorter rests are not worth a scan.
const WORTH: usize = 96;

thread_local! {
    /// Where things are in the window at hand. Threads, not streams, need one.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
}

impl ExactReader<'_, '_> {
    /// Reads up to a place in the chunk, leaping where it can.
    pub(super) fn leap_to(&mut self, end: usize) -> Result<(), RewriteError> {
        SCRATCH.with(|scratch| {
            let Ok(mut scratch) = scratch.try_borrow_mut() else { return self.read_to(end) };
            while self.pos < end {
                match self.entry() {
                    Some(entry) if end - self.pos >= WORTH => self.window(entry, end, &mut scratch)?,
                    Some(_) => return self.read_to(end),
                    None => self.step()?,
                }
            }
            Ok(())
        })
    }

    /// What stands before the present byte, if a leap can begin here.
    #[inline]
    fn entry(&self) -> Option<Entry> {
        let frame = self.state.frame()?;
        let entry = match self.state.mode {
            JsonMode::After => Entry::Value,
            JsonMode::FirstElement | JsonMode::FirstKey => Entry::Open,
            JsonMode::Key => Entry::Comma,
            JsonMode::Value if !frame.object => Entry::Comma,
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
        let can = match frame.fast_entry {
            FastEntry::Never => false,
            FastEntry::AfterKept => frame.has_kept && entry == Entry::Value,
            FastEntry::Anywhere => true,
        };
        can.then_some(entry)
    }

    /// Leaps within one window.
    fn window(&mut self, entry: Entry, end: usize, scratch: &mut Scratch) -> Result<(), RewriteError> {
        let base = self.pos;
        let window = &self.input[base..end.min(base + WINDOW)];
        // Below a place that no path reaches, keys make no difference.
        let floor = self.state.unmatched_from();
        let names = Some(&self.context.matcher.names).filter(|names| floor > self.state.depth && names.len() > 0);
        let floor = if floor > self.state.depth { 0 } else { floor };
        match self.context.engine.scan(window, entry, names, scratch) {
            Some(scanned) => FastPath { base, window, safe: base, floor }.all(self, scanned, scratch),
            None => self.read_to(base + window.len()),
        }
    }

    /// Lets the byte engine read until a leap can go on, or `end` is reached.
    fn walk(&mut self, end: usize) -> Result<(), RewriteError> {
        while self.pos < end {
            self.step()?;
            if self.entry().is_some() {
                break;
            }
        }
        Ok(())
    }
}

/// One window, being leapt through.
struct FastPath<'a> {
    base: usize,
    window: &'a [u8],
    /// Where in the chunk the state is whole, and all before has been judged: behind the last bracket, or where the
    /// byte engine stopped.
    safe: usize,
    /// The least depth for which the scan looked for the right things.
    floor: usize,
}

/// How a leap goes on after an event.
enum FastStep {
    On,
    /// The byte engine has read up to a place in the chunk.
    Walked,
    /// The byte engine must look at the rest of this window.
    Doubt,
}

impl FastPath<'_> {
    fn all(mut self, run: &mut ExactReader<'_, '_>, scanned: Scanned, scratch: &Scratch) -> Result<(), RewriteError> {
        let end = self.base + scanned.cut + 1;
        let (mut at, mut child) = (0, None);
        let events = &scratch.events[..scanned.events];
        loop {
            at += self.glide(run, &events[at..], scratch, &mut child);
            let Some(event) = events.get(at) else { break };
            at += 1;
            let place = usize::from(*event);
            let next = match self.window[place] {
                b':' => self.key(run, place, end, scratch, &mut child)?,
                b'{' => self.open(run, place, end, scratch, child.take(), JsonType::Object)?,
                b'[' => self.open(run, place, end, scratch, child.take(), JsonType::Array)?,
                bracket => self.close(run, place, end, scratch, bracket == b'}')?,
            };
            match next {
                FastStep::On => {}
                FastStep::Walked if run.pos >= end || run.state.depth < self.floor => return Ok(()),
                FastStep::Walked => {
                    self.safe = run.pos;
                    child = None;
                    while events.get(at).is_some_and(|event| self.base + usize::from(*event) < run.pos) {
                        at += 1;
                    }
                }
                FastStep::Doubt => return self.doubt(run),
            }
        }
        self.land(run, end, scratch)
    }

    /// Passes the events that ask for nothing, most of them: containers that only lead on or nowhere, and keys that
    /// make no difference. Says how many there were; the next one is for the functions below.
    #[inline(always)]
    fn glide(
        &mut self,
        run: &mut ExactReader<'_, '_>,
        events: &[u16],
        scratch: &Scratch,
        child: &mut Option<StateId>,
    ) -> usize {
        let (matcher, machine) = (run.context.matcher, &mut *run.state);
        let least = machine.subject_depth.map_or(0, |depth| depth + 1).max(self.floor).max(1);
        let mut safe = None;
        let passed = events.iter().position(|event| {
            let place = usize::from(*event);
            let Some(frame) = machine.frame() else { return true };
            let (byte, object) = (self.window[place], frame.object);
            if byte == b':' {
                return object && matcher.summary(frame.state).names_matter;
            }
            if scratch.breaks(place, object) {
                return true;
            }
            if byte == b'{' || byte == b'[' {
                let state = child.unwrap_or_else(|| matcher.summary(frame.state).below(object));
                let of_object = byte == b'{';
                let inner =
                    JsonFrame { state, object: of_object, fast_entry: FastEntry::Anywhere, ..JsonFrame::default() };
                if !matcher.summary(state).is_skippable(of_object) || !machine.push(inner) {
                    return true;
                }
                *child = None;
            } else {
                let ends = object == (byte == b'}') && !frame.holds_keys && machine.depth > least;
                if !ends || machine.outer().is_none_or(|outer| outer.fast_entry == FastEntry::Never) {
                    return true;
                }
                machine.depth -= 1;
            }
            safe = Some(place);
            false
        });
        if let Some(place) = safe {
            self.safe = self.base + place + 1;
            self.settle(run, self.window[place]);
        }
        passed.unwrap_or(events.len())
    }

    /// The state as it is behind a bracket.
    fn settle(&self, run: &mut ExactReader<'_, '_>, bracket: u8) {
        run.pos = self.safe;
        run.state.mode = match bracket {
            b'{' => JsonMode::FirstKey,
            b'[' => JsonMode::FirstElement,
            _ => JsonMode::After,
        };
        if run.state.mode == JsonMode::FirstElement {
            run.state.value = run.context.matcher.element(run.state.place(), 0);
        }
    }

    /// Ends the leap behind the last comma or bracket of the window.
    fn land(&self, run: &mut ExactReader<'_, '_>, end: usize, scratch: &Scratch) -> Result<(), RewriteError> {
        if self.safe >= end {
            return Ok(());
        }
        let Some(JsonFrame { state, object, holds_keys: holds, .. }) = run.state.frame().copied() else {
            return self.doubt(run);
        };
        if scratch.breaks_between(self.safe - self.base, end - 1 - self.base, object) {
            return self.doubt(run);
        }
        if holds {
            // The comma waits with its key, so the leap ends before it.
            if end - 1 == self.base {
                return self.doubt(run);
            }
            run.pos = end - 1;
            run.state.mode = JsonMode::After;
            return Ok(());
        }
        run.pos = end;
        run.state.mode = if object { JsonMode::Key } else { JsonMode::Value };
        run.state.value = run.context.matcher.element(state, 0);
        Ok(())
    }

    /// Something is wrong behind the last safe place: the byte engine will say what.
    fn doubt(&self, run: &mut ExactReader<'_, '_>) -> Result<(), RewriteError> {
        run.pos = self.safe;
        run.read_to(self.base + self.window.len())
    }

    /// The colon behind a key that may be a listed one.
    #[inline]
    fn key(
        &mut self,
        run: &mut ExactReader<'_, '_>,
        place: usize,
        end: usize,
        scratch: &Scratch,
        child: &mut Option<StateId>,
    ) -> Result<FastStep, RewriteError> {
        let Some(frame) = run.state.frame() else { return Ok(FastStep::Doubt) };
        let JsonFrame { state, holds_keys: holds, .. } = *frame;
        let Some(quote) = self.window[..place].iter().rposition(|byte| *byte == b'"') else {
            return Ok(FastStep::Doubt);
        };
        let raw = scratch.key(self.window, quote);
        let member = if scratch.has_escape(quote - raw.len(), quote) {
            let decoded = text::unescape(raw, &mut run.state.text).ok().map(|()| run.state.text.as_slice());
            run.context.matcher.member(state, decoded)
        } else {
            run.context.matcher.member(state, Some(raw))
        };
        let value = self.window[place + 1..].iter().position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
        let Some(value) = value.map(|space| place + 1 + space) else { return Ok(FastStep::Doubt) };
        if !run.context.matcher.summary(member).needs_decision {
            *child = matches!(self.window[value], b'{' | b'[').then_some(member);
            return Ok(FastStep::On);
        }
        if scratch.breaks_between(self.safe - self.base, place, true) {
            return Ok(FastStep::Doubt);
        }
        if let Some(rule) = run.context.matcher.state(member).plain_text_rule()
            && let Some(closing) = scratch.closing(self.window, value)
            && !holds
        {
            run.treat_text(rule, self.base + value, self.base + closing + 1)?;
            self.safe = run.pos;
            return Ok(FastStep::On);
        }
        if holds {
            let key = quote - raw.len() - 1;
            let Some(comma) = self.window[..key].iter().rposition(|byte| *byte == b',') else {
                return Ok(FastStep::Doubt);
            };
            run.pos = self.base + comma;
            run.state.mode = JsonMode::After;
            run.step()?;
        } else {
            run.pos = self.base + value;
            run.state.mode = JsonMode::Value;
            run.state.value = member;
        }
        run.walk(end)?;
        Ok(FastStep::Walked)
    }

    #[inline]
    fn open(
        &mut self,
        run: &mut ExactReader<'_, '_>,
        place: usize,
        end: usize,
        scratch: &Scratch,
        child: Option<StateId>,
        of: JsonType,
    ) -> Result<FastStep, RewriteError> {
        let Some(frame) = run.state.frame() else { return Ok(FastStep::Doubt) };
        if scratch.breaks(place, frame.object) {
            return Ok(FastStep::Doubt);
        }
        let state = match child {
            Some(state) => state,
            None if frame.object => run.context.matcher.member(frame.state, None),
            None => run.context.matcher.element(frame.state, u32::MAX),
        };
        run.pos = self.base + place + 1;
        run.enter(of, state)?;
        self.safe = run.pos;
        self.go_on(run, end)
    }

    #[inline]
    fn close(
        &mut self,
        run: &mut ExactReader<'_, '_>,
        place: usize,
        end: usize,
        scratch: &Scratch,
        object: bool,
    ) -> Result<FastStep, RewriteError> {
        let Some(frame) = run.state.frame() else { return Ok(FastStep::Doubt) };
        if frame.object != object || scratch.breaks(place, object) {
            return Ok(FastStep::Doubt);
        }
        run.pos = self.base + place;
        run.close()?;
        self.safe = run.pos;
        self.go_on(run, end)
    }

    /// Goes on after a bracket, by foot where the container asks for it.
    #[inline]
    fn go_on(&self, run: &mut ExactReader<'_, '_>, end: usize) -> Result<FastStep, RewriteError> {
        if run.entry().is_some() && run.state.depth >= self.floor {
            return Ok(FastStep::On);
        }
        if run.state.depth >= self.floor {
            run.walk(end)?;
        }
        Ok(FastStep::Walked)
    }
}
