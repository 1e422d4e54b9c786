//! The byte engine: RFC 8259, strictly, one byte after the other.
//!
//! Plain and portable: the reference that faster engines are held against, and what they fall back on. It decides
//! what may leave, and never lets a byte of a selected value into the output before the value is complete.

use crate::bounds::{DOCUMENT_DEPTH_MAX, KEY_BYTES_MAX, LEAD_BYTES_MAX, VALUE_BYTES_MAX};
use crate::pii::clear::Trail;
use crate::pii::{Batch, Stop, Treat, Watch};

use super::{
    machine::{Frame, Machine, Mode, Role, Sink},
    matcher::{Matcher, Type},
    scalar::{self, Number},
    simd::Engine,
    skim::{Skim, Skimmed},
    text::plain_bytes,
};

/// More containers are open than may be.
pub(super) fn too_deep() -> Stop {
    Stop::Bound { bound: "the depth of the document", limit: DOCUMENT_DEPTH_MAX as u64 }
}

/// What an engine works with besides its state: the same for all chunks of a stream.
pub(super) struct Desk<'a> {
    pub(super) engine: Engine,
    pub(super) matcher: &'a Matcher,
    pub(super) treat: &'a dyn Treat,
    pub(super) watch: &'a mut dyn Watch,
    pub(super) out: &'a mut Vec<u8>,
    /// Values whose place in `out` is filled before the call returns.
    pub(super) batch: &'a mut Batch,
}

/// One chunk, being read.
pub(super) struct Run<'a, 'd> {
    pub(super) machine: &'a mut Machine,
    pub(super) desk: &'a mut Desk<'d>,
    pub(super) input: &'a [u8],
    pub(super) pos: usize,
    /// What has been read since here has not yet gone where [`Machine::sink`] says.
    pub(super) from: usize,
    /// Where in this chunk the held token begins, or goes on.
    pub(super) token: usize,
    /// Where in this chunk the subject's container begins, or goes on.
    pub(super) tree_from: usize,
}

impl<'a, 'd> Run<'a, 'd> {
    /// Reads a chunk of whole characters.
    ///
    /// # Errors
    /// As [`crate::pii::Rewriter::feed`].
    pub(super) fn feed(machine: &'a mut Machine, desk: &'a mut Desk<'d>, input: &'a [u8]) -> Result<(), Stop> {
        let mut run = Self { machine, desk, input, pos: 0, from: 0, token: 0, tree_from: 0 };
        if run.machine.trail.is_none() && run.desk.watch.asks_clear() {
            run.machine.trail = Some(Trail::default());
        }
        // Where paths are asked for no name may be leapt over.
        let each = run.desk.engine == Engine::BYTES || run.machine.trail.is_some();
        let read = if each { run.read_to(input.len()) } else { run.leap_to(input.len()) };
        let settled = run.settle();
        run.machine.at += run.pos as u64;
        settled.and(read)
    }

    /// Takes the end of the document.
    ///
    /// # Errors
    /// As [`crate::pii::Rewriter::finish`].
    pub(super) fn finish(machine: &'a mut Machine, desk: &'a mut Desk<'d>) -> Result<(), Stop> {
        let mut run = Self { machine, desk, input: &[], pos: 0, from: 0, token: 0, tree_from: 0 };
        match run.machine.mode {
            Mode::End => {}
            Mode::Number(number) if run.machine.depth == 0 && number.may_end() => run.end_scalar(0)?,
            _ => return Err(run.malformed("the document is not complete")),
        }
        run.end_document()
    }

    /// Reads up to a place in the chunk, or to the end of the token there.
    pub(super) fn read_to(&mut self, end: usize) -> Result<(), Stop> {
        while self.pos < end {
            self.step()?;
        }
        Ok(())
    }

    /// Reads a byte, or as much of a token as there is.
    #[inline]
    pub(super) fn step(&mut self) -> Result<(), Stop> {
        match self.machine.mode {
            Mode::Text(role) => self.text(role),
            Mode::Number(number) => self.number(number),
            Mode::Word(word, read) => self.word(word, read),
            Mode::Escape(role) => self.escape(role),
            Mode::Hex(role, left) => self.hex(role, left),
            Mode::Skim(skim) => self.skim(skim),
            Mode::Value | Mode::FirstElement | Mode::FirstKey | Mode::Key | Mode::Colon | Mode::After | Mode::End => {
                self.between()
            }
        }
    }

    /// Sends what has been read to where it goes, so that the chunk can be given back.
    fn settle(&mut self) -> Result<(), Stop> {
        let is_key =
            matches!(self.machine.mode, Mode::Text(Role::Key) | Mode::Escape(Role::Key) | Mode::Hex(Role::Key, _));
        if self.machine.holds_token {
            let part = &self.input[self.token..self.pos];
            let length = self.machine.held.len() + part.len();
            if is_key && length > KEY_BYTES_MAX {
                self.give_up_key()?;
            } else if self.machine.pieces.is_some() || length > VALUE_BYTES_MAX {
                self.treat_piece(part, false)?;
            } else {
                self.machine.held.push(part);
            }
        }
        if self.machine.tree.is_some() {
            self.hold_tree(self.pos);
        }
        let lead = if is_key { Ok(()) } else { self.check_lead(LEAD_BYTES_MAX) };
        self.switch(self.machine.sink, self.pos);
        lead
    }

    /// A byte between two tokens: the place where the grammar is.
    #[inline]
    fn between(&mut self) -> Result<(), Stop> {
        let byte = self.input[self.pos];
        if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            let space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
            self.pos += self.input[self.pos..].iter().take_while(|byte| space(byte)).count();
            return Ok(());
        }
        match (self.machine.mode, byte) {
            (Mode::FirstElement, b']') | (Mode::FirstKey, b'}') => self.close(),
            (Mode::Value | Mode::FirstElement, _) => self.begin_value(byte),
            (Mode::FirstKey | Mode::Key, b'"') => self.begin_key(),
            (Mode::FirstKey | Mode::Key, _) => Err(self.malformed("expected a key")),
            (Mode::Colon, b':') => {
                self.pos += 1;
                self.machine.mode = Mode::Value;
                Ok(())
            }
            (Mode::Colon, _) => Err(self.malformed("expected a colon")),
            (Mode::End, _) => Err(self.malformed("expected nothing after the document")),
            (_, b',') => self.comma(),
            (_, b'}' | b']') if self.machine.frame().is_some_and(|frame| frame.object == (byte == b'}')) => {
                self.close()
            }
            _ => Err(self.malformed("expected a comma or the container's end")),
        }
    }

    #[inline]
    fn comma(&mut self) -> Result<(), Stop> {
        let Some(frame) = self.machine.frame_mut() else { return Err(self.malformed("expected nothing more")) };
        frame.index = frame.index.saturating_add(1);
        let Frame { state, object, holds, index, .. } = *frame;
        if object {
            self.machine.mode = Mode::Key;
        } else {
            self.machine.mode = Mode::Value;
            self.machine.value = self.desk.matcher.element(state, index);
        }
        if holds {
            self.switch(Sink::Lead, self.pos);
        }
        self.pos += 1;
        match self.input.get(self.pos) {
            Some(b'"') if object && !holds => self.begin_key(),
            Some(_) | None => Ok(()),
        }
    }

    #[inline]
    fn begin_key(&mut self) -> Result<(), Stop> {
        let waits = self.machine.frame().is_some_and(|frame| frame.holds);
        let names = self.desk.matcher.quick(self.machine.place()).names;
        self.check_lead(LEAD_BYTES_MAX - KEY_BYTES_MAX)?;
        self.pos += 1;
        self.machine.mode = Mode::Text(Role::Key);
        self.machine.escaped = false;
        self.machine.holds_token = waits || names || self.machine.trail.is_some();
        self.token = self.pos;
        self.text(Role::Key)
    }

    #[inline]
    fn begin_value(&mut self, byte: u8) -> Result<(), Stop> {
        let Some(of) = Type::of(byte) else { return Err(self.malformed("expected a value")) };
        if matches!(of, Type::Object | Type::Array) {
            return self.open(of);
        }
        self.begin_scalar(of)?;
        self.machine.escaped = false;
        self.pos += 1;
        if byte == b'"' {
            self.machine.mode = Mode::Text(Role::Value);
            return self.text(Role::Value);
        }
        match scalar::word(byte) {
            Some(word) => {
                self.machine.mode = Mode::Word(word, 1);
                Ok(())
            }
            None => self.number(Number::start(byte)),
        }
    }

    #[inline]
    fn text(&mut self, role: Role) -> Result<(), Stop> {
        self.pos += plain_bytes(&self.input[self.pos..]);
        match self.input.get(self.pos) {
            None => {}
            Some(b'"') => {
                self.pos += 1;
                match role {
                    Role::Key => {
                        self.end_key(self.pos - 1)?;
                        return self.colon_and_value();
                    }
                    Role::Value => self.end_scalar(self.pos - 1)?,
                }
            }
            Some(b'\\') => {
                self.pos += 1;
                self.machine.escaped = true;
                self.machine.mode = Mode::Escape(role);
            }
            Some(_) => return Err(self.malformed("a control character in a string")),
        }
        Ok(())
    }

    /// Goes on behind a key, where no space keeps its value apart.
    #[inline]
    fn colon_and_value(&mut self) -> Result<(), Stop> {
        if self.input.get(self.pos) != Some(&b':') {
            return Ok(());
        }
        self.pos += 1;
        self.machine.mode = Mode::Value;
        match self.input.get(self.pos) {
            Some(byte) if *byte > b' ' => self.begin_value(*byte),
            Some(_) | None => Ok(()),
        }
    }

    /// Reads on to the end of the container that is skimmed, or of the chunk.
    fn skim(&mut self, mut skim: Skim) -> Result<(), Stop> {
        let (read, why) = self.desk.engine.skim(&self.input[self.pos..], &mut skim);
        self.pos += read;
        self.machine.mode = Mode::Skim(skim);
        match why {
            Skimmed::All => Ok(()),
            Skimmed::End => {
                let object = self.input[self.pos] == b'}';
                match self.machine.frame() {
                    Some(frame) if frame.object == object => self.close(),
                    _ => Err(self.malformed("expected a comma or the container's end")),
                }
            }
            Skimmed::TooDeep => Err(too_deep()),
        }
    }

    fn escape(&mut self, role: Role) -> Result<(), Stop> {
        self.machine.mode = match self.input[self.pos] {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Mode::Text(role),
            b'u' => Mode::Hex(role, 4),
            _ => return Err(self.malformed("an unknown escape")),
        };
        self.pos += 1;
        Ok(())
    }

    fn hex(&mut self, role: Role, left: u8) -> Result<(), Stop> {
        if !self.input[self.pos].is_ascii_hexdigit() {
            return Err(self.malformed("an escape that is not hexadecimal"));
        }
        self.machine.mode = if left > 1 { Mode::Hex(role, left - 1) } else { Mode::Text(role) };
        self.pos += 1;
        Ok(())
    }

    fn number(&mut self, mut number: Number) -> Result<(), Stop> {
        while let Some(byte) = self.input.get(self.pos) {
            match number.step(*byte) {
                Some(next) => number = next,
                None if number.may_end() => {
                    self.machine.mode = Mode::Number(number);
                    return self.end_scalar(self.pos);
                }
                None => return Err(self.malformed("expected a number")),
            }
            self.pos += 1;
        }
        self.machine.mode = Mode::Number(number);
        Ok(())
    }

    fn word(&mut self, word: &'static [u8], mut read: usize) -> Result<(), Stop> {
        while let (Some(expected), Some(byte)) = (word.get(read), self.input.get(self.pos)) {
            if byte != expected {
                return Err(self.malformed("expected true, false or null"));
            }
            self.pos += 1;
            read += 1;
        }
        self.machine.mode = Mode::Word(word, read);
        if read == word.len() { self.end_scalar(self.pos) } else { Ok(()) }
    }

    /// Sends the bytes that have been read to the present sink, and those from here on to another.
    #[inline]
    pub(super) fn switch(&mut self, sink: Sink, at: usize) {
        let span = &self.input[self.from..at];
        match self.machine.sink {
            Sink::Out => self.desk.out.extend_from_slice(span),
            Sink::Lead => self.machine.lead.extend_from_slice(span),
            Sink::Void => {}
        }
        self.from = at;
        self.machine.sink = sink;
    }

    /// Whether what waits in the lead, up to the present byte, is within a limit.
    pub(super) fn check_lead(&self, limit: usize) -> Result<(), Stop> {
        if self.machine.sink == Sink::Lead && self.machine.lead.len() + self.pos - self.from > limit {
            return Err(Stop::Bound { bound: "space around a member", limit: limit as u64 });
        }
        Ok(())
    }

    pub(super) fn malformed(&self, what: &'static str) -> Stop {
        Stop::Malformed { what, at: self.machine.at + self.pos as u64 }
    }
}
