//! The byte engine: RFC 8259, strictly, one byte after the other.
//!
//! Plain and portable: the reference that faster engines are held against, and what they fall back on. It decides
//! what may leave, and never lets a byte of a selected value into the output before the value is complete.

use crate::bounds::{DOCUMENT_DEPTH_MAX, KEY_BYTES_MAX, PENDING_SEPARATOR_BYTES_MAX, VALUE_BYTES_MAX};
use crate::pii::clear::PathTracker;
use crate::pii::{DeferredBatch, RewriteError, RewriteObserver, Transform};

use super::{
    machine::{ByteSink, JsonFrame, JsonMode, JsonState, StringRole},
    matcher::{JsonType, Matcher},
    scalar::{self, NumberState},
    simd::JsonEngine,
    skim::{Skim, Skimmed},
    text::plain_bytes,
};

/// More containers are open than may be.
pub(super) fn too_deep() -> RewriteError {
    RewriteError::Bound { bound: "the depth of the document", limit: DOCUMENT_DEPTH_MAX as u64 }
}

/// What an engine works with besides its state: the same for all chunks of a stream.
pub(super) struct JsonContext<'a> {
    pub(super) engine: JsonEngine,
    pub(super) matcher: &'a Matcher,
    pub(super) treat: &'a dyn Transform,
    pub(super) observer: &'a mut dyn RewriteObserver,
    pub(super) out: &'a mut Vec<u8>,
    /// Values whose place in `out` is filled before the call returns.
    pub(super) batch: &'a mut DeferredBatch,
}

/// One chunk, being read.
pub(super) struct ExactReader<'a, 'd> {
    pub(super) state: &'a mut JsonState,
    pub(super) context: &'a mut JsonContext<'d>,
    pub(super) input: &'a [u8],
    pub(super) pos: usize,
    /// What has been read since here has not yet gone where [`JsonState::sink`] says.
    pub(super) from: usize,
    /// Where in this chunk the held token begins, or goes on.
    pub(super) token_from: usize,
    /// Where in this chunk the subject's container begins, or goes on.
    pub(super) subject_from: usize,
}

impl<'a, 'd> ExactReader<'a, 'd> {
    /// Reads a chunk of whole characters.
    ///
    /// # Errors
    /// As [`crate::pii::Rewriter::feed`].
    pub(super) fn feed(
        machine: &'a mut JsonState,
        desk: &'a mut JsonContext<'d>,
        input: &'a [u8],
    ) -> Result<(), RewriteError> {
        let mut run = Self { state: machine, context: desk, input, pos: 0, from: 0, token_from: 0, subject_from: 0 };
        if run.state.trail.is_none() && run.context.observer.wants_clear_paths() {
            run.state.trail = Some(PathTracker::default());
        }
        // Where paths are asked for no name may be leapt over.
        let each = run.context.engine == JsonEngine::BYTES || run.state.trail.is_some();
        let read = if each { run.read_to(input.len()) } else { run.leap_to(input.len()) };
        let settled = run.end_chunk();
        run.state.at += run.pos as u64;
        settled.and(read)
    }

    /// Takes the end of the document.
    ///
    /// # Errors
    /// As [`crate::pii::Rewriter::finish`].
    pub(super) fn finish(machine: &'a mut JsonState, desk: &'a mut JsonContext<'d>) -> Result<(), RewriteError> {
        let mut run =
            Self { state: machine, context: desk, input: &[], pos: 0, from: 0, token_from: 0, subject_from: 0 };
        match run.state.mode {
            JsonMode::End => {}
            JsonMode::Number(number) if run.state.depth == 0 && number.may_end() => run.end_scalar(0)?,
            _ => return Err(run.malformed("the document is not complete")),
        }
        run.end_document()
    }

    /// Reads up to a place in the chunk, or to the end of the token there.
    pub(super) fn read_to(&mut self, end: usize) -> Result<(), RewriteError> {
        while self.pos < end {
            self.step()?;
        }
        Ok(())
    }

    /// Reads a byte, or as much of a token as there is.
    #[inline]
    pub(super) fn step(&mut self) -> Result<(), RewriteError> {
        match self.state.mode {
            JsonMode::Text(role) => self.text(role),
            JsonMode::Number(number) => self.number(number),
            JsonMode::Keyword(word, read) => self.word(word, read),
            JsonMode::Escape(role) => self.escape(role),
            JsonMode::Hex(role, left) => self.hex(role, left),
            JsonMode::Skip(skim) => self.skim(skim),
            JsonMode::Value
            | JsonMode::FirstElement
            | JsonMode::FirstKey
            | JsonMode::Key
            | JsonMode::Colon
            | JsonMode::After
            | JsonMode::End => self.between(),
        }
    }

    /// Sends what has been read to where it goes, so that the chunk can be given back.
    fn end_chunk(&mut self) -> Result<(), RewriteError> {
        let is_key = matches!(
            self.state.mode,
            JsonMode::Text(StringRole::Key) | JsonMode::Escape(StringRole::Key) | JsonMode::Hex(StringRole::Key, _)
        );
        if self.state.holds_token {
            let part = &self.input[self.token_from..self.pos];
            let length = self.state.held.len() + part.len();
            if is_key && length > KEY_BYTES_MAX {
                self.give_up_key()?;
            } else if self.state.pieces.is_some() || length > VALUE_BYTES_MAX {
                self.treat_piece(part, false)?;
            } else {
                self.state.held.push(part);
            }
        }
        if self.state.subject_depth.is_some() {
            self.hold_subject(self.pos);
        }
        let lead = if is_key { Ok(()) } else { self.check_pending(PENDING_SEPARATOR_BYTES_MAX) };
        self.switch_sink(self.state.sink, self.pos);
        lead
    }

    /// A byte between two tokens: the place where the grammar is.
    #[inline]
    fn between(&mut self) -> Result<(), RewriteError> {
        let byte = self.input[self.pos];
        if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            let space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
            self.pos += self.input[self.pos..].iter().take_while(|byte| space(byte)).count();
            return Ok(());
        }
        match (self.state.mode, byte) {
            (JsonMode::FirstElement, b']') | (JsonMode::FirstKey, b'}') => self.close(),
            (JsonMode::Value | JsonMode::FirstElement, _) => self.begin_value(byte),
            (JsonMode::FirstKey | JsonMode::Key, b'"') => self.begin_key(),
            (JsonMode::FirstKey | JsonMode::Key, _) => Err(self.malformed("expected a key")),
            (JsonMode::Colon, b':') => {
                self.pos += 1;
                self.state.mode = JsonMode::Value;
                Ok(())
            }
            (JsonMode::Colon, _) => Err(self.malformed("expected a colon")),
            (JsonMode::End, _) => Err(self.malformed("expected nothing after the document")),
            (_, b',') => self.comma(),
            (_, b'}' | b']') if self.state.frame().is_some_and(|frame| frame.object == (byte == b'}')) => self.close(),
            _ => Err(self.malformed("expected a comma or the container's end")),
        }
    }

    #[inline]
    fn comma(&mut self) -> Result<(), RewriteError> {
        let Some(frame) = self.state.frame_mut() else { return Err(self.malformed("expected nothing more")) };
        frame.index = frame.index.saturating_add(1);
        let JsonFrame { state, object, holds_keys: holds, index, .. } = *frame;
        if object {
            self.state.mode = JsonMode::Key;
        } else {
            self.state.mode = JsonMode::Value;
            self.state.value = self.context.matcher.element(state, index);
        }
        if holds {
            self.switch_sink(ByteSink::Pending, self.pos);
        }
        self.pos += 1;
        match self.input.get(self.pos) {
            Some(b'"') if object && !holds => self.begin_key(),
            Some(_) | None => Ok(()),
        }
    }

    #[inline]
    fn begin_key(&mut self) -> Result<(), RewriteError> {
        let waits = self.state.frame().is_some_and(|frame| frame.holds_keys);
        let names = self.context.matcher.summary(self.state.place()).names_matter;
        self.check_pending(PENDING_SEPARATOR_BYTES_MAX - KEY_BYTES_MAX)?;
        self.pos += 1;
        self.state.mode = JsonMode::Text(StringRole::Key);
        self.state.escaped = false;
        self.state.holds_token = waits || names || self.state.trail.is_some();
        self.token_from = self.pos;
        self.text(StringRole::Key)
    }

    #[inline]
    fn begin_value(&mut self, byte: u8) -> Result<(), RewriteError> {
        let Some(of) = JsonType::of(byte) else { return Err(self.malformed("expected a value")) };
        if matches!(of, JsonType::Object | JsonType::Array) {
            return self.open(of);
        }
        self.begin_scalar(of)?;
        self.state.escaped = false;
        self.pos += 1;
        if byte == b'"' {
            self.state.mode = JsonMode::Text(StringRole::Value);
            return self.text(StringRole::Value);
        }
        match scalar::word(byte) {
            Some(word) => {
                self.state.mode = JsonMode::Keyword(word, 1);
                Ok(())
            }
            None => self.number(NumberState::start(byte)),
        }
    }

    #[inline]
    fn text(&mut self, role: StringRole) -> Result<(), RewriteError> {
        self.pos += plain_bytes(&self.input[self.pos..]);
        match self.input.get(self.pos) {
            None => {}
            Some(b'"') => {
                self.pos += 1;
                match role {
                    StringRole::Key => {
                        self.end_key(self.pos - 1)?;
                        return self.colon_and_value();
                    }
                    StringRole::Value => self.end_scalar(self.pos - 1)?,
                }
            }
            Some(b'\\') => {
                self.pos += 1;
                self.state.escaped = true;
                self.state.mode = JsonMode::Escape(role);
            }
            Some(_) => return Err(self.malformed("a control character in a string")),
        }
        Ok(())
    }

    /// Goes on behind a key, where no space keeps its value apart.
    #[inline]
    fn colon_and_value(&mut self) -> Result<(), RewriteError> {
        if self.input.get(self.pos) != Some(&b':') {
            return Ok(());
        }
        self.pos += 1;
        self.state.mode = JsonMode::Value;
        match self.input.get(self.pos) {
            Some(byte) if *byte > b' ' => self.begin_value(*byte),
            Some(_) | None => Ok(()),
        }
    }

    /// Reads on to the end of the container that is skimmed, or of the chunk.
    fn skim(&mut self, mut skim: Skim) -> Result<(), RewriteError> {
        let (read, why) = self.context.engine.skim(&self.input[self.pos..], &mut skim);
        self.pos += read;
        self.state.mode = JsonMode::Skip(skim);
        match why {
            Skimmed::All => Ok(()),
            Skimmed::End => {
                let object = self.input[self.pos] == b'}';
                match self.state.frame() {
                    Some(frame) if frame.object == object => self.close(),
                    _ => Err(self.malformed("expected a comma or the container's end")),
                }
            }
            Skimmed::TooDeep => Err(too_deep()),
        }
    }

    fn escape(&mut self, role: StringRole) -> Result<(), RewriteError> {
        self.state.mode = match self.input[self.pos] {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => JsonMode::Text(role),
            b'u' => JsonMode::Hex(role, 4),
            _ => return Err(self.malformed("an unknown escape")),
        };
        self.pos += 1;
        Ok(())
    }

    fn hex(&mut self, role: StringRole, left: u8) -> Result<(), RewriteError> {
        if !self.input[self.pos].is_ascii_hexdigit() {
            return Err(self.malformed("an escape that is not hexadecimal"));
        }
        self.state.mode = if left > 1 { JsonMode::Hex(role, left - 1) } else { JsonMode::Text(role) };
        self.pos += 1;
        Ok(())
    }

    fn number(&mut self, mut number: NumberState) -> Result<(), RewriteError> {
        while let Some(byte) = self.input.get(self.pos) {
            match number.step(*byte) {
                Some(next) => number = next,
                None if number.may_end() => {
                    self.state.mode = JsonMode::Number(number);
                    return self.end_scalar(self.pos);
                }
                None => return Err(self.malformed("expected a number")),
            }
            self.pos += 1;
        }
        self.state.mode = JsonMode::Number(number);
        Ok(())
    }

    fn word(&mut self, word: &'static [u8], mut read: usize) -> Result<(), RewriteError> {
        while let (Some(expected), Some(byte)) = (word.get(read), self.input.get(self.pos)) {
            if byte != expected {
                return Err(self.malformed("expected true, false or null"));
            }
            self.pos += 1;
            read += 1;
        }
        self.state.mode = JsonMode::Keyword(word, read);
        if read == word.len() { self.end_scalar(self.pos) } else { Ok(()) }
    }

    /// Sends the bytes that have been read to the present sink, and those from here on to another.
    #[inline]
    pub(super) fn switch_sink(&mut self, sink: ByteSink, at: usize) {
        let span = &self.input[self.from..at];
        match self.state.sink {
            ByteSink::Out => self.context.out.extend_from_slice(span),
            ByteSink::Pending => self.state.pending_separator.extend_from_slice(span),
            ByteSink::Discard => {}
        }
        self.from = at;
        self.state.sink = sink;
    }

    /// Whether what waits in the lead, up to the present byte, is within a limit.
    pub(super) fn check_pending(&self, limit: usize) -> Result<(), RewriteError> {
        if self.state.sink == ByteSink::Pending && self.state.pending_separator.len() + self.pos - self.from > limit {
            return Err(RewriteError::Bound { bound: "space around a member", limit: limit as u64 });
        }
        Ok(())
    }

    pub(super) fn malformed(&self, what: &'static str) -> RewriteError {
        RewriteError::Malformed { what, at: self.state.at + self.pos as u64 }
    }
}
