//! Values of which nothing is kept: treated piece by piece, so that they may be of any length and hold any text.
//!
//! A value begins as any other, held until it is complete; when it grows over the bound of such values, what has been
//! read of it is treated, and from there on each piece as it comes. Never lets a byte of it into the output.

use crate::bounds::VALUE_BYTES_MAX;
use crate::pii::{Kind, Stop};

use super::{
    engine::Run,
    machine::{Fate, Mode, Sink, Take},
    text,
};

impl Run<'_, '_> {
    /// Takes the next piece of the open value, as it stands in the document; `ends` with the last one.
    pub(super) fn treat_piece(&mut self, part: &[u8], ends: bool) -> Result<(), Stop> {
        if self.machine.pieces.is_none() {
            let rule = self.machine.take.and_then(Take::rule_alone);
            let Some(pieces) = rule.and_then(|rule| self.desk.treat.pieces(rule)) else {
                return Err(Stop::Bound { bound: "a value to be treated", limit: VALUE_BYTES_MAX as u64 });
            };
            self.machine.pieces = Some(pieces);
            self.desk.out.push(b'"');
        }
        self.machine.held.push(part);
        let raw = self.machine.held.as_slice();
        let ready = if ends { raw.len() } else { text::whole_escapes(raw) };
        // Half of a pair is a character as any other here.
        let _ = text::unescape(&raw[..ready], &mut self.machine.text);
        let left: Vec<u8> = raw[ready..].to_vec();
        if let Some(pieces) = &mut self.machine.pieces {
            pieces.pass(self.machine.text.as_slice(), self.desk.out);
        }
        self.machine.text.clear();
        self.machine.held.clear();
        self.machine.held.push(&left);
        Ok(())
    }

    /// The open value, which is treated piece by piece, has ended with this piece.
    pub(super) fn end_pieces(&mut self, take: Take, part: &[u8]) -> Result<(), Stop> {
        self.machine.take = Some(take);
        self.treat_piece(part, true)?;
        self.machine.take = None;
        self.machine.holds_token = false;
        if let (Some(pieces), Some(rule)) = (self.machine.pieces.take(), take.rule_alone()) {
            self.desk.treat.finish(rule, pieces, self.desk.out);
            self.desk.out.push(b'"');
            self.desk.watch.treated(rule);
        }
        self.switch(Sink::Out, self.pos);
        self.machine.mode = if self.machine.depth == 0 { Mode::End } else { Mode::After };
        Ok(())
    }

    /// A whole string in which half of a surrogate pair stands, which is no text to a treatment that keeps some of it.
    pub(super) fn report_half_pair(&mut self, take: Take, kind: Kind, raw: &[u8], decoded: &[u8]) -> Result<(), Stop> {
        let Fate::Treat(rule) = take.fate else { return self.report_scalar(take, kind, raw, decoded) };
        let Some(mut pieces) = self.desk.treat.pieces(rule) else {
            return match self.desk.treat.takes_any_bytes(rule) {
                true => self.report_scalar(take, kind, raw, decoded),
                false => Err(self.malformed("half a surrogate pair in a value of which some is kept")),
            };
        };
        if take.subject {
            self.desk.watch.subject(decoded);
        }
        pieces.push(decoded);
        self.desk.out.push(b'"');
        pieces.drain(self.desk.out);
        self.desk.treat.finish(rule, pieces, self.desk.out);
        self.desk.out.push(b'"');
        self.desk.watch.treated(rule);
        Ok(())
    }
}
