//! Forms in parts: `multipart/form-data` (RFC 7578).
//!
//! Fields are treated by name, parts with JSON are treated by the JSON rewriter, files are refused unless the
//! contract allows them. A delimiter that only some parsers would see is refused: one after an LF without CR, one at
//! the start of a part's body, one with more characters on its line. Never lets a treated text contain the delimiter.

mod delimiter;
mod header;
mod state;
mod text;

use super::clear::OpenField;
use super::fields::{FieldRules, clear_path};
use super::lines::{DocumentCounter, Restart, shift_offset};
use super::{
    FileHandling, Replacement, RewriteError, RewriteObserver, RewriteResult, Rewriter, SelectedValue, Transform,
    ValueKind,
};
use crate::bounds::PART_HEAD_BYTES_MAX;
use delimiter::Delimiter;
use header::PartHeader;
use state::{MultipartState, PartAction};
use std::sync::Arc;
use text::PartText;
use zeroize::Zeroizing;

/// Treats a multipart form while it streams. A form is one record, or as many as are in its JSON parts.
pub(super) struct MultipartRewriter<E> {
    json: E,
    fields: Arc<FieldRules>,
    transform: Arc<dyn Transform>,
    files: FileHandling,
    delimiter: Delimiter,
    state: MultipartState,
    /// What is done with the open part.
    action: PartAction,
    /// The open header, or what follows a boundary on its line.
    held: Zeroizing<Vec<u8>>,
    text: PartText,
    treated: Vec<u8>,
    counter: DocumentCounter,
    /// Whether a part has been put out.
    begun: bool,
    /// Whether the form has been counted as a record.
    counted: bool,
    /// Offset of the next byte.
    at: u64,
    /// Offset of the open part's body.
    start: u64,
    /// The path of the open part, where the observer wants the paths of untreated values.
    open: OpenField,
}

impl<E: Restart> MultipartRewriter<E> {
    /// A rewriter for one form with this boundary; `json` treats its JSON parts.
    ///
    /// # Errors
    /// [`RewriteError::Malformed`] when the boundary is not valid (RFC 2046, section 5.1.1).
    pub(super) fn new(
        boundary: &str,
        json: E,
        fields: Arc<FieldRules>,
        transform: Arc<dyn Transform>,
        files: FileHandling,
    ) -> RewriteResult<Self> {
        let delimiter = Delimiter::new(boundary)?;
        let counter = DocumentCounter::new(fields.counts_records);
        Ok(Self {
            json,
            fields,
            transform,
            files,
            delimiter,
            state: MultipartState::Start,
            action: PartAction::Drop,
            held: Zeroizing::default(),
            text: PartText::default(),
            treated: Vec::new(),
            counter,
            begun: false,
            counted: false,
            at: 0,
            start: 0,
            open: OpenField::default(),
        })
    }

    /// Takes some bytes, at least one unless the state changes; returns how many.
    fn step(&mut self, input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult<usize> {
        match self.state {
            MultipartState::Start => self.first_boundary(input[0]),
            MultipartState::Boundary => self.after_boundary(input[0], out),
            MultipartState::Header => self.header(input, observer, out),
            MultipartState::Begin | MultipartState::Body if self.delimiter.is_begun() => {
                self.delimiter_byte(input[0], observer, out)
            }
            MultipartState::Begin | MultipartState::Body => self.body(input, observer, out),
            MultipartState::End if matches!(input[0], b'\r' | b'\n') => {
                out.push(input[0]);
                Ok(1)
            }
            MultipartState::End => Err(self.malformed("bytes after the last boundary")),
        }
    }

    fn first_boundary(&mut self, byte: u8) -> RewriteResult<usize> {
        if !self.delimiter.take(byte) {
            return Err(self.malformed("a form that does not begin with its boundary"));
        }
        if self.delimiter.is_complete() {
            self.end_delimiter();
        }
        Ok(1)
    }

    fn end_delimiter(&mut self) {
        self.state = MultipartState::Boundary;
        self.delimiter.reset();
        self.held.clear();
    }

    fn after_boundary(&mut self, byte: u8, out: &mut Vec<u8>) -> RewriteResult<usize> {
        self.held.push(byte);
        match self.held.as_slice() {
            b"\r" | b"-" => {}
            b"\r\n" => {
                self.state = MultipartState::Header;
                self.held.clear();
            }
            b"--" => {
                self.put_delimiter(out);
                out.extend_from_slice(b"--");
                self.state = MultipartState::End;
            }
            _ => return Err(self.malformed("a boundary with more characters on its line")),
        }
        Ok(1)
    }

    /// Puts out a delimiter: the first one has no line end before it.
    fn put_delimiter(&mut self, out: &mut Vec<u8>) {
        let begun = std::mem::replace(&mut self.begun, true);
        out.extend_from_slice(if begun { b"\r\n--" } else { b"--" });
        out.extend_from_slice(self.delimiter.boundary());
    }

    fn header(&mut self, input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult<usize> {
        let line = &input[..memchr::memchr(b'\n', input).map_or(input.len(), |end| end + 1)];
        self.held.extend_from_slice(line);
        let end = self.at + line.len() as u64;
        if self.held.len() > PART_HEAD_BYTES_MAX {
            return Err(RewriteError::Bound { bound: "the header of a part", limit: PART_HEAD_BYTES_MAX as u64 });
        }
        if let Some(fields) = self.held.strip_suffix(b"\r\n\r\n") {
            let mut header = PartHeader::parse(fields, end)?;
            self.action = PartAction::of(&header, &self.fields, &*self.transform, self.files, observer)?;
            self.start = end;
            self.open = OpenField::begin(observer.wants_clear_paths(), || clear_path(&header.name));
            self.strip(&mut header, observer)?;
            self.begin_part(&header, out);
        }
        Ok(line.len())
    }

    /// Takes out of a part's header what the rules do not let pass.
    fn strip(&self, header: &mut PartHeader, observer: &mut dyn RewriteObserver) -> RewriteResult {
        let rest = self.fields.fallback_rule();
        let treated = match self.action {
            PartAction::Held { rule, .. } => rule.is_some_and(|rule| Some(rule) != rest),
            PartAction::Redact(_) => true,
            PartAction::Drop => return Ok(()),
            PartAction::Pass | PartAction::File | PartAction::Json => false,
        };
        if treated || self.fields.has_allow_list() {
            header.strip_to_needed();
        }
        let Some(rule) = rest else { return Ok(()) };
        header.treat(rule, &*self.transform, observer)
    }

    fn begin_part(&mut self, header: &PartHeader, out: &mut Vec<u8>) {
        self.held.clear();
        let alone = if let PartAction::Held { rule, subject: false } = self.action { rule } else { None };
        self.text.begin(alone.and_then(|rule| self.transform.begin_pieces(rule)), self.start);
        self.json.restart();
        // Some parsers take the line end of the header for that of a delimiter, so it is counted as one.
        self.state = MultipartState::Begin;
        self.delimiter.begin(true);
        if self.action == PartAction::Drop {
            return;
        }
        self.put_delimiter(out);
        out.extend_from_slice(b"\r\n");
        let unchanged = matches!(self.action, PartAction::Pass | PartAction::File);
        out.extend_from_slice(&header.lines);
        out.extend_from_slice(if unchanged { &header.length } else { b"" });
        out.extend_from_slice(b"\r\n");
    }

    /// Takes one byte that may belong to a delimiter.
    fn delimiter_byte(
        &mut self,
        byte: u8,
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> RewriteResult<usize> {
        if self.delimiter.take(byte) {
            if self.delimiter.is_complete() {
                if !self.delimiter.holds_cr {
                    return Err(self.malformed("a boundary that only some parsers see"));
                }
                self.end_part(observer, out)?;
                self.end_delimiter();
            }
            return Ok(1);
        }
        // The LF before a part's body belongs to the header, and is not content.
        let from = usize::from(self.state == MultipartState::Begin);
        let mut content = std::mem::take(&mut self.treated);
        content.clear();
        self.delimiter.give_up(from, &mut content);
        self.content(&content, observer, out)?;
        self.treated = content;
        self.state = MultipartState::Body;
        Ok(0)
    }

    /// Takes the bytes up to the next LF. A CR before it is held back, since it may belong to a delimiter.
    fn body(&mut self, input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult<usize> {
        let end = memchr::memchr(b'\n', input);
        let line = &input[..end.unwrap_or(input.len())];
        if !line.is_empty() {
            if std::mem::take(&mut self.delimiter.holds_cr) {
                self.content(b"\r", observer, out)?;
            }
            let rest = line.strip_suffix(b"\r");
            self.content(rest.unwrap_or(line), observer, out)?;
            self.delimiter.holds_cr = rest.is_some();
        }
        self.delimiter.begin(end.is_some());
        Ok(line.len() + usize::from(end.is_some()))
    }

    fn content(&mut self, piece: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        self.open.fill(!piece.is_empty());
        match self.action {
            PartAction::Drop | PartAction::Redact(_) => Ok(()),
            PartAction::Json => self
                .json
                .feed(piece, &mut self.counter.within(observer), out)
                .map_err(|stop| shift_offset(stop, self.start)),
            PartAction::File => {
                out.extend_from_slice(piece);
                Ok(())
            }
            PartAction::Pass | PartAction::Held { .. } => self.text.push(piece, self.action == PartAction::Pass, out),
        }
    }

    fn end_part(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        self.text.finish()?;
        match self.action {
            PartAction::Pass | PartAction::File => {
                self.open.report(observer);
                Ok(())
            }
            PartAction::Drop => Ok(()),
            PartAction::Json => {
                self.json.finish(&mut self.counter.within(observer), out).map_err(|stop| shift_offset(stop, self.start))
            }
            PartAction::Redact(rule) => self.put_treated(rule, ValueKind::Container, observer, out),
            PartAction::Held { rule, subject } => {
                if let (Some(rule), Some(pieces)) = (rule, self.text.take_pieces()) {
                    self.transform.finish_pieces(rule, pieces, out);
                    observer.on_treated(rule);
                    return Ok(());
                }
                if subject {
                    observer.on_subject(self.text.held());
                }
                match rule {
                    Some(rule) => self.put_treated(rule, ValueKind::String, observer, out),
                    None => {
                        out.extend_from_slice(self.text.held());
                        self.open.report(observer);
                        Ok(())
                    }
                }
            }
        }
    }

    fn put_treated(
        &mut self,
        rule: usize,
        kind: ValueKind,
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> RewriteResult {
        self.treated.clear();
        let shape =
            self.transform.transform(rule, SelectedValue { kind, text: self.text.held() }, &mut self.treated)?;
        if let Replacement::Unchanged { counted } = shape {
            out.extend_from_slice(self.text.held());
            self.open.report(observer);
            if counted {
                observer.on_treated(rule);
            }
            return Ok(());
        }
        if self.delimiter.is_in(&self.treated) {
            return Err(RewriteError::Untreatable { what: "the treated text has the boundary in it" });
        }
        observer.on_treated(rule);
        out.extend_from_slice(&self.treated);
        Ok(())
    }

    const fn malformed(&self, what: &'static str) -> RewriteError {
        RewriteError::Malformed { what, at: self.at }
    }
}

impl<E: Restart> Rewriter for MultipartRewriter<E> {
    fn feed(&mut self, mut input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        if !self.counted && !input.is_empty() {
            self.counted = true;
            self.counter.document(observer)?;
        }
        while !input.is_empty() {
            let used = self.step(input, observer, out)?;
            self.at += used as u64;
            input = &input[used..];
        }
        Ok(())
    }

    fn finish(&mut self, _watch: &mut dyn RewriteObserver, _out: &mut Vec<u8>) -> RewriteResult {
        match self.state == MultipartState::End {
            true => Ok(()),
            false => Err(self.malformed("a form without its last boundary")),
        }
    }
}

#[cfg(test)]
mod tests;
