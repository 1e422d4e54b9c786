//! Values of which nothing is kept: treated piece by piece, so that they may be of any length and hold any text.
//!
//! A value begins as any other, held until it is complete; when it grows over the bound of such values, what has been
//! read of it is treated, and from there on each piece as it comes. Never lets a byte of it into the output.

use crate::bounds::VALUE_BYTES_MAX;
use crate::pii::{RewriteError, ValueKind};

use super::{
    engine::ExactReader,
    machine::{ByteSink, JsonMode, PendingValue, ValueAction},
    text,
};

impl ExactReader<'_, '_> {
    /// Takes the next piece of the open value, as it stands in the document; `ends` with the last one.
    pub(super) fn treat_piece(&mut self, part: &[u8], ends: bool) -> Result<(), RewriteError> {
        if self.state.pieces.is_none() {
            let rule = self.state.pending_value.and_then(PendingValue::rule_alone);
            let Some(pieces) = rule.and_then(|rule| self.context.treat.begin_pieces(rule)) else {
                return Err(RewriteError::Bound { bound: "a value to be treated", limit: VALUE_BYTES_MAX as u64 });
            };
            self.state.pieces = Some(pieces);
            self.context.out.push(b'"');
        }
        self.state.held.push(part);
        let raw = self.state.held.as_slice();
        let ready = if ends { raw.len() } else { text::whole_escapes(raw) };
        // Half of a pair is a character as any other here.
        let _ = text::unescape(&raw[..ready], &mut self.state.text);
        let left: Vec<u8> = raw[ready..].to_vec();
        if let Some(pieces) = &mut self.state.pieces {
            pieces.push_and_drain(self.state.text.as_slice(), self.context.out);
        }
        self.state.text.clear();
        self.state.held.clear();
        self.state.held.push(&left);
        Ok(())
    }

    /// The open value, which is treated piece by piece, has ended with this piece.
    pub(super) fn end_pieces(&mut self, take: PendingValue, part: &[u8]) -> Result<(), RewriteError> {
        self.state.pending_value = Some(take);
        self.treat_piece(part, true)?;
        self.state.pending_value = None;
        self.state.holds_token = false;
        if let (Some(pieces), Some(rule)) = (self.state.pieces.take(), take.rule_alone()) {
            self.context.treat.finish_pieces(rule, pieces, self.context.out);
            self.context.out.push(b'"');
            self.context.observer.on_treated(rule);
        }
        self.switch_sink(ByteSink::Out, self.pos);
        self.state.mode = if self.state.depth == 0 { JsonMode::End } else { JsonMode::After };
        Ok(())
    }

    /// A whole string in which half of a surrogate pair stands, which is no text to a treatment that keeps some of it.
    pub(super) fn report_half_pair(
        &mut self,
        take: PendingValue,
        kind: ValueKind,
        raw: &[u8],
        decoded: &[u8],
    ) -> Result<(), RewriteError> {
        let ValueAction::Treat(rule) = take.fate else { return self.report_scalar(take, kind, raw, decoded) };
        let Some(mut pieces) = self.context.treat.begin_pieces(rule) else {
            return match self.context.treat.accepts_any_bytes(rule) {
                true => self.report_scalar(take, kind, raw, decoded),
                false => Err(self.malformed("half a surrogate pair in a value of which some is kept")),
            };
        };
        if take.subject {
            self.context.observer.on_subject(decoded);
        }
        pieces.push(decoded);
        self.context.out.push(b'"');
        pieces.drain(self.context.out);
        self.context.treat.finish_pieces(rule, pieces, self.context.out);
        self.context.out.push(b'"');
        self.context.observer.on_treated(rule);
        Ok(())
    }
}
