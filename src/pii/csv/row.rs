//! The open row of a table: what is held of it, and how its fields are put out.

use crate::bounds::{ROW_BYTES_MAX, VALUE_BYTES_MAX};
use crate::pii::{PieceTransform, Replacement, RewriteError, RewriteResult, SelectedValue, Transform, ValueKind};
use zeroize::Zeroizing;

/// The row that is being read.
#[derive(Default)]
pub(super) struct CsvRow {
    /// Whether it is the header row.
    pub(super) header: bool,
    /// Whether it is the first row of a table that has no header.
    pub(super) first: bool,
    /// How many fields of the row are complete, and how many of these are put out.
    pub(super) fields: usize,
    pub(super) kept: usize,
    /// The output of the row: it leaves when the row is complete.
    pub(super) out: Vec<u8>,
    /// The open field as it came, and decoded: without its quotes.
    pub(super) raw: Zeroizing<Vec<u8>>,
    pub(super) text: Zeroizing<Vec<u8>>,
    /// The treatment under way of the open field, where the treatment keeps nothing of the value.
    pub(super) pieces: Option<PieceTransform>,
    /// Whether the open field is dropped, and needs no decoding.
    pub(super) skips: bool,
    /// Whether the open field is in quotes.
    pub(super) quoted: bool,
    treated: Vec<u8>,
    /// Whether the observer wants the paths of untreated values.
    pub(super) reports_clear: bool,
}

impl CsvRow {
    /// The first row of a table: a header row, or the first row with data.
    pub(super) fn first(header: bool) -> Self {
        Self { header, first: !header, ..Self::default() }
    }

    /// Holds a piece of the open field, or hands it to the treatment that needs no whole value.
    ///
    /// # Errors
    /// [`RewriteError::Bound`] when the row is too long.
    pub(super) fn hold(&mut self, raw: &[u8], text: &[u8]) -> RewriteResult {
        if self.skips {
            return Ok(());
        }
        if let Some(pieces) = &mut self.pieces {
            pieces.push(text);
            return check_bytes(self.out.len() + pieces.ready_bytes());
        }
        check_bytes(self.out.len() + self.raw.len() + raw.len())?;
        self.raw.extend_from_slice(raw);
        self.text.extend_from_slice(text);
        Ok(())
    }

    /// Puts out the open field, treated by this rule. Returns whether it counts as treated, and whether it leaves as
    /// it came.
    pub(super) fn put_treated(
        &mut self,
        rule: usize,
        delimiter: u8,
        transform: &dyn Transform,
    ) -> RewriteResult<(bool, bool)> {
        if self.text.len() > VALUE_BYTES_MAX {
            return Err(RewriteError::Bound { bound: "a value", limit: VALUE_BYTES_MAX as u64 });
        }
        self.treated.clear();
        if let Some(mut pieces) = self.pieces.take() {
            pieces.drain(&mut self.treated);
            transform.finish_pieces(rule, pieces, &mut self.treated);
            let quote: &[u8] = if self.quoted { b"\"" } else { b"" };
            [quote, &self.treated, quote].iter().for_each(|part| self.out.extend_from_slice(part));
            return Ok((true, false));
        }
        let value = SelectedValue { kind: ValueKind::String, text: &self.text };
        if let Replacement::Unchanged { counted } = transform.transform(rule, value, &mut self.treated)? {
            self.out.append(&mut self.raw);
            return Ok((counted, true));
        }
        self.put_cell(delimiter);
        Ok((true, false))
    }

    /// Puts out the treated text, in quotes where it came in quotes or needs them.
    fn put_cell(&mut self, delimiter: u8) {
        let special = |b: &u8| *b == delimiter || matches!(b, b'"' | b'\r' | b'\n');
        if !self.quoted && !self.treated.iter().any(special) {
            self.out.extend_from_slice(&self.treated);
            return;
        }
        self.out.push(b'"');
        for byte in &self.treated {
            self.out.extend_from_slice(if *byte == b'"' { b"\"\"" } else { std::slice::from_ref(byte) });
        }
        self.out.push(b'"');
    }

    /// The open field is done with.
    pub(super) fn end_field(&mut self) {
        self.fields += 1;
        self.raw.clear();
        self.text.clear();
    }
}

fn check_bytes(length: usize) -> RewriteResult {
    if length > ROW_BYTES_MAX {
        Err(RewriteError::Bound { bound: "a row", limit: ROW_BYTES_MAX as u64 })
    } else {
        Ok(())
    }
}
