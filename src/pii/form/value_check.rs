//! Checks the values of a form that are not held: their percent-encoding, their UTF-8 and their bytes.

use super::format_check::RawValueCheck;
use super::percent::hex;
use super::{bad_percent, semicolon};
use crate::pii::RewriteResult;
use crate::pii::skip::length_before;
use crate::pii::utf8::{Utf8Validator, not_utf8};

/// Checks a value that is not decoded: its percent encoding, its UTF-8 and its bytes.
#[derive(Clone, Copy, Default)]
pub(super) struct FormValueCheck {
    utf8: Utf8Validator,
    percent: PercentState,
    format: RawValueCheck,
}

/// How far a percent-encoded byte has been read.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum PercentState {
    #[default]
    None,
    /// After the `%`.
    Open,
    /// After the first digit, which is the high half of the byte.
    High(u8),
}

impl FormValueCheck {
    /// Reads up to a `&`. Returns how many bytes may leave, and what is wrong with the next one, if anything is.
    pub(super) fn read(&mut self, input: &[u8], base: u64) -> (usize, RewriteResult) {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            if byte == b'&' {
                return (at, Ok(()));
            }
            let idle = self.percent == PercentState::None && self.utf8.is_whole();
            let plain = if idle { length_before(&input[at..], is_special) } else { 0 };
            if plain == 0
                && let Err(stop) = self.push(byte, base + at as u64)
            {
                return (at, Err(stop));
            }
            at += plain.max(1);
        }
        (at, Ok(()))
    }

    /// Takes the next byte. Returns the decoded byte that it completes, if it completes one.
    pub(super) fn push(&mut self, byte: u8, here: u64) -> RewriteResult<Option<u8>> {
        let digit = || hex(byte).ok_or(bad_percent(here));
        let decoded = match (self.percent, byte) {
            (PercentState::None, b';') => return Err(semicolon(here)),
            (PercentState::None, b'%') => {
                self.percent = PercentState::Open;
                return Ok(None);
            }
            (PercentState::None, byte) => {
                self.format.push(byte, here)?;
                byte
            }
            (PercentState::Open, _) => {
                self.percent = PercentState::High(digit()? << 4);
                return Ok(None);
            }
            (PercentState::High(high), _) => high | digit()?,
        };
        self.percent = PercentState::None;
        if self.utf8.push(decoded) { Ok(Some(decoded)) } else { Err(not_utf8(here)) }
    }

    pub(super) fn end(self, at: u64) -> RewriteResult {
        match (self.percent, self.utf8.is_whole()) {
            (PercentState::None, true) => Ok(()),
            (PercentState::None, false) => Err(not_utf8(at)),
            (PercentState::Open | PercentState::High(_), _) => Err(bad_percent(at)),
        }
    }
}

/// Whether a byte in a value needs more than to be passed: a delimiter, the begin of an encoded byte, or one that is
/// not plain ASCII.
const fn is_special(b: u8) -> bool {
    matches!(b, b'&' | b'%' | b';' | b'=' | 0..=b' ' | 0x7f..)
}
