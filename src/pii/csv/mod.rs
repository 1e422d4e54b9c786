//! Tables: CSV (RFC 4180) and TSV, with columns named by a header row.
//!
//! A row is held until it is complete and has as many fields as the header: in a row that is short by one, every later
//! value would stand under its neighbour's name. What two dialects could read in two ways is refused: a quote within
//! an unquoted field, a bare CR, a header that looks as if it had another delimiter.

mod header;

use super::fields::{FieldDecision, FieldRules};
use super::utf8::{Utf8Validator, not_utf8};
use super::{
    PieceTransform, Replacement, RewriteError, RewriteObserver, Rewriter, SelectedValue, Transform, ValueKind,
};
use crate::bounds::{ROW_BYTES_MAX, VALUE_BYTES_MAX};
use header::{CsvColumn, CsvHeader};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What is known of a table before its first byte.
#[derive(Debug, Clone, Copy)]
pub(super) struct CsvDialect<'a> {
    /// What stands between two fields.
    pub delimiter: u8,
    /// The columns of a table without a header.
    pub columns: Option<&'a [Box<str>]>,
    /// Whether the table itself says that its first row is a header.
    pub headed: bool,
}

/// The engine of tables. Each data row is a record.
pub(super) struct CsvRewriter {
    fields: Arc<FieldRules>,
    treat: Arc<dyn Transform>,
    delimiter: u8,
    header: CsvHeader,
    row: CsvRow,
    state: CsvState,
    utf8: Utf8Validator,
    /// Offset of the next byte.
    at: u64,
}

/// The open row.
#[derive(Default)]
struct CsvRow {
    header: bool,
    /// Whether it is the first row of a table that has no header.
    first: bool,
    /// Fields that are complete, and how many of them leave.
    fields: usize,
    kept: usize,
    /// What leaves when the row is complete.
    out: Vec<u8>,
    /// The open field as it came, and decoded.
    raw: Zeroizing<Vec<u8>>,
    text: Zeroizing<Vec<u8>>,
    /// The open field, where nothing of it is kept.
    pieces: Option<PieceTransform>,
    /// Whether nothing of it leaves or is looked at.
    skips: bool,
    quoted: bool,
    treated: Vec<u8>,
    /// Whether somebody asks what leaves in clear.
    reports_clear: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CsvState {
    /// Before a row.
    Row,
    /// Before a field that is not the first.
    Field,
    Plain,
    Quoted,
    /// Behind a quote in a quoted field: its end, or the first half of a quote.
    Quote,
    /// Behind the CR that ends an empty line, or a row.
    EmptyReturn,
    Return,
}

impl CsvRewriter {
    /// An engine for one table.
    ///
    /// # Errors
    /// [`RewriteError::MissingColumn`] when a rule needs a column that is not among the given ones.
    pub(super) fn new(
        dialect: CsvDialect<'_>,
        fields: Arc<FieldRules>,
        treat: Arc<dyn Transform>,
    ) -> Result<Self, RewriteError> {
        let CsvDialect { delimiter, columns, headed } = dialect;
        let header = match columns {
            Some(names) => CsvHeader::from_contract(names, &fields, &*treat)?,
            None => CsvHeader::in_first_row(headed),
        };
        let row = CsvRow { header: columns.is_none(), first: columns.is_some(), ..CsvRow::default() };
        Ok(Self { fields, treat, delimiter, header, row, state: CsvState::Row, utf8: Utf8Validator::default(), at: 0 })
    }

    fn read(
        &mut self,
        mut input: &[u8],
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        while let Some(&byte) = input.first() {
            let used = match self.state {
                CsvState::Row => self.begin_row(byte, observer)?,
                CsvState::Field => self.begin_field(byte)?,
                CsvState::Plain => self.plain(input)?,
                CsvState::Quoted => self.quoted(input)?,
                CsvState::Quote => self.after_quote(byte)?,
                CsvState::EmptyReturn | CsvState::Return => self.line_feed(byte)?,
            };
            if used == 0 {
                self.end_field_or_row(byte, observer, out)?;
            }
            let used = used.max(1);
            self.at += used as u64;
            input = &input[used..];
        }
        Ok(())
    }

    /// Each of these takes bytes of a field and returns how many; 0 leaves a delimiter, CR or LF to [`Self::end_field_or_row`].
    fn begin_row(&mut self, byte: u8, observer: &mut dyn RewriteObserver) -> Result<usize, RewriteError> {
        if matches!(byte, b'\r' | b'\n') {
            if self.row.header {
                return Err(self.malformed("a table without a header"));
            }
            self.state = CsvState::EmptyReturn;
            if byte == b'\r' {
                self.row.out.push(b'\r');
            }
            return Ok(usize::from(byte == b'\r'));
        }
        if self.fields.counts_records && !self.row.header {
            observer.on_record()?;
        }
        self.begin_field(byte)
    }

    fn begin_field(&mut self, byte: u8) -> Result<usize, RewriteError> {
        self.row.quoted = byte == b'"';
        let whole = self.row.header || self.row.first;
        let column = self.header.columns.get(self.row.fields).filter(|column| !whole && !column.subject);
        self.row.skips = column.is_some_and(|column| column.drops);
        self.row.pieces = column.filter(|column| !column.drops).and_then(|column| match column.decision {
            FieldDecision::Treat(rule) => self.treat.begin_pieces(rule),
            FieldDecision::Pass | FieldDecision::Drop => None,
        });
        self.state = if self.row.quoted { CsvState::Quoted } else { CsvState::Plain };
        if self.row.quoted {
            self.row.raw.push(b'"');
        }
        // A delimiter or line end right here ends an empty field; other bytes are the field's first.
        if self.row.quoted || byte == self.delimiter || matches!(byte, b'\r' | b'\n') {
            return Ok(usize::from(self.row.quoted));
        }
        self.plain(&[byte])
    }

    fn plain(&mut self, input: &[u8]) -> Result<usize, RewriteError> {
        let end = memchr::memchr3(self.delimiter, b'\r', b'\n', input).unwrap_or(input.len());
        if let Some(end) = memchr::memchr(b'"', &input[..end]) {
            return Err(RewriteError::Malformed { what: "a quote within an unquoted field", at: self.at + end as u64 });
        }
        self.keep(&input[..end], &input[..end])?;
        Ok(end)
    }

    fn quoted(&mut self, input: &[u8]) -> Result<usize, RewriteError> {
        let end = memchr::memchr(b'"', input);
        let text = &input[..end.unwrap_or(input.len())];
        let taken = text.len() + usize::from(end.is_some());
        self.keep(&input[..taken], text)?;
        if end.is_some() {
            self.state = CsvState::Quote;
        }
        Ok(taken)
    }

    fn after_quote(&mut self, byte: u8) -> Result<usize, RewriteError> {
        if byte == b'"' {
            self.keep(b"\"", b"\"")?;
            self.state = CsvState::Quoted;
            return Ok(1);
        }
        if byte == self.delimiter || matches!(byte, b'\r' | b'\n') {
            return Ok(0);
        }
        Err(self.malformed("text behind a quoted field"))
    }

    fn line_feed(&mut self, byte: u8) -> Result<usize, RewriteError> {
        if byte == b'\n' { Ok(0) } else { Err(self.malformed("a CR without its LF")) }
    }

    /// Takes a delimiter, a CR or an LF that is not part of a field.
    fn end_field_or_row(
        &mut self,
        byte: u8,
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        match (byte, self.state) {
            (b'\n', CsvState::EmptyReturn) => self.row.out.push(b'\n'),
            (b'\n', CsvState::Return) => {
                self.row.out.push(b'\n');
                self.check_row(observer)?;
            }
            (b'\n', _) => {
                self.end_field(observer)?;
                self.row.out.push(b'\n');
                self.check_row(observer)?;
            }
            (b'\r', _) => {
                self.end_field(observer)?;
                self.row.out.push(b'\r');
                self.state = CsvState::Return;
                return Ok(());
            }
            _ => {
                self.end_field(observer)?;
                self.state = CsvState::Field;
                return Ok(());
            }
        }
        out.append(&mut self.row.out);
        self.state = CsvState::Row;
        Ok(())
    }

    /// Keeps a piece of the open field.
    fn keep(&mut self, raw: &[u8], text: &[u8]) -> Result<(), RewriteError> {
        if self.row.skips {
            return Ok(());
        }
        if let Some(pieces) = &mut self.row.pieces {
            pieces.push(text);
            return check_row_bytes(self.row.out.len() + pieces.ready_bytes());
        }
        check_row_bytes(self.row.out.len() + self.row.raw.len() + raw.len())?;
        self.row.raw.extend_from_slice(raw);
        self.row.text.extend_from_slice(text);
        Ok(())
    }

    fn end_field(&mut self, observer: &mut dyn RewriteObserver) -> Result<(), RewriteError> {
        let column = if self.row.header { self.end_name()? } else { self.column()? };
        if column.subject && !self.row.header {
            observer.on_subject(&self.row.text);
        }
        if self.row.first && self.header.contradicts(self.row.fields, &self.row.text) {
            return Err(self.malformed("a first row that names the given columns in another order"));
        }
        let rule = match column.decision {
            // Detectors look at names too.
            FieldDecision::Treat(rule) if !self.row.header || self.fields.is_fallback(rule) => Some(rule),
            FieldDecision::Treat(_) | FieldDecision::Pass | FieldDecision::Drop => None,
        };
        if !column.drops {
            if self.row.kept > 0 {
                self.row.out.push(self.delimiter);
            }
            self.row.kept += 1;
            let (counts, untouched) = match rule {
                Some(rule) => self.treat_field(rule)?,
                None => {
                    self.row.out.append(&mut self.row.raw);
                    (false, true)
                }
            };
            if self.row.reports_clear && untouched && !self.row.header && !self.row.text.is_empty() {
                observer.on_clear_path(&self.header.paths[self.row.fields]);
            }
            if let Some(rule) = rule.filter(|_| counts) {
                observer.on_treated(rule);
            }
        } else if let Some(rule) = rule {
            observer.on_treated(rule);
        }
        self.row.fields += 1;
        self.row.raw.clear();
        self.row.text.clear();
        Ok(())
    }

    /// Whether the field counts as treated, and whether it leaves as it came.
    fn treat_field(&mut self, rule: usize) -> Result<(bool, bool), RewriteError> {
        let row = &mut self.row;
        if row.text.len() > VALUE_BYTES_MAX {
            return Err(RewriteError::Bound { bound: "a value", limit: VALUE_BYTES_MAX as u64 });
        }
        row.treated.clear();
        if let Some(mut pieces) = row.pieces.take() {
            pieces.drain(&mut row.treated);
            self.treat.finish_pieces(rule, pieces, &mut row.treated);
            let quote: &[u8] = if row.quoted { b"\"" } else { b"" };
            [quote, &row.treated, quote].iter().for_each(|part| row.out.extend_from_slice(part));
            return Ok((true, false));
        }
        let shape =
            self.treat.transform(rule, SelectedValue { kind: ValueKind::String, text: &row.text }, &mut row.treated)?;
        if let Replacement::Unchanged { counted } = shape {
            row.out.append(&mut row.raw);
            return Ok((counted, true));
        }
        let special = |b: &u8| *b == self.delimiter || matches!(b, b'"' | b'\r' | b'\n');
        if !row.quoted && !row.treated.iter().any(special) {
            row.out.extend_from_slice(&row.treated);
            return Ok((true, false));
        }
        row.out.push(b'"');
        for &byte in &row.treated {
            row.out.extend_from_slice(if byte == b'"' { b"\"\"" } else { std::slice::from_ref(&byte) });
        }
        row.out.push(b'"');
        Ok((true, false))
    }

    /// A name of the header is complete.
    fn end_name(&mut self) -> Result<CsvColumn, RewriteError> {
        let other = |b: &u8| *b != self.delimiter && matches!(b, b',' | b';' | b'\t' | b'|');
        if !self.row.quoted && self.row.text.iter().any(other) {
            return Err(self.malformed("a header with another delimiter than the declared one"));
        }
        let name = simdutf8::basic::from_utf8(&self.row.text).map_err(|_| not_utf8(self.at))?;
        Ok(self.header.add(name, &self.fields, &*self.treat))
    }

    fn column(&self) -> Result<CsvColumn, RewriteError> {
        let column = self.header.columns.get(self.row.fields).copied();
        column.ok_or_else(|| self.malformed("a row with more fields than the header"))
    }

    /// A row may leave when it has all its fields.
    fn check_row(&mut self, observer: &mut dyn RewriteObserver) -> Result<(), RewriteError> {
        if self.row.fields < self.header.columns.len() {
            return Err(self.malformed("a row with fewer fields than the header"));
        }
        if self.row.header && self.header.check_first_row(&self.fields, self.at)? && self.fields.counts_records {
            observer.on_record()?;
        }
        (self.row.header, self.row.first, self.row.fields, self.row.kept) = (false, false, 0, 0);
        Ok(())
    }

    const fn malformed(&self, what: &'static str) -> RewriteError {
        RewriteError::Malformed { what, at: self.at }
    }
}

fn check_row_bytes(length: usize) -> Result<(), RewriteError> {
    if length > ROW_BYTES_MAX {
        Err(RewriteError::Bound { bound: "a row", limit: ROW_BYTES_MAX as u64 })
    } else {
        Ok(())
    }
}

impl std::fmt::Debug for CsvRewriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Csv").field("header", &self.header).field("at", &self.at).finish_non_exhaustive()
    }
}

impl Rewriter for CsvRewriter {
    fn feed(
        &mut self,
        input: &[u8],
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        let good = self.utf8.push_all(input);
        self.row.reports_clear = observer.wants_clear_paths();
        self.read(&input[..good], observer, out)?;
        if good == input.len() { Ok(()) } else { Err(not_utf8(self.at)) }
    }

    fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> Result<(), RewriteError> {
        match self.state {
            CsvState::Row => return Ok(()),
            CsvState::Quoted => return Err(self.malformed("a quoted field without its end")),
            CsvState::EmptyReturn | CsvState::Return => return Err(self.malformed("a CR without its LF")),
            CsvState::Field | CsvState::Plain | CsvState::Quote => {}
        }
        if !self.utf8.is_whole() {
            return Err(not_utf8(self.at));
        }
        self.end_field(observer)?;
        self.check_row(observer)?;
        out.append(&mut self.row.out);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
