//! Forms: `application/x-www-form-urlencoded` bodies and the queries of URLs.
//!
//! Names are decoded before they are compared; selected values are decoded, treated and encoded again. All else
//! passes byte for byte. What two parsers could read in two ways is refused: a bad percent, NUL, text that is not
//! UTF-8, a raw `;`, a name encoded twice. So is a body that is no form but another format, which `likeness` tells.
//! Never lets a part of a selected value leave before it is complete.

mod format_check;
mod percent;

pub(super) use percent::{decode, decode_segment, encode, is_encoded_twice, push_percent};

use super::clear::OpenField;
use super::fields::{FieldDecision, FieldRules, clear_path};
use super::skip::length_before;
use super::utf8::{Utf8Validator, not_utf8};
use super::{
    PieceTransform, Replacement, RewriteError, RewriteObserver, Rewriter, SelectedValue, Transform, ValueKind,
};
use crate::bounds::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The engine of form bodies (WHATWG URL, section 5).
pub(super) struct FormRewriter {
    fields: Arc<FieldRules>,
    treat: Arc<dyn Transform>,
    pairs: FormPairs,
    counted: bool,
}

impl FormRewriter {
    /// An engine for one body.
    pub(super) fn new(fields: Arc<FieldRules>, treat: Arc<dyn Transform>) -> Self {
        Self { fields, treat, pairs: FormPairs { in_body: true, ..FormPairs::default() }, counted: false }
    }
}

impl std::fmt::Debug for FormRewriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Form").field("at", &self.pairs.at).finish_non_exhaustive()
    }
}

impl Rewriter for FormRewriter {
    fn feed(
        &mut self,
        input: &[u8],
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        if self.fields.counts_records && !self.counted && !input.is_empty() {
            self.counted = true;
            observer.on_record()?;
        }
        self.pairs.feed(input, &mut FormContext { fields: &self.fields, treat: &*self.treat, observer }, out)
    }

    fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> Result<(), RewriteError> {
        self.pairs.finish(&mut FormContext { fields: &self.fields, treat: &*self.treat, observer }, out)
    }
}

/// What the pairs are treated with.
pub(super) struct FormContext<'a> {
    pub(super) fields: &'a FieldRules,
    pub(super) treat: &'a dyn Transform,
    pub(super) observer: &'a mut dyn RewriteObserver,
}

/// The state between two pushes.
#[derive(Default)]
pub(super) struct FormPairs {
    state: FormState,
    /// The raw name, or the raw value that is held.
    raw: Zeroizing<Vec<u8>>,
    /// A decoded or a treated text; kept for its capacity.
    text: Zeroizing<Vec<u8>>,
    /// The open value, where nothing of it is kept.
    pieces: Option<PieceTransform>,
    check: FormValueCheck,
    /// Offset of the next byte.
    at: u64,
    /// Whether a pair has left, so that the next one needs its `&`.
    begun: bool,
    /// Whether this is a body, which may be of another format than a form; and whether its first pair is behind us.
    in_body: bool,
    paired: bool,
    /// Where the open value stands, if somebody asks what leaves in clear.
    open: OpenField,
}

#[derive(Clone, Copy, Default)]
enum FormState {
    /// In a name.
    #[default]
    Name,
    /// In a value that passes.
    Pass,
    /// In a value that is left out.
    Skip,
    /// In a value that is treated piece by piece.
    Pieces { rule: usize },
    /// In a value that must be complete first.
    Held { rule: Option<usize>, subject: bool },
}

impl FormPairs {
    pub(super) fn feed(
        &mut self,
        mut input: &[u8],
        means: &mut FormContext<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        while !input.is_empty() {
            let used = match self.state {
                FormState::Name => self.hold(input, memchr::memchr2(b'&', b'=', input), 3 * KEY_BYTES_MAX, "a name")?,
                FormState::Held { .. } => {
                    self.hold(input, memchr::memchr(b'&', input), 3 * VALUE_BYTES_MAX, "a value")?
                }
                FormState::Pass => self.pass(input, Some(out))?,
                FormState::Skip => self.pass(input, None)?,
                FormState::Pieces { .. } => self.piece(input, out)?,
            };
            self.at += used as u64;
            let Some(&delimiter) = input.get(used) else { break };
            if delimiter == b'=' && matches!(self.state, FormState::Name) {
                self.end_name(true, means, out)?;
            } else {
                self.end_pair(means, out)?;
            }
            self.at += 1;
            input = &input[used + 1..];
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, means: &mut FormContext<'_>, out: &mut Vec<u8>) -> Result<(), RewriteError> {
        self.end_pair(means, out)
    }

    /// Keeps what stands before the delimiter; returns its length.
    fn hold(
        &mut self,
        input: &[u8],
        end: Option<usize>,
        limit: usize,
        bound: &'static str,
    ) -> Result<usize, RewriteError> {
        let piece = &input[..end.unwrap_or(input.len())];
        let room = limit - self.raw.len();
        if let Some(at) = memchr::memchr(b';', &piece[..piece.len().min(room)]) {
            return Err(semicolon(self.at + at as u64));
        }
        if piece.len() > room {
            return Err(RewriteError::Bound { bound, limit: limit as u64 });
        }
        self.raw.extend_from_slice(piece);
        Ok(piece.len())
    }

    /// Checks a value, and lets it pass or not; returns the length before the delimiter.
    fn pass(&mut self, input: &[u8], out: Option<&mut Vec<u8>>) -> Result<usize, RewriteError> {
        let (used, verdict) = self.check.read(input, self.at);
        self.open.fill(used > 0);
        if let Some(out) = out {
            out.extend_from_slice(&input[..used]);
        }
        verdict.map(|()| used)
    }

    /// Treats a piece of a value; returns the length before the delimiter.
    fn piece(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, RewriteError> {
        let used = memchr::memchr(b'&', input).unwrap_or(input.len());
        self.text.clear();
        for (at, byte) in input[..used].iter().enumerate() {
            let decoded = self.check.push(*byte, self.at + at as u64)?;
            self.text.extend(decoded.map(|decoded| if *byte == b'+' { b' ' } else { decoded }));
        }
        if let Some(pieces) = &mut self.pieces {
            pieces.push_and_drain(&self.text, out);
        }
        Ok(used)
    }

    /// A name is complete; with `valued` its value follows.
    fn end_name(&mut self, valued: bool, means: &mut FormContext<'_>, out: &mut Vec<u8>) -> Result<(), RewriteError> {
        let start = self.at - self.raw.len() as u64;
        let name = decode(&self.raw, start, &mut self.text)?;
        if self.in_body && (valued || !self.raw.is_empty()) {
            let first = !std::mem::replace(&mut self.paired, true);
            format_check::check_name(&self.raw, name, valued || !first, start)?;
        }
        if is_encoded_twice(name) {
            return Err(RewriteError::Malformed { what: "a name that is encoded twice", at: self.at });
        }
        let nothing = name.is_empty() && !valued;
        let decision = if nothing { FieldDecision::Pass } else { means.fields.decide(name) };
        let subject = valued && means.fields.is_subject(name);
        let leaves = match decision {
            FieldDecision::Pass => true,
            FieldDecision::Drop => false,
            FieldDecision::Treat(rule) => !means.treat.drops_member(rule),
        };
        self.open = OpenField::begin(self.in_body && means.observer.wants_clear_paths(), || clear_path(name));
        if let FieldDecision::Treat(rule) = decision
            && !leaves
        {
            means.observer.on_treated(rule);
        }
        self.pieces = match decision {
            FieldDecision::Treat(rule) if leaves && valued && !subject => means.treat.begin_pieces(rule),
            FieldDecision::Treat(_) | FieldDecision::Pass | FieldDecision::Drop => None,
        };
        self.state = match decision {
            FieldDecision::Treat(rule) if self.pieces.is_some() => FormState::Pieces { rule },
            FieldDecision::Treat(rule) if leaves => FormState::Held { rule: Some(rule), subject },
            FieldDecision::Pass if subject => FormState::Held { rule: None, subject },
            FieldDecision::Pass => FormState::Pass,
            FieldDecision::Drop | FieldDecision::Treat(_) => FormState::Skip,
        };
        if leaves {
            if std::mem::replace(&mut self.begun, true) {
                out.push(b'&');
            }
            put_name(&self.raw, name, means, out)?;
            out.extend_from_slice(if valued { b"=" } else { b"" });
        }
        self.raw.clear();
        Ok(())
    }

    fn end_pair(&mut self, means: &mut FormContext<'_>, out: &mut Vec<u8>) -> Result<(), RewriteError> {
        match self.state {
            FormState::Name => self.end_name(false, means, out)?,
            FormState::Pass => {
                std::mem::take(&mut self.check).end(self.at)?;
                self.open.report(means.observer);
            }
            FormState::Skip => std::mem::take(&mut self.check).end(self.at)?,
            FormState::Pieces { rule } => {
                std::mem::take(&mut self.check).end(self.at)?;
                if let Some(pieces) = self.pieces.take() {
                    self.text.clear();
                    means.treat.finish_pieces(rule, pieces, &mut self.text);
                    encode(&self.text, out);
                    means.observer.on_treated(rule);
                }
            }
            FormState::Held { rule, subject } => self.end_held(rule, subject, means, out)?,
        }
        self.state = FormState::Name;
        Ok(())
    }

    fn end_held(
        &mut self,
        rule: Option<usize>,
        subject: bool,
        means: &mut FormContext<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        let start = self.at - self.raw.len() as u64;
        format_check::check_value(&self.raw, start)?;
        let text = decode(&self.raw, start, &mut self.text)?;
        if text.len() > VALUE_BYTES_MAX {
            return Err(RewriteError::Bound { bound: "a value", limit: VALUE_BYTES_MAX as u64 });
        }
        if subject {
            means.observer.on_subject(text.as_bytes());
        }
        self.open.fill(!self.raw.is_empty());
        match rule {
            None => {
                out.extend_from_slice(&self.raw);
                self.open.report(means.observer);
            }
            Some(rule) => {
                let came = self.raw.len();
                let value = SelectedValue { kind: ValueKind::String, text: text.as_bytes() };
                let shape = means.treat.transform(rule, value, &mut self.raw)?;
                match shape {
                    Replacement::Text | Replacement::Literal => encode(&self.raw[came..], out),
                    Replacement::Unchanged { .. } => {
                        out.extend_from_slice(&self.raw[..came]);
                        self.open.report(means.observer);
                    }
                }
                if shape != (Replacement::Unchanged { counted: false }) {
                    means.observer.on_treated(rule);
                }
            }
        }
        self.raw.clear();
        Ok(())
    }
}

/// Puts a name as it came, or what detectors make of it.
fn put_name(raw: &[u8], name: &str, means: &mut FormContext<'_>, out: &mut Vec<u8>) -> Result<(), RewriteError> {
    let Some(rest) = means.fields.fallback_rule() else {
        out.extend_from_slice(raw);
        return Ok(());
    };
    let mut made = Zeroizing::new(Vec::new());
    let shape =
        means.treat.transform(rest, SelectedValue { kind: ValueKind::String, text: name.as_bytes() }, &mut made)?;
    match shape {
        Replacement::Text | Replacement::Literal => encode(&made, out),
        Replacement::Unchanged { .. } => out.extend_from_slice(raw),
    }
    if shape != (Replacement::Unchanged { counted: false }) {
        means.observer.on_treated(rest);
    }
    Ok(())
}

/// What can be wrong in a value that nobody decodes.
#[derive(Clone, Copy, Default)]
struct FormValueCheck {
    utf8: Utf8Validator,
    percent: PercentState,
    likeness: format_check::RawValueCheck,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum PercentState {
    #[default]
    None,
    Open,
    High(u8),
}

impl FormValueCheck {
    /// Reads up to a `&`; returns how much of it may leave, and whether all is well.
    fn read(&mut self, input: &[u8], base: u64) -> (usize, Result<(), RewriteError>) {
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

    /// Takes the next byte; returns the decoded one that it completes.
    fn push(&mut self, byte: u8, here: u64) -> Result<Option<u8>, RewriteError> {
        let digit = || percent::hex(byte).ok_or(bad_percent(here));
        let decoded = match (self.percent, byte) {
            (PercentState::None, b';') => return Err(semicolon(here)),
            (PercentState::None, b'%') => {
                self.percent = PercentState::Open;
                return Ok(None);
            }
            (PercentState::None, byte) => {
                self.likeness.push(byte, here)?;
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

    fn end(self, at: u64) -> Result<(), RewriteError> {
        match (self.percent, self.utf8.is_whole()) {
            (PercentState::None, true) => Ok(()),
            (PercentState::None, false) => Err(not_utf8(at)),
            (PercentState::Open | PercentState::High(_), _) => Err(bad_percent(at)),
        }
    }
}

/// Whether a byte means more than itself.
const fn is_special(b: u8) -> bool {
    matches!(b, b'&' | b'%' | b';' | b'=' | 0..=b' ' | 0x7f..)
}

const fn semicolon(at: u64) -> RewriteError {
    RewriteError::Malformed { what: "a ';', which some parsers take for '&'", at }
}

const fn bad_percent(at: u64) -> RewriteError {
    RewriteError::Malformed { what: "a '%' without two hexadecimal digits", at }
}

#[cfg(test)]
mod tests;
