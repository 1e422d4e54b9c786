//! Tables: CSV (RFC 4180) and TSV, with columns named by a header row.
//!
//! A row is held until it is complete and has as many fields as the header: in a row that lacks a field, every later
//! value would be read under its neighbour's name. What two dialects could read in two ways is refused: a quote
//! within an unquoted field, a CR without LF, a header that looks as if it had another delimiter.

mod header;
mod row;

use super::fields::{FieldDecision, FieldRules};
use super::utf8::{Utf8Validator, not_utf8};
use super::{RewriteError, RewriteObserver, RewriteResult, Rewriter, Transform};
use header::{CsvColumn, CsvHeader};
use row::CsvRow;
use std::sync::Arc;

/// How a table is written, as far as it is known before its first byte.
#[derive(Debug, Clone, Copy)]
pub(super) struct CsvDialect<'a> {
    /// The byte between two fields.
    pub delimiter: u8,
    /// The columns of a table without a header.
    pub columns: Option<&'a [Box<str>]>,
    /// Whether the media type says that the first row is a header.
    pub headed: bool,
}

/// Treats a table while it streams. Each data row is a record.
pub(super) struct CsvRewriter {
    fields: Arc<FieldRules>,
    transform: Arc<dyn Transform>,
    delimiter: u8,
    header: CsvHeader,
    row: CsvRow,
    state: CsvState,
    utf8: Utf8Validator,
    /// Offset of the next byte.
    at: u64,
}

/// Where in the table the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CsvState {
    /// Before the first byte of a row.
    Row,
    /// Before the first byte of a field that is not the first of its row.
    Field,
    /// In a field without quotes.
    Plain,
    /// In a field with quotes.
    Quoted,
    /// After a quote in a quoted field: the quote ends the field, or is the first half of an escaped quote.
    Quote,
    /// After the CR that ends an empty line.
    EmptyReturn,
    /// After the CR that ends a row.
    Return,
}

impl CsvRewriter {
    /// A rewriter for one table.
    ///
    /// # Errors
    /// [`RewriteError::MissingColumn`] when a rule needs a column that is not among the given ones.
    pub(super) fn new(
        dialect: CsvDialect<'_>,
        fields: Arc<FieldRules>,
        transform: Arc<dyn Transform>,
    ) -> RewriteResult<Self> {
        let CsvDialect { delimiter, columns, headed } = dialect;
        let header = match columns {
            Some(names) => CsvHeader::from_contract(names, &fields, &*transform)?,
            None => CsvHeader::in_first_row(headed),
        };
        let row = CsvRow::first(columns.is_none());
        Ok(Self {
            fields,
            transform,
            delimiter,
            header,
            row,
            state: CsvState::Row,
            utf8: Utf8Validator::default(),
            at: 0,
        })
    }

    fn read(&mut self, mut input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
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

    /// This and the next functions take bytes of a field and return how many. 0 means that the next byte is a
    /// delimiter, a CR or an LF, which [`Self::end_field_or_row`] takes.
    fn begin_row(&mut self, byte: u8, observer: &mut dyn RewriteObserver) -> RewriteResult<usize> {
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

    fn begin_field(&mut self, byte: u8) -> RewriteResult<usize> {
        self.row.quoted = byte == b'"';
        let whole = self.row.header || self.row.first;
        let column = self.header.columns.get(self.row.fields).filter(|column| !whole && !column.subject);
        self.row.skips = column.is_some_and(|column| column.drops);
        self.row.pieces = column.filter(|column| !column.drops).and_then(|column| match column.decision {
            FieldDecision::Treat(rule) => self.transform.begin_pieces(rule),
            FieldDecision::Pass | FieldDecision::Drop => None,
        });
        self.state = if self.row.quoted { CsvState::Quoted } else { CsvState::Plain };
        if self.row.quoted {
            self.row.raw.push(b'"');
        }
        // A delimiter or a line end here means that the field is empty.
        if self.row.quoted || byte == self.delimiter || matches!(byte, b'\r' | b'\n') {
            return Ok(usize::from(self.row.quoted));
        }
        self.plain(&[byte])
    }

    fn plain(&mut self, input: &[u8]) -> RewriteResult<usize> {
        let end = memchr::memchr3(self.delimiter, b'\r', b'\n', input).unwrap_or(input.len());
        if let Some(end) = memchr::memchr(b'"', &input[..end]) {
            return Err(RewriteError::Malformed { what: "a quote within an unquoted field", at: self.at + end as u64 });
        }
        self.row.hold(&input[..end], &input[..end])?;
        Ok(end)
    }

    fn quoted(&mut self, input: &[u8]) -> RewriteResult<usize> {
        let end = memchr::memchr(b'"', input);
        let text = &input[..end.unwrap_or(input.len())];
        let taken = text.len() + usize::from(end.is_some());
        self.row.hold(&input[..taken], text)?;
        if end.is_some() {
            self.state = CsvState::Quote;
        }
        Ok(taken)
    }

    fn after_quote(&mut self, byte: u8) -> RewriteResult<usize> {
        if byte == b'"' {
            self.row.hold(b"\"", b"\"")?;
            self.state = CsvState::Quoted;
            return Ok(1);
        }
        if byte == self.delimiter || matches!(byte, b'\r' | b'\n') {
            return Ok(0);
        }
        Err(self.malformed("text after a quoted field"))
    }

    fn line_feed(&mut self, byte: u8) -> RewriteResult<usize> {
        if byte == b'\n' { Ok(0) } else { Err(self.malformed("a CR without its LF")) }
    }

    /// Takes a delimiter, a CR or an LF outside of quotes.
    fn end_field_or_row(&mut self, byte: u8, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
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

    fn end_field(&mut self, observer: &mut dyn RewriteObserver) -> RewriteResult {
        let column = if self.row.header { self.end_name()? } else { self.column()? };
        if column.subject && !self.row.header {
            observer.on_subject(&self.row.text);
        }
        if self.row.first && self.header.contradicts(self.row.fields, &self.row.text) {
            return Err(self.malformed("a first row that names the given columns in another order"));
        }
        let rule = match column.decision {
            // The rule of the detectors is applied to the names of the header too.
            FieldDecision::Treat(rule) if !self.row.header || self.fields.is_fallback(rule) => Some(rule),
            FieldDecision::Treat(_) | FieldDecision::Pass | FieldDecision::Drop => None,
        };
        if !column.drops {
            if self.row.kept > 0 {
                self.row.out.push(self.delimiter);
            }
            self.row.kept += 1;
            let (counts, untouched) = match rule {
                Some(rule) => self.row.put_treated(rule, self.delimiter, &*self.transform)?,
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
        self.row.end_field();
        Ok(())
    }

    /// A name in the header row is complete: decides about its column.
    fn end_name(&mut self) -> RewriteResult<CsvColumn> {
        let other = |b: &u8| *b != self.delimiter && matches!(b, b',' | b';' | b'\t' | b'|');
        if !self.row.quoted && self.row.text.iter().any(other) {
            return Err(self.malformed("a header with another delimiter than the declared one"));
        }
        let name = simdutf8::basic::from_utf8(&self.row.text).map_err(|_| not_utf8(self.at))?;
        Ok(self.header.add(name, &self.fields, &*self.transform))
    }

    fn column(&self) -> RewriteResult<CsvColumn> {
        let column = self.header.columns.get(self.row.fields).copied();
        column.ok_or_else(|| self.malformed("a row with more fields than the header"))
    }

    /// The row is complete: checks that it has a field for each column, and counts a first row that may be data.
    fn check_row(&mut self, observer: &mut dyn RewriteObserver) -> RewriteResult {
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

impl Rewriter for CsvRewriter {
    fn feed(&mut self, input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        let good = self.utf8.push_all(input);
        self.row.reports_clear = observer.wants_clear_paths();
        self.read(&input[..good], observer, out)?;
        if good == input.len() { Ok(()) } else { Err(not_utf8(self.at)) }
    }

    fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
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
