//! The exact reader: the grammar of RFC 8259, strictly, one byte after the other.
//!
//! Plain and portable. It is the reference for the fast path, which falls back on it: every byte that needs a decision
//! is read here. It knows which token may come next; what is done with a value is the business of [`ValueHandler`].

use crate::pii::json::{
    fast::{ContainerSkip, SkipEnd},
    matcher::JsonType,
};
use crate::pii::{RewriteError, RewriteResult, ValueKind};

use super::{
    context::JsonContext,
    scalar::{self, NumberState},
    state::{JsonMode, JsonState, StringRole, ValueAction},
    text::plain_bytes,
    values::{ValueHandler, too_deep},
};

/// Reads one chunk of whole characters.
pub(in crate::pii::json) struct ExactReader<'a, 'd> {
    pub(in crate::pii::json) mode: &'a mut JsonMode,
    pub(in crate::pii::json) values: ValueHandler<'a, 'd>,
    pub(in crate::pii::json) chunk: &'a [u8],
    /// Bytes of the chunk before here have been read.
    pub(in crate::pii::json) pos: usize,
}

impl<'a, 'd> ExactReader<'a, 'd> {
    pub(in crate::pii::json) fn new(
        state: &'a mut JsonState,
        context: &'a mut JsonContext<'d>,
        chunk: &'a [u8],
    ) -> Self {
        let JsonState { mode, values } = state;
        Self { mode, values: ValueHandler::new(values, context, chunk), chunk, pos: 0 }
    }

    /// Whether each key must be read, because the observer wants the path of every value.
    pub(in crate::pii::json) fn needs_every_key(&self) -> bool {
        self.values.state.path.is_some()
    }

    /// Reads up to a place in the chunk, or to the end of the token there.
    pub(in crate::pii::json) fn read_to(&mut self, end: usize) -> RewriteResult {
        while self.pos < end {
            self.step()?;
        }
        Ok(())
    }

    /// Ends the chunk: nothing of it is needed after this.
    ///
    /// # Errors
    /// [`RewriteError::Bound`] when what is held is longer than its bound.
    pub(in crate::pii::json) fn end_chunk(&mut self) -> RewriteResult {
        let ended = self.values.end_chunk(self.pos, self.mode.is_in_key());
        self.values.state.offset += self.pos as u64;
        ended
    }

    /// Takes the end of the document, with an empty chunk.
    ///
    /// # Errors
    /// [`RewriteError::Malformed`] when the document is not complete.
    pub(in crate::pii::json) fn end_document(&mut self) -> RewriteResult {
        if let JsonMode::Number(number) = *self.mode
            && self.values.state.stack.depth == 0
            && number.may_end()
        {
            self.end_scalar(ValueKind::Number, 0)?;
        }
        if *self.mode != JsonMode::End {
            return Err(self.malformed("the document is not complete"));
        }
        self.values.end_document()
    }

    /// Reads a byte, or as much of a token as there is.
    #[inline]
    pub(in crate::pii::json) fn step(&mut self) -> RewriteResult {
        match *self.mode {
            JsonMode::Text(role) => self.string(role),
            JsonMode::Number(number) => self.number(number),
            JsonMode::Keyword(word, read) => self.keyword(word, read),
            JsonMode::Escape(role) => self.escape(role),
            JsonMode::Hex(role, left) => self.hex_digit(role, left),
            JsonMode::Skip(skip) => self.skip(skip),
            JsonMode::Value
            | JsonMode::FirstElement
            | JsonMode::FirstKey
            | JsonMode::Key
            | JsonMode::Colon
            | JsonMode::After
            | JsonMode::End => self.between_tokens(),
        }
    }

    #[inline]
    fn between_tokens(&mut self) -> RewriteResult {
        let byte = self.chunk[self.pos];
        if is_space(byte) {
            self.pos += self.chunk[self.pos..].iter().take_while(|byte| is_space(**byte)).count();
            return Ok(());
        }
        match (*self.mode, byte) {
            (JsonMode::FirstElement, b']') | (JsonMode::FirstKey, b'}') => self.close(),
            (JsonMode::Value | JsonMode::FirstElement, _) => self.begin_value(byte),
            (JsonMode::FirstKey | JsonMode::Key, b'"') => self.begin_key(),
            (JsonMode::FirstKey | JsonMode::Key, _) => Err(self.malformed("expected a key")),
            (JsonMode::Colon, b':') => {
                self.pos += 1;
                *self.mode = JsonMode::Value;
                Ok(())
            }
            (JsonMode::Colon, _) => Err(self.malformed("expected a colon")),
            (JsonMode::End, _) => Err(self.malformed("expected nothing after the document")),
            (_, b',') => self.comma(),
            (_, b'}' | b']') if self.closes(byte) => self.close(),
            _ => Err(self.malformed(UNEXPECTED_END)),
        }
    }

    /// Whether this bracket closes the innermost container.
    #[inline]
    fn closes(&self, bracket: u8) -> bool {
        self.values.state.stack.top().is_some_and(|frame| frame.object == (bracket == b'}'))
    }

    #[inline]
    fn comma(&mut self) -> RewriteResult {
        let Some((object, holds_keys)) = self.values.begin_item(self.pos) else {
            return Err(self.malformed("expected nothing more"));
        };
        *self.mode = if object { JsonMode::Key } else { JsonMode::Value };
        self.pos += 1;
        match self.chunk.get(self.pos) {
            Some(b'"') if object && !holds_keys => self.begin_key(),
            Some(_) | None => Ok(()),
        }
    }

    #[inline]
    fn begin_key(&mut self) -> RewriteResult {
        self.values.begin_key(self.pos)?;
        self.pos += 1;
        *self.mode = JsonMode::Text(StringRole::Key);
        self.string(StringRole::Key)
    }

    #[inline]
    fn begin_value(&mut self, byte: u8) -> RewriteResult {
        let Some(of) = JsonType::of(byte) else { return Err(self.malformed("expected a value")) };
        if matches!(of, JsonType::Object | JsonType::Array) {
            return self.open(of);
        }
        self.values.begin_scalar(of, self.pos)?;
        self.pos += 1;
        if byte == b'"' {
            *self.mode = JsonMode::Text(StringRole::Value);
            return self.string(StringRole::Value);
        }
        match scalar::keyword(byte) {
            Some(word) => {
                *self.mode = JsonMode::Keyword(word, 1);
                Ok(())
            }
            None => self.number(NumberState::start(byte)),
        }
    }

    fn open(&mut self, of: JsonType) -> RewriteResult {
        let state = self.values.state.value;
        let action = self.values.begin_container(of, self.pos)?;
        self.pos += 1;
        *self.mode = match action {
            ValueAction::Pass => self.values.enter_container(of, state, self.pos)?,
            ValueAction::Treat(_) | ValueAction::Drop(_) | ValueAction::ReplaceByNull(_) => {
                self.values.skip_container(of, action)?
            }
        };
        Ok(())
    }

    /// Reads the bracket that closes the innermost container.
    pub(in crate::pii::json) fn close(&mut self) -> RewriteResult {
        self.values.end_container(self.pos)?;
        self.pos += 1;
        self.after_value();
        Ok(())
    }

    #[inline]
    fn end_scalar(&mut self, kind: ValueKind, end: usize) -> RewriteResult {
        self.values.end_scalar(kind, end)?;
        self.after_value();
        Ok(())
    }

    #[inline]
    fn after_value(&mut self) {
        *self.mode = if self.values.state.stack.depth == 0 { JsonMode::End } else { JsonMode::After };
    }

    #[inline]
    fn string(&mut self, role: StringRole) -> RewriteResult {
        self.pos += plain_bytes(&self.chunk[self.pos..]);
        match self.chunk.get(self.pos) {
            None => Ok(()),
            Some(b'"') => {
                self.pos += 1;
                match role {
                    StringRole::Key => self.end_key(),
                    StringRole::Value => self.end_scalar(ValueKind::String, self.pos - 1),
                }
            }
            Some(b'\\') => {
                self.pos += 1;
                self.values.state.token.escaped = true;
                *self.mode = JsonMode::Escape(role);
                Ok(())
            }
            Some(_) => Err(self.malformed("a control character in a string")),
        }
    }

    /// Ends a key, and begins its value at once, where there is no space between them.
    #[inline]
    fn end_key(&mut self) -> RewriteResult {
        *self.mode = JsonMode::Colon;
        self.values.end_key(self.pos - 1)?;
        if self.chunk.get(self.pos) != Some(&b':') {
            return Ok(());
        }
        self.pos += 1;
        *self.mode = JsonMode::Value;
        match self.chunk.get(self.pos) {
            Some(byte) if *byte > b' ' => self.begin_value(*byte),
            Some(_) | None => Ok(()),
        }
    }

    fn escape(&mut self, role: StringRole) -> RewriteResult {
        *self.mode = match self.chunk[self.pos] {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => JsonMode::Text(role),
            b'u' => JsonMode::Hex(role, 4),
            _ => return Err(self.malformed("an unknown escape")),
        };
        self.pos += 1;
        Ok(())
    }

    fn hex_digit(&mut self, role: StringRole, left: u8) -> RewriteResult {
        if !self.chunk[self.pos].is_ascii_hexdigit() {
            return Err(self.malformed("an escape that is not hexadecimal"));
        }
        *self.mode = if left > 1 { JsonMode::Hex(role, left - 1) } else { JsonMode::Text(role) };
        self.pos += 1;
        Ok(())
    }

    fn number(&mut self, mut number: NumberState) -> RewriteResult {
        while let Some(byte) = self.chunk.get(self.pos) {
            match number.step(*byte) {
                Some(next) => number = next,
                None if number.may_end() => return self.end_scalar(ValueKind::Number, self.pos),
                None => return Err(self.malformed("expected a number")),
            }
            self.pos += 1;
        }
        *self.mode = JsonMode::Number(number);
        Ok(())
    }

    fn keyword(&mut self, word: &'static [u8], mut read: usize) -> RewriteResult {
        while let (Some(expected), Some(byte)) = (word.get(read), self.chunk.get(self.pos)) {
            if byte != expected {
                return Err(self.malformed("expected true, false or null"));
            }
            self.pos += 1;
            read += 1;
        }
        if read < word.len() {
            *self.mode = JsonMode::Keyword(word, read);
            return Ok(());
        }
        self.end_scalar(if word == b"null" { ValueKind::Null } else { ValueKind::Boolean }, self.pos)
    }

    /// Reads on to the end of the container that is skipped, or of the chunk.
    fn skip(&mut self, mut skip: ContainerSkip) -> RewriteResult {
        let (read, end) = self.values.context.engine.skip(&self.chunk[self.pos..], &mut skip);
        self.pos += read;
        *self.mode = JsonMode::Skip(skip);
        match end {
            SkipEnd::Chunk => Ok(()),
            SkipEnd::Bracket if self.closes(self.chunk[self.pos]) => self.close(),
            SkipEnd::Bracket => Err(self.malformed(UNEXPECTED_END)),
            SkipEnd::TooDeep => Err(too_deep()),
        }
    }

    fn malformed(&self, what: &'static str) -> RewriteError {
        RewriteError::Malformed { what, at: self.values.state.offset + self.pos as u64 }
    }
}

const UNEXPECTED_END: &str = "expected a comma or the container's end";

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}
