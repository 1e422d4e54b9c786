//! Forms in parts: `multipart/form-data` (RFC 7578).
//!
//! Fields are treated by name, parts that are JSON are read by the JSON engine, files are refused unless they are
//! allowed. A boundary that only some parsers would see is refused: one behind a bare LF, one at the start of a
//! body, one that goes on. Never lets a treated text bring a boundary of its own.

mod header;
mod state;

use super::clear::OpenField;
use super::fields::{FieldRules, clear_path};
use super::lines::{DocumentCounter, Restart, shift_offset};
use super::utf8::{Utf8Validator, not_utf8};
use super::{
    FileHandling, PieceTransform, Replacement, RewriteError, RewriteObserver, Rewriter, SelectedValue, Transform,
    ValueKind,
};
use crate::bounds::{PART_HEAD_BYTES_MAX, VALUE_BYTES_MAX};
use header::PartHeader;
use state::{MultipartState, PartAction};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The engine of forms in parts. A form is one record, or as many as are in its JSON parts.
pub(super) struct MultipartRewriter<E> {
    json: E,
    fields: Arc<FieldRules>,
    treat: Arc<dyn Transform>,
    files: FileHandling,
    /// LF, two hyphens and the boundary.
    delimiter: Arc<[u8]>,
    state: MultipartState,
    /// How much of the mark has been seen, and whether a CR stands before it.
    matched: usize,
    returned: bool,
    /// The head, or the value that is held.
    held: Zeroizing<Vec<u8>>,
    /// The value, where nothing of it is kept.
    pieces: Option<PieceTransform>,
    treated: Vec<u8>,
    utf8: Utf8Validator,
    counting: DocumentCounter,
    /// Whether a part has left, and whether the form has been counted.
    begun: bool,
    counted: bool,
    at: u64,
    start: u64,
    /// Where the open part stands, if somebody asks what leaves in clear.
    open: OpenField,
}

impl<E: Restart> MultipartRewriter<E> {
    /// An engine for one form with this boundary, which reads JSON parts with `json`.
    ///
    /// # Errors
    /// [`RewriteError::Malformed`] when the boundary is none (RFC 2046, section 5.1.1).
    pub(super) fn new(
        boundary: &str,
        json: E,
        fields: Arc<FieldRules>,
        treat: Arc<dyn Transform>,
        files: FileHandling,
    ) -> Result<Self, RewriteError> {
        let good = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&b);
        if !(1..=70).contains(&boundary.len()) || !boundary.bytes().all(good) || boundary.ends_with(' ') {
            return Err(RewriteError::Malformed { what: "a boundary that is none", at: 0 });
        }
        let counting = DocumentCounter::new(fields.counts_records);
        Ok(Self {
            json,
            fields,
            treat,
            files,
            delimiter: [b"\n--", boundary.as_bytes()].concat().into(),
            state: MultipartState::Start,
            matched: 1,
            returned: false,
            held: Zeroizing::default(),
            pieces: None,
            treated: Vec::new(),
            utf8: Utf8Validator::default(),
            counting,
            begun: false,
            counted: false,
            at: 0,
            start: 0,
            open: OpenField::default(),
        })
    }

    /// Takes some bytes; returns how many.
    fn step(
        &mut self,
        input: &[u8],
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<usize, RewriteError> {
        match self.state {
            MultipartState::Start => self.first_boundary(input[0]),
            MultipartState::Boundary => self.behind_boundary(input[0], out),
            MultipartState::Head => self.head(input, observer, out),
            MultipartState::Begin(fate) | MultipartState::Body(fate) if self.matched > 0 => {
                self.mark(input[0], fate, observer, out)
            }
            MultipartState::Begin(fate) | MultipartState::Body(fate) => self.body(input, fate, observer, out),
            MultipartState::End if matches!(input[0], b'\r' | b'\n') => {
                out.push(input[0]);
                Ok(1)
            }
            MultipartState::End => Err(self.malformed("bytes behind the last boundary")),
        }
    }

    fn first_boundary(&mut self, byte: u8) -> Result<usize, RewriteError> {
        if self.delimiter[self.matched] != byte {
            return Err(self.malformed("a form that does not begin with its boundary"));
        }
        self.matched += 1;
        if self.matched == self.delimiter.len() {
            self.end_mark();
        }
        Ok(1)
    }

    fn end_mark(&mut self) {
        (self.state, self.matched, self.returned) = (MultipartState::Boundary, 0, false);
        self.held.clear();
    }

    fn behind_boundary(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<usize, RewriteError> {
        self.held.push(byte);
        match self.held.as_slice() {
            b"\r" | b"-" => {}
            b"\r\n" => {
                self.state = MultipartState::Head;
                self.held.clear();
            }
            b"--" => {
                self.put_mark(out);
                out.extend_from_slice(b"--");
                self.state = MultipartState::End;
            }
            _ => return Err(self.malformed("a boundary that goes on")),
        }
        Ok(1)
    }

    /// Puts out a boundary: the first one has no line end before it.
    fn put_mark(&mut self, out: &mut Vec<u8>) {
        let begun = std::mem::replace(&mut self.begun, true);
        out.extend_from_slice(if begun { b"\r\n--" } else { b"--" });
        out.extend_from_slice(&self.delimiter[3..]);
    }

    fn head(
        &mut self,
        input: &[u8],
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<usize, RewriteError> {
        let line = &input[..memchr::memchr(b'\n', input).map_or(input.len(), |end| end + 1)];
        self.held.extend_from_slice(line);
        let end = self.at + line.len() as u64;
        if self.held.len() > PART_HEAD_BYTES_MAX {
            return Err(RewriteError::Bound { bound: "the header of a part", limit: PART_HEAD_BYTES_MAX as u64 });
        }
        if let Some(fields) = self.held.strip_suffix(b"\r\n\r\n") {
            let mut head = PartHeader::parse(fields, end)?;
            let fate = PartAction::of(&head, &self.fields, &*self.treat, self.files, observer)?;
            self.start = end;
            self.open = OpenField::begin(observer.wants_clear_paths(), || clear_path(&head.name));
            self.strip(&mut head, fate, observer)?;
            self.begin_part(&head, fate, out);
        }
        Ok(line.len())
    }

    /// Takes out of a header that leaves what no rule may let pass.
    fn strip(
        &mut self,
        head: &mut PartHeader,
        fate: PartAction,
        observer: &mut dyn RewriteObserver,
    ) -> Result<(), RewriteError> {
        let rest = self.fields.fallback_rule();
        let treated = match fate {
            PartAction::Held { rule, .. } => rule.is_some_and(|rule| Some(rule) != rest),
            PartAction::Redact(_) => true,
            PartAction::Drop => return Ok(()),
            PartAction::Pass | PartAction::File | PartAction::Json => false,
        };
        if treated || self.fields.has_allow_list() {
            head.strip_to_needed();
        }
        let Some(rule) = rest else { return Ok(()) };
        let (treat, made) = (&*self.treat, &mut self.treated);
        head.rewrite_texts(|text| {
            made.clear();
            let shape =
                treat.transform(rule, SelectedValue { kind: ValueKind::String, text: text.as_bytes() }, made)?;
            if shape != (Replacement::Unchanged { counted: false }) {
                observer.on_treated(rule);
            }
            Ok(if let Replacement::Unchanged { .. } = shape { None } else { String::from_utf8(made.clone()).ok() })
        })
    }

    fn begin_part(&mut self, head: &PartHeader, fate: PartAction, out: &mut Vec<u8>) {
        self.held.clear();
        self.utf8 = Utf8Validator::default();
        let alone = if let PartAction::Held { rule, subject: false } = fate { rule } else { None };
        self.pieces = alone.and_then(|rule| self.treat.begin_pieces(rule));
        self.json.restart();
        // The line end of the head may be taken for that of a boundary.
        (self.state, self.matched) = (MultipartState::Begin(fate), 1);
        if fate == PartAction::Drop {
            return;
        }
        self.put_mark(out);
        out.extend_from_slice(b"\r\n");
        let unchanged = matches!(fate, PartAction::Pass | PartAction::File);
        out.extend_from_slice(&head.lines);
        out.extend_from_slice(if unchanged { &head.length } else { b"" });
        out.extend_from_slice(b"\r\n");
    }

    /// One byte that may belong to a boundary.
    fn mark(
        &mut self,
        byte: u8,
        fate: PartAction,
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<usize, RewriteError> {
        if self.delimiter[self.matched] == byte {
            self.matched += 1;
            if self.matched == self.delimiter.len() {
                if !self.returned {
                    return Err(self.malformed("a boundary that only some parsers see"));
                }
                self.end_part(fate, observer, out)?;
                self.end_mark();
            }
            return Ok(1);
        }
        let begin = usize::from(matches!(self.state, MultipartState::Begin(_)));
        let (mark, seen) = (Arc::clone(&self.delimiter), begin..self.matched);
        if std::mem::take(&mut self.returned) {
            self.content(b"\r", fate, observer, out)?;
        }
        self.content(&mark[seen], fate, observer, out)?;
        (self.state, self.matched) = (MultipartState::Body(fate), 0);
        Ok(0)
    }

    /// Bytes up to the next LF; a CR at their end waits for what follows.
    fn body(
        &mut self,
        input: &[u8],
        fate: PartAction,
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<usize, RewriteError> {
        let end = memchr::memchr(b'\n', input);
        let line = &input[..end.unwrap_or(input.len())];
        if !line.is_empty() {
            if std::mem::take(&mut self.returned) {
                self.content(b"\r", fate, observer, out)?;
            }
            let rest = line.strip_suffix(b"\r");
            self.content(rest.unwrap_or(line), fate, observer, out)?;
            self.returned = rest.is_some();
        }
        self.matched = usize::from(end.is_some());
        Ok(line.len() + self.matched)
    }

    fn content(
        &mut self,
        piece: &[u8],
        fate: PartAction,
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        self.open.fill(!piece.is_empty());
        match fate {
            PartAction::Drop | PartAction::Redact(_) => Ok(()),
            PartAction::Json => self
                .json
                .feed(piece, &mut self.counting.within(observer), out)
                .map_err(|stop| shift_offset(stop, self.start)),
            PartAction::File => {
                out.extend_from_slice(piece);
                Ok(())
            }
            PartAction::Pass | PartAction::Held { .. } => self.text(piece, fate == PartAction::Pass, out),
        }
    }

    /// A piece of a text that passes, or is held.
    fn text(&mut self, piece: &[u8], passes: bool, out: &mut Vec<u8>) -> Result<(), RewriteError> {
        let good = self.utf8.push_all(piece);
        match &mut self.pieces {
            Some(pieces) => pieces.push_and_drain(&piece[..good], out),
            None if passes => out.extend_from_slice(&piece[..good]),
            None if self.held.len() + good > VALUE_BYTES_MAX => {
                return Err(RewriteError::Bound { bound: "a value", limit: VALUE_BYTES_MAX as u64 });
            }
            None => self.held.extend_from_slice(&piece[..good]),
        }
        if good == piece.len() { Ok(()) } else { Err(not_utf8(self.start)) }
    }

    fn end_part(
        &mut self,
        fate: PartAction,
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        if !self.utf8.is_whole() {
            return Err(not_utf8(self.start));
        }
        match fate {
            PartAction::Pass | PartAction::File => {
                self.open.report(observer);
                Ok(())
            }
            PartAction::Drop => Ok(()),
            PartAction::Json => self
                .json
                .finish(&mut self.counting.within(observer), out)
                .map_err(|stop| shift_offset(stop, self.start)),
            PartAction::Redact(rule) => self.put_treated(rule, ValueKind::Container, observer, out),
            PartAction::Held { rule, subject } => {
                if let (Some(rule), Some(pieces)) = (rule, self.pieces.take()) {
                    self.treat.finish_pieces(rule, pieces, out);
                    observer.on_treated(rule);
                    return Ok(());
                }
                if subject {
                    observer.on_subject(&self.held);
                }
                match rule {
                    Some(rule) => self.put_treated(rule, ValueKind::String, observer, out),
                    None => {
                        out.extend_from_slice(&self.held);
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
    ) -> Result<(), RewriteError> {
        self.treated.clear();
        let shape = self.treat.transform(rule, SelectedValue { kind, text: &self.held }, &mut self.treated)?;
        if let Replacement::Unchanged { counted } = shape {
            out.extend_from_slice(&self.held);
            self.open.report(observer);
            if counted {
                observer.on_treated(rule);
            }
            return Ok(());
        }
        if memchr::memmem::find(&self.treated, &self.delimiter[1..]).is_some() {
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

impl<E> std::fmt::Debug for MultipartRewriter<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Multipart").field("state", &self.state).field("at", &self.at).finish_non_exhaustive()
    }
}

impl<E: Restart> Rewriter for MultipartRewriter<E> {
    fn feed(
        &mut self,
        mut input: &[u8],
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        if !self.counted && !input.is_empty() {
            self.counted = true;
            self.counting.document(observer)?;
        }
        while !input.is_empty() {
            let used = self.step(input, observer, out)?;
            self.at += used as u64;
            input = &input[used..];
        }
        Ok(())
    }

    fn finish(&mut self, _watch: &mut dyn RewriteObserver, _out: &mut Vec<u8>) -> Result<(), RewriteError> {
        match self.state {
            MultipartState::End => Ok(()),
            MultipartState::Start
            | MultipartState::Boundary
            | MultipartState::Head
            | MultipartState::Begin(_)
            | MultipartState::Body(_) => Err(self.malformed("a form without its last boundary")),
        }
    }
}

#[cfg(test)]
mod tests;
